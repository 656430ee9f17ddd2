"""``daybreak doctor``: what is there on this machine, what is missing, and what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from daybreak.instruments.doctor import Check


def doctor(
    instrument: Annotated[
        str | None,
        typer.Option(help="Look also for the data, models and responses of this instrument."),
    ] = None,
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile the kernels now, so that no request waits.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is here, what is missing, and what to do (exit code 30 if something needed is)."""
    from daybreak.engine.pools.sizing import memory_mb
    from daybreak.errors import SetupError
    from daybreak.instruments.doctor import profile_checks
    from daybreak.instruments.environment import environment_checks
    from daybreak.instruments.profiles import load_profile
    from daybreak.ledger.places import home_folder

    profile = None if instrument is None else load_profile(instrument)
    checks = environment_checks(
        state=home_folder(), cache=_cache_folder(), output=Path.cwd(), memory_mb=memory_mb()
    )
    checks += _profiles()
    if profile is not None:
        checks += profile_checks(profile)
    if warm:
        checks.append(_warm())
    missing = [check.name for check in checks if check.state == "missing"]
    if as_json:
        document = {
            "instrument": instrument,
            "checks": [check.to_dict() for check in checks],
            "missing": missing,
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        for check in checks:
            typer.echo(f"{check.state:<8} {check.name}: {check.found}")
            if check.advice:
                typer.echo(f"{'':<8} -> {check.advice}")
    if missing:
        raise SetupError(
            f"needed and not there: {', '.join(missing)}",
            "The line of each says what to do. Warnings stop nothing.",
        )


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "daybreak"


def _profiles() -> list[Check]:
    """Whether each profile can be read."""
    from daybreak.errors import ConfigError
    from daybreak.instruments.doctor import Check
    from daybreak.instruments.profiles import load_profile, profile_names

    names = profile_names()
    checks = []
    for name in names:
        try:
            load_profile(name)
        except ConfigError as error:
            checks.append(Check(f"instrument {name}", "missing", error.what, "correct the file"))
    found = f"{len(names) - len(checks)} of {len(names)} profiles can be read"
    return [Check("instruments", "ok", found), *checks]


def _warm() -> Check:
    """Compile what is compiled at first use."""
    from daybreak.images import warming
    from daybreak.instruments.doctor import Check
    from daybreak.neutrino import likelihood

    made = {**likelihood.warm(), **warming.warm()}
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in made.items())
    return Check("warm", "ok", f"kernels compiled in {sum(made.values()):.1f} s ({parts})")
