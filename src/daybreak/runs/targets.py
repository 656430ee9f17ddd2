"""From what the user typed to a position: coordinates, a TARGET_TAG, a known name, Sesame."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from daybreak.errors import TargetError
from daybreak.runs.catalogue import Catalogue, RunEntry

_SESAME_TIMEOUT_S = 15
_SAME_PLACE_DEG = 0.02


@dataclass(frozen=True)
class KnownSource:
    """A row of the built-in table of TeV sources."""

    name: str
    aliases: tuple[str, ...]
    ra_deg: float
    dec_deg: float
    radius_deg: float
    detected: bool
    kind: str = ""

    @property
    def shell(self) -> bool:
        """Its size is the outer radius of a shell, not the width of a Gaussian."""
        return self.kind == "SNR"


@dataclass(frozen=True)
class Target:
    """What is to be analysed.

    Attributes
    ----------
    name
        Name for headings.
    ra_deg, dec_deg
        Position (ICRS); NaN for blank fields, where each run has a test position of its own.
    resolved_by
        How the position was found.
    tag
        TARGET_TAG that the runs must carry, or empty.
    blank_fields
        The tag's runs have no common position.
    """

    name: str
    ra_deg: float
    dec_deg: float
    resolved_by: str
    tag: str = ""
    blank_fields: bool = False

    @property
    def position(self) -> SkyCoord:
        """Position as a sky coordinate."""
        return SkyCoord(self.ra_deg, self.dec_deg, unit="deg")


def normalise(name: str) -> str:
    """Name without case, blanks and the signs that people set differently.

    Parameters
    ----------
    name
        As somebody has written it.
    """
    return re.sub(r"[\s_\-–]+", "", name.replace("+", "p")).casefold()


def _loose(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


@lru_cache(maxsize=1)
def known_sources() -> tuple[KnownSource, ...]:
    """The built-in table of TeV sources (see ``runs/data/README.md`` for where it is from)."""
    path = resources.files("daybreak.runs") / "data" / "tev_sources.ecsv"
    with resources.as_file(path) as file:
        table = Table.read(file, format="ascii.ecsv")
    missed = set(table.meta.get("not_detected", ()))
    return tuple(
        KnownSource(
            name=str(row["name"]),
            aliases=tuple(a.strip() for a in str(row["aliases"]).split(";") if a.strip()),
            ra_deg=float(row["ra"]),
            dec_deg=float(row["dec"]),
            radius_deg=float(row["radius"]),
            detected=str(row["name"]) not in missed,
            kind=str(row["kind"]),
        )
        for row in table
    )


def find_known(name: str) -> KnownSource | None:
    """Source of the built-in table by name or alias, however it is spelt; None if unknown.

    Parameters
    ----------
    name
        As somebody has written it.
    """
    for form in (normalise, _loose):
        wanted = form(name)
        hits = [s for s in known_sources() if wanted and wanted in map(form, (s.name, *s.aliases))]
        if len(hits) == 1 or (hits and form is normalise):
            return hits[0]
    return None


def known_source_of(target: Target) -> KnownSource | None:
    """The source of the built-in table that a resolved target is, by name or by place.

    Parameters
    ----------
    target
        The target.
    """
    for name in (target.name, target.tag):
        found = find_known(name) if name else None
        if found is not None:
            return found
    if target.blank_fields:
        return None
    sources = known_sources()
    places = SkyCoord([s.ra_deg for s in sources], [s.dec_deg for s in sources], unit="deg")
    away = places.separation(target.position).deg
    nearest = int(away.argmin())
    return sources[nearest] if away[nearest] < _SAME_PLACE_DEG else None


def parse_coordinates(text: str) -> SkyCoord | None:
    """Coordinates typed by a person, or None if it does not look like any.

    Understood are two numbers in degrees (``83.63 22.01``), sexagesimal with or without units
    (``05:34:32 +22:00:52``, ``5h34m32s +22d00m52s``), and ``galactic 184.5 -5.8``.

    Parameters
    ----------
    text
        What was typed.

    Returns
    -------
    SkyCoord or None
        In ICRS.

    Raises
    ------
    TargetError
        If it looks like coordinates but is outside the sphere.
    """
    text = text.strip().replace("−", "-")
    frame = "icrs"
    galactic = re.match(r"(?i)^(galactic|gal|l,?\s*b)[\s:=]+", text)
    if galactic:
        frame, text = "galactic", text[galactic.end() :]
    text = text.replace(",", " ").replace(";", " ").strip()
    numbers = re.fullmatch(
        r"([+-]?\d+(?:\.\d*)?)\s*(?:deg|d|°)?\s+([+-]?\d+(?:\.\d*)?)\s*(?:deg|d|°)?", text
    )
    try:
        if numbers:
            lon, lat = float(numbers[1]), float(numbers[2])
            if not (-360 <= lon <= 360 and -90 <= lat <= 90):
                raise ValueError("outside the sphere")
            return SkyCoord(lon, lat, unit="deg", frame=frame).icrs
        if re.match(r"^\d{1,3}([:h\s]\s*\d{1,2}){1,2}", text) and re.search(
            r"[:hms]|\d\s+\d", text
        ):
            unit = (u.hourangle, u.deg) if frame == "icrs" else (u.deg, u.deg)
            return SkyCoord(text, unit=unit, frame=frame).icrs
    except ValueError as error:
        raise TargetError(
            f"{text!r} looks like coordinates but can't be read: {error}",
            "Write for example '83.633 22.014', '05:34:32 +22:00:52' or 'galactic 184.56 -5.78'.",
        ) from None
    return None


def _distance_deg(ra: float, dec: float, ra0: np.ndarray, dec0: np.ndarray) -> np.ndarray:
    a, d, a0, d0 = np.radians(ra), np.radians(dec), np.radians(ra0), np.radians(dec0)
    h = np.sin((d - d0) / 2) ** 2 + np.cos(d) * np.cos(d0) * np.sin((a - a0) / 2) ** 2
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(h, 0, 1)))))


def _refine(start: np.ndarray, ra: np.ndarray, dec: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Gauss-Newton on the distances to the pointings, in degrees."""
    step_deg = 1e-5
    here = start.copy()
    for _ in range(40):
        misfit = _distance_deg(here[0], here[1], ra, dec) - offset
        columns = [
            (
                _distance_deg(here[0] + step_deg * e[0], here[1] + step_deg * e[1], ra, dec)
                - offset
                - misfit
            )
            / step_deg
            for e in np.eye(2)
        ]
        move = np.linalg.lstsq(np.column_stack(columns), -misfit, rcond=None)[0]
        here = here + np.clip(move, -0.3, 0.3)
        if np.abs(move).max() < 1e-10:
            break
    return here


def _triangulate(runs: Sequence[RunEntry]) -> list[SkyCoord]:
    """Points at the distance TARGET_OFFSET from every pointing: none, one, or a mirrored pair.

    Pointings on one great circle leave two solutions.
    """
    ra = np.array([r.ra_pnt_deg for r in runs])
    dec = np.array([r.dec_pnt_deg for r in runs])
    offset = np.array([r.target_offset_deg for r in runs])
    if not np.all(np.isfinite([ra, dec, offset])):
        return []
    if len(np.unique(np.round([ra, dec], 4), axis=1).T) < 2:
        return []
    ra = ra[0] + (ra - ra[0] + 180) % 360 - 180
    centre = np.array([ra.mean(), dec.mean()])
    if np.abs(dec - centre[1]).max() > 5 or np.abs(centre[1]) > 85:
        return []
    found: list[SkyCoord] = []
    for angle in np.arange(0, 2 * np.pi, np.pi / 4):
        away = 0.3 * np.array([np.cos(angle) / np.cos(np.radians(centre[1])), np.sin(angle)])
        here = _refine(centre + away, ra, dec, offset)
        if not np.all(np.isfinite(here)) or abs(here[1]) > 90:
            continue
        if np.abs(_distance_deg(here[0], here[1], ra, dec) - offset).max() > 1e-3:
            continue
        point = SkyCoord(here[0], here[1], unit="deg")
        if all(point.separation(p).deg > _SAME_PLACE_DEG for p in found):
            found.append(point)
    return found


def _tag_position(runs: Sequence[RunEntry], known: KnownSource | None) -> SkyCoord | None:
    """The tag's position: of a mirrored pair the one nearer to the known source or RA_OBJ."""
    found = _triangulate(runs)
    if len(found) < 2:
        return found[0] if found else None
    if known is not None:
        hint = SkyCoord(known.ra_deg, known.dec_deg, unit="deg")
    else:
        ra, dec = (np.median([getattr(r, k) for r in runs]) for k in ("ra_obj_deg", "dec_obj_deg"))
        if not (np.isfinite(ra) and np.isfinite(dec)):
            return None
        hint = SkyCoord(ra, dec, unit="deg")
    return min(found, key=lambda p: p.separation(hint))


def _from_tag(catalogue: Catalogue, text: str) -> Target | None:
    runs = [r for r in catalogue.runs if r.tag and r.tag.casefold() == text.strip().casefold()]
    if not runs:
        return None
    tag = runs[0].tag
    known = None
    for name in dict.fromkeys([r.target_name for r in runs] + [tag]):
        known = known or (find_known(name) if name else None)
    position = _tag_position(runs, known)
    if position is not None:
        return Target(
            known.name if known is not None else runs[0].target_name or tag,
            float(position.ra.deg),
            float(position.dec.deg),
            f"TARGET_TAG {tag}, from TARGET_OFFSET of its runs",
            tag,
        )
    if known is not None:
        how = f"TARGET_TAG {tag}, built-in table"
        return Target(known.name, known.ra_deg, known.dec_deg, how, tag)
    return Target(
        tag, float("nan"), float("nan"), f"TARGET_TAG {tag}: blank fields", tag, blank_fields=True
    )


def _sesame(name: str) -> SkyCoord | None:
    from http.client import HTTPException

    from astropy.coordinates.name_resolve import NameResolveError, sesame_database
    from astropy.utils.data import conf

    try:
        with sesame_database.set("all"), conf.set_temp("remote_timeout", _SESAME_TIMEOUT_S):
            return SkyCoord.from_name(name)
    except (NameResolveError, OSError, ValueError, HTTPException):
        return None


def resolve_target(text: str, catalogue: Catalogue | None = None, *, online: bool = True) -> Target:
    """Find what TARGET means.

    Tried in this order: coordinates, a TARGET_TAG of the store, the built-in table of TeV
    sources, CDS Sesame.

    Parameters
    ----------
    text
        What the user gave.
    catalogue
        The store's runs, for its tags.
    online
        Whether Sesame may be asked.

    Returns
    -------
    Target
        Its position, never an invented one.

    Raises
    ------
    TargetError
        If nothing knows it.
    """
    text = text.strip()
    if not text or len(text) > 200 or not text.isprintable():
        raise TargetError(
            f"{text[:40]!r} is not a target", "Give a name, coordinates or a TARGET_TAG."
        )
    try:
        position = parse_coordinates(text)
    except TargetError:
        if find_known(text) is None:  # such as 1H 0658+595
            raise
        position = None
    if position is not None:
        ra, dec = float(position.ra.deg), float(position.dec.deg)
        name = f"RA {ra:.4f}°, Dec {dec:+.4f}°"
        return Target(name, ra, dec, "coordinates")
    tagged = _from_tag(catalogue, text) if catalogue is not None else None
    if tagged is not None:
        return tagged
    known = find_known(text)
    if known is not None:
        return Target(known.name, known.ra_deg, known.dec_deg, "built-in table")
    position = _sesame(text) if online else None
    if position is not None:
        return Target(text, float(position.ra.deg), float(position.dec.deg), "CDS Sesame")
    names = [n for s in known_sources() for n in (s.name, *s.aliases)]
    tags = sorted({r.tag for r in catalogue.runs if r.tag}) if catalogue is not None else []
    near = difflib.get_close_matches(text, names + tags, n=3, cutoff=0.6)
    advice = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    known_tags = f" Tags of this store: {', '.join(tags)}." if tags else ""
    raise TargetError(
        f"unknown target {text!r}: not a TARGET_TAG, not in the built-in table, "
        "and CDS Sesame gave no answer",
        f"{advice}Coordinates always work: '83.633 22.014'.{known_tags}",
    )
