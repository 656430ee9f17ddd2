"""Made-up systematic errors and three-dimensional fits."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

_FLUX_UNIT = "TeV-1 s-1 cm-2"


class ExtraTables:
    """Tables that an analysis makes beside the usual ones."""

    def systematics(self) -> None:
        part = {"mean": 0.011, "mean_error": 0.009, "rms": 0.026, "expected_rms": 0.013,
                "size": 0.024, "measured": True, "n": 9}  # fmt: skip
        amplitude = 16.47e-12 * self.v.strength
        self.table(
            "systematics",
            {
                "model": ["pl", "pl"],
                "parameter": ["amplitude", "index"],
                "value": [amplitude, 2.685],
                "stat": [0.9e-12, 0.072],
                "syst_norm": [-0.3e-12, -0.01],
                "syst_tilt": [0.1e-12, 0.02],
                "syst_livetime": [0.0, 0.0],
                "syst": [0.32e-12, 0.022],
                "unit": [_FLUX_UNIT, ""],
            },
            method="fov",
            reference_tev=0.9,
            n_independent=3.8,
            norm=part,
            tilt=part | {"mean": float("nan")} if self.v.nans else part,
            per_run=part | {"n": 80},
        )

    def fit3d(self) -> None:
        v = self.v
        sizes = {"point": (), "gauss": (("sigma", 0.05, 0.004, "deg"),)}
        rows, block = [], {}
        for name, size in sizes.items():
            source = (
                ("index", 2.66, 0.07, ""),
                ("amplitude", 1.7e-11 * v.strength, 0.08e-11, _FLUX_UNIT),
                ("lon_0", v.ra, 0.003, "deg"),
                ("lat_0", v.dec, 0.003, "deg"),
                *size,
            )
            free = [(("source"), *p, False) for p in source]
            free += [("stacked", "norm", 1.003, 0.01, "", False)]
            rows += [(name, name == "gauss", *p) for p in free]
            rows.append((name, name == "gauss", "source", "reference", 1.45, 0.0, "TeV", True))
            block[name] = {
                "title": name, "reference_tev": 1.45, "stat": 1000.0 - 30 * len(size),
                "n_free": len(free), "n_source": len(free) - 1, "aic": 1012.0 - 28 * len(size),
                "ts": 1700.0 + 30 * len(size), "ts_extension": 30.0 if size else float("nan"),
                "flux": 1.2e-11, "flux_err": 0.9e-12, "success": True, "message": "",
                "parameters": [p[1] for p in free], "covariance": np.eye(len(free)).tolist(),
            }  # fmt: skip
        names = ("model", "chosen", "component", "parameter", "value", "error", "unit", "frozen")
        self.table(
            "fit3d_models",
            dict(zip(names, (list(part) for part in zip(*rows, strict=True)), strict=True)),
            fits=block,
            choice="Gaussian: its extension is significant by 5.5 sigma (needed: 3).",
            stat_null=2700.0,
            e_min_tev=1.0,
            e_max_tev=10.0,
            residual_mean=0.01,
            residual_width=1.02,
            n_runs=v.n_runs,
            stacked=True,
            pixel_deg=0.04,
            width_deg=4.0,
            correlation_radius_deg=0.1,
        )
        n, pixel = 100, 0.04
        y, x = (np.mgrid[:n, :n] - (n - 1) / 2) * pixel
        image = np.where(np.hypot(x, y) < 2, self.rng.standard_normal((n, n)), np.nan)
        header = fits.Header(
            {
                "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": v.ra, "CRVAL2": v.dec,
                "CRPIX1": n / 2 + 0.5, "CRPIX2": n / 2 + 0.5, "CDELT1": -pixel, "CDELT2": pixel,
                "CUNIT1": "deg", "CUNIT2": "deg", "RADESYS": "ICRS",
            }
        )  # fmt: skip
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(image, header, name="RESIDUAL_SIGNIFICANCE")]
        fits.HDUList(hdus).writeto(self.folder / "fit3d_residuals.fits", overwrite=True)
