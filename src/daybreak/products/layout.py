"""Where products lie if a request makes those of more than one target or night."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from daybreak.errors import OutputError

_LONGEST = 60


def safe_name(text: str) -> str:
    """A text as the name of a folder: letters, digits, ``+``, ``-``, ``_``, and ``.`` inside.

    Parameters
    ----------
    text
        Any, e.g. the name of a target from a header or an e-mail.

    Raises
    ------
    OutputError
        If nothing is left of it.
    """
    name = re.sub(r"[^A-Za-z0-9+_.-]+", "_", text.strip()).strip("._")[:_LONGEST].rstrip("._")
    if not name:
        raise OutputError(f"{text!r} can't be the name of a folder", "Give it a plain name.")
    return name


def product_folder(
    out: Path, instrument: str, night: str, target: str, telescope: str = ""
) -> Path:
    """``OUTPUT/<instrument>/<YYYY-MM-DD>/<target>/<telescope>``; makes nothing.

    Parameters
    ----------
    out
        Output folder of the request.
    instrument, target
        Their names.
    night
        Civil date of its evening at the site, YYYY-MM-DD.
    telescope
        ``tel_001``, ``stereo``, …; '': no such level.

    Raises
    ------
    OutputError
        If one of them can't be a folder's name.
    """
    try:
        day = date.fromisoformat(night).isoformat()
    except ValueError:
        raise OutputError(
            f"{night!r} is not a night", "Write the date of its evening as YYYY-MM-DD."
        ) from None
    folder = out / safe_name(instrument) / day / safe_name(target)
    return folder / safe_name(telescope) if telescope else folder
