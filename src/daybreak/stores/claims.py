"""What a `master.json` claims about a dataset, understood where it can be.

The keys of an entry are free text. Those that people write for the number of observations, time,
events and size are recognised, so that they can be compared with what is really there, and
corrected when only a part was copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_KINDS = (
    ("observations", re.compile(r"observations|number of runs|total runs|\bruns\b", re.I)),
    ("hours", re.compile(r"(?<!date )\b(total|observation|on|obs)?[ _-]*time\b|exposure", re.I)),
    ("events", re.compile(r"\bevents\b", re.I)),
    ("bytes", re.compile(r"disk usage|\bsize\b|volume", re.I)),
)
_TOTAL = re.compile(r"total|number|^n[ _]|disk|size|^events$|^observations$|^runs$|volume", re.I)
_NUMBER = re.compile(r"\s*([0-9]+(?:[.,'_][0-9]+)*(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*$")
_UNITS = {"": 1.0, "h": 1.0, "hr": 1.0, "hrs": 1.0, "hour": 1.0, "hours": 1.0}
_UNITS |= {"min": 1 / 60, "minutes": 1 / 60, "s": 1 / 3600, "sec": 1 / 3600, "seconds": 1 / 3600}
_SIZES = {"": 1.0, "b": 1.0, "bytes": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}
_SIZES |= {"kib": 2**10, "mib": 2.0**20, "gib": 2.0**30, "k": 1e3, "m": 1e6, "g": 1e9}


@dataclass(frozen=True)
class Claim:
    """A number that an entry states.

    Attributes
    ----------
    key
        As it is spelled.
    kind
        ``observations``, ``hours``, ``events`` or ``bytes``.
    value
        In the unit of the kind.
    scale
        What one unit of the text is worth.
    decimals
        How many the text has.
    unit
        As it is spelled.
    """

    key: str
    kind: str
    value: float
    scale: float
    decimals: int
    unit: str

    def agrees(self, counted: float) -> bool:
        """Whether the counted number is the claimed one, to the digits that are stated.

        Parameters
        ----------
        counted
            In the unit of the kind: a number of runs or events, hours or bytes.

        Returns
        -------
        bool
            Whether they agree.
        """
        if self.kind in {"observations", "events"}:
            return round(self.value) == round(counted)
        return abs(self.value - counted) <= 0.51 * self.scale * 10.0**-self.decimals * 1.0001

    def rewritten(self, counted: float, like: Any) -> Any:
        """The counted number spelled as the claim was.

        Parameters
        ----------
        counted
            In the unit of the kind.
        like
            The value as the entry states it.

        Returns
        -------
        int, float or str
            Of the type of `like`.
        """
        number = round(counted / self.scale, self.decimals)
        if isinstance(like, int):
            return round(number)
        if isinstance(like, float):
            return number
        return f"{number:.{self.decimals}f}" + (f" {self.unit}" if self.unit else "")


def claims_of(keys: dict[str, Any]) -> list[Claim]:
    """The totals that an entry states and that are understood.

    Parameters
    ----------
    keys
        The descriptive keys of an entry.

    Returns
    -------
    list of Claim
        In the order of the keys.
    """
    found = []
    for key, value in keys.items():
        kind = next((k for k, pattern in _KINDS if pattern.search(key)), None)
        if kind is None or not (_TOTAL.search(key) or kind == "hours"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        match = _NUMBER.match(str(value))
        units = {"hours": _UNITS, "bytes": _SIZES}.get(kind, {"": 1.0})
        if match is None or match[2].lower() not in units:
            continue
        text = match[1].replace("_", "").replace("'", "")
        if re.fullmatch(r"\d{1,3}(,\d{3})+", text):
            text = text.replace(",", "")
        try:
            number = float(text.replace(",", "."))
        except ValueError:
            continue
        decimals = len(text.rpartition(".")[2]) if "." in text else 0
        scale = units[match[2].lower()]
        found.append(Claim(key, kind, number * scale, scale, decimals, match[2]))
    return found
