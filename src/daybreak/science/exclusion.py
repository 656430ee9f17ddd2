"""Circles on the sky that are kept out of every background estimate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import ArrayLike, NDArray

from daybreak.science.circle import Circle
from daybreak.science.sphere import separation_deg


def outside_circles(
    ra_deg: ArrayLike, dec_deg: ArrayLike, circles: Iterable[Circle]
) -> NDArray[np.bool_]:
    """Which places lie outside all circles.

    Parameters
    ----------
    ra_deg, dec_deg
        Places, degrees, any shape.
    circles
        The circles; a place on the edge is outside.
    """
    outside = np.ones(np.shape(ra_deg), dtype=bool)
    for circle in circles:
        away = separation_deg(ra_deg, dec_deg, circle.ra_deg, circle.dec_deg)
        outside &= ~(away < circle.radius_deg)
    return outside


def exclusion_circles(
    target: Circle,
    sources: Sequence[Circle],
    *,
    reach: u.Quantity,
    margin: u.Quantity,
    own: Iterable[Circle] = (),
) -> list[Circle]:
    """The target, known sources in the field of view, the user's own circles.

    Parameters
    ----------
    target
        Around the target.
    sources
        Known sources with their sizes; those inside `target` are part of it.
    reach
        Angle from the target's centre up to which the background is taken.
    margin
        Angle that is added to the size of a known source, for the PSF.
    own
        Further circles, taken as they are.
    """
    reach_deg, margin_deg = float(reach.to_value("deg")), float(margin.to_value("deg"))
    found = [target]
    if sources:
        places = SkyCoord([s.ra_deg for s in sources], [s.dec_deg for s in sources], unit="deg")
        for source, away in zip(sources, places.separation(target.center).deg, strict=True):
            radius = source.radius_deg + margin_deg
            if target.radius_deg < away < reach_deg + radius:
                found.append(Circle(source.ra_deg, source.dec_deg, radius, source.name))
    return [*found, *own]
