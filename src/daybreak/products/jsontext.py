"""JSON from outside, of a depth that can be parsed without coming near the recursion limit."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

MOST_DEEP = 200
_OTHER = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def loads_shallow(data: bytes, most: int = MOST_DEEP) -> Any:
    """Parse JSON.

    Text that is nested to the recursion limit does not only fail: whatever Python runs in between,
    such as finalisers of other objects, fails with it.

    Parameters
    ----------
    data
        UTF-8 text.
    most
        Brackets that may be open at a time (those within strings count too).

    Raises
    ------
    ValueError
        If it is not JSON, or nested deeper.
    """
    depths = accumulate(_STEP[byte] for byte in data.translate(None, _OTHER))
    if max(depths, default=0) > most:
        raise ValueError(f"nested deeper than {most} levels")
    return json.loads(data)
