"""Made-up result tables that follow docs/products.md, with physically sensible numbers.

``write_results(folder, variant)`` fills ``folder`` as the steps of an analysis would.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

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


class _Writer:
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
        from astropy.time import Time

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
                "events_outside_gti": np.full(n, 3),
                "events_far": np.full(n, 11),
                "in_spectrum": np.full(n, v.spectrum),
                "in_maps": np.full(n, v.maps),
                "flags": flags,
            },
            {
                "ontime": "s",
                "livetime": "s",
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

    def maps(self) -> None:
        v, n, pixel = self.v, 200, 0.02
        y, x = (np.mgrid[:n, :n] - (n - 1) / 2) * pixel
        radius = np.hypot(x, y)
        shape = np.exp(-0.5 * (radius / 1.3) ** 2)
        mean = 0.22 * shape * v.n_runs**0.3
        source = np.exp(-0.5 * (radius / 0.07) ** 2)
        source *= v.strength * 420 / source.sum()
        counts = self.rng.poisson(mean + source).astype("f4")
        disk = (np.hypot(x, y) <= 0.1).astype(float)
        kernel = np.fft.fft2(np.fft.ifftshift(disk))
        smooth = lambda a: np.real(np.fft.ifft2(np.fft.fft2(a) * kernel))  # noqa: E731
        on, background = np.clip(smooth(counts), 0, None).round(), smooth(mean)
        significance = li_ma(on, background / 0.05, 0.05)
        outside = radius > 2.0
        exclusion = (radius > 0.3) & (np.hypot(x - 1.1, y - 0.6) > 0.25)
        header = fits.Header(
            {
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "CRVAL1": v.ra,
                "CRVAL2": v.dec,
                "CRPIX1": n / 2 + 0.5,
                "CRPIX2": n / 2 + 0.5,
                "CDELT1": -pixel,
                "CDELT2": pixel,
                "CUNIT1": "deg",
                "CUNIT2": "deg",
                "RADESYS": "ICRS",
            }
        )
        images = {"COUNTS": counts, "EXCLUSION": exclusion.astype("f4")}
        for method in ("RING", "FOV"):
            for kind, data in (
                ("BACKGROUND", background),
                ("EXCESS", on - background),
                ("SIGNIFICANCE", significance),
            ):
                data = np.where(outside, np.nan, data)
                if v.nans and method == "FOV":
                    data = np.full_like(data, np.nan)
                images[f"{method}_{kind}"] = data.astype("f4")
        hdus = [fits.PrimaryHDU()]
        hdus += [fits.ImageHDU(data, header, name=name) for name, data in images.items()]
        fits.HDUList(hdus).writeto(self.folder / "maps.fits", overwrite=True)
        edges = np.linspace(-6, max(6.0, float(np.nanmax(significance)) + 1), 61)
        inside = significance[~outside]
        off = significance[~outside & exclusion]
        all_bins, off_bins = np.histogram(inside, edges)[0], np.histogram(off, edges)[0]
        stats = {
            "off_mean": float(off.mean()),
            "off_mean_error": 0.03,
            "off_width": float(off.std()),
            "off_width_error": 0.02,
            "n_off_pixels": int(off.size),
            "n_independent": 396,
            "max": float(inside.max()),
            "max_ra": v.ra + 0.01,
            "max_dec": v.dec,
            "correlation_radius_deg": 0.1,
        }
        if v.nans:
            stats["off_width"] = float("nan")
        self.table(
            "map_significance",
            {
                "low": edges[:-1],
                "high": edges[1:],
                "ring_all": all_bins,
                "ring_off": off_bins,
                "fov_all": all_bins,
                "fov_off": off_bins,
            },
            ring=stats,
            fov=stats,
        )
        self.table(
            "exclusion",
            {
                "name": [v.name, "HESS J0534+220"],
                "ra": [v.ra, v.ra - 1.1 / np.cos(np.radians(v.dec))],
                "dec": [v.dec, v.dec + 0.6],
                "radius": [0.3, 0.25],
            },
            {"ra": "deg", "dec": "deg", "radius": "deg"},
        )

    def regions(self) -> None:
        v, rows = self.v, []
        scale = np.cos(np.radians(v.dec))
        for run, turn in zip(self.ids[:4], (0, 180, 90, 270), strict=False):
            away = np.radians(turn)
            ra, dec = v.ra + 0.5 * np.sin(away) / scale, v.dec + 0.5 * np.cos(away)
            rows.append((run, "pointing", ra, dec, np.nan))
            rows.append((run, "on", v.ra, v.dec, 0.11))
            for k in np.linspace(60, 300, 12):
                angle = np.radians(turn + 180 + k)
                rows.append(
                    (run, "off", ra + 0.5 * np.sin(angle) / scale, dec + 0.5 * np.cos(angle), 0.11)
                )
        names = ("obs_id", "kind", "ra", "dec", "radius")
        columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        self.table("regions", columns, {"ra": "deg", "dec": "deg", "radius": "deg"})

    def spectrum(self) -> None:
        edges = np.geomspace(0.1, 40, 27)
        middle = np.sqrt(edges[1:] * edges[:-1])
        weight = np.where(middle > 0.6, middle**-1.6, 0) * np.diff(np.log(edges))
        weight /= weight.sum()
        signal = self.mean_on.sum() * weight
        off_weight = np.where(middle > 0.6, middle**-1.9, 0)
        n_off = self.rng.poisson(self.n_off.sum() * off_weight / off_weight.sum())
        n_on = self.rng.poisson(signal + self.alpha * n_off)
        background = self.alpha * n_off
        self.table(
            "spectrum_counts",
            {
                "e_min": edges[:-1],
                "e_max": edges[1:],
                "n_on": n_on,
                "n_off": n_off,
                "alpha": np.full(26, self.alpha),
                "background": background,
                "excess": n_on - background,
                "npred": signal + background,
                "in_fit": middle > 0.65,
            },
            {"e_min": "TeV", "e_max": "TeV"},
        )
        self._models()
        self._points()

    def _models(self) -> None:
        v, unit = self.v, "1 / (TeV s cm2)"
        amplitude, reference = 16.47e-12 * v.strength, 1.45
        rows = [
            ("pl", True, "amplitude", amplitude, 0.9e-12, unit, False),
            ("pl", True, "index", 2.685, 0.072, "", False),
            ("pl", True, "reference", reference, 0.0, "TeV", True),
            ("lp", False, "amplitude", 1.05 * amplitude, 1.1e-12, unit, False),
            ("lp", False, "alpha", 2.52, 0.11, "", False),
            ("lp", False, "beta", 0.14, 0.09, "", False),
            ("lp", False, "reference", reference, 0.0, "TeV", True),
            ("ecpl", False, "amplitude", 1.12 * amplitude, 1.6e-12, unit, False),
            ("ecpl", False, "index", 2.41, 0.19, "", False),
            ("ecpl", False, "lambda_", 0.062, 0.041, "1 / TeV", False),
            ("ecpl", False, "reference", reference, 0.0, "TeV", True),
        ]
        if v.strength < 0.5:
            rows = [row for row in rows if row[0] == "pl"]
        fits_meta = {}
        for model in dict.fromkeys(row[0] for row in rows):
            free = [row for row in rows if row[0] == model and not row[6]]
            errors = np.array([row[4] for row in free])
            correlation = np.full((len(free), len(free)), 0.35)
            np.fill_diagonal(correlation, 1)
            fits_meta[model] = {
                "reference_tev": reference,
                "stat": {"pl": 23.1, "lp": 20.6, "ecpl": 20.9}[model],
                "dof": 19 - len(free),
                "parameters": [row[2] for row in free],
                "covariance": (np.outer(errors, errors) * correlation).tolist(),
                "success": not (v.nans and model == "ecpl"),
                "message": "Optimization terminated.",
            }
        names = ("model", "chosen", "parameter", "value", "error", "unit", "frozen")
        self.table(
            "spectrum_models",
            {name: [row[i] for row in rows] for i, name in enumerate(names)},
            fits=fits_meta,
            choice="power law: no curved model is better by 3 sigma (log-parabola 1.6 sigma)",
        )
        energy = np.geomspace(0.66, 20, 50)
        dnde = amplitude * (energy / reference) ** -2.685
        spread = np.hypot(0.055, 0.072 * np.log(energy / 1.6))
        self.table(
            "butterfly",
            {
                "model": ["pl"] * 50,
                "energy": energy,
                "dnde": dnde,
                "dnde_low": dnde * np.exp(-spread),
                "dnde_high": dnde * np.exp(spread),
            },
            {"energy": "TeV", **dict.fromkeys(("dnde", "dnde_low", "dnde_high"), unit)},
        )

    def _points(self) -> None:
        v, unit = self.v, "1 / (TeV s cm2)"
        edges = np.geomspace(0.66, 26, 9)
        ref = np.sqrt(edges[1:] * edges[:-1])
        ref_dnde = 16.47e-12 * v.strength * (ref / 1.45) ** -2.685
        relative = 0.08 * np.geomspace(1, 12, 8) / np.sqrt(v.strength)
        norm = 1 + relative * self.rng.standard_normal(8)
        ts = (np.clip(norm, 0, None) / relative) ** 2
        is_ul = ts < 4
        norm_ul = np.clip(norm, 0, None) + 2.1 * relative
        if v.nans:
            norm[2] = relative[2] = norm_ul[2] = ts[2] = np.nan
        columns = {"e_ref": ref, "e_min": edges[:-1], "e_max": edges[1:]}
        for key, values in (
            ("", norm),
            ("_err", relative),
            ("_errn", 0.95 * relative),
            ("_errp", 1.08 * relative),
            ("_ul", norm_ul),
        ):
            columns[f"dnde{key}"] = values * ref_dnde
            columns[f"norm{key}"] = values
        n_on = np.round(400 * (ref / 0.66) ** -1.6 * v.strength + 3).astype(int)
        n_off = np.round(500 * (ref / 0.66) ** -1.9).astype(int)
        columns |= {
            "ref_dnde": ref_dnde,
            "ts": ts,
            "sqrt_ts": np.sqrt(ts),
            "n_on": n_on,
            "n_off": n_off,
            "alpha": np.full(8, self.alpha),
            "excess": n_on - self.alpha * n_off,
            "is_ul": is_ul,
        }
        self.table(
            "flux_points",
            columns,
            {
                "e_ref": "TeV",
                "e_min": "TeV",
                "e_max": "TeV",
                "dnde": unit,
                "dnde_ul": unit,
                "dnde_err": unit,
                "dnde_errn": unit,
                "dnde_errp": unit,
                "ref_dnde": unit,
            },
            n_sigma_ul=2.0,
            model="pl",
            ul_convention="Delta TS = 4 above the best fit: 95.45 % two-sided; "
            "drawn for points below 2 sigma",
        )

    def lightcurves(self) -> None:
        v = self.v
        stop = self.start + 1683 / 86400
        self._curve("lightcurve_run", self.start, stop, [str(run) for run in self.ids], self.level)
        night = np.floor(self.start).astype(int)
        first = [self.start[night == value].min() for value in np.unique(night)]
        last = [stop[night == value].max() for value in np.unique(night)]
        level = [self.level[night == value].mean() for value in np.unique(night)]
        days = [f"2004-12-{4 + i * v.night_gap % 27:02d}" for i in range(len(first))]
        self._curve("lightcurve_night", np.array(first), np.array(last), days, np.array(level))
        width = 5 / 1440 if v.flare else 10 / 1440
        starts, labels, levels = [], [], []
        for begin, end, run, level in zip(self.start, stop, self.ids, self.level, strict=True):
            for edge in np.arange(begin, end - width / 2, width):
                starts.append(edge)
                labels.append(str(run))
                levels.append(level)
        self._curve(
            "lightcurve_minutes",
            np.array(starts),
            np.array(starts) + width,
            labels,
            np.array(levels),
        )

    def _curve(self, name, start, stop, labels, level) -> None:
        v, unit, n = self.v, "1 / (s cm2)", len(start)
        live = (stop - start) * 86400 * 0.93
        flux_one = 2.65e-11
        counts_one = 0.05 * live
        mean = counts_one * v.strength * level
        n_off = self.rng.poisson(0.09 * live)
        n_on = self.rng.poisson(mean + self.alpha * n_off)
        excess = n_on - self.alpha * n_off
        norm, error = excess / counts_one, np.sqrt(n_on + 1) / counts_one
        significance = li_ma(n_on, np.maximum(n_off, 1), self.alpha)
        if v.nans:
            norm[0] = error[0] = significance[0] = np.nan
        flux, flux_err = norm * flux_one, error * flux_one
        good = np.isfinite(flux)
        weight = 1 / flux_err[good] ** 2
        constant = float((flux[good] * weight).sum() / weight.sum()) if good.any() else np.nan
        chi2 = float(((flux[good] - constant) ** 2 * weight).sum())
        variable = v.flare and n > 3
        blocks = [
            {
                "start": float(start[0]),
                "stop": float(stop[-1]),
                "flux": constant,
                "flux_err": float(weight.sum() ** -0.5) if good.any() else float("nan"),
            }
        ]
        if variable:
            cut = n // 2
            blocks = [
                {
                    "start": float(start[a]),
                    "stop": float(stop[b - 1]),
                    "flux": float(np.mean(flux[a:b])),
                    "flux_err": 1.1e-12,
                }
                for a, b in ((0, n // 3), (n // 3, 2 * cut - n // 3), (2 * cut - n // 3, n))
            ]
        from math import erfc

        dof = max(int(good.sum()) - 1, 0)
        p_value = 0.5 * erfc((chi2 - dof) / np.sqrt(4 * dof)) if dof else float("nan")
        self.table(
            name,
            {
                "time_min": start,
                "time_max": stop,
                "label": labels,
                "livetime": live,
                "n_on": n_on,
                "n_off": n_off,
                "alpha": np.full(n, self.alpha),
                "excess": excess,
                "flux": flux,
                "flux_err": flux_err,
                "flux_errn": 0.97 * flux_err,
                "flux_errp": 1.03 * flux_err,
                "flux_ul": np.clip(flux, 0, None) + 2.1 * flux_err,
                "norm": norm,
                "ts": significance**2,
                "sqrt_ts": significance,
                "is_ul": ~(significance > 2),
            },
            {
                "time_min": "d",
                "time_max": "d",
                "livetime": "s",
                "flux": unit,
                "flux_err": unit,
                "flux_errn": unit,
                "flux_errp": unit,
                "flux_ul": unit,
            },
            e_min_tev=1.0,
            e_max_tev=40.0,
            index=2.685,
            constant=constant,
            constant_error=float(weight.sum() ** -0.5) if good.any() else float("nan"),
            chi2=chi2,
            dof=dof,
            p_value=p_value,
            fvar=0.52 if variable else float("nan"),
            fvar_error=0.03 if variable else float("nan"),
            blocks=blocks,
            bayesian_p0=0.01,
            n_sigma_ul=2.0,
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
    if chosen.lightcurve:
        writer.lightcurves()
    writer.context()
    return folder
