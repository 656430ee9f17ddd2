"""Responses as Gammapy's own objects, checked and repaired like ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
from astropy.utils.exceptions import AstropyWarning
from gammapy.irf import IRF_REGISTRY

from daybreak.errors import RunDataError
from daybreak.science.dl3.files import READ_ERRORS, HduLocation, RunFiles, check_values
from daybreak.science.dl3.oddities import unusable


def _read_irf(files: RunFiles, location: HduLocation) -> tuple[Any, bool]:
    """A response, and whether negative values in it were set to zero."""
    hdu = files.hdu(location)
    try:
        cls = IRF_REGISTRY.get_cls(location.hdu_class)
        irf = cls.from_hdulist(files.hdulist(location.path), hdu=hdu.name)
        values = irf.quantity.value
    except RunDataError:
        raise
    except READ_ERRORS as error:
        raise unusable(
            location.where,
            f"it can't be read as a table of {location.kind} ({location.hdu_class})",
            "Have the run's responses made again.",
        ) from error
    negative = check_values(values, location)
    if negative:
        irf.data = np.clip(irf.data, 0, None)
    return irf, negative


def gammapy_irfs(
    hdus: Mapping[str, HduLocation], kinds: Iterable[str]
) -> dict[str, tuple[Any, bool]]:
    """Read responses by Gammapy's classes.

    Parameters
    ----------
    hdus
        The run's HDUs by kind.
    kinds
        Which of them; those that the run does not have are left out.

    Returns
    -------
    dict
        The response, and whether negative values in it were set to zero, by kind.

    Raises
    ------
    RunDataError
        If one can't be read, or holds values that are not finite.
    """
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", ".*truncated.*", AstropyWarning)
        files = RunFiles(stack)
        return {kind: _read_irf(files, hdus[kind]) for kind in kinds if kind in hdus}
