"""Read the tables of a scan's ``results/``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from astropy.table import Table

from daybreak.errors import ProductError
from daybreak.neutrino.maps import Tiling, tile
from daybreak.report.common.tables import FloatArray, ResultTables, column

_HINT = "Delete the results/ folder and run the scan again: the pixels are kept."
#: labels that belong on the figures themselves
_ON_FIGURES = ("partial", "contained", "few-doms")


class ScanTables(ResultTables):
    """The tables of one scan.

    Parameters
    ----------
    folder
        The ``results/`` folder, laid out as ``docs/products.md`` says.

    Raises
    ------
    ProductError
        If a table is missing or can't be read.
    """

    def needed(self, name: str) -> Table:
        """A table that every scan has.

        Parameters
        ----------
        name
            Of the file, without suffix.

        Raises
        ------
        ProductError
            If it is missing or can't be read.
        """
        table = self.table(name)
        if table is None:
            raise ProductError(f"{self.folder / name}.ecsv is missing", _HINT)
        return table

    @cached_property
    def pixels(self) -> Table:
        """Every pixel that belongs to the result."""
        path = self.folder / "pixels.fits"
        try:
            return Table.read(path, format="fits", hdu=1)
        except (OSError, ValueError, TypeError) as error:
            raise ProductError(f"{path} can't be read: {error}", _HINT) from error

    @cached_property
    def tiling(self) -> Tiling:
        """The scanned sky as tiles."""
        rows = np.asarray(self.pixels.as_array())
        return tile([(int(n), rows[rows["nside"] == n]) for n in np.unique(rows["nside"])])

    @property
    def minima(self) -> Table:
        """Best fit and other minima."""
        return self.needed("minima")

    @property
    def best(self) -> dict[str, Any]:
        """The best fit."""
        row = self.minima[0]
        return {name: row[name].item() for name in self.minima.colnames}

    def region(self, probability: float) -> Any:
        """Row of a region of the sky.

        Parameters
        ----------
        probability
            0.5 or 0.9; the nearest one is taken.

        Returns
        -------
        astropy.table.Row
            Of ``regions``: area in deg2, extent in degrees.
        """
        table = self.needed("regions")
        return table[int(np.argmin(np.abs(column(table, "probability") - probability)))]

    @property
    def warning_names(self) -> list[str]:
        """Labels that have to stand on the figures."""
        return [x["name"] for x in self.context["labels"] if x["name"] in _ON_FIGURES]

    @property
    def event_name(self) -> str:
        """Run and event."""
        event = self.context["event"]
        return f"Run {event['run']}, event {event['event']}"


def lines(tables: ScanTables, probability: float) -> list[FloatArray]:
    """Closed lines of a contour.

    Parameters
    ----------
    tables
        Of the scan.
    probability
        0.5 or 0.9.

    Returns
    -------
    list of numpy.ndarray
        Right ascension and declination in degrees, each of shape (n, 2).
    """
    table = tables.needed("contours")
    pick = np.isclose(column(table, "probability"), probability)
    number = column(table, "line")[pick]
    points = np.column_stack([column(table, "ra_deg"), column(table, "dec_deg")])[pick]
    found = [points[number == n] for n in np.unique(number)]
    return [np.vstack([line, line[:1]]) for line in found]
