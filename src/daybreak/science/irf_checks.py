"""Whether a response is what such a table should be: refuse it, mend it, or note it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from daybreak.science.dl3.oddities import Oddity, unusable
from daybreak.science.dl3.values import number_of
from daybreak.science.irf import Irf
from daybreak.science.run import FloatArray

#: effective areas of all arrays lie between these, in m2
_LEAST_M2, _MOST_M2 = 1.0, 1e8
#: a PSF holds all of a source, within this
_PSF_SLACK = 0.1
_WIDEST_CUT_DEG = 10.0
#: an energy dispersion is a probability, within this
_DISPERSION_SLACK = 0.2


def check_irf(kind: str, irf: Irf, where: str, oddities: list[Oddity]) -> Irf:
    """A response that can be used.

    Parameters
    ----------
    kind
        ``aeff``, ``edisp``, ``psf``, ``bkg`` or ``rad_max``.
    irf
        As read.
    where
        File and HDU, for messages.
    oddities
        Here it is noted what is odd about it.

    Returns
    -------
    Irf
        The same, without thresholds that are none.

    Raises
    ------
    RunDataError
        If it can't be right.
    """
    checks: dict[str, Callable[[Irf, str, list[Oddity]], Irf]] = {
        "aeff": _area, "edisp": _dispersion, "psf": _psf, "bkg": _background, "rad_max": _cut,
    }  # fmt: skip
    return checks[kind](irf, where, oddities)


def _area(irf: Irf, where: str, oddities: list[Oddity]) -> Irf:
    largest = float(irf.values.max()) * irf.factor
    if not _LEAST_M2 <= largest <= _MOST_M2:
        raise unusable(
            where,
            f"column EFFAREA: the largest effective area is {largest:.3g} m2 by its unit, which "
            "is none of a Cherenkov telescope",
            "Check the column and its unit, TUNIT, and have the file made again.",
        )
    header = dict(irf.header)
    for key in ("LO_THRES", "HI_THRES"):
        if key in header and number_of(header, key, 1e-9, np.inf) is None:
            value = header.pop(key)
            what = "the threshold is that of the area" if key == "LO_THRES" else "no upper limit"
            text = f"{where}: {key} is {value!r}, which is no energy: {what}"
            oddities.append(Oddity("THRESHOLD_UNKNOWN", text))
    return replace(irf, header=header)


def _dispersion(irf: Irf, where: str, oddities: list[Oddity]) -> Irf:
    if not np.any(irf.values > 0):
        raise unusable(where, "column MATRIX: the energy dispersion is zero everywhere")
    total = np.sum(np.clip(irf.values, 0, None) * np.diff(irf.axes[1].edges)[:, None], axis=1)
    usual = float(np.median(total[total > 0]))
    if abs(usual - 1) > _DISPERSION_SLACK:
        text = f"{where}: column MATRIX: its integral over MIGRA is {usual:.3g} in place of 1"
        oddities.append(Oddity("RESPONSE_ODD", f"{text}: only its shape is used"))
    return irf


def _psf(irf: Irf, where: str, oddities: list[Oddity]) -> Irf:
    rad = irf.axis("rad")
    ring = 2 * np.pi * np.radians(rad.nodes) * np.radians(np.diff(rad.edges))
    total = np.sum(np.clip(irf.values, 0, None) * ring, axis=2) * irf.factor
    filled = total[total > 0]
    if not filled.size:
        raise unusable(where, "column RPSF: the PSF is zero everywhere")
    usual = float(np.median(filled))
    if abs(usual - 1) > 5 * _PSF_SLACK:
        raise unusable(
            where,
            f"columns RPSF, RAD_LO, RAD_HI: the PSF holds {usual:.3g} of a source in place of 1",
            "Check the columns and their units, and have the file made again.",
        )
    if abs(usual - 1) > _PSF_SLACK:
        text = f"{where}: column RPSF: the PSF holds {usual:.3g} of a source in place of 1"
        oddities.append(Oddity("RESPONSE_ODD", f"{text}: fluxes are off by as much"))
    return irf


def _background(irf: Irf, where: str, oddities: list[Oddity]) -> Irf:
    if not np.any(irf.values > 0):
        text = f"{where}: the background is zero everywhere: it can't be scaled to the run"
        oddities.append(Oddity("RESPONSE_ODD", text))
    return irf


def _cut(irf: Irf, where: str, oddities: list[Oddity]) -> Irf:
    degrees = irf.values * irf.factor
    if not np.any(degrees > 0) or np.any(degrees > _WIDEST_CUT_DEG):
        raise unusable(
            where, f"column RAD_MAX: cuts from {degrees.min():.3g} to {degrees.max():.3g} deg"
        )
    return irf


def check_energies_covered(
    energy_tev: FloatArray, aeff: Irf, where: str, oddities: list[Oddity]
) -> None:
    """Note it if most events lie outside the energies of the effective area.

    Parameters
    ----------
    energy_tev
        Reconstructed energies.
    aeff
        Effective area.
    where
        Its file and HDU.
    oddities
        Here it is noted.
    """
    if not len(energy_tev):
        return
    axis = aeff.axis("energy_true")
    outside = 1 - float(np.mean(axis.covers(energy_tev)))
    if outside > 0.5:
        text = (
            f"{where}: columns ENERG_LO, ENERG_HI: {100 * outside:.0f} % of the events lie outside "
            f"its energies, {axis.edges[0]:.3g} to {axis.edges[-1]:.3g} TeV"
        )
        oddities.append(Oddity("RESPONSE_ODD", text))
