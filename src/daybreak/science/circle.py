"""A circle on the sky; plans use it, so that nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from astropy import units as u
from astropy.coordinates import SkyCoord

if TYPE_CHECKING:
    from regions import CircleSkyRegion


@dataclass(frozen=True)
class Circle:
    """A circle on the sky (ICRS degrees): plain numbers, so that it travels in step parameters."""

    ra_deg: float
    dec_deg: float
    radius_deg: float
    name: str = ""

    @property
    def center(self) -> SkyCoord:
        """Centre as a sky coordinate."""
        return SkyCoord(self.ra_deg, self.dec_deg, unit="deg")

    @property
    def region(self) -> CircleSkyRegion:
        """As a sky region."""
        from regions import CircleSkyRegion

        return CircleSkyRegion(self.center, self.radius_deg * u.deg)
