"""Simulate nights of DL3 runs with injected truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.time import Time

from daybreak.errors import ConfigError, OutputError
from daybreak.products.atomic import ensure_folder
from daybreak.products.digest import value_digest
from daybreak.products.provenance import provenance
from daybreak.simulate.gammapy_sampling import sample_with_gammapy
from daybreak.simulate.instrument import VirtualInstrument
from daybreak.simulate.sampling import Events, Exposure, sample_direct
from daybreak.simulate.sources import Source, crab_like
from daybreak.simulate.store import INDEX_FILES, run_file_name, write_index_files, write_run
from daybreak.simulate.truth import TRUTH_FILE, RunTruth, Truth, read_truth
from daybreak.simulate.virtual_runs import Run, altitude_azimuth

Sampler = Literal["gammapy", "direct"]
Progress = Callable[[int, int], None]

DEFAULT_START = "2024-12-06T00:30:00"
_WOBBLE_ANGLES = (0.0, 180.0, 90.0, 270.0)
_GAP = 2 * u.min
_LOWEST = 10.0
_SAMPLERS = {"gammapy": sample_with_gammapy, "direct": sample_direct}


@dataclass(frozen=True)
class Field:
    """One field of view, observed in wobble mode for some runs.

    Attributes
    ----------
    name : str
        Target name, written as ``OBJECT``.
    position : SkyCoord
        The target, around which the pointings alternate.
    sources : sequence of Source
        What shines there; empty for a blank field.
    tag : str
        ``TARGET_TAG``; empty: made from the name.
    n_runs : int
    ontime : Quantity
        Of each run; runs are two minutes apart.
    wobble : Quantity
        Distance of the pointings from the target; north, south, east, west in turn.
    start : str
        Start of the first run, UTC, ISO 8601.
    """

    name: str
    position: SkyCoord
    sources: Sequence[Source] = ()
    tag: str = ""
    n_runs: int = 4
    ontime: u.Quantity = field(default_factory=lambda: 28 * u.min)
    wobble: u.Quantity = field(default_factory=lambda: 0.5 * u.deg)
    start: str = DEFAULT_START

    def runs(self, first_obs_id: int) -> list[Run]:
        """Its runs, by time.

        Parameters
        ----------
        first_obs_id
            Number of the first; the others follow.

        Raises
        ------
        ConfigError
            If there is no run, or none longer than 0 s, or the start can't be read.
        """
        if self.n_runs < 1 or not self.ontime > 0 * u.s:
            raise ConfigError(f"field {self.name}: at least one run longer than 0 s is needed", "")
        try:
            begin = Time(self.start, scale="utc").tt
        except ValueError:
            raise ConfigError(
                f"field {self.name}: can't read the start time {self.start!r}",
                "Write it in UTC, for example '2024-12-06T00:30:00'.",
            ) from None
        tag = self.tag or self.name.lower().replace(" ", "_")
        made = []
        for index in range(self.n_runs):
            angle = _WOBBLE_ANGLES[index % len(_WOBBLE_ANGLES)] * u.deg
            pointing = self.position.icrs.directional_offset_by(angle, self.wobble)
            start = begin + index * (self.ontime + _GAP)
            made.append(
                Run(
                    obs_id=first_obs_id + index,
                    target=self.name,
                    tag=tag,
                    position=self.position,
                    pointing=pointing,
                    start=start,
                    ontime=self.ontime,
                )
            )
        return made


def _check_visible(runs: Sequence[Run], instrument: VirtualInstrument) -> None:
    for run in runs:
        altitude, _ = altitude_azimuth(run.pointing, run.start + run.ontime / 2, instrument)
        if altitude < _LOWEST:
            raise ConfigError(
                f"{run.target} stands {altitude:.0f} deg above the virtual site's horizon at "
                f"{run.start.utc.isot}: too low to observe",
                "Choose another start time, or an instrument at another latitude or longitude.",
            )


def run_seed(seed: int, obs_id: int) -> np.random.SeedSequence:
    """Seed of one run: it follows from the two numbers alone, whatever else is simulated.

    Parameters
    ----------
    seed
        Of the whole simulation, not negative.
    obs_id
        Number of the run.
    """
    return np.random.SeedSequence(entropy=seed, spawn_key=(obs_id,))


def _run_truth(run: Run, events: Events, sources: Sequence[Source], live: float) -> RunTruth:
    counts = np.bincount(events.mc_id, minlength=len(sources) + 1)
    return RunTruth(
        obs_id=run.obs_id,
        target=run.target,
        tag=run.tag,
        ra_pnt_deg=float(run.pointing.icrs.ra.deg),
        dec_pnt_deg=float(run.pointing.icrs.dec.deg),
        start_utc=run.start.utc.isot,
        ontime_s=float(run.ontime.to_value("s")),
        livetime_s=float(run.ontime.to_value("s")) * live,
        n_background=int(counts[0]),
        n_source={s.name: int(counts[i + 1]) for i, s in enumerate(sources)},
    )


def simulate_store(
    out: Path,
    fields: Sequence[Field],
    *,
    seed: int,
    first_obs_id: int = 1,
    instrument: VirtualInstrument | None = None,
    point_like: bool = False,
    sampler: Sampler = "gammapy",
    progress: Progress | None = None,
) -> Truth:
    """Simulate fields into one GADF store, with the truth beside it.

    The store holds ``data/daybreak_virtual_<obs_id>.fits.gz``, ``obs-index.fits.gz``,
    ``hdu-index.fits.gz`` and ``truth.json``. The same arguments give the same bytes; a run's events
    follow from `seed` and its number alone, not from the other runs.

    Parameters
    ----------
    out
        Folder of the store; made if missing.
    fields
        What is observed; runs are numbered through all fields.
    seed
        Not negative.
    first_obs_id
        Number of the first run.
    instrument
        None: :class:`VirtualInstrument` with its defaults.
    point_like
        Write point-like responses with ``RAD_MAX_2D`` instead of PSF and background.
    sampler
        ``gammapy``: Gammapy's ``MapDatasetEventSampler``; ``direct``: the same distributions drawn
        straight from the response, much faster.
    progress
        Called with (runs done, runs in all) after each run.

    Returns
    -------
    Truth
        Also written to ``truth.json``.

    Raises
    ------
    ConfigError
        If a field never rises high enough, two sources share a name, or an option is unknown.
    OutputError
        If the store can't be written, or `out` holds a store that is not a simulation.
    """
    instrument = instrument or VirtualInstrument()
    if sampler not in _SAMPLERS:
        raise ConfigError(f"unknown sampler {sampler!r}", "Use 'gammapy' or 'direct'.")
    if seed < 0 or first_obs_id < 0:
        raise ConfigError("the seed and the first run's number can't be below 0", "")
    plan: list[tuple[Run, Field, float]] = []
    for one in fields:
        runs = one.runs(first_obs_id + len(plan))
        _check_visible(runs, instrument)
        plan += [(run, one, run.tstart - runs[0].tstart) for run in runs]
    sources = _all_sources(fields)
    origin = _provenance(seed, instrument, sources, point_like, sampler)
    _clear(out)
    observations, hdus, truths = [], [], []
    for done, (run, one, since) in enumerate(plan, start=1):
        exposure = Exposure(run.obs_id, run.pointing, since, float(run.ontime.to_value("s")))
        draw = _SAMPLERS[sampler]
        events = draw(run_seed(seed, run.obs_id), exposure, one.sources, instrument)
        row, rows = write_run(
            out, run, events, instrument, point_like=point_like, provenance=origin
        )
        observations.append(row)
        hdus += rows
        truths.append(_run_truth(run, events, one.sources, 1 - instrument.dead_time))
        if progress is not None:
            progress(done, len(plan))
    write_index_files(out, observations, hdus, instrument)
    truth = Truth(seed, sampler, point_like, instrument.parameters(), sources, tuple(truths))
    truth.write(out)
    return truth


def _clear(out: Path) -> None:
    """Make the folder; take an earlier simulation's files away, index first.

    So a simulation that is interrupted never leaves an index that lists another one's runs.
    """
    ensure_folder(out)
    indices = [out / name for name in INDEX_FILES]
    if not (out / TRUTH_FILE).is_file():
        if any(path.exists() for path in indices):
            raise OutputError(
                f"{out} holds a data store that is not a simulation", "Choose another folder."
            )
        return
    earlier = read_truth(out)
    for path in (*indices, out / TRUTH_FILE):
        path.unlink(missing_ok=True)
    for run in earlier.runs:
        (out / "data" / run_file_name(run.obs_id)).unlink(missing_ok=True)


def _all_sources(fields: Sequence[Field]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in fields:
        for source in one.sources:
            values = source.parameters()
            if found.setdefault(source.name, values) != values:
                raise ConfigError(
                    f"two different sources are called {source.name!r}", "Give each its own name."
                )
    return found


def _provenance(
    seed: int,
    instrument: VirtualInstrument,
    sources: dict[str, dict[str, Any]],
    point_like: bool,
    sampler: str,
) -> dict[str, Any]:
    settings = {
        "seed": seed,
        "instrument": instrument.parameters(),
        "sources": sources,
        "point_like": point_like,
        "sampler": sampler,
    }
    return provenance("simulate", value_digest(settings), {})


def simulate_night(
    out: Path,
    *,
    seed: int,
    sources: Sequence[Source] | None = None,
    target: SkyCoord | None = None,
    name: str = "",
    tag: str = "",
    n_runs: int = 4,
    ontime: u.Quantity | None = None,
    wobble: u.Quantity | None = None,
    start: str = DEFAULT_START,
    first_obs_id: int = 1,
    instrument: VirtualInstrument | None = None,
    blank: bool = False,
    point_like: bool = False,
    sampler: Sampler = "gammapy",
    progress: Progress | None = None,
) -> Truth:
    """Simulate a night on one field into a GADF store.

    Parameters
    ----------
    out
        Folder of the store.
    seed
        Not negative.
    sources
        None: one :func:`~daybreak.simulate.sources.crab_like` source.
    target
        Around it the pointings alternate. None: the first source's place.
    name, tag
        ``OBJECT`` and ``TARGET_TAG``. Empty: the first source's name, or "Blank field".
    n_runs, ontime, wobble, start
        As in :class:`Field`; None: 28 min, 0.5 deg.
    first_obs_id, instrument, point_like, sampler, progress
        As in :func:`simulate_store`.
    blank
        No source at all, only background.

    Returns
    -------
    Truth
        Also written to ``truth.json``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from daybreak.simulate import simulate_night
    >>> truth = simulate_night(Path("store"), seed=1, n_runs=1, sampler="direct")
    >>> truth.sources["Virtual Crab"]["spectrum"]["index"]
    {'value': 2.6, 'unit': ''}
    """
    chosen = (crab_like(),) if sources is None else tuple(sources)
    if not chosen and target is None:
        target = crab_like().position
    place = target if target is not None else chosen[0].position
    title = name or ("Blank field" if blank or not chosen else chosen[0].name)
    one = Field(
        name=title,
        position=place,
        sources=() if blank else chosen,
        tag=tag,
        n_runs=n_runs,
        ontime=28 * u.min if ontime is None else ontime,
        wobble=0.5 * u.deg if wobble is None else wobble,
        start=start,
    )
    return simulate_store(
        out,
        [one],
        seed=seed,
        first_obs_id=first_obs_id,
        instrument=instrument,
        point_like=point_like,
        sampler=sampler,
        progress=progress,
    )
