"""A neutrino telescope of our own: strings on a hexagonal grid in the ice."""

from __future__ import annotations

import numpy as np

from daybreak.neutrino.event import Geometry

N_STRINGS = 78
STRING_SPACING_M = 125.0
N_OMS = 60
OM_SPACING_M = 17.0
TOP_M = 500.0


def built_in_detector() -> Geometry:
    """Return 78 strings 125 m apart with 60 DOMs each, 17 m apart, from z = 500 m downwards.

    The strings are the 78 points of a triangular grid that are nearest to the z axis, numbered from
    the middle outwards; no coordinates of a real telescope are used.
    """
    steps = np.arange(-8, 9)
    i, j = (grid.ravel() for grid in np.meshgrid(steps, steps))
    x = STRING_SPACING_M * (i + 0.5 * j)
    y = STRING_SPACING_M * 0.5 * np.sqrt(3.0) * j
    order = np.lexsort((np.round(np.arctan2(y, x), 6), np.round(np.hypot(x, y), 3)))[:N_STRINGS]
    z = TOP_M - OM_SPACING_M * np.arange(N_OMS)
    xyz = np.column_stack(
        [np.repeat(x[order], N_OMS), np.repeat(y[order], N_OMS), np.tile(z, N_STRINGS)]
    )
    string = np.repeat(np.arange(1, N_STRINGS + 1), N_OMS).astype(np.int16)
    om = np.tile(np.arange(1, N_OMS + 1), N_STRINGS).astype(np.int16)
    return Geometry("daybreak-78", string, om, xyz)
