"""A request for the sky scan of a neutrino event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from daybreak.config.load import Layer, build, merge
from daybreak.config.scan import ScanConfig
from daybreak.instruments.settings import scan_layers
from daybreak.requests.base import Request, RequestKind
from daybreak.requests.target import TargetSpec, short_word

#: places for fits that need no engine profile
HERE = ("local", "threads", "processes")


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
        """What is to be done, wherever it is done and however its settings are spelled."""
        values = super().work()
        values["options"] = self.config().of_products()
        return values

    def config(self) -> ScanConfig:
        """The whole configuration.

        Raises
        ------
        ConfigError
            For bad settings.
        """
        return build(ScanConfig, [Layer("request", self.options)])[0]

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
        engine = self.config().engine
        return engine.profile, engine.workers

    @property
    def engine(self) -> str:
        """Name or file of the engine profile."""
        where, _ = self.where
        return "local" if where in HERE else where


def scan_request(
    event: Path,
    *,
    out: Path,
    gcd: Path | None = None,
    geometry: Path | None = None,
    ice: Path | None = None,
    number: int | None = None,
    force: bool = False,
    config: Path | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    **about: Any,
) -> ScanRequest:
    """Make a request of what people write; its settings are checked.

    Parameters
    ----------
    event, out, gcd, geometry, ice, number, force
        As for :func:`daybreak.scan`.
    config
        YAML file with settings.
    settings
        ``section.key=value`` texts; beat the file.
    options
        Nested settings from the command line's own options; beat everything.
    **about
        Further values of :class:`~daybreak.requests.base.Request`, e.g. ``origin``.

    Raises
    ------
    ConfigError
        For unknown keys or bad values, with the file and line they stand in.
    """
    layers = scan_layers(config=config, settings=settings, options=options)
    build(ScanConfig, layers)
    paths = {"gcd": gcd, "geometry": geometry, "ice": ice}
    return ScanRequest(
        target=TargetSpec(name=event.name),
        event=event.resolve(),
        out=out.resolve(),
        number=number,
        force=force,
        options=merge(layers)[0],
        **{name: None if path is None else path.resolve() for name, path in paths.items()},
        **about,
    )


def scan_options(
    nsides: Sequence[int] | None = None,
    likelihood: str | None = None,
    options: Mapping[str, Any] | None = None,
    around: tuple[Any, Any, Any] | None = None,
    contours: str | None = None,
    engine: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """What a scan is asked for by arguments, as nested settings.

    Parameters
    ----------
    nsides, likelihood, options, around, contours, engine, workers
        As for :func:`daybreak.scan`; None: not asked for.
    """
    circle = None
    if around is not None:
        values = (str(v) if hasattr(v, "unit") else f"{float(v)!r} deg" for v in around)
        circle = dict(zip(("ra", "dec", "radius"), values, strict=True))
    found: dict[str, Any] = {
        "scan": {"nsides": None if nsides is None else list(nsides), "around": circle},
        "likelihood": {"name": likelihood, "options": dict(options) if options else None},
        "engine": {"profile": engine, "workers": workers},
    }
    found = {
        section: {k: v for k, v in values.items() if v is not None}
        for section, values in found.items()
    }
    if contours is not None:
        found["contours"] = contours
    return {section: values for section, values in found.items() if values}
