"""Likelihoods by name: those that are built in, and those that other packages register."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from daybreak.errors import ConfigError
from daybreak.neutrino.likelihood.base import Likelihood

GROUP = "daybreak.likelihoods"
BUILT_IN = ("pandel-mpe", "pandel-spe", "dummy")


def get_likelihood(name: str, **options: Any) -> Likelihood:
    """Find a likelihood.

    Parameters
    ----------
    name
        ``pandel-mpe`` (first photon among all of a DOM's charge, layered ice), ``pandel-spe``
        (first photon alone, bulk ice), ``dummy``, or what an installed package registers.
    **options
        Passed on to it.

    Raises
    ------
    ConfigError
        If nobody knows the name, the plug-in can't be loaded, or an option is unknown.
    """
    make = _built_in(name) or _registered(name)
    known = _options_of(make)
    for option in options:
        if known is not None and option not in known:
            raise ConfigError(
                f"the likelihood {name!r} has no option {option!r}",
                f"It takes: {', '.join(known) or 'none'}.",
            )
    try:
        return make(**options)
    except TypeError as error:
        raise ConfigError(
            f"the likelihood {name!r} can't be set up: {error}", "Look at its options."
        ) from None


def _options_of(make: Callable[..., Likelihood]) -> list[str] | None:
    """Names of what a likelihood takes; None where that can't be known."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters]


def _built_in(name: str) -> Callable[..., Likelihood] | None:
    if name == "dummy":
        from daybreak.neutrino.likelihood.dummy import Dummy

        return Dummy
    if name in ("pandel-mpe", "pandel-spe"):
        from daybreak.neutrino.likelihood.models import pandel_mpe, pandel_spe

        return pandel_mpe if name == "pandel-mpe" else pandel_spe
    return None


def _registered(name: str) -> Callable[..., Likelihood]:
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(dict.fromkeys((*BUILT_IN, *sorted(found))))
        raise ConfigError(f"there is no likelihood {name!r}", f"Known: {known}.")
    try:
        make: Callable[..., Likelihood] = found[name].load()
    except Exception as error:
        raise ConfigError(
            f"the likelihood {name!r} ({found[name].value}) can't be loaded: "
            f"{type(error).__name__}: {error}",
            "Repair or remove the package that registers it.",
        ) from None
    return make
