"""Instrument responses as grids of numbers, interpolated the way Gammapy does.

A response is a table over axes (true or reconstructed energy, offset, ...). Between the nodes it
is linear in the scale of each axis (logarithmic for energies) and of its values (logarithmic for
backgrounds); beyond the middle of the outermost bins the last two nodes are extended to the edge
of the axis, and outside it is zero. What is not covered here is left to Gammapy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daybreak.science.run import FloatArray

Weights = tuple[NDArray[np.intp], FloatArray]


@dataclass(frozen=True)
class IrfAxis:
    """An axis of a response.

    Attributes
    ----------
    name
        ``energy``, ``energy_true``, ``offset``, ``rad``, ``migra``, ``fov_lon`` or ``fov_lat``.
    edges, nodes
        Edges of the bins, shape (n + 1,), and their middles, shape (n,); TeV, degrees or none.
    log
        Interpolated in the logarithm.
    """

    name: str
    edges: FloatArray
    nodes: FloatArray
    log: bool

    @classmethod
    def from_edges(cls, name: str, edges: ArrayLike, log: bool) -> IrfAxis:
        """Bins between edges.

        Parameters
        ----------
        name
            Of the axis.
        edges
            Ascending, shape (n + 1,).
        log
            Interpolate in the logarithm: then edges must be positive.
        """
        scaled = _scaled(np.asarray(edges, dtype=np.float64), log)
        places = np.arange(len(scaled), dtype=np.float64)
        return cls(
            name,
            _unscaled(_between(scaled, places), log),
            _unscaled(_between(scaled, places[:-1] + 0.5), log),
            log,
        )

    @classmethod
    def from_nodes(cls, name: str, nodes: ArrayLike, log: bool) -> IrfAxis:
        """Bins around nodes, their edges half-way between them.

        Parameters
        ----------
        name
            Of the axis.
        nodes
            Ascending, shape (n,).
        log
            Interpolate in the logarithm.
        """
        scaled = _scaled(np.asarray(nodes, dtype=np.float64), log)
        if len(scaled) == 1:
            return cls(name, _unscaled(scaled[[0, 0]], log), _unscaled(scaled, log), log)
        places = np.arange(len(scaled), dtype=np.float64)
        ends = np.append(places, len(scaled)) - 0.5
        return cls(
            name,
            _unscaled(_between(scaled, ends), log),
            _unscaled(_between(scaled, places), log),
            log,
        )

    @cached_property
    def _points(self) -> FloatArray:
        return _scaled(self.nodes, self.log)

    def covers(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which values lie within the axis.

        Parameters
        ----------
        values
            In the unit of the axis, any shape.
        """
        x = np.asarray(values)
        return np.asarray((x >= self.edges[0]) & (x <= self.edges[-1]))

    def weights(self, values: ArrayLike) -> Weights:
        """Index of the node below, and the share of the one above.

        Parameters
        ----------
        values
            In the unit of the axis, any shape. Shares outside 0 to 1 extend the outermost nodes.
        """
        x, points = _scaled(np.asarray(values, dtype=np.float64), self.log), self._points
        index = np.clip(np.searchsorted(points, x, side="right") - 1, 0, len(points) - 2)
        return index, (x - points[index]) / (points[index + 1] - points[index])


def _between(values: FloatArray, places: FloatArray) -> FloatArray:
    """Linear interpolation over the numbers of values, extended at the ends.

    By the same operations as SciPy's interp1d, with which Gammapy makes its axes: whether an
    energy lies on an edge is then decided alike, down to the last bit.
    """
    high = np.clip(np.searchsorted(np.arange(len(values)), places), 1, len(values) - 1)
    low = high - 1
    result: FloatArray = (values[high] - values[low]) * (places - low) + values[low]
    return result


def _scaled(values: FloatArray, log: bool) -> FloatArray:
    return np.log(np.clip(values, np.finfo(float).tiny, np.inf)) if log else values


def _unscaled(values: FloatArray, log: bool) -> FloatArray:
    return np.exp(values) if log else values


@dataclass(frozen=True)
class Irf:
    """A response over its axes.

    Attributes
    ----------
    kind
        GADF class, e.g. ``aeff_2d``.
    axes
        In the order of the dimensions of `values`.
    values
        The table in the file's own precision.
    factor
        By what `values` are multiplied to be in m2 (effective area), 1/(s TeV sr) (background),
        1/sr (PSF), degrees (RAD_MAX), or none.
    log
        Values are interpolated in the logarithm.
    header
        Words of the header, e.g. ``LO_THRES``.
    """

    kind: str
    axes: tuple[IrfAxis, ...]
    values: NDArray[np.floating]
    factor: float
    log: bool
    header: dict[str, object]

    def axis(self, name: str) -> IrfAxis:
        """The axis of a name.

        Parameters
        ----------
        name
            Of the axis.
        """
        return next(axis for axis in self.axes if axis.name == name)

    @cached_property
    def table(self) -> FloatArray:
        """The values in the scale in which they are interpolated."""
        if not self.log:
            return self.values.astype(np.float64)
        tiny = np.finfo(self.values.dtype).tiny
        return np.asarray(np.log(np.clip(self.values, tiny, np.inf)).astype(np.float64))

    def with_values(self, values: NDArray[np.floating]) -> Irf:
        """The same axes with other values.

        Parameters
        ----------
        values
            Of the same shape.
        """
        return replace(self, values=values)

    def at(self, *points: ArrayLike) -> FloatArray:
        """Interpolate on a grid.

        Parameters
        ----------
        points
            For each axis the places on it, shape (n_i,).

        Returns
        -------
        numpy.ndarray
            Shape (n_0, n_1, ...), multiplied by `factor`; zero outside the axes.
        """
        table, inside = self.scaled_at(*points)
        values = np.exp(table) if self.log else table
        values = np.clip(values, 0, np.inf) * self.factor
        return np.asarray(np.where(inside & np.isfinite(values), values, 0.0))

    def scaled_at(self, *points: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Interpolate on a grid, in the scale of the table, without `factor`.

        Parameters
        ----------
        points
            For each of the first axes the places on it; axes that are left out stay as they are.

        Returns
        -------
        tuple
            The values, shape (n_0, n_1, ...), and which of them lie within the axes given.
        """
        table, known = self.table, [np.atleast_1d(np.asarray(p, np.float64)) for p in points]
        inside: NDArray[np.bool_] = np.ones((1,) * table.ndim, dtype=bool)
        for number, (axis, places) in enumerate(zip(self.axes, known, strict=False)):
            shape = [1] * table.ndim
            shape[number] = -1
            inside = inside & axis.covers(places).reshape(shape)
            table = along(table, number, axis, places)
        return table, inside


def along(table: FloatArray, number: int, axis: IrfAxis, places: FloatArray) -> FloatArray:
    """Interpolate a table along one of its dimensions.

    Parameters
    ----------
    table
        Any shape.
    number
        Of the dimension.
    axis
        Its axis.
    places
        Shape (n,).

    Returns
    -------
    numpy.ndarray
        With n places in that dimension. An axis of one node is constant.
    """
    if len(axis.nodes) == 1:
        return np.repeat(table, len(places), axis=number)
    index, share = axis.weights(places)
    shape = [1] * table.ndim
    shape[number] = -1
    share = share.reshape(shape)
    low, high = np.take(table, index, axis=number), np.take(table, index + 1, axis=number)
    result: FloatArray = (1 - share) * low + share * high
    return result


def nearest(axes: Sequence[IrfAxis], table: FloatArray, *points: ArrayLike) -> FloatArray:
    """The value at the nearest node, in the scale of each axis; at a tie the lower one.

    Parameters
    ----------
    axes
        Of the table.
    table
        Values on the nodes.
    points
        For each axis the places, which broadcast.
    """
    index = []
    for axis, places in zip(axes, points, strict=True):
        if len(axis.nodes) == 1:
            index.append(np.zeros(np.shape(places), dtype=np.intp))
            continue
        low, share = axis.weights(places)
        index.append(np.where(share <= 0.5, low, low + 1))
    values: FloatArray = table[tuple(np.broadcast_arrays(*index))]
    return values


def fill_empty_bins(irf: Irf) -> Irf:
    """Fill empty bins of a background between filled ones along energy.

    What Gammapy's ``IRF.interp_missing_data("energy")`` does: linear interpolation in the
    background's own scale over the numbers of the bins, no extrapolation.

    Parameters
    ----------
    irf
        With an axis ``energy``.
    """
    number = [axis.name for axis in irf.axes].index("energy")
    return irf.with_values(filled(irf.values, number, log=irf.log))


def filled(table: NDArray[np.floating], number: int, *, log: bool) -> NDArray[np.floating]:
    """A table whose empty bins between filled ones are interpolated along a dimension.

    Parameters
    ----------
    table
        Any shape; bins that are zero or not finite are empty.
    number
        Of the dimension.
    log
        Interpolate the logarithm.
    """
    data = np.array(table)
    columns = np.moveaxis(data, number, -1)
    empty = ~np.isfinite(columns) | (columns == 0)
    mixed = empty.any(axis=-1) & ~empty.all(axis=-1)
    part, missing = columns[mixed], empty[mixed]
    n = part.shape[-1]
    place = np.broadcast_to(np.arange(n), part.shape)
    below = np.maximum.accumulate(np.where(missing, -1, place), axis=-1)
    above = np.minimum.accumulate(np.where(missing, n, place)[:, ::-1], axis=-1)[:, ::-1]
    row, column = np.nonzero(missing & (below >= 0) & (above < n))
    low, high = below[row, column], above[row, column]
    tiny = np.finfo(data.dtype).tiny

    def known(at: NDArray[np.intp]) -> NDArray[np.floating]:
        values = part[row, at]
        return np.asarray(np.log(np.clip(values, tiny, np.inf)) if log else values)

    values = known(low) + (known(high) - known(low)) * (column - low) / (high - low)
    part[row, column] = np.exp(values) if log else values
    columns[mixed] = part
    return data


def padded(irf: Irf, name: str) -> Irf:
    """A bin more at each end of an axis, with the value of the last one.

    Parameters
    ----------
    irf
        The response.
    name
        Of the axis.
    """
    number = [axis.name for axis in irf.axes].index(name)
    axis = irf.axes[number]
    edges = _scaled(axis.edges, axis.log)
    wide = np.concatenate([[2 * edges[0] - edges[1]], edges, [2 * edges[-1] - edges[-2]]])
    longer = IrfAxis.from_edges(name, _unscaled(wide, axis.log), axis.log)
    width = [(0, 0)] * irf.values.ndim
    width[number] = (1, 1)
    axes = (*irf.axes[:number], longer, *irf.axes[number + 1 :])
    return replace(irf, axes=axes, values=np.pad(irf.values, width, mode="edge"))
