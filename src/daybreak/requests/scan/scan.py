"""``daybreak.scan``: from an event file to sky maps and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from daybreak.engine.progress import ProgressEvent
from daybreak.engine.stop import StopToken
from daybreak.requests.run import run
from daybreak.requests.scan.kind import ScanResult
from daybreak.requests.scan.request import DEFAULT_LIKELIHOOD, scan_request

if TYPE_CHECKING:
    from daybreak.neutrino.scan.driver import ScanProgress


def scan(
    event: Path | str,
    *,
    out: Path | str,
    gcd: Path | str | None = None,
    geometry: Path | str | None = None,
    ice: Path | str | None = None,
    nsides: Sequence[int] | None = None,
    likelihood: str = DEFAULT_LIKELIHOOD,
    options: Mapping[str, Any] | None = None,
    around: tuple[float, float, float] | None = None,
    number: int | None = None,
    contours: str = "auto",
    force: bool = False,
    workers: int = 0,
    engine: str = "local",
    progress: Callable[[ScanProgress], None] | None = None,
    stop: StopToken | None = None,
) -> ScanResult:
    """Scan the likelihood of a track event over the sky and write maps and a report.

    Pixels that are in the folder already are not fitted again.

    Parameters
    ----------
    event
        An i3 file or an alert message.
    out
        Output folder.
    gcd, geometry
        Where the DOMs are: a GCD file or a table of positions.
    ice
        Table of ice layers; by default that of the likelihood.
    nsides
        Resolutions from coarse to fine; by default 1, 8, 64, 512.
    likelihood, options
        Name of the likelihood and what it takes.
    around
        Scan only a circle: right ascension, declination, radius in degrees.
    number
        Which event of a file with several, from 0.
    contours
        Calibration of the contours: ``auto``, ``resimulation``, ``wilks`` or ``millipede``.
    force
        Scan events that a track likelihood can't describe.
    workers
        0: one per core.
    engine
        ``local`` (threads, or processes where the likelihood holds the interpreter's lock),
        ``threads``, ``processes``, or an engine profile: a name or a file.
    progress
        Called after each block of pixels, in another thread.
    stop
        Asks for an early end, e.g. from another thread.

    Returns
    -------
    ScanResult
        The content of ``results.json`` and how the two steps ended.

    Raises
    ------
    ConfigError, EventError, OutputError, EngineError
        See :mod:`daybreak.errors`.
    InterruptedByUser
        On Ctrl-C, after the products of the pixels so far are written.
    """
    request = scan_request(
        Path(event), out=Path(out),
        gcd=_path(gcd), geometry=_path(geometry), ice=_path(ice),
        nsides=nsides, likelihood=likelihood, options=options, around=around, number=number,
        contours=contours, force=force, workers=workers, engine=engine,
    )  # fmt: skip

    def tell(event: ProgressEvent) -> None:
        if progress is not None and event.detail is not None:
            progress(event.detail)

    return cast(ScanResult, run(request, progress=tell, stop=stop))


def _path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value)
