"""Which header of a FITS file describes what is not there: for a file that can't be read."""

from __future__ import annotations

from daybreak.products.fits_headers import (
    BLOCK,
    CARD,
    DamagedFileError,
    data_size,
    parse_header,
)

_MOST_HDUS = 1000


def what_is_broken(content: bytes) -> tuple[str, str]:
    """HDU and keyword at which the structure of a file ends to make sense.

    Parameters
    ----------
    content
        The whole file, not compressed.

    Returns
    -------
    hdu, what : str
        Name of the HDU and what is wrong; both empty if the file's bytes are
        cut or nothing is found.
    """
    at, label = 0, ""
    for number in range(_MOST_HDUS):
        if at >= len(content):
            return "", ""
        first = b"XTENSION" if number else b"SIMPLE  "
        if not content.startswith(first, at):
            if not content[at:].strip(b"\0 "):
                return "", ""
            if not number:
                return "", ""
            name = _name_at(content, at)
            if name:
                return name, "its header does not begin with XTENSION"
            return label, (
                "where its BITPIX, NAXISn, PCOUNT and GCOUNT say that it ends, no XTENSION follows"
            )
        end = _end_of_header(content, at)
        if end < 0:
            return "", ""
        header = parse_header(content[at:end])
        label = str(header.get("EXTNAME") or f"HDU {number}") if number else "primary HDU"
        try:
            size = data_size(header)
        except DamagedFileError as error:
            return label, str(error)
        at = end + -(-size // BLOCK) * BLOCK
    return "", ""


def _name_at(content: bytes, at: int) -> str:
    """EXTNAME of a header that lacks its first card; empty if there is none."""
    first = content[at : at + 10]
    end = _end_of_header(content, at) if first[8:] == b"= " and first[:8].strip().isalnum() else -1
    header = parse_header(content[at:end]) if end > 0 else {}
    return str(header.get("EXTNAME") or "") if "BITPIX" in header else ""


def _end_of_header(content: bytes, start: int) -> int:
    """Where the data after a header begin; -1 if it has no end."""
    at = start
    while at < len(content):
        if content.startswith(b"END ", at) and not content[at + 3 : at + CARD].strip():
            return start + -(-(at + CARD - start) // BLOCK) * BLOCK
        at += CARD
    return -1
