"""Find and read instrument profiles: those that are shipped here, and a site's own.

A site's own profiles are the YAML files in the folders of ``$DAYBREAK_PROFILES`` and in
``$XDG_CONFIG_HOME/daybreak/instruments``; the first folder wins, and all win over what is shipped.
``extends: NAME`` takes another profile as the base; ``extends`` with the profile's own name takes
the one that it hides.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from daybreak.config.load import KeyPath, Layer, build, file_layer, merge, yaml_layer
from daybreak.errors import ConfigError
from daybreak.instruments.parts import Recognition, plain
from daybreak.instruments.profile import NAME, InstrumentProfile

_DEEPEST = 8
_HINT = (
    "`daybreak config instruments --schema` prints every key; docs/instruments.md has an example."
)


@dataclass(frozen=True)
class ProfileSource:
    """Where a profile is written.

    Attributes
    ----------
    name
        Of the profile.
    path
        Its file; None if it is shipped.
    """

    name: str
    path: Path | None = None

    def layer(self) -> Layer:
        """What stands in the file."""
        return _shipped_layer(self.name) if self.path is None else file_layer(self.path)

    def __str__(self) -> str:
        return "shipped" if self.path is None else str(self.path)


@lru_cache(maxsize=1)
def _shipped() -> tuple[str, ...]:
    folder = resources.files(__package__)
    names = (p.name for p in folder.iterdir() if p.name.endswith(".yaml"))
    return tuple(sorted(name.removesuffix(".yaml") for name in names))


@lru_cache(maxsize=64)
def _shipped_layer(name: str) -> Layer:
    text = (resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml_layer(text, f"profile {name}")


def profile_folders() -> list[Path]:
    """Folders of a site's own profiles, the strongest first.

    Raises
    ------
    ConfigError
        If ``$DAYBREAK_PROFILES`` names a folder that is not there.
    """
    folders = []
    for text in os.environ.get("DAYBREAK_PROFILES", "").split(os.pathsep):
        if text:
            folder = Path(text).expanduser()
            if not folder.is_dir():
                raise ConfigError(
                    f"$DAYBREAK_PROFILES: there is no folder {folder}",
                    f"Correct it; several folders are separated by {os.pathsep!r}.",
                )
            folders.append(folder)
    base = os.environ.get("XDG_CONFIG_HOME")
    own = (Path(base) if base else Path.home() / ".config") / "daybreak" / "instruments"
    return [*folders, own] if own.is_dir() else folders


def _files(folder: Path) -> list[Path]:
    """YAML files in a folder; a folder that can't be read is an error, not an empty one."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"the profiles in {folder} can't be read: {error.strerror or error}",
            "Get the right to read the folder, or take it out of $DAYBREAK_PROFILES.",
        ) from None
    return [p for p in paths if p.suffix == ".yaml" and not p.name.startswith(".")]


def profile_sources() -> dict[str, tuple[ProfileSource, ...]]:
    """All profiles by name, each with the files that hold it, the strongest first.

    Raises
    ------
    ConfigError
        If a folder can't be read, or a file's name can't be a profile's.
    """
    found: dict[str, list[ProfileSource]] = {}
    for folder in profile_folders():
        for path in _files(folder):
            if not NAME.fullmatch(path.stem) or path.stem == "auto":
                raise ConfigError(
                    f"{path}: {path.stem!r} can't be the name of an instrument",
                    "Expected small letters, digits, '_' and '-', and not 'auto'.",
                )
            found.setdefault(path.stem, []).append(ProfileSource(path.stem, path))
    for name in _shipped():
        found.setdefault(name, []).append(ProfileSource(name))
    return {name: tuple(found[name]) for name in sorted(found)}


def profile_names() -> list[str]:
    """Names of the profiles that are known here."""
    return list(profile_sources())


def _unknown(name: str, names: dict[str, Any], where: str = "") -> ConfigError:
    near = difflib.get_close_matches(name.lower(), names, n=1)
    advice = f"Did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"{where}unknown instrument {name!r}", f"{advice}Known profiles: {', '.join(names)}."
    )


def _chain(
    name: str, sources: dict[str, tuple[ProfileSource, ...]]
) -> list[tuple[ProfileSource, Layer]]:
    """A profile and those that it extends, the base first."""
    if name not in sources:
        raise _unknown(name, sources)
    chain: list[tuple[ProfileSource, Layer]] = []
    rank = 0
    while True:
        source = sources[name][rank]
        layer = source.layer()
        chain.append((source, layer))
        if "extends" not in layer.values:
            return chain[::-1]
        base, where = layer.values["extends"], f"{layer.where(('extends',))}: extends: "
        if not isinstance(base, str):
            raise ConfigError(f"{where}expected the name of a profile, found {base!r}", _HINT)
        if base not in sources:
            raise _unknown(base, sources, where)
        rank = rank + 1 if base == name else 0
        if rank >= len(sources[base]):
            raise ConfigError(f"{where}there is no other profile {base!r} below this one", _HINT)
        name = base
        if sources[name][rank] in [known for known, _ in chain] or len(chain) >= _DEEPEST:
            names = " -> ".join(known.name for known, _ in chain)
            raise ConfigError(f"{where}the profiles extend each other: {names} -> {name}", _HINT)


def _layers(name: str, sources: dict[str, tuple[ProfileSource, ...]]) -> list[Layer]:
    """Layers of a profile without what is not a key of the model.

    What is recognised is not taken over from a profile of another name: its files are its own.
    """
    out = []
    for source, layer in _chain(name, sources):
        stated = layer.values.get("name", source.name)
        if stated != source.name:
            raise ConfigError(
                f"{layer.where(('name',))}: name: expected {source.name!r}, as the file is called, "
                f"found {stated!r}",
                "Leave it out, or rename the file.",
            )
        leave_out = {"name", "extends"} | (set() if source.name == name else {"recognise"})
        values = {k: v for k, v in layer.values.items() if k not in leave_out}
        out.append(Layer(layer.name, values, layer.lines))
    return out


def _wanted(name: str) -> str:
    return "generic" if name == "auto" else name


def load_profile(name: str) -> InstrumentProfile:
    """Read an instrument profile.

    Parameters
    ----------
    name
        Its name; ``auto`` stands for ``generic``.

    Raises
    ------
    ConfigError
        If there is no such profile, or it has unknown keys or bad values: with file, line and key.
    """
    return profile_with_origin(name)[0]


def profile_with_origin(name: str) -> tuple[InstrumentProfile, dict[KeyPath, str]]:
    """Read an instrument profile, with where each value came from.

    Parameters
    ----------
    name
        Its name; ``auto`` stands for ``generic``.

    Raises
    ------
    ConfigError
        As :func:`load_profile`.
    """
    wanted = _wanted(name)
    layers = _layers(wanted, profile_sources())
    try:
        return build(InstrumentProfile, [Layer("file name", {"name": wanted}), *layers])
    except ConfigError as error:
        raise ConfigError(error.what, _HINT) from None


@dataclass(frozen=True)
class MergedLayer(Layer):
    """Settings of a profile and of what it extends; each knows the file it stands in."""

    places: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """See `Layer`; each key knows the file that it stands in."""
        ends = range(len(path), 0, -1)
        found = (self.places[path[:n]] for n in ends if path[:n] in self.places)
        return next(found, self.name)


def profile_layer(name: str) -> Layer:
    """Settings of an analysis that a profile brings, with those of what it extends.

    The site's longitude becomes ``selection.site_longitude`` where the profile does not set that.

    Parameters
    ----------
    name
        Its name; ``auto`` stands for ``generic``.

    Raises
    ------
    ConfigError
        As :func:`load_profile`.
    """
    wanted = _wanted(name)
    load_profile(wanted)  # errors name the profile's own file and key
    layers = [_analysis(layer) for layer in _layers(wanted, profile_sources())]
    values, places = merge(layers)
    lines = {path: line for layer in layers for path, line in layer.lines.items()}
    return MergedLayer(layers[-1].name, values, lines, places)


def _analysis(layer: Layer) -> Layer:
    values: dict[str, Any] = dict(layer.values.get("analysis") or {})
    lines = {path[1:]: n for path, n in layer.lines.items() if path[0] == "analysis" and path[1:]}
    longitude = (layer.values.get("site") or {}).get("longitude")
    selection = dict(values.get("selection") or {})
    if longitude is not None and "site_longitude" not in selection:
        selection["site_longitude"] = longitude
        values["selection"] = selection
        line = layer.lines.get(("site", "longitude"))
        if line is not None:
            lines["selection", "site_longitude"] = line
    return Layer(layer.name, values, lines)


def _claims() -> Iterator[tuple[ProfileSource, Recognition]]:
    sources = profile_sources()
    for name, (strongest, *_) in sources.items():
        layers = [
            Layer(layer.name, {"recognise": layer.values["recognise"]}, layer.lines)
            for layer in _layers(name, sources)
            if "recognise" in layer.values
        ]
        if layers:
            profile, _ = build(InstrumentProfile, [Layer("file name", {"name": name}), *layers])
            yield strongest, profile.recognise


def _choose(found: list[tuple[int, ProfileSource]], what: str) -> str:
    """The longest claim; a site's own profile before a shipped one."""
    best = max((length, source.path is not None) for length, source in found)
    names = sorted({s.name for length, s in found if (length, s.path is not None) == best})
    if len(names) > 1:
        raise ConfigError(
            f"{what} is claimed by the profiles {' and '.join(names)}",
            "Give --instrument, or take the word out of 'recognise' of one of them.",
        )
    return names[0]


def profile_for(telescope: str, instrume: str = "") -> str:
    """Name of the profile that recognises a FITS file.

    Parameters
    ----------
    telescope
        Its TELESCOP keyword.
    instrume
        Its INSTRUME keyword; looked at where TELESCOP is not recognised.

    Returns
    -------
    str
        ``generic`` if no profile does.

    Raises
    ------
    ConfigError
        If two profiles claim it, or a profile's ``recognise`` can't be read.
    """
    claims = list(_claims())
    for word in (telescope, instrume):
        key = plain(word)
        if not key:
            continue
        exact = [(len(key), s) for s, r in claims if key in map(plain, r.words)]
        starts = [
            (len(plain(start)), source)
            for source, recognise in claims
            for start in recognise.prefixes
            if key.startswith(plain(start))
        ]
        if exact or starts:
            return _choose(exact or starts, f"the telescope {word!r}")
    return "generic"


def profile_for_file(name: str) -> str:
    """Name of the profile that recognises a raw file by its name; ``generic`` if none does.

    Parameters
    ----------
    name
        Name of the file, without folders.

    Raises
    ------
    ConfigError
        As :func:`profile_for`.
    """
    found = [
        (len(pattern.text), source)
        for source, recognise in _claims()
        for pattern in recognise.files
        if pattern.match(name) is not None
    ]
    return _choose(found, f"the file {name!r}") if found else "generic"
