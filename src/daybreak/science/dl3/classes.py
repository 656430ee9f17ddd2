"""What an HDU is: by its columns, by its HDUCLAS keywords, by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Kind = tuple[str, str]

#: columns by which a table is known, whatever its header says; in this order
_BY_COLUMNS: tuple[tuple[Kind, frozenset[str]], ...] = tuple(
    ((kind, cls), frozenset(columns.split()))
    for kind, cls, columns in (
        ("gti", "gti", "START STOP"),
        ("pointing", "pointing", "TIME RA_PNT DEC_PNT"),
        ("events", "events", "TIME RA DEC ENERGY"),
        ("aeff", "aeff_2d", "THETA_LO EFFAREA"),
        ("edisp", "edisp_2d", "THETA_LO MIGRA_LO MATRIX"),
        ("psf", "psf_table", "RAD_LO RPSF"),
        ("psf", "psf_3gauss", "SIGMA_1 SCALE"),
        ("psf", "psf_king", "GAMMA SIGMA"),
        ("bkg", "bkg_3d", "DETX_LO DETY_LO BKG"),
        ("bkg", "bkg_3d", "DETX_LO DETY_LO BGD"),
        ("bkg", "bkg_2d", "THETA_LO BKG"),
        ("bkg", "bkg_2d", "THETA_LO BGD"),
        ("rad_max", "rad_max_2d", "THETA_LO RAD_MAX"),
    )
)
_BY_KEYWORD: dict[str, Kind] = {
    "EFF_AREA": ("aeff", "aeff_2d"),
    "EDISP": ("edisp", "edisp_2d"),
    "RPSF": ("psf", "psf_table"),
    "PSF": ("psf", "psf_table"),
    "BKG": ("bkg", "bkg_3d"),
    "RAD_MAX": ("rad_max", "rad_max_2d"),
}
_BY_NAME: tuple[tuple[str, Kind], ...] = (
    ("EVENTS", ("events", "events")),
    ("GTI", ("gti", "gti")),
    ("POINTING", ("pointing", "pointing")),
    ("EFFECTIVE AREA", ("aeff", "aeff_2d")),
    ("AEFF", ("aeff", "aeff_2d")),
    ("ENERGY DISPERSION", ("edisp", "edisp_2d")),
    ("EDISP", ("edisp", "edisp_2d")),
    ("PSF", ("psf", "psf_table")),
    ("POINT SPREAD", ("psf", "psf_table")),
    ("BACKGROUND", ("bkg", "bkg_3d")),
    ("BKG", ("bkg", "bkg_3d")),
    ("RAD_MAX", ("rad_max", "rad_max_2d")),
)


def class_of(header: Mapping[str, Any], name: str, columns: Iterable[str]) -> Kind | None:
    """HDU_TYPE and HDU_CLASS of an HDU, as an index has them.

    The columns decide where they are those of a known class: they are what will be read. Without
    them the keywords HDUCLAS1, 2 and 4 do, and without these the name.

    Parameters
    ----------
    header
        Keywords.
    name
        EXTNAME.
    columns
        Names of the columns, in any case.

    Returns
    -------
    tuple of str, or None
        None if it is neither data nor response.
    """
    known = {column.upper() for column in columns}
    for found, needed in _BY_COLUMNS:
        if needed <= known:
            return found

    def key(number: int) -> str:
        return str(header.get(f"HDUCLAS{number}") or "").strip().upper()

    if key(1) in {"EVENTS", "GTI", "POINTING"}:
        return key(1).lower(), key(1).lower()
    if key(1) == "RESPONSE" and key(2) in _BY_KEYWORD:
        kind, usual = _BY_KEYWORD[key(2)]
        return kind, key(4).lower() or usual
    name = name.upper()
    return next((found for text, found in _BY_NAME if text in name), None)


def columns_of(header: Mapping[str, Any]) -> list[str]:
    """Names of the columns that a table's header announces (TTYPEn).

    Parameters
    ----------
    header
        Keywords.
    """
    return [str(value) for key, value in header.items() if key.startswith("TTYPE")]
