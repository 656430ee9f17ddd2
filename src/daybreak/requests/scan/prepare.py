"""What a scan is made of: the event, its likelihood, and which pixels; nothing is fitted here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from daybreak.config.scan import PixelConfig, ScanConfig
from daybreak.errors import ConfigError, EventError
from daybreak.products.code import function_digest
from daybreak.products.digest import file_digest, value_digest

if TYPE_CHECKING:
    from daybreak.neutrino.contours import Calibration
    from daybreak.neutrino.event import Event
    from daybreak.neutrino.scan.settings import ScanSettings


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """An event with its likelihood, before anything is fitted.

    Attributes
    ----------
    event, inputs
        The event, and the digests of the files it came from.
    likelihood, options, prepared
        The likelihood's name and options, and what it made of the event.
    threads
        Whether fits release the interpreter's lock.
    settings, calibration
        Which pixels, and levels of the contours.
    forced
        Why the event should not be scanned, if it is scanned all the same; else empty.
    """

    event: Event
    inputs: Mapping[str, str]
    likelihood: str
    options: Mapping[str, Any]
    prepared: Any
    threads: bool
    settings: ScanSettings
    calibration: Calibration
    forced: str

    def fit_key(self) -> str:
        """Digest of all that the fit of a pixel depends on."""
        header = self.event.header
        return value_digest(
            {
                "inputs": dict(self.inputs),
                "event": [header.run, header.event, header.sub_event, header.stream],
                "likelihood": self.likelihood,
                "options": dict(self.options),
                "info": dict(self.prepared.info),
                "nsides": self.settings.nsides,
                "code": function_digest("daybreak.neutrino.scan.work:fit_block"),
            }
        )


def prepare_scan(files: Mapping[str, Path], params: Mapping[str, Any]) -> PreparedScan:
    """Read the event and prepare the likelihood; the last one is remembered.

    Parameters
    ----------
    files
        ``event``, and where they are given ``gcd``, ``geometry`` and ``ice``.
    params
        ``number`` and ``force`` of a :class:`~daybreak.requests.scan.request.ScanRequest`, and its
        settings that products depend on (``settings``).

    Raises
    ------
    EventError
        If the event can't be read, or is none that is scanned.
    ConfigError
        For bad settings.
    """
    wanted = {key: params[key] for key in ("number", "force", "settings")}
    marks = []
    for name, path in sorted(files.items()):
        try:
            found = path.stat()
        except OSError:
            marks.append((name, str(path), 0, 0))
        else:
            marks.append((name, str(path), found.st_size, found.st_mtime_ns))
    return _prepare(tuple(marks), json.dumps(wanted, sort_keys=True))


@lru_cache(maxsize=1)
def _prepare(marks: tuple[tuple[str, str, int, int], ...], text: str) -> PreparedScan:
    from daybreak.neutrino.contours import calibration
    from daybreak.neutrino.likelihood import get_likelihood

    files = {name: Path(path) for name, path, _, _ in marks}
    params = json.loads(text)
    config = ScanConfig.model_validate(params["settings"])
    likelihood = config.likelihood.name
    levels = calibration(config.contours, likelihood)
    settings = scan_settings(config.scan, levels.ts_90)
    found = _event(files["event"], files.get("gcd"), files.get("geometry"), params["number"])
    forced = _refuse(found, params["force"])
    all_options = dict(config.likelihood.options)
    if "ice" in files:
        all_options["ice"] = str(files["ice"])
    model = get_likelihood(likelihood, **all_options)
    return PreparedScan(
        event=found,
        inputs={name: file_digest(path) for name, path in files.items()},
        likelihood=likelihood,
        options=all_options,
        prepared=model.prepare(found),
        threads=bool(model.releases_gil),
        settings=settings,
        calibration=levels,
        forced=forced,
    )


def scan_settings(config: PixelConfig, ts_90: float) -> ScanSettings:
    """Which pixels are looked at, as the scan itself is told.

    Parameters
    ----------
    config
        Of the request.
    ts_90
        Level of the 90 % contour, in 2 delta log L.
    """
    from daybreak.neutrino.scan.settings import Region, ScanSettings

    around = None
    if config.around is not None:
        circle = config.around
        ra, dec, radius = (float(x.to_value("deg")) for x in (circle.ra, circle.dec, circle.radius))
        around = {"ra_deg": ra % 360.0, "dec_deg": dec, "radius_deg": radius}
    try:
        return ScanSettings(
            nsides=config.nsides,
            n_best=config.n_best,
            n_minima=config.n_minima,
            closure_delta_llh=max(ts_90 / 2 + config.margin_llh, 4.0),
            max_pixels=config.max_pixels,
            around=None if around is None else Region(**around),
        )
    except ValidationError as error:
        what = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise ConfigError(
            f"the scan can't be set up: {what}",
            "Write for example --nsides 1,8,64,512 --around 83.63 22.01 5.",
        ) from None


def _event(path: Path, gcd: Path | None, geometry: Path | None, number: int | None) -> Event:
    """The one event of a file that is meant."""
    from daybreak.neutrino import read_events
    from daybreak.neutrino.geometry import load_geometry

    table = None if geometry is None else load_geometry(geometry)
    found = read_events(path, gcd=gcd, geometry=table)
    if not found:
        raise EventError(f"{path} holds no physics event", "Look at it with `daybreak event show`.")
    if number is None and len(found) > 1:
        raise EventError(
            f"{path} holds {len(found)} events",
            f"Choose one with --event 0 to --event {len(found) - 1}; "
            "`daybreak event show` lists them.",
        )
    if number is not None and not 0 <= number < len(found):
        raise EventError(
            f"{path} has no event {number}", f"Choose --event 0 to --event {len(found) - 1}."
        )
    event: Event = found[number or 0]
    if event.header.start is None:
        raise EventError(
            f"the event in {path} has no start time, so its place on the sky is not known",
            "Only files with an event header can be scanned.",
        )
    return event


def _refuse(event: Event, force: bool) -> str:
    """Why a track scan of this event means nothing; empty if nothing speaks against it."""
    from daybreak.neutrino.containment import containment

    reason = containment(event)
    if reason and not force:
        raise EventError(
            f"{event.source} is not scanned: {reason}",
            "A track likelihood gives a wrong direction with confidence for such events. "
            "With --force it is scanned all the same, and labelled.",
        )
    return str(reason or "")


def to_local(prepared: PreparedScan) -> Any:
    """From ICRS to zenith and azimuth at the time of the event (rad).

    Parameters
    ----------
    prepared
        Its event has the time.

    Returns
    -------
    callable
        Of right ascension and declination (rad); gives zenith and azimuth (rad).
    """
    from daybreak.neutrino import coordinates

    start = prepared.event.header.start
    return lambda ra, dec: coordinates.to_local(ra, dec, start)
