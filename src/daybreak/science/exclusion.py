"""Circles on the sky that are kept out of every background estimate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from astropy import units as u
from astropy.coordinates import SkyCoord

from daybreak.science.circle import Circle


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
