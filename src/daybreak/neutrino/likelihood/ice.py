"""How light travels in the ice, by depth.

Layers are given by the effective scattering length and the absorption length (m) at equal steps of
z. What a straight path sees on average is a difference of two prefix integrals.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import EventError

ENVIRONMENT = "DAYBREAK_ICE"
DATASET = "icecube-ice"
DATASET_FILE = "ice_transparency.parquet"
DETECTOR_CENTRE_DEPTH_M = 1948.07
BULK_SCATTERING_M = 25.0
BULK_ABSORPTION_M = 98.0
"""Bulk ice of Ahrens et al. 2004 (AMANDA's track reconstruction, NIM A 524, 169)."""

STEP_M = 10.0
_EDGE_M = 400.0
_MAX_ROWS = 100_000
_HINT = (
    "Give a table (parquet, CSV or ECSV) with the columns depth, scattering_len, absorption_len "
    "(all in m; the scattering length is the effective one), in order of depth."
)

_DUST_DEPTH_M, _DUST_WIDTH_M, _DUST_EXCESS = 2050.0, 40.0, 3.0
_CLEAR_BELOW_M, _CLEAR_OVER_M, _CLEAR_FACTOR = 2100.0, 100.0, 0.5
_PROFILE_M = (1350.0, 2550.0)
"""The built-in profile; see `built_in_ice`."""


@dataclass(frozen=True, eq=False)
class Ice:
    """Coefficients at equal steps of z, with their integrals.

    Attributes
    ----------
    name
        Which ice, for the provenance.
    z0_m
        z of the first row; rows are `STEP_M` apart.
    table
        (n, 4): effective scattering coefficient b_e (1/m), its integral over z, absorption
        coefficient a (1/m), its integral. Between rows coefficients are linear in z.
    """

    name: str
    z0_m: float
    table: NDArray[np.float64]

    def scaled(self, scattering: float, absorption: float) -> Ice:
        """Return ice with coefficients multiplied by two factors (for systematic studies).

        Parameters
        ----------
        scattering
            By what the scattering coefficient is multiplied.
        absorption
            By what the absorption coefficient is multiplied.
        """
        factors = np.array([scattering, scattering, absorption, absorption])
        return Ice(
            f"{self.name} x({scattering:g}, {absorption:g})", self.z0_m, self.table * factors
        )


def _ice(name: str, z0_m: float, scattering: Any, absorption: Any) -> Ice:
    columns = [np.asarray(c, dtype=np.float64) for c in (scattering, absorption)]
    parts = []
    for c in columns:
        steps = 0.5 * STEP_M * (c[1:] + c[:-1])
        parts += [c, np.concatenate([[0.0], np.cumsum(steps)])]
    return Ice(name, float(z0_m), np.ascontiguousarray(np.stack(parts, axis=1)))


def bulk_ice(
    scattering_m: float = BULK_SCATTERING_M, absorption_m: float = BULK_ABSORPTION_M
) -> Ice:
    """Return ice that is the same everywhere; lengths in metres.

    Parameters
    ----------
    scattering_m
        Scattering length, m.
    absorption_m
        Absorption length, m.
    """
    one = np.ones(601)
    return _ice(
        f"bulk (effective scattering {scattering_m:g} m, absorption {absorption_m:g} m)",
        -3000.0,
        one / scattering_m,
        one / absorption_m,
    )


def layered_ice(name: str, depth_m: Any, scattering_m: Any, absorption_m: Any) -> Ice:
    """Make layered ice from lengths at depths.

    Parameters
    ----------
    name
        For the provenance.
    depth_m
        Increasing depths of the middle of each layer; z = 1948.07 m - depth.
    scattering_m, absorption_m
        Effective scattering and absorption length of each layer. Above the first and below the
        last layer their values go on.

    Raises
    ------
    EventError
        The columns are no such table.
    """
    try:
        depth, scattering, absorption = (
            np.asarray(c, dtype=np.float64) for c in (depth_m, scattering_m, absorption_m)
        )
    except (TypeError, ValueError):
        raise EventError(f"the ice table {name} has an entry that is no number", _HINT) from None
    sizes = {c.shape for c in (depth, scattering, absorption)}
    if len(sizes) != 1 or depth.ndim != 1 or not 2 <= len(depth) <= _MAX_ROWS:
        raise EventError(f"the ice table {name} has columns of no use", _HINT)
    if not all(np.isfinite(c).all() and (c > 0).all() for c in (depth, scattering, absorption)):
        raise EventError(f"the ice table {name} has a value that is no positive length", _HINT)
    if not (np.diff(depth) > 0).all() or np.ptp(depth) > 10_000:
        raise EventError(f"the depths of the ice table {name} do not increase", _HINT)
    z = DETECTOR_CENTRE_DEPTH_M - depth[::-1]
    z0 = z[0] - _EDGE_M
    grid = np.arange(z0, z[-1] + _EDGE_M + STEP_M, STEP_M)
    return _ice(
        name, z0, np.interp(grid, z, 1 / scattering[::-1]), np.interp(grid, z, 1 / absorption[::-1])
    )


def built_in_ice() -> Ice:
    """Return the simple depth profile that comes with Daybreak, for where no table is at hand.

    Bulk ice (Ahrens et al. 2004), times one factor of depth for both coefficients: a Gaussian dust
    layer between 2000 and 2100 m, and clearer ice below it, where DeepCore was put for that reason
    (Abbasi et al. 2012, arXiv:1109.6096). How dusty (4 times bulk) and how clear (half of bulk) are
    round assumptions of ours: a likeness of the ice, not a measurement.
    """
    depth = np.arange(_PROFILE_M[0], _PROFILE_M[1] + STEP_M, STEP_M)
    dust = _DUST_EXCESS * np.exp(-0.5 * ((depth - _DUST_DEPTH_M) / _DUST_WIDTH_M) ** 2)
    clear = np.clip((depth - _CLEAR_BELOW_M) / _CLEAR_OVER_M, 0.0, 1.0)
    factor = 1.0 + dust - (1.0 - _CLEAR_FACTOR) * clear
    return layered_ice(
        "built-in simple profile (bulk, one dust layer, clearer below)",
        depth,
        BULK_SCATTERING_M / factor,
        BULK_ABSORPTION_M / factor,
    )


def load_ice(path: str | Path) -> Ice:
    """Read a table of ice layers.

    Parameters
    ----------
    path
        Parquet, CSV or ECSV with ``depth, scattering_len, absorption_len`` in metres.

    Raises
    ------
    EventError
        It can't be read or has other columns.
    """
    from daybreak.products.digest import file_digest

    path = Path(path)
    if not path.is_file():
        raise EventError(f"there is no ice table {path}", _HINT)
    try:
        columns = _columns(path)
        found = [np.asarray(columns[c]) for c in ("depth", "scattering_len", "absorption_len")]
    except Exception as error:  # the table readers have many errors of their own
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise EventError(f"{path} can't be read as an ice table: {text}", _HINT) from None
    return layered_ice(f"{path.name} (sha256 {file_digest(path)[:12]})", *found)


def _columns(path: Path) -> Any:
    from astropy.table import Table

    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"PAR1"):
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        return {c: table[c].to_numpy() for c in table.column_names}
    form = "ascii.ecsv" if head.startswith(b"# %ECSV") else "ascii.csv"
    found = Table.read(path, format=form)
    return {c: np.ma.filled(np.ma.asarray(found[c], dtype=float), np.nan) for c in found.colnames}


def default_ice() -> Ice:
    """Return the ice to use where none is given.

    The file that ``$DAYBREAK_ICE`` names, else the one that ``daybreak data fetch icecube-ice``
    has put into the current folder, else the built-in profile.

    Raises
    ------
    EventError
        The file is there and can't be used.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        return load_ice(named)
    fetched = Path(DATASET) / DATASET_FILE
    return load_ice(fetched) if fetched.is_file() else built_in_ice()


def find_ice(what: str | Path | None) -> Ice:
    """Return ``bulk``, ``built-in``, the default (None), or the table of that name.

    Parameters
    ----------
    what
        A name or a file.
    """
    if what is None:
        return default_ice()
    if what == "bulk":
        return bulk_ice()
    return built_in_ice() if what == "built-in" else load_ice(what)
