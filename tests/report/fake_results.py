"""Made-up result tables that follow docs/products.md, with physically sensible numbers.

``write_results(folder, variant)`` fills ``folder`` as the steps of an analysis would.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.time import Time
from fake_extras import ExtraTables
from fake_sky import SkyTables
from fake_spectral import LightCurveTables, SpectralTables
from fake_variants import PROVENANCE, VARIANTS, Variant, li_ma


class _Writer(SkyTables, SpectralTables, LightCurveTables, ExtraTables):
    def __init__(self, folder: Path, variant: Variant) -> None:
        self.folder, self.v = folder, variant
        self.rng = np.random.default_rng(variant.seed)
        self.alpha = 1 / 3 if variant.rad_max else 0.045
        index = np.arange(variant.n_runs)
        night = index // variant.runs_per_night
        self.ids = 23523 + 7 * index
        self.start = (
            53343.92 + night * variant.night_gap + (index % variant.runs_per_night) * 0.0215
        )
        self.livetime = 1580.0 + 12 * self.rng.random(variant.n_runs)
        self.level = np.ones(variant.n_runs)
        if variant.flare:
            self.level = 0.2 + 3 * np.exp(-0.5 * ((index - 10) / 2.5) ** 2)
        self.mean_on = 104 * variant.strength * self.level * self.livetime / 1580
        self.n_off = self.rng.poisson(149, variant.n_runs)
        background = self.n_off.mean() * self.alpha
        self.n_on = self.rng.poisson(self.mean_on + background)

    def table(self, name: str, columns: dict, units: dict | None = None, **meta) -> None:
        table = Table(columns)
        for column, unit in (units or {}).items():
            table[column].unit = unit
        table.meta = {"provenance": PROVENANCE, **meta}
        table.write(self.folder / f"{name}.ecsv", format="ascii.ecsv", overwrite=True)

    @property
    def excess(self):
        return self.n_on - self.alpha * self.n_off

    @property
    def excess_error(self):
        return np.sqrt(self.n_on + self.alpha**2 * self.n_off)

    def runs(self) -> None:
        v, n = self.v, self.v.n_runs
        flags = [""] * n
        if v.flags:
            flags[-1] = "background rate 37 % below its IRF;events after the end of the GTI"
        ratio = 0.95 + 0.06 * self.rng.standard_normal(n)
        if v.flags:
            ratio[-1] = 0.614
        significance = li_ma(self.n_on, self.n_off, self.alpha)
        zenith = 46 + 3 * self.rng.random(n)
        if v.nans:
            ratio[0] = zenith[0] = significance[0] = np.nan
        rate = self.excess / (self.livetime / 60)
        name = v.name if "<" in v.name else "Crab Nebula"
        self.table(
            "runs",
            {
                "obs_id": self.ids,
                "object": [name] * n,
                "tstart": Time(self.start, format="mjd").isot,
                "tstop": Time(self.start + 1683 / 86400, format="mjd").isot,
                "ontime": np.full(n, 1683.0),
                "livetime": self.livetime,
                "livetime_header": self.livetime,
                "zenith": zenith,
                "offset": np.full(n, 0.5),
                "threshold": np.linspace(0.66, 0.87, n),
                "n_on": self.n_on,
                "n_off": self.n_off,
                "alpha": np.full(n, self.alpha),
                "excess": self.excess,
                "excess_error": self.excess_error,
                "significance": significance,
                "gamma_rate": rate,
                "gamma_rate_error": self.excess_error / (self.livetime / 60),
                "background_ratio": ratio,
                "background_ratio_error": np.full(n, 0.021),
                "n_off_regions": np.full(n, 3 if v.rad_max else 22),
                "events": self.rng.poisson(7600, n),
                "events_doubled": np.full(n, 0),
                "events_outside_gti": np.full(n, 3),
                "events_far": np.full(n, 11),
                "in_spectrum": np.full(n, v.spectrum),
                "in_maps": np.full(n, v.maps),
                "flags": flags,
            },
            {
                "ontime": "s",
                "livetime": "s",
                "livetime_header": "s",
                "zenith": "deg",
                "offset": "deg",
                "threshold": "TeV",
                "gamma_rate": "1/min",
                "gamma_rate_error": "1/min",
            },
        )
        if v.left_out:
            self.table(
                "runs_left_out",
                {
                    "obs_id": [23526, 23592],
                    "stage": ["selection", "reading"],
                    "file": ["data/run_023526.fits.gz", "data/run_023592.fits.gz"],
                    "reason": [
                        "livetime 0.4 min is below 1 min",
                        "the file ends early: 414720 bytes expected, 325440 found",
                    ],
                },
            )

    def theta2(self) -> None:
        low = np.arange(20) * 0.01
        share = np.diff(1 - np.exp(-np.append(low, 0.2) / 0.006))
        mean_off = self.n_off.sum() / 20 * 4
        n_off = self.rng.poisson(mean_off, 20)
        background = self.alpha / 4 * n_off * 4
        n_on = self.rng.poisson(self.mean_on.sum() * share + self.alpha * mean_off)
        error = np.sqrt(n_on + self.alpha**2 * n_off)
        self.table(
            "theta2",
            {
                "theta2_min": low,
                "theta2_max": low + 0.01,
                "n_on": n_on,
                "n_off": n_off,
                "background": background,
                "background_error": self.alpha * np.sqrt(n_off),
                "excess": n_on - background,
                "excess_error": error,
            },
            {"theta2_min": "deg2", "theta2_max": "deg2"},
            cut=float("nan") if self.v.rad_max else 0.0121,
            n_on=int(self.n_on.sum()),
            n_off=int(self.n_off.sum()),
            alpha=self.alpha,
            excess=float(self.excess.sum()),
            excess_error=float(np.hypot.reduce(self.excess_error)),
            significance=float(li_ma(self.n_on.sum(), self.n_off.sum(), self.alpha)),
            livetime_h=float(self.livetime.sum() / 3600),
        )
        on, off = np.cumsum(self.n_on), np.cumsum(self.n_off)
        self.table(
            "cumulative",
            {
                "obs_id": self.ids,
                "tstop": self.start + 0.02,
                "livetime": np.cumsum(self.livetime) / 3600,
                "n_on": on,
                "n_off": off,
                "alpha": np.full(len(on), self.alpha),
                "excess": on - self.alpha * off,
                "excess_error": np.sqrt(on + self.alpha**2 * off),
                "significance": li_ma(on, off, self.alpha),
            },
            {"livetime": "h"},
        )

    def context(self) -> None:
        v = self.v
        significance = float(li_ma(self.n_on.sum(), self.n_off.sum(), self.alpha))
        notes = ["the energy threshold is the highest LO_THRES of the runs"]
        failures = []
        if not v.spectrum:
            failures.append({"step": "spectrum", "reason": "no run has an energy dispersion"})
        if not v.maps:
            failures.append({"step": "maps", "reason": "no background IRF in 2 of 2 runs"})
        context = {
            "target": {
                "name": v.name,
                "ra_deg": v.ra,
                "dec_deg": v.dec,
                "resolved_by": "built-in table",
                "tag": "crab",
                "blank_fields": False,
            },
            "instrument": "MAGIC" if v.rad_max else "H.E.S.S.",
            "telescopes": "CT1, CT2, CT3, CT4",
            "store": "/data/hess-dl3-dr1",
            "nights": ["2004-12-04", "2004-12-05"],
            "on_radius_deg": None if v.rad_max else 0.11,
            "on_region": "energy-dependent (RAD_MAX_2D)" if v.rad_max else "circle of 0.11 deg",
            "extended": False,
            "background": {
                "requested": "auto",
                "used": "reflected",
                "reason": "reflected regions fit in all runs",
            },
            "energy_threshold_tev": 0.87,
            "detected": significance >= 5,
            "crab_flux": "Aharonian et al. 2006, A&A 457, 899",
            "notes": notes,
            "attribution": "This work made use of data of the H.E.S.S. DL3 public test data "
            "release 1 (https://doi.org/10.5281/zenodo.1421098).",
            "failures": failures,
            "config_digest": PROVENANCE["config_digest"],
            "versions": PROVENANCE["versions"],
        }
        (self.folder / "context.json").write_text(json.dumps(context, indent=1))


def write_results(folder: Path, variant: str | Variant = "crab", **changes) -> Path:
    """Write the tables of `variant` (a name or a `Variant`) to `folder` and return it."""
    chosen = VARIANTS[variant] if isinstance(variant, str) else variant
    chosen = replace(chosen, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(folder, chosen)
    writer.runs()
    writer.theta2()
    writer.regions()
    if chosen.maps:
        writer.maps()
    if chosen.spectrum:
        writer.spectrum()
        writer.systematics()
    if chosen.spectrum and chosen.maps:
        writer.fit3d()
    if chosen.lightcurve:
        writer.lightcurves()
    writer.context()
    return folder
