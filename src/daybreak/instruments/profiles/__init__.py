"""Instrument profiles: the settings that differ from one instrument to another."""

from __future__ import annotations

import difflib
from importlib import resources

from daybreak.config.load import Layer, yaml_layer
from daybreak.errors import ConfigError

#: TELESCOP or INSTRUME keyword (upper case, without blanks and hyphens) to profile
_KEYWORDS = {
    "HESS": "hess",
    "HESS1": "hess",
    "MAGIC": "magic",
    "LST1": "lst1",
    "LST": "lst1",
    "LSTN01": "lst1",
    "CTAO": "lst1",
    "SST1M": "sst1m",
    "DAYBREAKVIRTUAL": "virtual",
}


def profile_names() -> list[str]:
    """Names of the profiles that are shipped."""
    folder = resources.files(__package__)
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def profile_layer(name: str) -> Layer:
    """Settings of an instrument profile; ``auto`` stands for ``generic``.

    Raises
    ------
    ConfigError
        If there is no such profile.
    """
    wanted = "generic" if name == "auto" else name
    names = profile_names()
    if wanted not in names:
        near = difflib.get_close_matches(wanted.lower(), names, n=1)
        advice = f"Did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"unknown instrument {name!r}", f"{advice}Known profiles: {', '.join(names)}."
        )
    text = (resources.files(__package__) / f"{wanted}.yaml").read_text(encoding="utf-8")
    return yaml_layer(text, f"profile {wanted}")


def profile_for(telescope: str) -> str:
    """Profile for the TELESCOP or INSTRUME keyword of a DL3 file; ``generic`` if unknown."""
    key = "".join(c for c in telescope.upper() if c.isalnum())
    if key in _KEYWORDS:
        return _KEYWORDS[key]
    for start, name in (("HESS", "hess"), ("MAGIC", "magic"), ("LST", "lst1"), ("SST1M", "sst1m")):
        if key.startswith(start):
            return name
    return "generic"
