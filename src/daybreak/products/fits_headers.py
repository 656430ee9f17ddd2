"""FITS headers: keywords, values, and how many bytes of data they announce."""

from __future__ import annotations

from typing import Any

BLOCK = 2880
CARD = 80
_STRUCTURE: tuple[bytes, ...] = (b"BITPIX", b"NAXIS", b"PCOUNT", b"GCOUNT", b"GROUPS", b"EXTNAME")
_STRUCTURE += (b"DATASUM", b"CHECKSUM")
_STARTS = frozenset(key[:5] for key in _STRUCTURE)


class DamagedFileError(ValueError):
    """A file is not the whole, well-formed FITS (or gzip) file that it should be.

    Attributes
    ----------
    digest
        SHA-256 of what was there instead, where the whole of it was seen.
    """

    digest: str = ""


def parse_value(text: str) -> Any:
    """Value of a header card from the text after ``KEY     =``; None where there is none.

    Parameters
    ----------
    text
        Of the card; a comment may follow.

    Returns
    -------
    bool, int, float, str or None
        What it means; the text itself if it is nothing known.
    """
    text = text.strip()
    if text.startswith("'"):
        out, i = [], 1
        while i < len(text):
            if text[i] == "'":
                if text[i + 1 : i + 2] != "'":
                    break
                i += 1
            out.append(text[i])
            i += 1
        return "".join(out).rstrip()
    text = text.split("/", 1)[0].strip()
    if text in {"T", "F"}:
        return text == "T"
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text.replace("D", "E").replace("d", "e"))
    except ValueError:
        return text


def parse_header(raw: bytes, *, structure_only: bool = False) -> dict[str, Any]:
    """Keywords and values of a header; the first of a repeated keyword counts.

    Parameters
    ----------
    raw
        Whole cards of 80 bytes.
    structure_only
        Only what says how large the data are, EXTNAME and checksums.

    Returns
    -------
    dict
        Keyword to value.
    """
    found: dict[str, Any] = {}
    for start in range(0, len(raw), CARD):
        if structure_only and raw[start : start + 5] not in _STARTS:
            continue
        card = raw[start : start + CARD]
        if card[8:10] == b"= ":
            if structure_only and not card.startswith(_STRUCTURE):
                continue
            key = card[:8].decode("latin-1").strip()
            if key not in found:
                found[key] = parse_value(card[10:].decode("latin-1"))
    return found


def _count(header: dict[str, Any], key: str, default: int | None = None) -> int:
    value = header.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        what = "missing" if value is None else f"{value!r}, not a count"
        raise DamagedFileError(f"header keyword {key} is {what}")
    return value


def data_size(header: dict[str, Any]) -> int:
    """Bytes of the data unit that a header announces, without its padding.

    Parameters
    ----------
    header
        Keywords and values.

    Returns
    -------
    int
        In bytes.

    Raises
    ------
    DamagedFileError
        If the keywords that say so are missing or senseless.
    """
    bits = header.get("BITPIX")
    if bits not in (8, 16, 32, 64, -32, -64):
        raise DamagedFileError(
            f"header keyword BITPIX is {'missing' if bits is None else repr(bits)}"
        )
    naxis = _count(header, "NAXIS")
    if naxis > 999:
        raise DamagedFileError(f"header keyword NAXIS is {naxis}")
    if naxis == 0:
        return 0
    sizes = [_count(header, f"NAXIS{i + 1}") for i in range(naxis)]
    if header.get("GROUPS") is True and sizes[0] == 0:
        sizes = sizes[1:]
    elements = 1
    for size in sizes:
        elements *= size
    groups, extra = _count(header, "GCOUNT", 1), _count(header, "PCOUNT", 0)
    return abs(int(bits)) // 8 * groups * (extra + elements)


def ones_complement_sum(data: bytes, total: int = 0) -> int:
    """FITS checksum of `data` (a multiple of four bytes), added to `total`.

    Parameters
    ----------
    data
        A multiple of four bytes.
    total
        Sum of what came before.

    Returns
    -------
    int
        Of 32 bits.
    """
    import numpy as np

    total += int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
