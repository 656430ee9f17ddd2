"""Resolve the configuration from profile, file and settings given by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daybreak.config.analysis import AnalysisConfig
from daybreak.config.load import KeyPath, Layer, build, file_layer, settings_layer
from daybreak.config.scan import ScanConfig
from daybreak.instruments.profiles import profile_layer


def resolve_config(
    *,
    config: Path | None = None,
    instrument: str | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> tuple[AnalysisConfig, dict[KeyPath, str]]:
    """Resolve the configuration of an analysis.

    Parameters
    ----------
    config
        YAML file; beats the instrument profile.
    instrument
        Name of an instrument profile; beats the file's ``instrument`` key.
    settings
        ``section.key=value`` texts; beat the file.
    options
        Nested settings from the command line's own options; beat everything.

    Returns
    -------
    config : AnalysisConfig
        The frozen, complete configuration.
    origin : dict
        Key path to where the value came from, for values that are not defaults.

    Raises
    ------
    ConfigError
        For unknown keys, bad values, an unknown instrument or an unreadable file.
    """
    layers = [file_layer(config)] if config is not None else []
    layers.append(settings_layer(settings))
    if options:
        layers.append(Layer("command line", dict(options)))
    if instrument is None:
        for layer in layers:
            instrument = layer.values.get("instrument", instrument)
    instrument = str(instrument or "auto")
    chosen = Layer("command line", {"instrument": instrument})
    return build(AnalysisConfig, [profile_layer(instrument), *layers, chosen])


def resolve_scan(
    *,
    config: Path | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> tuple[ScanConfig, dict[KeyPath, str]]:
    """Resolve the configuration of a sky scan.

    Parameters
    ----------
    config, settings, options
        As for :func:`resolve_config`.

    Returns
    -------
    config : ScanConfig
        The frozen, complete configuration.
    origin : dict
        Key path to where the value came from, for values that are not defaults.

    Raises
    ------
    ConfigError
        For unknown keys, bad values or an unreadable file.
    """
    return build(ScanConfig, scan_layers(config=config, settings=settings, options=options))


def scan_layers(
    *,
    config: Path | None = None,
    settings: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> list[Layer]:
    """What people have written of the configuration of a sky scan, the strongest last.

    Parameters
    ----------
    config, settings, options
        As for :func:`resolve_config`.
    """
    layers = [file_layer(config)] if config is not None else []
    layers.append(settings_layer(settings))
    if options:
        layers.append(Layer("command line", dict(options)))
    return layers
