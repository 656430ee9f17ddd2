"""The Pandel likelihoods: what goes into the inner loop, and the objects that the scan sees."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import ConfigError, EventError
from daybreak.neutrino.likelihood.base import FIT_DTYPE, Fit, Prepared, Vertex
from daybreak.neutrino.likelihood.ice import Ice, bulk_ice, find_ice

if TYPE_CHECKING:
    from daybreak.neutrino.event import Event, Pulses

BULK_LAMBDA_M, BULK_TAU_NS = 33.3, 557.0
"""Pandel's scale and time constant in bulk ice (Ahrens et al. 2004, NIM A 524, 169)."""
LOG_NOISE = -14.0
"""Logarithm of the noise floor per ns."""
MAX_EVALUATIONS = 120
GOAL_LLH = 0.002
"""A fit ends where the next step is expected to gain less than this."""
ROUGH_SIGMA_NS = (60.0, 15.0)
"""Time resolutions of the wider likelihoods in which a start is first brought near a minimum."""
MIN_DOMS = 4
_OFFSETS_M = (70.0, 150.0)


@dataclass(frozen=True)
class Pandel:
    """A Pandel likelihood.

    Parameters
    ----------
    name
        As on the command line.
    ice
        The ice.
    sigma_ns
        Time resolution.
    mpe
        The first photon among all of the DOM's charge; False: the first photon alone.
    keep_deepcore
        Use DeepCore strings too.
    """

    name: str
    ice: Ice
    sigma_ns: float
    mpe: bool
    keep_deepcore: bool
    releases_gil: bool = True

    def prepare(self, event: Event) -> Prepared:
        """See :class:`Likelihood`; used are first hit and charge of each DOM, of cleaned pulses.

        Raises
        ------
        EventError
            Fewer than 4 DOMs are left, or the geometry lacks one.
        """
        from daybreak.neutrino.cleaning import clean

        return self.prepare_pulses(clean(event, keep_deepcore=self.keep_deepcore), event)

    def prepare_pulses(self, pulses: Pulses, event: Event) -> PreparedPandel:
        """As :meth:`prepare`, for pulses that are cleaned already.

        Parameters
        ----------
        pulses
            The pulses.
        event
            The event.
        """
        if pulses.n_doms < MIN_DOMS:
            raise EventError(
                f"{event.source}: {pulses.n_doms} DOMs are left after cleaning, a track fit needs "
                f"{MIN_DOMS}",
                "This event can't be scanned.",
            )
        _, first, dom = np.unique(pulses.keys, return_index=True, return_inverse=True)
        xyz = event.geometry.positions(pulses.select(first))
        weights = np.maximum(pulses.charge_pe, 0.0).astype(np.float64)
        charge = np.bincount(dom, weights=weights).astype(np.float64)
        time_ns = pulses.time_ns[first]
        if not (np.isfinite(time_ns).all() and np.isfinite(charge).all()):
            raise EventError(f"{event.source}: a pulse has no finite time or charge", "")
        compile_fit()
        return self._prepared(xyz, time_ns, charge)

    def _prepared(
        self, xyz: NDArray[np.float64], time_ns: NDArray[np.float64], charge: NDArray[np.float64]
    ) -> PreparedPandel:
        reference = np.average(xyz, axis=0, weights=np.maximum(charge, 1e-3))
        start = float(np.median(time_ns))
        z = xyz[:, 2]
        hits = np.column_stack(
            [
                xyz - reference,
                time_ns - start,
                np.maximum(charge, 1.0),
                z,
                _integral(self.ice, z, 0),
                _integral(self.ice, z, 2),
            ]
        )
        b = self.ice.table[:, 0].mean() if self.ice.name.startswith("bulk") else None
        lam, tau = (BULK_LAMBDA_M * b, BULK_TAU_NS * b) if b else (1.33, 22.3)
        mpe = 1.0 if self.mpe else 0.0
        common = [lam, tau, LOG_NOISE]
        return PreparedPandel(
            hits=np.ascontiguousarray(hits),
            reference=reference,
            start_ns=start,
            ice=self.ice.table,
            settings=np.array([self.sigma_ns, *common, mpe, self.ice.z0_m]),
            rough=np.array(
                [[max(s, self.sigma_ns), *common, 0.0, self.ice.z0_m] for s in ROUGH_SIGMA_NS]
            ),
            info={
                "model": self.name,
                "ice": self.ice.name,
                "jitter_ns": self.sigma_ns,
                "photons": "first of all (MPE)" if self.mpe else "first (SPE)",
                "log_noise_per_ns": LOG_NOISE,
                "deepcore": self.keep_deepcore,
                "minimiser": "BFGS, analytic gradient",
            },
        )


@lru_cache(maxsize=1)
def compile_fit() -> None:
    """Compile the fit, or load it compiled, so that no pixel's time holds that."""
    model = Pandel("pandel-spe", bulk_ice(), 15.0, False, True)
    xyz = np.array([[0.0, 0.0, 17.0 * i] for i in range(MIN_DOMS)])
    times = np.arange(0.0, 60.0 * MIN_DOMS, 60.0)
    tiny = model._prepared(xyz, times, np.ones(MIN_DOMS))
    tiny.fit_many(np.array([1.0]), np.array([0.0]), np.array([[tuple(s) for s in tiny.seeds()]]))


def _integral(ice: Ice, z: NDArray[np.float64], column: int) -> NDArray[np.float64]:
    from daybreak.neutrino.likelihood.tables import ice_at

    rows = np.array([ice_at(ice.table, float(v), ice.z0_m) for v in z])
    return np.asarray(rows.reshape(-1, 4)[:, column + 1])


@dataclass(frozen=True, eq=False)
class PreparedPandel:
    """A Pandel likelihood of one event; see :class:`Pandel`."""

    hits: NDArray[np.float64]
    reference: NDArray[np.float64]
    start_ns: float
    ice: NDArray[np.float64]
    settings: NDArray[np.float64]
    rough: NDArray[np.float64]
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_doms(self) -> int:
        """DOMs that take part."""
        return len(self.hits)

    def seeds(self) -> list[Vertex]:
        """The centre of charge, and points around it; the time is found by the fit."""
        x, y, z = (float(v) for v in self.reference)
        near, far = _OFFSETS_M
        nan = float("nan")
        return [
            Vertex(x, y, z, nan),
            Vertex(x + near, y, z, nan),
            Vertex(x - near, y, z, nan),
            Vertex(x, y + near, z, nan),
            Vertex(x, y - near, z, nan),
            Vertex(x, y, z + far, nan),
            Vertex(x, y, z - far, nan),
        ]

    def fit(self, zenith_rad: float, azimuth_rad: float, seed: Vertex) -> Fit:
        """See :class:`Prepared`."""
        row = self.fit_many(
            np.array([zenith_rad], float), np.array([azimuth_rad], float), np.array([[tuple(seed)]])
        )[0]
        return Fit(*row.tolist())

    def fit_many(
        self,
        zenith_rad: NDArray[np.float64],
        azimuth_rad: NDArray[np.float64],
        seeds: NDArray[np.float64],
    ) -> NDArray[Any]:
        """See :class:`Prepared`; seeds are x, y, z (m) and time (ns; NaN: to be found)."""
        from daybreak.neutrino.likelihood import fit, jitter

        tables = jitter.tables()
        n = len(zenith_rad)
        begin = time.perf_counter()
        seeds = np.array(seeds, dtype=np.float64).reshape(n, -1, 4)
        seeds[..., 3] -= self.start_ns
        places, counts = np.empty((n, 5)), np.empty((n, 2), np.int64)
        fit.fit_many(
            np.ascontiguousarray(zenith_rad, dtype=np.float64),
            np.ascontiguousarray(azimuth_rad, dtype=np.float64),
            seeds, self.reference, self.hits, self.ice, self.settings, self.rough,
            tables.log_g, tables.log_s, MAX_EVALUATIONS, GOAL_LLH, places, counts,
            *fit.work_arrays(self.n_doms),
        )  # fmt: skip
        out = np.zeros(n, FIT_DTYPE)
        for i, name in enumerate(("x_m", "y_m", "z_m", "t_ns", "llh")):
            out[name] = places[:, i]
        out["t_ns"] += self.start_ns
        out["evaluations"], out["status"] = counts[:, 0], counts[:, 1]
        spent = time.perf_counter() - begin
        out["seconds"] = spent * counts[:, 0] / max(int(counts[:, 0].sum()), 1)
        return out


def _checked(sigma_ns: float) -> float:
    if not 0.5 <= sigma_ns <= 100.0:
        raise ConfigError(
            f"a time resolution of {sigma_ns} ns is not between 0.5 and 100",
            "The default is 4 ns for pandel-mpe and 15 ns for pandel-spe.",
        )
    return float(sigma_ns)


def pandel_mpe(
    ice: str | Path | None = None, sigma_ns: float = 4.0, keep_deepcore: bool = False
) -> Pandel:
    """Return the default likelihood: first of all photons, layered ice.

    Parameters
    ----------
    ice
        A table of layers, ``bulk``, ``built-in``, or None: see `ice.default_ice`.
    sigma_ns
        Time resolution, 0.5 to 100 ns.
    keep_deepcore
        Use DeepCore strings too.
    """
    return Pandel("pandel-mpe", find_ice(ice), _checked(sigma_ns), True, keep_deepcore)


def pandel_spe(
    ice: str | Path | None = "bulk", sigma_ns: float = 15.0, keep_deepcore: bool = True
) -> Pandel:
    """Return the likelihood of IceCube's online SPEFit2: first photon, bulk ice, 15 ns.

    Parameters
    ----------
    ice
        The ice.
    sigma_ns
        Time resolution, ns.
    keep_deepcore
        Use DeepCore's DOMs too.
    """
    chosen = bulk_ice() if ice == "bulk" else find_ice(ice)
    return Pandel("pandel-spe", chosen, _checked(sigma_ns), False, keep_deepcore)
