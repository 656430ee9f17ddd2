"""Integrals over responses: containment of a PSF, background over energy bins, RAD_MAX."""

from __future__ import annotations

import numpy as np

from daybreak.science.irf import Irf, IrfAxis, along, nearest
from daybreak.science.run import FloatArray


def contained(psf: Irf, radius_deg: float, offset_deg: float, energy_tev: FloatArray) -> FloatArray:
    """Share of a PSF within a radius.

    Parameters
    ----------
    psf
        A PSF as a table over true energy, offset and distance.
    radius_deg
        The radius.
    offset_deg
        Of the source.
    energy_tev
        True energies, shape (n,).

    Returns
    -------
    numpy.ndarray
        Shape (n,); zero outside the PSF's axes.
    """
    energy, offset, rad = psf.axes
    ring = 2 * np.pi * np.radians(rad.nodes) * np.radians(np.diff(rad.edges))
    whole = IrfAxis.from_nodes("rad", rad.edges[1:], log=False)
    summed = Irf(
        psf.kind,
        (energy, offset, whole),
        np.cumsum(psf.values * ring, axis=2),
        psf.factor,
        False,
        psf.header,
    )
    return summed.at(energy_tev, offset_deg, radius_deg)[:, 0, 0]


def rad_max_at(
    irf: Irf, energy_tev: FloatArray, offset_deg: float, *, nearest_node: bool
) -> FloatArray:
    """RAD_MAX by energy at an offset, degrees.

    Parameters
    ----------
    irf
        The table over reconstructed energy and offset.
    energy_tev
        Shape (n,).
    offset_deg
        Of the place.
    nearest_node
        Take the nearest node, as for single events, in place of interpolating.
    """
    if not nearest_node:
        return irf.at(energy_tev, offset_deg)[:, 0]
    values = nearest(irf.axes, irf.table, energy_tev, np.full(len(energy_tev), offset_deg))
    inside = irf.axes[0].covers(energy_tev) & irf.axes[1].covers(offset_deg)
    return np.where(inside, values * irf.factor, 0.0)


def power_law_integrals(
    irf: Irf, edges_tev: FloatArray, points: tuple[FloatArray, ...]
) -> FloatArray:
    """Integrate a background over energy bins at places of the field of view.

    Between two edges the background is the power law through its values there, as in Gammapy's
    ``trapz_loglog``.

    Parameters
    ----------
    irf
        Background over energy and one or two coordinates of the field of view.
    edges_tev
        Shape (n + 1,).
    points
        The coordinates, each of shape (m,).

    Returns
    -------
    numpy.ndarray
        Shape (n, m), in `irf.factor` times TeV.
    """
    table, energy_inside = irf.scaled_at(edges_tev)
    logs = _at_places(irf, table, points)
    inside = np.ones(len(points[0]), dtype=bool)
    for axis, places in zip(irf.axes[1:], points, strict=True):
        inside &= axis.covers(places)
    width = np.log(edges_tev[1:] / edges_tev[:-1])[:, None]
    value = np.exp(logs) * (edges_tev[:, None] * irf.factor)
    power = 1 + np.diff(logs, axis=0) / width
    flat = np.abs(power) < 1e-8
    result: FloatArray = np.where(
        flat, value[:-1] * width, np.diff(value, axis=0) / np.where(flat, 1.0, power)
    )
    known = energy_inside.ravel()
    result[~(known[:-1] & known[1:])] = 0.0
    result[:, ~inside] = 0.0
    return result


def _at_places(irf: Irf, table: FloatArray, points: tuple[FloatArray, ...]) -> FloatArray:
    """Interpolate a table of shape (energies, nodes...) at places: shape (energies, places)."""
    if len(points) == 1:
        return along(table, 1, irf.axes[1], points[0])
    (i, fx), (j, fy) = (
        axis.weights(places) for axis, places in zip(irf.axes[1:], points, strict=True)
    )
    n = table.shape[2]
    flat, corner = table.reshape(len(table), -1), i * n + j
    low = (1 - fy) * flat[:, corner] + fy * flat[:, corner + 1]
    high = (1 - fy) * flat[:, corner + n] + fy * flat[:, corner + n + 1]
    result: FloatArray = (1 - fx) * low + fx * high
    return result
