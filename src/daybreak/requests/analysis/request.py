"""A request for an analysis from DL3 to a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.load import Layer, build, file_layer, merge, settings_layer
from daybreak.instruments.profiles import profile_layer
from daybreak.requests.base import Request, RequestKind, Times
from daybreak.requests.target import TargetSpec
from daybreak.runs.select import read_run_list

_TIMES = ("night", "start", "stop")


class AnalysisRequest(Request):
    """A request for an analysis from DL3 to a report.

    Attributes
    ----------
    store
        The data store.
    """

    kind: Literal[RequestKind.ANALYSIS] = RequestKind.ANALYSIS
    store: Path = Field(description="folder with the GADF index files")

    def work(self) -> dict[str, Any]:
        """What is to be done, however its settings are spelled."""
        values = super().work()
        values["options"] = self.config("auto").of_products()
        return values

    def config(self, instrument: str) -> AnalysisConfig:
        """The whole configuration for an instrument.

        Parameters
        ----------
        instrument
            Name of its profile; beaten by the one that was asked for.

        Raises
        ------
        ConfigError
            For bad settings or an unknown instrument.
        """
        chosen = instrument if self.instrument == "auto" else self.instrument
        layers = [
            profile_layer(chosen),
            Layer("request", self.options),
            Layer("request", {"selection": self.times.as_settings(), "instrument": chosen}),
        ]
        return build(AnalysisConfig, layers)[0]


def analysis_request(
    target: str,
    *,
    store: Path,
    out: Path,
    config: Path | None = None,
    instrument: str | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
    runs: Path | None = None,
    **about: Any,
) -> AnalysisRequest:
    """Make a request of what people write; its settings are checked.

    Parameters
    ----------
    target, store, out, config, instrument, settings, options, runs
        As for :func:`daybreak.analyse`.
    **about
        Further values of :class:`~daybreak.requests.base.Request`, e.g. ``origin``.

    Raises
    ------
    ConfigError
        For unknown keys or bad values, with the file and line they stand in.
    """
    layers = [file_layer(config)] if config is not None else []
    layers.append(settings_layer(settings))
    own = {key: dict(value) for key, value in (options or {}).items()}
    if runs is not None:
        own.setdefault("selection", {})["runs"] = list(read_run_list(runs))
    if own:
        layers.append(Layer("command line", own))
    if instrument is None:
        for layer in layers:
            instrument = layer.values.get("instrument", instrument)
    chosen = str(instrument or "auto")
    named = Layer("command line", {"instrument": chosen})
    build(AnalysisConfig, [profile_layer(chosen), *layers, named])
    values = merge(layers)[0]
    values.pop("instrument", None)
    selection = dict(values.get("selection") or {})
    times = {key: selection.pop(key) for key in _TIMES if key in selection}
    if "selection" in values:
        values["selection"] = selection
    return AnalysisRequest(
        target=TargetSpec(name=target),
        store=store.resolve() if store.is_dir() else store,
        out=out.resolve(),
        instrument=chosen,
        times=Times(**{k: None if v is None else str(v) for k, v in times.items()}),
        options={key: value for key, value in values.items() if value != {}},
        **about,
    )
