"""A made-up event and a likelihood whose minimum is known, for tests of the scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from astropy.time import Time

from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses

FIT_DTYPE = np.dtype(
    [
        ("x_m", "f8"), ("y_m", "f8"), ("z_m", "f8"), ("t_ns", "f8"), ("llh", "f8"),
        ("evaluations", "i4"), ("seconds", "f8"), ("status", "i1"),
    ]
)  # fmt: skip
START = "2022-06-24T16:13:16"


def make_event(n_doms: int = 80, kind: str = "own-simulation") -> Event:
    """An event with one pulse per DOM on a made-up detector of one string per 60 DOMs."""
    index = np.arange(n_doms)
    string, om = (index // 60 + 1).astype("i2"), (index % 60 + 1).astype("i2")
    xyz = np.column_stack([125.0 * string, np.zeros(n_doms), 500 - 17.0 * om])
    pulses = Pulses(
        string=string, om=om, time_ns=10_000 + 5.0 * index, charge_pe=np.full(n_doms, 1.5, "f4"),
        width_ns=np.full(n_doms, 8, "f4"), flags=np.full(n_doms, 5, "u1"),
    )  # fmt: skip
    header = EventHeader(
        run=136766,
        event=7637140,
        subrun=0,
        sub_event=0,
        stream="fake",
        start=Time(START, scale="utc"),
    )
    return Event(
        header=header, pulses=pulses, geometry=Geometry("fake", string, om, xyz), recos={},
        truth=None, kind=kind, message={}, source="fake.i3",
    )  # fmt: skip


def to_local(ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A detector whose axes are those of the sky."""
    return np.pi / 2 - dec, np.mod(ra, 2 * np.pi)


class Bowl:
    """A likelihood with Gaussian minima on the sky; its vertex tells through whom it was seeded.

    Parameters
    ----------
    minima
        (ra_deg, dec_deg, sigma_deg, depth): the best has depth 0.
    sleep
        Called for each block.
    """

    releases_gil = True
    name = "bowl"

    def __init__(
        self,
        minima: tuple[tuple[float, float, float, float], ...] = ((84.1, 11.3, 0.4, 0.0),),
        sleep: Callable[[], Any] | None = None,
    ) -> None:
        self.minima, self.sleep, self.n_doms = minima, sleep, 80

    def fit_many(self, zenith: np.ndarray, azimuth: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        if self.sleep is not None:
            self.sleep()
        out = np.zeros(len(zenith), FIT_DTYPE)
        value = np.full(len(zenith), np.inf)
        for ra, dec, sigma, depth in self.minima:
            a, d = np.radians(ra), np.radians(dec)
            cosine = np.sin(d) * np.cos(zenith) + np.cos(d) * np.sin(zenith) * np.cos(azimuth - a)
            away = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
            value = np.minimum(value, depth + 0.5 * (away / sigma) ** 2)
        out["llh"] = 1000.0 + value
        out["x_m"] = seeds[:, 0, 0] * 0.5 + zenith
        out["y_m"], out["z_m"], out["t_ns"] = azimuth, seeds[:, 0, 2] + 1, seeds[:, 0, 3] * 0.9
        out["evaluations"] = 100 + (1000 * zenith).astype(int) % 50
        return out
