"""Where the HDUs of a run really are: headers decide, the index is a hint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daybreak.science.dl3.classes import Kind, class_of
from daybreak.science.dl3.files import HduLocation, RunFiles, column_names
from daybreak.science.dl3.oddities import Oddity, unusable

#: what a reduction reads
KINDS = ("events", "gti", "aeff", "edisp", "psf", "bkg", "rad_max")


@dataclass(frozen=True)
class _Found:
    """An HDU of a file: its number, its name, and what it is."""

    number: int
    name: str
    kind: Kind | None

    def is_a(self, kind: str) -> bool:
        return self.kind is not None and self.kind[0] == kind


def _content(files: RunFiles, path: Path) -> list[_Found]:
    out = []
    for number, hdu in enumerate(files.hdulist(path)):
        kind = class_of(hdu.header, hdu.name, column_names(hdu) or ()) if number else None
        out.append(_Found(number, hdu.name, kind))
    return out


def _at(found: _Found, path: Path, content: list[_Found]) -> HduLocation:
    """The place of an HDU: by its name where that is unique, else by its number."""
    assert found.kind is not None
    kind, cls = found.kind
    unique = found.name and sum(f.name == found.name for f in content) == 1
    return HduLocation(kind, cls, path, found.name if unique else found.number)


def _follow(hint: HduLocation, content: list[_Found]) -> tuple[HduLocation, str]:
    """The HDU that a row of the index means, and what is wrong with the row."""
    wanted = str(hint.hdu).strip().upper()
    named = [f for f in content if f.name.upper() == wanted]
    row = f"{hint.path.name}: the index says {hint.kind}"
    for found in named:
        if found.is_a(hint.kind):
            place = _at(found, hint.path, content)
            if place.hdu_class == hint.hdu_class or hint.kind in ("events", "gti"):
                return place, ""
            return place, f"{row} is {hint.hdu_class}, HDU {wanted} is {place.hdu_class}"
    others = [f for f in content if f.is_a(hint.kind)]
    if len(others) > 1:
        names = ", ".join(f.name or f"number {f.number}" for f in others)
        raise unusable(
            hint.path.name,
            f"the index says {hint.kind} is HDU {wanted!r}; that is not there, but {names}",
            "Make the index anew with `daybreak store index --overwrite`.",
        )
    if others:
        place = _at(others[0], hint.path, content)
        if not wanted:
            return place, ""
        return place, f"{row} is HDU {wanted}, it is HDU {place.hdu}"
    if named and named[0].kind is None:  # neither columns nor header say what it is
        return hint, ""
    what = f"its HDU {wanted} is {named[0].kind[0]}" if named and named[0].kind else ""
    raise unusable(
        hint.path.name,
        f"no HDU {wanted!r} ({hint.kind}){': ' + what if what else ''}",
        "The file is incomplete: copy or make it again.",
    )


def locate(
    hints: Mapping[str, HduLocation], files: RunFiles
) -> tuple[dict[str, HduLocation], list[Oddity]]:
    """Find the HDUs of a run.

    Parameters
    ----------
    hints
        What the index says, by kind.
    files
        Opens the files.

    Returns
    -------
    hdus : dict
        By kind, those of `KINDS` that there are, with the class that they really have.
    oddities : list of Oddity
        Where the index is wrong.

    Raises
    ------
    RunDataError
        If a file is missing or damaged, or an HDU that the index names is not there.
    """
    out: dict[str, HduLocation] = {}
    oddities = []
    contents: dict[Path, list[_Found]] = {}
    for kind, hint in hints.items():
        if kind not in KINDS:
            continue
        if hint.path not in contents:
            contents[hint.path] = _content(files, hint.path)
        if kind == "gti" and not any(f.is_a(kind) for f in contents[hint.path]):
            continue  # the run can be used without
        out[kind], wrong = _follow(hint, contents[hint.path])
        if wrong:
            oddities.append(Oddity("INDEX_WRONG", wrong))
    for kind in KINDS:
        if kind in out:
            continue
        places = [
            _at(f, path, content)
            for path, content in contents.items()
            for f in content
            if f.is_a(kind)
        ]
        if len(places) == 1:
            out[kind] = places[0]
            text = f"the index has no {kind} for this run, it was found in {places[0].where}"
            oddities.append(Oddity("INDEX_WRONG", text))
    return out, oddities


def with_hints(locations: list[dict[str, Any]]) -> dict[str, HduLocation]:
    """Locations from step parameters.

    Parameters
    ----------
    locations
        With ``kind``, ``hdu_class``, ``path`` and ``hdu``.
    """
    hints = (HduLocation(h["kind"], h["hdu_class"], Path(h["path"]), h["hdu"]) for h in locations)
    return {hint.kind: replace(hint, hdu_class=hint.hdu_class.lower()) for hint in hints}
