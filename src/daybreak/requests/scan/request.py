"""A request for the sky scan of a neutrino event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from daybreak.requests.base import Request, RequestKind
from daybreak.requests.target import TargetSpec, short_word

DEFAULT_LIKELIHOOD = "pandel-mpe"
#: what is fitted the same wherever it runs
_NO_WORK = ("engine",)


class ScanRequest(Request):
    """A request for the likelihood of a track event over the sky.

    Attributes
    ----------
    event
        An i3 file or an alert message.
    gcd, geometry
        Where the DOMs are: a GCD file or a table of positions.
    ice
        Table of ice layers.
    number
        Which event of a file with several, from 0.
    force
        Scan events that a track likelihood can't describe.
    """

    kind: Literal[RequestKind.SCAN] = RequestKind.SCAN
    event: Path
    gcd: Path | None = None
    geometry: Path | None = None
    ice: Path | None = None
    number: int | None = None
    force: bool = False

    def work(self) -> dict[str, Any]:
        """What is to be done, wherever it is done."""
        values = super().work()
        values["options"] = {k: v for k, v in values["options"].items() if k not in _NO_WORK}
        return values

    @property
    def name(self) -> str:
        """Short name: the event's file and the start of the key."""
        return f"scan-{short_word(self.event.stem) or 'event'}-{self.key[:8]}"

    @property
    def files(self) -> dict[str, Path]:
        """Files that it reads, by what they are."""
        named = {"event": self.event, "gcd": self.gcd, "geometry": self.geometry, "ice": self.ice}
        return {name: path for name, path in named.items() if path is not None}

    @property
    def where(self) -> tuple[str, int]:
        """Where fits run (``local``, ``threads``, ``processes`` or a profile), and how many."""
        section = self.options.get("engine", {})
        return str(section.get("profile", "local")), int(section.get("workers", 0))

    @property
    def engine(self) -> str:
        """Name or file of the engine profile."""
        return "local" if self.where[0] in HERE else self.where[0]


#: places for fits that need no engine profile
HERE = ("local", "threads", "processes")


def scan_request(
    event: Path,
    *,
    out: Path,
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
    workers: int = 0,
    engine: str = "local",
    **about: Any,
) -> ScanRequest:
    """Make a request of what people write; its settings are checked.

    Parameters
    ----------
    event, out, gcd, geometry, ice, nsides, likelihood, options, around, number, contours, force
        As for :func:`daybreak.scan`.
    workers, engine
        As for :func:`daybreak.scan`.
    **about
        Further values of :class:`~daybreak.requests.base.Request`, e.g. ``origin``.

    Raises
    ------
    ConfigError
        For bad settings.
    """
    settings: dict[str, Any] = {
        "scan": {} if nsides is None else {"nsides": list(nsides)},
        "likelihood": {"name": likelihood, "options": dict(options or {})},
        "contours": contours,
        "engine": {"profile": engine, "workers": workers},
    }
    if around is not None:
        keys = ("ra_deg", "dec_deg", "radius_deg")
        settings["scan"]["around"] = dict(zip(keys, around, strict=True))
    paths = {"gcd": gcd, "geometry": geometry, "ice": ice}
    return ScanRequest(
        target=TargetSpec(name=event.name),
        event=event.resolve(),
        out=out.resolve(),
        number=number,
        force=force,
        options=settings,
        **{name: None if path is None else path.resolve() for name, path in paths.items()},
        **about,
    )
