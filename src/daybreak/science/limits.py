"""The convention of upper limits, in words."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtr, ndtr


def ul_convention(n_sigma_ul: float) -> str:
    """The convention of the upper limits in words.

    Parameters
    ----------
    n_sigma_ul
        The statistic at a limit is the square of this above its minimum.
    """
    two, one = 100 * chdtr(1, n_sigma_ul**2), 100 * ndtr(n_sigma_ul)
    return (
        f"upper limits where the statistic is {n_sigma_ul**2:g} above its minimum "
        f"(n_sigma_ul = {n_sigma_ul:g}: {two:.2f} % two-sided, {one:.1f} % one-sided); where ON is "
        f"empty {-np.log1p(-two / 100):.2f} counts; after a deficit a limit can lie below zero"
    )
