"""Simulated track events, as files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from daybreak.errors import ConfigError

if TYPE_CHECKING:
    from daybreak.neutrino.event import Event


def simulate_event(
    out: Path | str,
    *,
    seed: int = 1,
    zenith_rad: float | None = None,
    azimuth_rad: float | None = None,
    energy_gev: float | None = None,
) -> Event:
    """Make a muon track in the built-in detector and write it.

    Parameters
    ----------
    out
        The file; `daybreak.neutrino.read_events` reads it.
    seed
        The same seed gives the same event.
    zenith_rad, azimuth_rad
        Where the muon comes from; by default isotropic.
    energy_gev
        By default log-uniform from 30 TeV to 1 PeV.

    Returns
    -------
    Event
        What was written; at least 30 DOMs are left after cleaning.

    Raises
    ------
    ConfigError
        No such track is seen by the detector.
    OutputError
        The file can't be written.
    """
    from daybreak._version import __version__

    for name, angle in (("zenith", zenith_rad), ("azimuth", azimuth_rad)):
        if angle is not None and not math.isfinite(angle):
            raise ConfigError(f"the {name} is no number", "Give --zenith and --azimuth in degrees.")
    if azimuth_rad is not None:
        azimuth_rad = azimuth_rad % (2 * math.pi)
    from daybreak.neutrino.event_io import write_event
    from daybreak.simulate.tracks import simulate_useful_track

    try:
        event = simulate_useful_track(
            seed, zenith_rad=zenith_rad, azimuth_rad=azimuth_rad, energy_gev=energy_gev
        )
    except ValueError as error:
        raise ConfigError(str(error), "Choose a higher --energy.") from None
    write_event(event, out, provenance={"software": f"daybreak {__version__}", "seed": seed})
    return event
