"""Made-up sky maps and regions."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from fake_variants import li_ma


class SkyTables:
    """Maps, their statistics, exclusion and ON/OFF regions."""

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
