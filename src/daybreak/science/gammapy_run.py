"""A run as Gammapy's observation: for what Gammapy does itself, and for responses we don't know."""

from __future__ import annotations

from astropy import units as u
from astropy.table import Table
from astropy.time import Time
from gammapy.data import GTI, EventList, FixedPointingInfo, Observation
from gammapy.data.metadata import ObservationMetaData

from daybreak.errors import RunDataError
from daybreak.science.dl3.files import READ_ERRORS
from daybreak.science.gammapy_irfs import gammapy_irfs
from daybreak.science.observation import IRF_TYPES, LoadedRun


def gammapy_observation(run: LoadedRun) -> Observation:
    """The run as Gammapy's observation, with all its responses.

    Parameters
    ----------
    run
        The run in memory; its responses are read again.

    Raises
    ------
    RunDataError
        If Gammapy can't use it.
    """
    irfs = {kind: irf for kind, (irf, _) in gammapy_irfs(run.hdus, IRF_TYPES).items()}
    events, gti = run.events, run.good_time
    header = dict(run.header) | {"RA_PNT": run.ra_pnt_deg, "DEC_PNT": run.dec_pnt_deg}
    header["OBS_MODE"] = "POINTING"
    table = Table(
        {
            "TIME": Time(events.time_mjd, format="mjd", scale="tt"),
            "ENERGY": events.energy_tev * u.TeV,
            "RA": events.ra_deg * u.deg,
            "DEC": events.dec_deg * u.deg,
        },
        meta=header,
    )
    try:
        meta = ObservationMetaData.from_header(header)
        return Observation(
            obs_id=run.obs_id,
            events=EventList(table),
            gti=GTI.create(gti.start_s * u.s, gti.stop_s * u.s, gti.reference),
            pointing=FixedPointingInfo.from_fits_header(header),
            meta=meta,
            location=meta.location,
            **irfs,
        )
    except READ_ERRORS as error:
        raise RunDataError(
            f"{run.hdus['events'].where}: Gammapy can't use the header",
            "Make the run's DL3 file again with a complete GADF header.",
        ) from error
