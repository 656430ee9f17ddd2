"""What an analysis would say about a run's files, told without an analysis."""

from __future__ import annotations

from collections.abc import Mapping

from daybreak.errors import RunDataError
from daybreak.science.dl3.files import HduLocation
from daybreak.science.dl3.oddities import Oddity
from daybreak.science.observation import LoadedRun, Reading, load_run
from daybreak.science.quality import outside_too_often


def run_content(
    obs_id: int, hdus: Mapping[str, HduLocation], reading: Reading | None = None
) -> tuple[str, list[Oddity]]:
    """Read a run as an analysis does.

    Parameters
    ----------
    obs_id, hdus, reading
        As of :func:`daybreak.science.observation.load_run`.

    Returns
    -------
    reason : str
        Why an analysis would leave the run out; empty if it would not.
    oddities : list of Oddity
        What it would note about the run, in the same words, and what its flags
        ``EVENTS_BAD``, ``EVENTS_OUTSIDE_GTI``, ``NO_EVENTS``, ``IRF_REPAIRED`` stand for.
    """
    try:
        run = load_run(obs_id, hdus, reading)
    except RunDataError as error:
        return error.what, []
    return "", [*run.oddities, *_counted(run)]


def _counted(run: LoadedRun) -> list[Oddity]:
    where, n = run.hdus["events"].where, run.events_total
    found = []
    if not n:
        found.append(Oddity("NO_EVENTS", f"{where}: the table has no row"))
    if run.events_bad:
        text = f"{where}: {run.events_bad} of {n} events have no time, direction or energy: dropped"
        found.append(Oddity("EVENTS_BAD", text))
    if outside_too_often(run.events_outside_gti, n):
        text = f"{where}: {run.events_outside_gti} of {n} events lie outside the good time: dropped"
        found.append(Oddity("EVENTS_OUTSIDE_GTI", text))
    for kind in run.repaired:
        text = f"{run.hdus[kind].where}: negative values are set to zero"
        found.append(Oddity("IRF_REPAIRED", text))
    if "rad_max" in run.hdus or any("RAD_MAX" in irf.header for irf in run.irfs.values()):
        return found  # point-like responses need neither
    if "psf" not in run.hdus:
        text = f"{where}: the run has no PSF: a point source can't be analysed"
        found.append(Oddity("NO_PSF", text))
    if "bkg" not in run.hdus:
        found.append(Oddity("NO_BACKGROUND_IRF", f"{where}: the run has no background response"))
    return found
