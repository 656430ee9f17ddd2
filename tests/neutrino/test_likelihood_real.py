"""The likelihoods on IceCube's public alerts and simulation: against IceCube's own fits."""

import numpy as np
import pytest
from scipy.optimize import minimize

from daybreak.neutrino import read_events
from daybreak.neutrino.geometry import load_geometry
from daybreak.neutrino.likelihood import get_likelihood

pytestmark = pytest.mark.realdata

ALERTS = ("138632_31747601.json", "run00136766-evt000007637140-GOLD.pkl")


@pytest.fixture(scope="module")
def icecube(data_root):
    folder = data_root / "icecube"
    if not folder.is_dir():
        pytest.skip(f"no IceCube files at {folder}")
    return folder


def separation_deg(zenith1, azimuth1, zenith2, azimuth2):
    cosine = np.cos(zenith1) * np.cos(zenith2)
    cosine += np.sin(zenith1) * np.sin(zenith2) * np.cos(azimuth1 - azimuth2)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def best_near(prepared, zenith, azimuth):
    """Best direction near a start, by a simplex; three sizes so that it gets out of small dips."""
    seeds = np.array([prepared.seeds()])

    def at(x):
        return zenith + x[0], azimuth + x[1] / np.sin(zenith)

    def value(x):
        z, a = at(x)
        return float(prepared.fit_many(np.array([z]), np.array([a]), seeds[:, :3])["llh"][0])

    x = np.zeros(2)
    for size in np.radians([0.5, 0.2, 0.1]):
        start = x + np.array([[0, 0], [size, 0], [0, size]])
        options = {"initial_simplex": start, "xatol": 1e-5, "fatol": 1e-3, "maxfev": 80}
        found = minimize(value, x, method="Nelder-Mead", options=options)
        x = found.x
    return found.fun, *at(x)


@pytest.mark.parametrize("name", ALERTS)
def test_the_official_pandel_fit_is_reproduced(icecube, name):
    detector = load_geometry(icecube / "geometry_ic86_5160.parquet")
    (event,) = read_events(icecube / name, geometry=detector)
    official = event.recos["spefit2"]
    prepared = get_likelihood("pandel-spe").prepare(event)
    assert prepared.n_doms == event.message["reco"]["spefit2"]["ndof"] + 5
    llh, zenith, azimuth = best_near(prepared, official.zenith_rad, official.azimuth_rad)
    assert llh == pytest.approx(official.logl, rel=1e-3)
    away = separation_deg(zenith, azimuth, official.zenith_rad, official.azimuth_rad)
    assert away < 0.1


@pytest.mark.parametrize("name", ALERTS)
def test_the_default_is_near_the_official_spline_fit(icecube, name):
    detector = load_geometry(icecube / "geometry_ic86_5160.parquet")
    (event,) = read_events(icecube / name, geometry=detector)
    official = event.recos["splinempe"]
    model = get_likelihood("pandel-mpe", ice=icecube / "ice_transparency.parquet")
    prepared = model.prepare(event)
    llh, zenith, azimuth = best_near(prepared, official.zenith_rad, official.azimuth_rad)
    away = separation_deg(zenith, azimuth, official.zenith_rad, official.azimuth_rad)
    assert away < 0.5
    # and nothing within a few degrees is better
    rng = np.random.default_rng(1)
    z = zenith + np.radians(rng.normal(0, 4, 60))
    a = azimuth + np.radians(rng.normal(0, 4, 60))
    around = prepared.fit_many(z, a, np.repeat(np.array([prepared.seeds()]), 60, axis=0))
    assert around["llh"].min() > llh - 0.5


def test_simulated_muons_are_as_near_to_the_truth_as_icecubes_fits(icecube):
    detector = load_geometry(icecube / "geometry_ic86_5160.parquet")
    events = read_events(icecube / "NuMu_IC86-2016_5_events.i3.gz", geometry=detector)
    model = get_likelihood("pandel-mpe", ice=icecube / "ice_transparency.parquet")
    ours, theirs = [], []
    for event in events:
        truth, prepared = event.truth, model.prepare(event)
        if prepared.n_doms < 50:  # one event with 47 DOMs, which no fit gets right
            continue
        _, zenith, azimuth = best_near(prepared, truth.zenith_rad, truth.azimuth_rad)
        ours.append(separation_deg(zenith, azimuth, truth.zenith_rad, truth.azimuth_rad))
        fit = event.recos["MPEFitIC"]
        theirs.append(
            separation_deg(fit.zenith_rad, fit.azimuth_rad, truth.zenith_rad, truth.azimuth_rad)
        )
    assert len(ours) == 4
    assert np.median(ours) <= np.median(theirs)
    assert max(ours) < 0.6
