"""Quick-look analysis of one source, written the way the Gammapy 2.1 tutorials teach it.

This is the program that ``daybreak analyse`` is timed against.  It makes the
same products with nothing but Gammapy, in one process and with the default
options of every maker and estimator: no caching, no workers, no IRFs kept in
memory, no analytical short cuts.

Usage::

    python gammapy_tutorial.py STORE OUT --ra 83.63308 --dec 22.01449 --tag crab
    python gammapy_tutorial.py STORE OUT --ra 329.71694 --dec=-30.22559 \\
        --tag pks2155_flare pks2155_steady --minutes 5 --selection no-sensitivity

STORE is a GADF data store whose observation table has a TARGET_TAG column.
Tables (ECSV, FITS), figures (PNG) and ``peer.json`` with the numbers to
compare are written to OUT.

The constants below are the whole configuration.  A program that is compared
with this one has to be given the same values.
"""

import argparse
import json
import resource
import time
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import vstack
from astropy.time import Time
from gammapy import __version__ as gammapy_version
from gammapy.data import DataStore
from gammapy.datasets import (
    Datasets,
    FluxPointsDataset,
    MapDataset,
    MapDatasetOnOff,
    SpectrumDataset,
)
from gammapy.estimators import ExcessMapEstimator, FluxPointsEstimator, LightCurveEstimator
from gammapy.makers import (
    FoVBackgroundMaker,
    MapDatasetMaker,
    ReflectedRegionsBackgroundMaker,
    RingBackgroundMaker,
    SafeMaskMaker,
    SpectrumDatasetMaker,
)
from gammapy.makers.utils import ThetaSquaredTable
from gammapy.maps import MapAxis, RegionGeom, WcsGeom
from gammapy.modeling import Fit
from gammapy.modeling.models import (
    ExpCutoffPowerLawSpectralModel,
    LogParabolaSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)
from gammapy.visualization import plot_theta_squared_table
from regions import CircleSkyRegion
from scipy.stats import norm

# --- Energy axes -----------------------------------------------------------
# As in the H.E.S.S. tutorial.  27 bins reconstructed, 67 bins true; Gammapy
# stretches the bins a little so that a whole number fits.
RECO_MIN, RECO_MAX, RECO_PER_DECADE = 0.1 * u.TeV, 40 * u.TeV, 10
TRUE_MIN, TRUE_MAX, TRUE_PER_DECADE = 0.05 * u.TeV, 100 * u.TeV, 20
MAP_TRUE_PER_DECADE = 10  # the maps have the same ranges, and this true axis

# --- Regions ---------------------------------------------------------------
EXCLUSION_RADIUS = 0.3 * u.deg  # around the target, for OFF regions, ring and FoV

# --- theta2 ----------------------------------------------------------------
THETA2_MAX, THETA2_BINS, THETA2_OFF = 0.2 * u.deg**2, 20, 1

# --- Maps ------------------------------------------------------------------
MAP_WIDTH, MAP_PIXEL = 4 * u.deg, 0.02 * u.deg
OFFSET_MAX = 2 * u.deg  # of the events used; the cut-out of a run is twice as wide
RING_INNER, RING_WIDTH = 0.5 * u.deg, 0.3 * u.deg
CORRELATION_RADIUS = 0.1 * u.deg

# --- Spectrum --------------------------------------------------------------
REFERENCE = 1 * u.TeV
SECOND_REFERENCE = 1.45 * u.TeV  # the power law is also quoted here
CURVATURE_SIGMA = 3  # a curved model is used when it is this much better
# Flux points: every second edge of the reconstructed axis inside this range,
# 8 points from 0.737 to 25.7 TeV.
FLUX_POINT_RANGE = [0.7, 30] * u.TeV
FLUX_POINT_GROUP = 2
# Light curves: the estimator takes the nearest edges, 0.920 to 20.6 TeV.
LIGHT_CURVE_RANGE = [1, 20] * u.TeV

# "all" is what the tutorials write; the other list is "all" less "sensitivity".
SELECTIONS = {"all": "all", "no-sensitivity": ["errn-errp", "ul", "scan"]}

FLUX_UNIT = u.Unit("cm-2 s-1")
DNDE_UNIT = u.Unit("cm-2 s-1 TeV-1")


# ---------------------------------------------------------------------------
# Products
# ---------------------------------------------------------------------------


def make_theta2(observations, target, out):
    """theta2 histogram of every run and of all runs together."""
    axis = MapAxis.from_bounds(
        0, THETA2_MAX.value, nbin=THETA2_BINS, interp="lin", unit="deg2", name="theta2"
    )
    per_run = []
    for observation in observations:
        table = ThetaSquaredTable(
            [observation], theta_squared_axis=axis, position=target, off_regions_number=THETA2_OFF
        ).run()
        table["obs_id"] = observation.obs_id
        table.meta.clear()
        per_run.append(table)
    vstack(per_run).write(out / "theta2_runs.ecsv", overwrite=True)

    total = ThetaSquaredTable(
        observations, theta_squared_axis=axis, position=target, off_regions_number=THETA2_OFF
    ).run()
    total.write(out / "theta2.ecsv", overwrite=True)
    plt.figure(figsize=(9, 6))
    plot_theta_squared_table(total)
    plt.savefig(out / "theta2.png")
    plt.close()
    return total


def reduce_spectra(observations, target, on_radius, exclusion_mask):
    """One ON/OFF spectrum for each observation, OFF from reflected regions."""
    energy = MapAxis.from_energy_bounds(
        RECO_MIN, RECO_MAX, nbin=RECO_PER_DECADE, per_decade=True, name="energy"
    )
    energy_true = MapAxis.from_energy_bounds(
        TRUE_MIN, TRUE_MAX, nbin=TRUE_PER_DECADE, per_decade=True, name="energy_true"
    )
    geom = RegionGeom.create(CircleSkyRegion(target, on_radius), axes=[energy])
    empty = SpectrumDataset.create(geom=geom, energy_axis_true=energy_true)

    spectrum_maker = SpectrumDatasetMaker(
        containment_correction=True, selection=["counts", "exposure", "edisp"]
    )
    off_maker = ReflectedRegionsBackgroundMaker(exclusion_mask=exclusion_mask)
    safe_maker = SafeMaskMaker(methods=["aeff-default"])

    datasets = Datasets()
    for number, observation in enumerate(observations):
        # select_time makes several observations with the same number
        name = f"{observation.obs_id}-{number}"
        dataset = spectrum_maker.run(empty.copy(name=name), observation)
        dataset = off_maker.run(dataset, observation)
        dataset = safe_maker.run(dataset, observation)
        datasets.append(dataset)
    return datasets


def spectral_models():
    """Starting values of the three shapes."""
    amplitude = 1e-11 * DNDE_UNIT
    return {
        "pl": PowerLawSpectralModel(amplitude=amplitude, index=2.5, reference=REFERENCE),
        "lp": LogParabolaSpectralModel(
            amplitude=amplitude, alpha=2.5, beta=0.1, reference=REFERENCE
        ),
        "ecpl": ExpCutoffPowerLawSpectralModel(
            amplitude=amplitude, index=2.2, lambda_=0.05 / u.TeV, reference=REFERENCE
        ),
    }


def fit_spectra(stacked, out):
    """Fit every shape to the stacked spectrum."""
    results = {}
    for name, spectral in spectral_models().items():
        model = SkyModel(spectral_model=spectral, name=name)
        stacked.models = [model]
        fit = Fit().run([stacked])
        results[name] = {
            "model": model.copy(name=name, copy_data=True),
            "success": bool(fit.success),
            "stat": float(stacked.stat_sum()),
        }
        # the copy has no covariance of its own
        results[name]["model"].spectral_model.covariance = model.spectral_model.covariance
        model.parameters.to_table().write(out / f"fit_{name}.ecsv", overwrite=True)

        plt.figure(figsize=(8, 6))
        axes, _ = stacked.plot_fit()
        axes.set_title(name)
        plt.savefig(out / f"fit_{name}.png")
        plt.close()
    return results


def choose_model(fits):
    """The power law, unless a curved shape is clearly better."""
    best = min(("lp", "ecpl"), key=lambda name: fits[name]["stat"])
    gain = fits["pl"]["stat"] - fits[best]["stat"]
    return best if gain > CURVATURE_SIGMA**2 else "pl"


def make_flux_points(stacked, model, selection, out):
    edges = stacked.counts.geom.axes["energy"].edges
    inside = (edges > FLUX_POINT_RANGE[0]) & (edges < FLUX_POINT_RANGE[1])
    stacked.models = [model]
    points = FluxPointsEstimator(
        energy_edges=edges[inside][::FLUX_POINT_GROUP],
        source=model.name,
        selection_optional=selection,
    ).run([stacked])
    points.to_table(sed_type="dnde", formatted=False).write(
        out / "flux_points.ecsv", overwrite=True
    )
    points.write(out / "flux_points.fits", sed_type="likelihood", overwrite=True)
    return points


def plot_sed(points, fits, chosen, out):
    plt.figure(figsize=(9, 6))
    ax = plt.gca()
    bounds = points.geom.axes["energy"].edges[[0, -1]]
    ax.yaxis.set_units(u.Unit("TeV cm-2 s-1"))
    points.plot(ax=ax, sed_type="e2dnde", color="black", label="flux points")
    for name, fit in fits.items():
        spectral = fit["model"].spectral_model
        spectral.plot(ax=ax, energy_bounds=bounds, sed_type="e2dnde", label=name)
        spectral.plot_error(ax=ax, energy_bounds=bounds, sed_type="e2dnde")
    ax.legend()
    plt.savefig(out / "sed.png")
    plt.close()

    dataset = FluxPointsDataset(data=points, models=[fits[chosen]["model"]])
    plt.figure(figsize=(8, 6))
    dataset.plot_fit()
    plt.savefig(out / "flux_points_residuals.png")
    plt.close()


def make_light_curve(name, datasets, model, selection, out, intervals=None):
    """Integral flux of every interval, with the spectral shape held fixed."""
    model = model.copy(name=model.name)
    model.parameters.freeze_all()
    datasets.models = [model]
    curve = LightCurveEstimator(
        time_intervals=intervals,
        energy_edges=LIGHT_CURVE_RANGE,
        source=model.name,
        reoptimize=False,
        selection_optional=selection,
    ).run(datasets)
    table = curve.to_table(sed_type="flux", format="lightcurve")
    table.write(out / f"light_curve_{name}.ecsv", overwrite=True)
    table.write(out / f"light_curve_{name}.fits", overwrite=True)

    plt.figure(figsize=(10, 5))
    ax = plt.gca()
    curve.plot(ax=ax, sed_type="flux", axis_name="time")
    ax.set_title(name)
    plt.savefig(out / f"light_curve_{name}.png")
    plt.close()
    return curve, table


def night_intervals(observations):
    """First start and last stop of each night; a night ends at noon UTC."""
    nights = {}
    for observation in observations:
        start, stop = observation.gti.time_start[0], observation.gti.time_stop[-1]
        night = int(np.floor(start.utc.mjd - 0.5))
        first, last = nights.get(night, (start, stop))
        nights[night] = (min(first, start), max(last, stop))
    return [Time([first, last]) for _, (first, last) in sorted(nights.items())]


def short_intervals(observations, minutes):
    """Bins of equal length from the start of each run.

    A remainder shorter than half a bin is added to the last bin, a longer one
    is a bin of its own.
    """
    intervals = []
    width = minutes * u.min
    for observation in observations:
        start, stop = observation.gti.time_start[0], observation.gti.time_stop[-1]
        count = max(int((stop - start) / width + 0.5), 1)
        edges = [start + k * width for k in range(count)] + [stop]
        intervals += [Time([a, b]) for a, b in pairwise(edges)]
    return intervals


def make_maps(observations, target, exclusion_mask_image, out):
    """Excess and significance maps with ring and with field-of-view background."""
    energy = MapAxis.from_energy_bounds(
        RECO_MIN, RECO_MAX, nbin=RECO_PER_DECADE, per_decade=True, name="energy"
    )
    energy_true = MapAxis.from_energy_bounds(
        TRUE_MIN, TRUE_MAX, nbin=MAP_TRUE_PER_DECADE, per_decade=True, name="energy_true"
    )
    geom = map_geom(target, axes=[energy])
    reference = MapDataset.create(geom=geom, energy_axis_true=energy_true, name="reference")

    stacked_fov = reference.copy(name="fov")
    stacked_ring = MapDatasetOnOff.create(
        geom=geom.squash(axis_name="energy"), energy_axis_true=energy_true, name="ring"
    )

    map_maker = MapDatasetMaker()
    safe_maker = SafeMaskMaker(methods=["aeff-default", "offset-max"], offset_max=OFFSET_MAX)
    ring_maker = RingBackgroundMaker(
        r_in=RING_INNER, width=RING_WIDTH, exclusion_mask=exclusion_mask_image
    )
    fov_maker = FoVBackgroundMaker(method="scale", exclusion_mask=exclusion_mask_image)

    fov_norms = {}
    for observation in observations:
        cutout = reference.cutout(
            observation.get_pointing_icrs(observation.tmid),
            width=2 * OFFSET_MAX,
            name=f"obs-{observation.obs_id}",
        )
        dataset = map_maker.run(cutout, observation)
        dataset = safe_maker.run(dataset, observation)
        stacked_ring.stack(ring_maker.run(dataset.to_image()))

        dataset = fov_maker.run(dataset)
        fov_norms[observation.obs_id] = float(dataset.background_model.spectral_model.norm.value)
        stacked_fov.stack(dataset)

    estimator = ExcessMapEstimator(CORRELATION_RADIUS, selection_optional=[])
    summaries = {}
    for name, dataset in {"ring": stacked_ring, "fov": stacked_fov}.items():
        maps = estimator.run(dataset)
        maps.write(out / f"maps_{name}.fits", overwrite=True, sed_type="likelihood")
        summaries[name] = summarise_maps(name, dataset, maps, exclusion_mask_image, target, out)
    summaries["fov"]["norms"] = fov_norms
    return summaries


def map_geom(target, axes=None):
    return WcsGeom.create(
        skydir=target, width=MAP_WIDTH, binsz=MAP_PIXEL, proj="TAN", frame="icrs", axes=axes
    )


def summarise_maps(name, dataset, maps, exclusion_mask, target, out):
    """Draw the maps and compare the significances off the source with a Gaussian."""
    significance = maps["sqrt_ts"].sum_over_axes(keepdims=False)
    excess = maps["npred_excess"].sum_over_axes(keepdims=False)
    counts = dataset.counts.sum_over_axes(keepdims=False)

    plt.figure(figsize=(16, 5))
    for number, (title, image) in enumerate(
        {"counts": counts, "excess": excess, "significance": significance}.items(), start=1
    ):
        ax = plt.subplot(1, 3, number, projection=image.geom.wcs)
        image.plot(ax=ax, add_cbar=True, stretch="linear" if number > 1 else "sqrt")
        ax.set_title(f"{name}: {title}")
    plt.savefig(out / f"maps_{name}.png")
    plt.close()

    everywhere = significance.data[np.isfinite(significance.data)]
    off = significance.data[exclusion_mask.data & np.isfinite(significance.data)]
    mean, width = norm.fit(off)

    plt.figure()
    bins = np.linspace(-6, max(8, everywhere.max()), 100)
    plt.hist(everywhere, bins=bins, density=True, alpha=0.5, color="tab:red", label="all bins")
    plt.hist(off, bins=bins, density=True, alpha=0.5, color="tab:blue", label="off bins")
    x = np.linspace(-6, 8, 200)
    plt.plot(x, norm.pdf(x, mean, width), color="black", label=f"{mean:.2f} ± {width:.2f}")
    plt.yscale("log")
    plt.ylim(1e-5, 1)
    plt.xlabel("significance")
    plt.legend()
    plt.savefig(out / f"significance_{name}.png")
    plt.close()

    return {
        "off_mean": float(mean),
        "off_std": float(width),
        "off_pixels": int(off.size),
        "max_sqrt_ts": float(everywhere.max()),
        "target_sqrt_ts": float(significance.get_by_coord(target)[0]),
        "target_excess": float(excess.get_by_coord(target)[0]),
        "counts": float(counts.data.sum()),
    }


# ---------------------------------------------------------------------------
# Numbers to compare
# ---------------------------------------------------------------------------


def columns(table, units):
    """Lists of the columns named in `units` (a unit or None), where present."""
    result = {}
    for name, unit in units.items():
        if name not in table.colnames:
            continue
        values = u.Quantity(table[name])
        values = values.to_value(unit) if unit else values.value
        result[name] = np.asarray(values, dtype=float).ravel().tolist()
    return result


def numbers_of_flux_points(points):
    table = points.to_table(sed_type="dnde", formatted=False)
    dnde = dict.fromkeys(
        ["dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul", "dnde_sensitivity"], DNDE_UNIT
    )
    energies = dict.fromkeys(["e_min", "e_max", "e_ref"], "TeV")
    result = columns(table, {**energies, **dnde, "ts": None, "sqrt_ts": None})
    result["is_ul"] = [bool(flag) for flag in table["is_ul"]]
    norms = points.to_table(sed_type="likelihood", formatted=False)
    result |= columns(
        norms, dict.fromkeys(["norm", "norm_err", "norm_errn", "norm_errp", "norm_ul"])
    )
    return result


def numbers_of_light_curve(curve, table):
    axis = curve.geom.axes["time"]
    energy = curve.geom.axes["energy"].edges.to_value("TeV")
    flux = dict.fromkeys(
        ["flux", "flux_err", "flux_errn", "flux_errp", "flux_ul", "flux_sensitivity"], FLUX_UNIT
    )
    return {
        "e_min": float(energy[0]),
        "e_max": float(energy[-1]),
        "tmin_mjd_utc": axis.time_min.utc.mjd.tolist(),
        "tmax_mjd_utc": axis.time_max.utc.mjd.tolist(),
        **columns(table, {**flux, "ts": None, "sqrt_ts": None}),
    }


def numbers_of_fit(fit):
    spectral = fit["model"].spectral_model
    result = {"success": fit["success"], "stat": fit["stat"]}
    for parameter in spectral.parameters:
        result[parameter.name] = float(parameter.value)
        result[f"{parameter.name}_err"] = float(parameter.error)
    result["covariance"] = np.asarray(spectral.covariance.data).tolist()
    return result


def numbers_of_power_law(fit):
    """phi and Gamma at both reference energies."""
    spectral = fit["model"].spectral_model
    result = {
        "gamma": float(spectral.index.value),
        "gamma_err": float(spectral.index.error),
    }
    for energy in (REFERENCE, SECOND_REFERENCE):
        value, error = spectral.evaluate_error(energy)[:2]
        key = f"phi_{energy.to_value('TeV'):g}tev"
        result[key] = float(value.to_value(DNDE_UNIT))
        result[f"{key}_err"] = float(np.squeeze(error.to_value(DNDE_UNIT)))
    return result


def numbers_of_counts(info):
    keys = ["counts", "counts_off", "alpha", "excess", "sqrt_ts"]
    names = ["n_on", "n_off", "alpha", "excess", "significance"]
    result = {name: float(info[key]) for name, key in zip(names, keys, strict=True)}
    result["livetime_s"] = float(info["livetime"].to_value("s"))
    return result


class Stopwatch:
    """CPU seconds of each stage, so that one sees where the time goes."""

    def __init__(self):
        self.stages, self.last = {"import": time.process_time()}, time.process_time()

    def done(self, stage):
        now = time.process_time()
        self.stages[stage] = now - self.last
        print(f"{stage:24s} {now - self.last:8.1f} s", flush=True)
        self.last = now


# ---------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ra", type=float, required=True, help="degrees, ICRS")
    parser.add_argument("--dec", type=float, required=True, help="degrees, ICRS")
    parser.add_argument("--tag", nargs="+", required=True, help="values of TARGET_TAG")
    parser.add_argument("--selection", choices=SELECTIONS, default="all")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--on-radius", type=float, default=0.11, help="degrees")
    args = parser.parse_args()

    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    target = SkyCoord(args.ra, args.dec, unit="deg", frame="icrs")
    on_radius = args.on_radius * u.deg
    selection = SELECTIONS[args.selection]

    # runs
    store = DataStore.from_dir(args.store)
    table = store.obs_table
    wanted = np.isin(np.asarray(table["TARGET_TAG"]).astype(str), args.tag)
    run_numbers = table[wanted]["OBS_ID"]
    if not len(run_numbers):
        parser.error(f"no run with TARGET_TAG {args.tag} in {args.store}")
    observations = store.get_observations(run_numbers)
    watch.done("select")

    theta2 = make_theta2(observations, target, out)
    watch.done("theta2")

    # spectrum
    exclusion = CircleSkyRegion(target, EXCLUSION_RADIUS)
    exclusion_mask = ~map_geom(target).region_mask([exclusion])
    datasets = reduce_spectra(observations, target, on_radius, exclusion_mask)
    datasets.info_table(cumulative=False).write(out / "runs.ecsv", overwrite=True)
    cumulative = datasets.info_table(cumulative=True)
    cumulative.write(out / "cumulative.ecsv", overwrite=True)
    plt.figure()
    plt.plot(np.sqrt(cumulative["livetime"].to("h")), cumulative["sqrt_ts"], "o")
    plt.xlabel("sqrt(livetime / h)")
    plt.ylabel("significance")
    plt.savefig(out / "cumulative.png")
    plt.close()
    stacked = datasets.stack_reduce(name="stacked")
    watch.done("reduce")

    fits = fit_spectra(stacked, out)
    chosen = choose_model(fits)
    model = fits[chosen]["model"]
    watch.done("fit")
    points = make_flux_points(stacked, model, selection, out)
    watch.done("flux points")
    plot_sed(points, fits, chosen, out)
    watch.done("plot spectrum")

    # light curves
    curves = {}
    curves["run"] = make_light_curve("run", datasets, model, selection, out)
    watch.done("light curve, runs")
    curves["night"] = make_light_curve(
        "night", datasets, model, selection, out, intervals=night_intervals(observations)
    )
    watch.done("light curve, nights")
    intervals = short_intervals(observations, args.minutes)
    short_observations = observations.select_time(intervals)
    short_datasets = reduce_spectra(short_observations, target, on_radius, exclusion_mask)
    watch.done("reduce, minutes")
    curves["minutes"] = make_light_curve(
        "minutes", short_datasets, model, selection, out, intervals=intervals
    )
    watch.done("light curve, minutes")

    # maps
    maps = make_maps(observations, target, exclusion_mask, out)
    watch.done("maps")

    usage = resource.getrusage(resource.RUSAGE_SELF)
    numbers = {
        "program": "gammapy_tutorial.py",
        "gammapy": gammapy_version,
        "store": str(args.store),
        "tag": args.tag,
        "target_deg": [args.ra, args.dec],
        "on_radius_deg": args.on_radius,
        "exclusion_radius_deg": EXCLUSION_RADIUS.to_value("deg"),
        "selection": args.selection,
        "minutes": args.minutes,
        "runs": [int(number) for number in run_numbers],
        **numbers_of_counts(stacked.info_dict()),
        "per_run": {
            str(observation.obs_id): numbers_of_counts(dataset.info_dict())
            for observation, dataset in zip(observations, datasets, strict=True)
        },
        "theta2": columns(
            theta2, {"theta2_max": "deg2", "counts": None, "counts_off": None, "alpha": None}
        ),
        "power_law": numbers_of_power_law(fits["pl"]),
        "fits": {name: numbers_of_fit(fit) for name, fit in fits.items()},
        "model_of_points_and_curves": chosen,
        "flux_points": numbers_of_flux_points(points),
        "light_curves": {name: numbers_of_light_curve(*curve) for name, curve in curves.items()},
        "n_short_intervals": len(intervals),
        "maps": maps,
        "stage_cpu_s": watch.stages,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_mib": usage.ru_maxrss / 1024,
    }
    (out / "peer.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
