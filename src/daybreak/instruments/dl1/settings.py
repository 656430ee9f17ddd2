"""The configuration of ``daybreak make dl1`` from a file and from settings by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from daybreak.config.dl1 import Dl1Config
from daybreak.config.load import Layer, build, file_layer, settings_layer


def resolve_dl1(config: Path | None, settings: Iterable[str]) -> Dl1Config:
    """Resolve the configuration.

    Parameters
    ----------
    config
        YAML file; None: defaults.
    settings
        ``key=value`` texts, which beat the file.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not what it should be.
    """
    layers: list[Layer] = [file_layer(config)] if config is not None else []
    layers.append(settings_layer(settings, example="cleaning.picture=6"))
    return build(Dl1Config, layers)[0]
