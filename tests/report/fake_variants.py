"""What the made-up analyses found, and what their tables have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PROVENANCE = {
    "step": "fake",
    "config_digest": "c0ffee" * 10 + "beef",
    "inputs": {"run 23523": "ab" * 32},
    "versions": {"daybreak": "0.1.0", "python": "3.11.9", "gammapy": "2.1", "numpy": "2.4.6"},
}
CRAB = (3.45e-11, 2.63)  # dN/dE at 1 TeV (1/(cm2 s TeV)), index


@dataclass(frozen=True)
class Variant:
    """What the fake analysis found."""

    name: str = "Crab"
    strength: float = 1.0
    n_runs: int = 4
    runs_per_night: int = 2
    night_gap: int = 1
    maps: bool = True
    spectrum: bool = True
    lightcurve: bool = True
    left_out: bool = True
    flags: bool = True
    nans: bool = False
    rad_max: bool = False
    flare: bool = False
    ra: float = 83.6331
    dec: float = 22.0145
    seed: int = 3


VARIANTS = {
    "crab": Variant(),
    "no_detection": Variant(
        name="1ES 0414+009", strength=0.004, ra=64.2187, dec=1.0900, left_out=False, flags=False
    ),
    "no_maps": Variant(maps=False),
    "no_spectrum": Variant(spectrum=False, lightcurve=False, strength=0.03),
    "one_run": Variant(n_runs=1, left_out=False),
    "hostile": Variant(name="<script>alert('x')</script> & <b>Crab</b>"),
    "nans": Variant(nans=True),
    "rad_max": Variant(rad_max=True, n_runs=2, maps=False),
    "flare": Variant(
        name="PKS 2155-304",
        n_runs=21,
        runs_per_night=7,
        night_gap=30,
        flare=True,
        ra=329.71694,
        dec=-30.22559,
    ),
}


def li_ma(n_on, n_off, alpha):
    """Li & Ma (1983), equation 17, with the sign of the excess."""
    n_on, n_off = np.asarray(n_on, float), np.asarray(n_off, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = n_on + n_off
        first = np.where(n_on > 0, n_on * np.log((1 + alpha) / alpha * n_on / total), 0)
        second = np.where(n_off > 0, n_off * np.log((1 + alpha) * n_off / total), 0)
    return np.sign(n_on - alpha * n_off) * np.sqrt(2 * np.clip(first + second, 0, None))
