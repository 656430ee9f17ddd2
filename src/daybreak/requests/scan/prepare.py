"""What a scan is made of: the event, its likelihood, and which pixels; nothing is fitted here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daybreak.errors import ConfigError, EventError
from daybreak.products.digest import code_digest, file_digest, value_digest

if TYPE_CHECKING:
    from daybreak.neutrino.contours import Calibration
    from daybreak.neutrino.event import Event
    from daybreak.neutrino.scan.settings import ScanSettings

DEFAULT_LIKELIHOOD = "pandel-mpe"
#: the scan looks this much farther than the 90 % contour
_MARGIN_LLH = 1.0


@dataclass(frozen=True)
class ScanResult:
    """What a scan left in its folder.

    Attributes
    ----------
    folder
        Output folder.
    results
        Content of ``results.json``.
    fitted
        Pixels fitted by this call; 0 if everything was there.
    """

    folder: Path
    results: Mapping[str, Any]
    fitted: int

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def complete(self) -> bool:
        """Whether the scan went to its end."""
        return bool(self.results["complete"])


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
    spec
        The arguments of :func:`prepare_scan`, from which the same can be prepared again.
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
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Short name of the request, for people and for jobs."""
        header = self.event.header
        return f"scan-{header.run}-{header.event}-{self.key()[:8]}"

    def fit_key(self) -> str:
        """Digest of all that the fit of a pixel depends on."""
        return value_digest(
            {
                "inputs": dict(self.inputs),
                "event": [self.event.header.run, self.event.header.event,
                          self.event.header.sub_event, self.event.header.stream],
                "likelihood": self.likelihood,
                "options": dict(self.options),
                "info": dict(self.prepared.info),
                "nsides": self.settings.nsides,
                "code": code_digest(),
            }
        )  # fmt: skip

    def key(self) -> str:
        """Digest of all that the products depend on."""
        return value_digest(
            {
                "fit": self.fit_key(),
                "settings": self.settings.as_dict(),
                "calibration": vars(self.calibration),
                "forced": self.forced,
            }
        )


def prepare_scan(
    event: Path,
    *,
    gcd: Path | None = None,
    geometry: Path | None = None,
    ice: Path | None = None,
    nsides: Sequence[int] | None = None,
    likelihood: str = DEFAULT_LIKELIHOOD,
    options: Mapping[str, Any] | None = None,
    around: tuple[float, float, float] | None = None,
    number: int | None = None,
    contours: str = "auto",
    force: bool = False,
) -> PreparedScan:
    """Read the event and prepare the likelihood; writes nothing.

    Parameters are those of :func:`daybreak.requests.scan.scan.scan`.
    """
    from daybreak.neutrino.contours import calibration
    from daybreak.neutrino.likelihood import get_likelihood

    settings, levels = _settings(nsides, around), calibration(contours, likelihood)
    settings = settings.model_copy(
        update={"closure_delta_llh": max(levels.ts_90 / 2 + _MARGIN_LLH, 4.0)}
    )
    found = _event(event, gcd, geometry, number)
    forced = _refuse(found, force)
    files = {"event": event, "gcd": gcd, "geometry": geometry, "ice": ice}
    all_options = dict(options or {}) | ({"ice": str(ice)} if ice is not None else {})
    model = get_likelihood(likelihood, **all_options)
    return PreparedScan(
        event=found,
        inputs={k: file_digest(p) for k, p in files.items() if p is not None},
        likelihood=likelihood,
        options=all_options,
        prepared=model.prepare(found),
        threads=bool(model.releases_gil),
        settings=settings,
        calibration=levels,
        forced=forced,
        spec={
            **{k: str(p.resolve()) for k, p in files.items() if p is not None},
            **{"nsides": None if nsides is None else list(nsides), "likelihood": likelihood},
            **{"options": dict(options or {}), "around": around, "number": number},
            **{"contours": contours, "force": force},
        },
    )


def _settings(
    nsides: Sequence[int] | None, around: tuple[float, float, float] | None
) -> ScanSettings:
    from pydantic import ValidationError

    from daybreak.neutrino.scan.settings import Region, ScanSettings

    values: dict[str, Any] = {} if nsides is None else {"nsides": tuple(nsides)}
    try:
        if around is not None:
            ra, dec, radius = around
            values["around"] = Region(ra_deg=ra, dec_deg=dec, radius_deg=radius)
        return ScanSettings(**values)
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
    """From ICRS to zenith and azimuth at the time of the event (rad)."""
    from daybreak.neutrino import coordinates

    start = prepared.event.header.start
    return lambda ra, dec: coordinates.to_local(ra, dec, start)
