"""Read the tables and maps of ``results/``, each once and only when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from daybreak.errors import ProductError

FloatArray = NDArray[np.float64]
_HINT = "Delete the results/ folder and run the analysis again: the step that writes it runs anew."


class ResultTables:
    """The tables of one analysis.

    Parameters
    ----------
    folder
        The ``results/`` folder, laid out as ``docs/products.md`` says.
    facts
        Beat those of ``context.json``.

    Raises
    ------
    ProductError
        If the folder or its ``context.json`` is missing or can't be read.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self._tables: dict[str, Table | None] = {}
        path = self.folder / "context.json"
        try:
            self.context: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ProductError(
                f"{path} is missing", "Give the output folder of a finished `daybreak analyse`."
            ) from None
        except (OSError, ValueError) as error:
            raise ProductError(f"{path} can't be read: {error}", _HINT) from error
        self.context |= dict(facts or {})

    def table(self, name: str) -> Table | None:
        """A table, read when it is first asked for; None where it is absent.

        Parameters
        ----------
        name
            Of the file, without suffix.

        Raises
        ------
        ProductError
            If it can't be read.
        """
        if name not in self._tables:
            path = self.folder / f"{name}.ecsv"
            self._tables[name] = _read(path) if path.is_file() else None
        return self._tables[name]

    def filled(self, name: str) -> Table | None:
        """A table if it is there and has rows, else None.

        Parameters
        ----------
        name
            Of the file, without suffix.

        Raises
        ------
        ProductError
            If it can't be read.
        """
        table = self.table(name)
        return table if table is not None and len(table) else None

    @cached_property
    def images(self) -> dict[str, tuple[FloatArray, fits.Header]]:
        """Images of ``maps.fits`` by name; empty where the file is absent."""
        return self.images_of("maps")

    def images_of(self, name: str) -> dict[str, tuple[FloatArray, fits.Header]]:
        """Two-dimensional images of a FITS file.

        Parameters
        ----------
        name
            Of the file, without suffix.

        Returns
        -------
        dict
            Name of the image to its values, shape (ny, nx), and header; empty where the file is
            absent.

        Raises
        ------
        ProductError
            If it can't be read.
        """
        path = self.folder / f"{name}.fits"
        if not path.is_file():
            return {}
        try:
            with fits.open(path, memmap=False) as hdus:
                return {
                    hdu.name: (np.asarray(np.squeeze(hdu.data), float), hdu.header)
                    for hdu in hdus
                    if hdu.data is not None and np.squeeze(hdu.data).ndim == 2
                }
        except (OSError, TypeError, ValueError) as error:
            raise ProductError(f"{path} can't be read: {error}", _HINT) from error

    @property
    def target_name(self) -> str:
        """The target's name as text; it may come from a file and is not to be trusted."""
        return str(self.context.get("target", {}).get("name") or "unnamed target")

    @property
    def target_position(self) -> tuple[float, float] | None:
        """Right ascension and declination in degrees, None for blank fields."""
        target = self.context.get("target", {})
        ra, dec = target.get("ra_deg"), target.get("dec_deg")
        if ra is None or dec is None or not np.isfinite([ra, dec]).all():
            return None
        return float(ra), float(dec)


def _read(path: Path) -> Table:
    try:
        return Table.read(path, format="ascii.ecsv")
    except Exception as error:  # the reader raises errors of many kinds
        raise ProductError(f"{path} can't be read: {error}", _HINT) from error


def column(table: Table, name: str, unit: str = "") -> FloatArray:
    """Column as floating-point numbers; masked cells become NaN.

    Parameters
    ----------
    table
        A result table.
    name
        Of the column.
    unit
        In which the numbers are wanted; empty: as they are written.

    Raises
    ------
    ProductError
        If the column is missing.
    """
    if name not in table.colnames:
        raise ProductError(f"a result table has no column {name!r}", _HINT)
    data = table[name]
    values = np.ma.filled(np.ma.asarray(data.data).astype(float), np.nan)
    if unit and data.unit is not None and str(data.unit) != unit:
        values = values * u.Unit(data.unit).to(u.Unit(unit))
    return np.asarray(values, float)


def flags(table: Table, name: str) -> NDArray[np.bool_]:
    """Column of booleans, whatever way they were written.

    Parameters
    ----------
    table
        A result table.
    name
        Of the column; all are false where it is missing.
    """
    if name not in table.colnames:
        return np.zeros(len(table), bool)
    values: NDArray[Any] = np.ma.filled(table[name].data, False)
    if values.dtype.kind in "US":
        return np.asarray(np.char.lower(values) == "true", bool)
    return np.asarray(values, bool)


def texts(table: Table, name: str) -> list[str]:
    """Column as texts; masked cells become empty.

    Parameters
    ----------
    table
        A result table.
    name
        Of the column; all are empty where it is missing.
    """
    if name not in table.colnames:
        return [""] * len(table)
    return ["" if value is np.ma.masked else str(value) for value in table[name]]


def number(value: Any) -> float:
    """Header value as a float, NaN where there is none.

    Parameters
    ----------
    value
        Anything that a header may hold.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
