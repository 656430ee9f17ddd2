"""Made-up spectra and light curves."""

from __future__ import annotations

from math import erfc

import numpy as np
from fake_variants import li_ma


class SpectralTables:
    """Counts, fits, bands and flux points."""

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
                "model_signal": signal,
                "model_total": signal + background,
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
            assumed=v.strength < 0.5,
            total={
                "e_min_tev": 0.66,
                "e_max_tev": 40.0,
                "flux": 5.1e-11 * v.strength,
                "flux_err": 2.6e-12,
                "flux_errn": 2.5e-12,
                "flux_errp": 2.7e-12,
                "flux_ul": 5.1e-11 * v.strength + 5.3e-12,
                "ts": 1400.0 * v.strength,
                "n_sigma_ul": 2.0,
            },
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


class LightCurveTables:
    """Light curves per run, per night and in short bins."""

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
