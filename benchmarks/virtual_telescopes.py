"""The virtual telescopes against published values and against CORSIKA's events at hand.

Run ``python -m benchmarks.virtual_telescopes [DATA]``: prints the figures of the page *Virtual
telescopes* and draws them. DATA is the folder of real data (by default ../shared/data); without it
only the parts that need none are done.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from pathlib import Path

import numpy as np
from astropy import units as u

from daybreak.images.camera import Camera
from daybreak.simulate.showers import (
    images_from_photons,
    lst_like,
    make_waveforms,
    simulate_showers,
    sst1m_like,
)
from daybreak.simulate.showers.array import make_array
from daybreak.simulate.showers.batch import run_batch

OUT = Path(__file__).parents[1] / "docs" / "_static"
VERTICAL = {"zenith": 0 * u.deg, "azimuth": 0 * u.deg}


def moments(camera, image):
    """Size, mean place, length, width (deg), skewness away from the middle of the camera."""
    w = np.asarray(image, dtype=float)
    size = w.sum()
    if size < 5:
        return [size] + 5 * [np.nan]
    x, y = (np.degrees(a / camera.focal_length_m) for a in (camera.x_m, camera.y_m))
    mx, my = w @ x / size, w @ y / size
    value, vector = np.linalg.eigh(np.cov(np.stack([x, y]), aweights=w, ddof=0))
    along = (x - mx) * vector[0, 1] + (y - my) * vector[1, 1]
    along *= np.sign(vector[0, 1] * mx + vector[1, 1] * my)
    skewness = w @ along**3 / size / max(value[1], 1e-12) ** 1.5
    return [size, mx, my, math.sqrt(value[1]), math.sqrt(max(value[0], 0)), skewness]


def speed():
    print("\n## Showers per second of processor time")
    for label, telescopes in (("LST-like", lst_like()), ("SST-1M-like pair", sst1m_like())):
        for kind, energy, n in (
            ("gamma", [1, 1], 100),
            ("gamma", [0.02, 50], 300),
            ("proton", [1, 1], 100),
            ("proton", [0.1, 100], 300),
            ("muon-", [0.01, 1], 1000),
        ):
            where = telescopes[0].position_m[:2] * u.m if kind == "muon-" else [0, 0] * u.m
            ask = {
                "telescopes": telescopes,
                "energy": energy * u.TeV,
                "max_impact": (6 if kind == "muon-" else 150) * u.m,
                "around": where,
                **VERTICAL,
            }
            simulate_showers(kind, 2, **ask)
            start = time.process_time()
            events = simulate_showers(kind, n, **ask)
            rate = n / (time.process_time() - start)
            mean = events.images[0].sum(axis=1).mean()
            print(f"{label:17s} {kind:7s} {energy} TeV: {rate:7.0f}/s, {mean:7.0f} p.e.")
        ask["max_impact"], ask["around"] = 150 * u.m, [0, 0] * u.m
        events = simulate_showers("gamma", 30, **{**ask, "energy": 1 * u.TeV}, keep_photons=True)
        for name, make in (("waveforms", make_waveforms), ("quick images", images_from_photons)):
            make(events)
            start = time.process_time()
            make(events)
            print(f"{label:17s} {name}: {30 / (time.process_time() - start):.0f}/s")


def lateral(n=30):
    print(
        "\n## Light of vertical gammas of 1 TeV at 2200 m, photons/m2 from 300 to 550 nm, "
        "after the air"
    )
    lst = lst_like()[0]
    wavelength = np.linspace(300.0, 550.0, 251)
    clear = dataclasses.replace(
        lst,
        wavelength_nm=wavelength,
        efficiency=np.ones_like(wavelength),
        mirror_area_m2=math.pi * lst.mirror_radius_m**2,
    )
    rows = []
    for r in (20, 40, 60, 80, 100, 110, 120, 130, 150, 175, 200, 250, 300):
        one = dataclasses.replace(clear, position_m=(float(r), 0.0, 16.0))
        ask = {"telescopes": (one,), "energy": 1 * u.TeV, "max_impact": 0 * u.m, **VERTICAL}
        images = simulate_showers("gamma", n, **ask, seed=r).images[0].sum(axis=1)
        images = images / one.mirror_area_m2
        rows.append((r, images.mean(), np.median(images), images.std() / images.mean()))
        print(
            f"{r:4d} m: mean {rows[-1][1]:6.1f}, median {rows[-1][2]:6.1f}, rel. spread "
            f"{rows[-1][3]:.2f}"
        )
    return np.array(rows)


def maxima(n=200):
    print("\n## Depth of maximum, g/cm2 (Greisen: 36.7 ln(E / 84 MeV))")
    for kind in ("gamma", "proton"):
        for energy in (0.1, 1.0, 10.0):
            telescopes = sst1m_like()[:1]
            ask = {"telescopes": telescopes, "energy": energy * u.TeV, "max_impact": 500 * u.m}
            x = simulate_showers(kind, n if energy < 5 else n // 2, **ask, **VERTICAL).x_max
            x = x[np.isfinite(x)]
            greisen = 36.7 * math.log(energy * 1e6 / 84)
            print(
                f"{kind:6s} {energy:5.1f} TeV: {x.mean():4.0f} +- {x.std():3.0f}"
                f" (error of the mean {x.std() / math.sqrt(len(x)):.0f}), Greisen {greisen:.0f}"
            )


def images(n=150):
    print("\n## Images in the LST-like telescope, zenith 20 deg, cores to 150 m, > 100 p.e.")
    camera = lst_like()[0].camera
    for kind, energies in (("gamma", (0.05, 0.2, 1.0, 5.0)), ("proton", (0.2, 1.0, 5.0))):
        for energy in energies:
            ask = {"telescopes": lst_like(), "energy": energy * u.TeV, "max_impact": 150 * u.m}
            if kind == "proton":
                ask["viewcone"] = 1.5 * u.deg
            events = simulate_showers(kind, n, **ask)
            m = np.array([moments(camera, i) for i in events.images[0] if i.sum() > 100])
            lean = np.mean(m[:, 5] > 0)
            print(
                f"{kind:6s} {energy:5.2f} TeV: triggered {events.triggered.mean():.2f}, size "
                f"{np.median(m[:, 0]):6.0f}, length {np.median(m[:, 3]):.3f}, width "
                f"{np.median(m[:, 4]):.3f}, rel. spread of width "
                f"{np.std(np.log(m[:, 4])):.2f}, leans away from the middle {lean:.2f}"
            )


def camera_of(description, focal_length_m):
    """A camera of ctapipe."""
    geometry, readout = description.camera.geometry, description.camera.readout
    rows = geometry.neighbor_matrix_sparse.tocsr()
    rows.sort_indices()
    return Camera(
        geometry.name,
        geometry.pix_x.to_value("m"),
        geometry.pix_y.to_value("m"),
        geometry.pix_area.to_value("m2"),
        geometry.pixel_width.to_value("m"),
        rows.indptr.astype(np.int32),
        rows.indices.astype(np.int32),
        focal_length_m,
        readout.sampling_rate.to_value("GHz"),
    )


def again(kind, one, shower, pointing, n, thinning):
    """Simulate a shower's energy, direction and core many times."""
    altitude, azimuth = shower.alt.to_value("rad"), shower.az.to_value("rad")
    c = math.cos(altitude)
    source = [c * math.cos(azimuth), -c * math.sin(azimuth), math.sin(altitude)]
    core = [shower.core_x.to_value("m"), shower.core_y.to_value("m")]
    return run_batch(
        kind,
        make_array((one,), *pointing),
        (one,),
        energy_tev=np.full(n, shower.energy.to_value("TeV")),
        direction=np.tile(-np.array(source), (n, 1)),
        core_m=np.tile(core, (n, 1)),
        seeds=np.arange(n, dtype=np.uint32),
        thinning=thinning,
        keep_photons=False,
    )


def ring(camera, image):
    """Radius and its spread by a weighted fit of a circle, deg."""
    x, y = (np.degrees(a / camera.focal_length_m) for a in (camera.x_m, camera.y_m))
    w = np.sqrt(np.asarray(image, dtype=float))
    near = np.ones(len(x), dtype=bool)
    for _ in range(3):
        matrix = np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1) * (w * near)[:, None]
        cx, cy, c = np.linalg.lstsq(matrix, (x**2 + y**2) * w * near, rcond=None)[0]
        radius = math.sqrt(max(c + cx**2 + cy**2, 0))
        off = np.hypot(x - cx, y - cy) - radius
        near = np.abs(off) < 0.3
    part = (w**2) * near
    return radius, math.sqrt(part @ off**2 / part.sum())


def corsika_muons(data, n=20):
    from ctapipe.io import EventSource

    print("\n## 30 muons of CORSIKA and sim_telarray in LST-1, each simulated 20 times")
    path = data / "simtel" / "lst_muons.simtel.zst"
    rows = []
    with EventSource(path, focal_length_choice="EQUIVALENT") as source:
        # the file has no effective focal length
        camera = camera_of(source.subarray.tel[1], 28.0)
        one = dataclasses.replace(
            lst_like()[0], camera=camera, site_height_m=2180.0, position_m=(0.0, 0.0, 16.0)
        )
        for event in source:
            shower, image = event.simulation.shower, event.simulation.tel[1].true_image
            made = again("muon-", one, shower, (math.pi / 2, 0.0), n, 0.0).images[0]
            rings = np.array([ring(camera, i) for i in made])
            sizes = made.sum(axis=1)
            rows.append(
                [
                    shower.energy.to_value("GeV"),
                    image.sum(),
                    sizes.mean(),
                    *ring(camera, image),
                    *np.median(rings, axis=0),
                ]
            )
    m = np.array(rows)
    fast = m[:, 0] > 12
    for name, ratio in (
        ("charge", m[:, 1] / m[:, 2]),
        ("radius", m[:, 3] / m[:, 5]),
        ("width", m[:, 4] / m[:, 6]),
    ):
        print(
            f"{name}: CORSIKA / ours, median {np.median(ratio):.3f}, over 12 GeV "
            f"{np.median(ratio[fast]):.3f} with spread {np.std(ratio[fast]):.3f}"
        )
    return m


def corsika_gamma(data, name, first_m, n=200):
    from ctapipe.io import EventSource

    print(
        f"\n## {name}: one gamma of CORSIKA, simulated {n} times; ours with the first "
        f"interaction above {first_m / 1e3:.0f} km"
    )
    rows = []
    with EventSource(data / "simtel" / name, focal_length_choice="EQUIVALENT") as source:
        event = next(iter(source))
        shower = event.simulation.shower
        site = next(iter(source.simulation_config.values())).prod_site_alt.to_value("m")
        for tel, seen in sorted(
            event.simulation.tel.items(), key=lambda each: each[1].impact.distance
        ):
            about = source.subarray.tel[tel]
            if seen.true_image is None:
                continue
            big = "LST" in str(about)
            camera = camera_of(about, about.optics.effective_focal_length.to_value("m"))
            pointing = event.monitoring.tel[tel].pointing
            one = dataclasses.replace(
                lst_like()[0],
                camera=camera,
                site_height_m=site,
                position_m=tuple(source.subarray.positions[tel].to_value("m")),
                mirror_radius_m=11.5 if big else 6.0,
                mirror_area_m2=370.0 if big else 97.0,
                parabolic=big,
            )
            where = pointing.altitude.to_value("rad"), pointing.azimuth.to_value("rad")
            made = again("gamma", one, shower, where, n, 3e-4)
            early = made.first_m > first_m
            ours = np.array([moments(camera, i) for i in made.images[0][early]])
            theirs = np.array(moments(camera, seen.true_image))
            mean, spread = np.nanmean(ours, axis=0), np.nanstd(ours, axis=0)
            rows.append([seen.impact.distance.to_value("m"), *theirs, *mean, *spread])
            texts = [
                f"{label} {theirs[k]:.{d}f} ({mean[k]:.{d}f}+-{spread[k]:.{d}f})"
                for k, (label, d) in enumerate(
                    (("size", 0), ("x", 2), ("y", 2), ("length", 3), ("width", 3))
                )
            ]
            print(f"{'LST' if big else 'MST'} {rows[-1][0]:4.0f} m: " + ", ".join(texts))
        x = made.x_max[early] * math.sin(shower.alt.to_value("rad"))
    m = np.array(rows)
    ratio = m[:, 1] / m[:, 7]
    print(
        f"{early.sum()} of ours; x_max {shower.x_max:.0f} (ours, vertical: {x.mean():.0f} +- "
        f"{x.std():.0f}); size, CORSIKA / ours: median {np.median(ratio):.2f}, "
        f"{ratio.min():.2f} to {ratio.max():.2f}"
    )
    for k, label in ((4, "length"), (5, "width")):
        pull = (m[:, k] - m[:, 6 + k]) / m[:, 12 + k]
        print(
            f"{label}: mean pull {pull.mean():+.2f}, rms {np.sqrt(np.mean(pull**2)):.2f}; "
            f"median ratio {np.median(m[:, k] / m[:, 6 + k]):.2f}"
        )
    return m


def draw(rows, gamma):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.errorbar(rows[:, 0], rows[:, 1], rows[:, 1] * rows[:, 3], fmt="o-", ms=4, capsize=2)
    left.set(yscale="log", xlabel="distance to the core (m)", ylabel="photons / m$^2$")
    left.set_title("vertical 1 TeV gammas at 2200 m, 300 to 550 nm, after the air", fontsize=8)
    right.set(xlabel="distance to the axis (m)", ylabel="photo-electrons", yscale="log")
    if gamma is not None:
        area = np.where(gamma[:, 1] > 6000, 1.0, 370 / 97)
        right.errorbar(
            gamma[:, 0],
            gamma[:, 7] * area,
            gamma[:, 13] * area,
            fmt="o",
            ms=4,
            capsize=2,
            label="virtual telescopes",
        )
        right.plot(gamma[:, 0], gamma[:, 1] * area, "x", label="CORSIKA, sim_telarray")
        right.legend(fontsize=8)
        right.set_title("one gamma of 1.3 TeV in 15 telescopes, scaled to one area", fontsize=8)
    figure.savefig(OUT / "virtual-telescopes.png", dpi=90)
    print("drawn:", OUT / "virtual-telescopes.png")


def main():
    default = Path(__file__).parents[2] / "shared" / "data"
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    speed()
    maxima()
    images()
    rows = lateral()
    gamma = None
    if (data / "simtel").is_dir():
        corsika_muons(data)
        gamma = corsika_gamma(data, "history_meta_75.simtel.zst", 30e3)
        corsika_gamma(data, "gamma_prod6_tel_event_header_v4.simtel.zst", 30e3)
    draw(rows, gamma)


if __name__ == "__main__":
    main()
