"""The inner loop against direct integration, finite differences and another minimiser."""

import itertools
import pickle
import threading

import numpy as np
import pytest
from scipy import integrate, optimize, special

from daybreak.neutrino.event import Event, EventHeader, Geometry, Pulses
from daybreak.neutrino.likelihood import delay, fit, get_likelihood, jitter
from daybreak.neutrino.likelihood import tables as ice_tables
from daybreak.neutrino.likelihood import value as track
from daybreak.neutrino.likelihood.ice import bulk_ice

C = 0.299792458


@pytest.fixture(scope="module")
def tables():
    return jitter.tables()


def hit(tables, t, xi, r, n=1.0, sigma=4.0):
    return delay.hit(t, xi, r, n, sigma, tables.log_g, tables.log_s)


def density(t, xi, r, sigma):
    """Gamma density convolved with a Gaussian, by adaptive quadrature in s^xi."""

    def inner(q):
        s = q ** (1 / xi)
        gauss = np.exp(-0.5 * ((t - s) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        return gauss * np.exp(xi * np.log(r) - r * s - special.gammaln(xi + 1))

    edges = [max(t + k * sigma, 0.0) ** xi for k in (-9, -4, -1.5, 0, 1.5, 4, 9)]
    parts = itertools.pairwise(edges)
    return sum(integrate.quad(inner, a, b, epsabs=0, epsrel=1e-9)[0] for a, b in parts if b > a)


def survival(t, xi, r, sigma):
    """Survival of the same, by quadrature over the Gaussian."""

    def inner(x):
        q = special.gammaincc(xi, r * max(t - sigma * x, 0.0))
        return q * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)

    edges = [-9.0, -4, -2, 0, 2, 4, 9, t / sigma]
    edges = sorted({float(np.clip(e, -9, 9)) for e in edges})
    return sum(
        integrate.quad(inner, a, b, epsabs=0, epsrel=1e-9, limit=200)[0]
        for a, b in itertools.pairwise(edges)
    )


def test_density_is_the_convolution(tables):
    rng = np.random.default_rng(1)
    for _ in range(60):
        xi, r = np.exp(rng.uniform(np.log(0.03), np.log(20))), np.exp(rng.uniform(-6.5, -4))
        sigma = float(rng.choice([2.0, 4.0, 15.0]))
        t = float(rng.choice([rng.uniform(-5, 8) * sigma, rng.gamma(xi) / r]))
        expected = np.log(density(t, xi, r, sigma))
        assert hit(tables, t, xi, r, sigma=sigma)[0] == pytest.approx(expected, abs=2e-3)


def test_density_integrates_to_one(tables):
    for xi in (0.05, 0.5, 1.0, 3.0, 12.0):
        for sigma in (4.0, 15.0):
            t = np.concatenate([np.linspace(-9 * sigma, 60 * sigma, 8000)])
            t = np.concatenate([t, np.linspace(t[-1], 9000.0, 20000)[1:]])
            p = np.exp([hit(tables, v, xi, 0.004, sigma=sigma)[0] for v in t])
            assert integrate.trapezoid(p, t) == pytest.approx(1.0, abs=1e-3)


def test_survival_is_the_convolution(tables):
    rng = np.random.default_rng(2)
    for _ in range(60):
        xi, r = np.exp(rng.uniform(np.log(0.03), np.log(20))), np.exp(rng.uniform(-6.5, -4))
        sigma = float(rng.choice([2.0, 4.0, 15.0]))
        t = float(rng.choice([rng.uniform(-5, 8) * sigma, rng.gamma(xi) / r]))
        one, two = (hit(tables, t, xi, r, n, sigma)[0] for n in (1.0, 2.0))
        expected = np.log(survival(t, xi, r, sigma))
        if t / sigma < jitter.Y_MAX:  # later hits are noise
            assert two - one - np.log(2) == pytest.approx(expected, abs=2e-3, rel=1e-3)


def test_a_hit_has_the_derivatives_it_says(tables):
    rng = np.random.default_rng(3)
    for _ in range(100):
        at = np.array([rng.uniform(-15, 900), np.exp(rng.uniform(-3, 2.5)),
                       np.exp(rng.uniform(-6, -4))])  # fmt: skip
        n = float(rng.choice([1.0, 5.3]))
        step = np.array([1e-3, 1e-4 * at[1], 1e-4 * at[2]])
        given = np.array(hit(tables, *at, n)[1:])
        for i in range(3):
            d = np.zeros(3)
            d[i] = step[i]
            slope = (hit(tables, *(at + d), n)[0] - hit(tables, *(at - d), n)[0]) / (2 * step[i])
            scale = 1 / at[i] if i else 1e-3
            assert given[i] == pytest.approx(slope, rel=2e-3, abs=2e-3 * scale)


def made_event(seed=1, n_doms=60, zenith=1.1, azimuth=0.7, sigma=3.0):
    """First hits of a track through random DOMs in bulk ice, exactly as the likelihood has it."""
    rng = np.random.default_rng(seed)
    d = -np.array([np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth),
                   np.cos(zenith)])  # fmt: skip
    vertex, t0 = np.array([20.0, -40.0, 10.0]), 3000.0
    xyz = vertex + rng.uniform(-400, 400, n_doms)[:, None] * d
    across = np.cross(rng.normal(size=(n_doms, 3)), d)
    across /= np.linalg.norm(across, axis=1)[:, None]
    rho = rng.uniform(5, 70, n_doms)
    xyz += rho[:, None] * across
    ce = track.COS_C * d[2] + track.SIN_C * across[:, 2]
    xi = (0.84 * rho + 3.1 - 3.9 * ce + 4.6 * ce**2) / 33.3
    rate = 1 / 557 + C / track.N_GROUP / 98
    time_ns = t0 + ((xyz - vertex) @ d + track.KAPPA * rho) / C
    time_ns += rng.gamma(xi) / rate + sigma * rng.normal(size=n_doms)
    string, om = np.arange(n_doms) // 60 + 1, np.arange(n_doms) % 60 + 1
    pulses = Pulses.from_columns(
        string, om, time_ns, np.ones(n_doms), np.full(n_doms, 8.0), np.full(n_doms, 7)
    )
    geometry = Geometry("made", string.astype("i2"), om.astype("i2"), xyz)
    header = EventHeader(1, 1, 0, 0, "made", None)
    event = Event(header, pulses, geometry, {}, None, "own-simulation", {}, "made", pulses)
    return event, d, vertex, t0


def setup(prepared, zenith, azimuth):
    along, axes = np.empty((prepared.n_doms, 3)), np.empty((3, 3))
    fit.frame(zenith, azimuth, prepared.hits, axes, along)
    tables, g = jitter.tables(), np.zeros(9)
    uz = np.array([axes[0, 2], axes[2, 2]])

    def value(p):
        return track.value(
            np.asarray(p, float), along, uz, prepared.hits, prepared.ice, prepared.settings,
            tables.log_g, tables.log_s, g,
        )  # fmt: skip

    return value, g, along


@pytest.mark.parametrize("name", ["pandel-mpe", "pandel-spe"])
def test_gradient_of_the_likelihood(name):
    event, *_ = made_event()
    prepared = get_likelihood(name, ice="built-in").prepare(event)
    value, g, _ = setup(prepared, 1.2, 0.8)
    fit = prepared.fit(1.2, 0.8, prepared.seeds()[0])
    assert np.isfinite(fit.llh)
    for p in np.random.default_rng(1).normal(size=(10, 3)) * [20, 20, 40]:
        value(p)
        given = g[:3].copy()
        for i in range(3):
            d = np.eye(3)[i] * 1e-4
            slope = (value(p + d) - value(p - d)) / 2e-4
            # where the photon's path is level the change of the ice along it is left out
            assert given[i] == pytest.approx(slope, abs=0.02 + 0.01 * abs(slope))


def test_the_minimum_is_that_of_another_minimiser():
    event, *_ = made_event(seed=4)
    prepared = get_likelihood("pandel-mpe", ice="built-in").prepare(event)
    # near the truth; far from it there are many minima, and which one is found is a matter of luck
    for zenith, azimuth in ((1.1, 0.7), (1.105, 0.705), (1.095, 0.7), (1.1, 0.71)):
        found = prepared.fit_many(
            np.array([zenith]), np.array([azimuth]), np.array([prepared.seeds()])
        )[0]
        value, _, along = setup(prepared, zenith, azimuth)
        rng, best = np.random.default_rng(5), np.inf
        for _ in range(8):
            p = np.append(rng.normal(0, 40, 2), 0.0)
            p[2] = fit.quantile_time(p, along, prepared.hits, np.empty(prepared.n_doms))
            for _ in range(3):
                start = p + np.vstack([np.zeros(3), np.diag([15.0, 15.0, 40.0])])
                options = {"initial_simplex": start, "xatol": 1e-3, "fatol": 1e-4}
                done = optimize.minimize(value, p, method="Nelder-Mead", options=options)
                p = done.x
            best = min(best, done.fun)
        assert found["status"] == 0
        assert found["llh"] <= best + 0.02


def test_truth_is_found_and_the_vertex_lies_on_the_track():
    event, d, vertex, t0 = made_event(n_doms=120)
    prepared = get_likelihood("pandel-spe", sigma_ns=3.0).prepare(event)
    fit = prepared.fit(1.1, 0.7, prepared.seeds()[0])
    offset = np.array(fit[:3]) - vertex
    along = offset @ d
    assert np.linalg.norm(offset - along * d) < 3.0
    assert fit.t_ns == pytest.approx(t0 + along / C, abs=8.0)
    away = prepared.fit(1.1 + 0.03, 0.7, fit.vertex)
    assert away.llh > fit.llh + 5


def test_bulk_ice_has_pandels_own_constants():
    event, *_ = made_event()
    prepared = get_likelihood("pandel-spe").prepare(event)
    b = 1 / 25.0
    assert prepared.settings[track.LAMBDA_B] / b == pytest.approx(33.3)
    assert prepared.settings[track.TAU_B] / b == pytest.approx(557.0)
    assert bulk_ice().table[0, 0] == pytest.approx(b)


def test_mean_along_a_path_is_the_integral():
    from daybreak.neutrino.likelihood.ice import built_in_ice

    ice = built_in_ice()
    z = np.linspace(-1200, 900, 200_001)
    rows = np.array([ice_tables.ice_at(ice.table, v, ice.z0_m) for v in z])
    for value, whole in ((rows[:, 0], rows[:, 1]), (rows[:, 2], rows[:, 3])):
        numeric = integrate.cumulative_trapezoid(value, z, initial=0.0)
        assert np.abs(whole - whole[0] - numeric).max() < 1e-4


@pytest.mark.parametrize(
    "seed",
    [
        (np.nan, 0, 0, 0), (0, 0, 0, np.nan), (1e30, 0, 0, 0), (0, 0, 1e6, -1e9),
        (np.inf, np.inf, np.inf, np.inf), (0, 0, 0, 1e300),
    ],
)  # fmt: skip
def test_bad_seeds_do_no_harm(seed):
    event, *_ = made_event()
    prepared = get_likelihood("pandel-mpe", ice="built-in").prepare(event)
    good = prepared.fit(1.1, 0.7, prepared.seeds()[0])
    found = prepared.fit_many(np.array([1.1]), np.array([0.7]), np.array([[seed]], float))[0]
    assert found["llh"] == pytest.approx(good.llh, abs=0.1)
    assert all(np.isfinite(found[name]) for name in found.dtype.names)


def test_strange_events_give_finite_numbers_or_say_so():
    event, *_ = made_event()
    pulses = event.pulses
    rng = np.random.default_rng(7)
    for times in (np.full(60, 5.0), rng.uniform(0, 1e9, 60), rng.uniform(0, 10, 60) - 1e12):
        series = Pulses.from_columns(
            pulses.string, pulses.om, times, np.full(60, 1e6), pulses.width_ns, pulses.flags
        )
        prepared = get_likelihood("pandel-mpe", ice="built-in").prepare_pulses(series, event)
        zenith = np.array([0.0, np.pi, 1.0, np.pi / 2])
        rows = prepared.fit_many(zenith, zenith, np.array([prepared.seeds()] * 4))
        assert all(np.isfinite(rows[name]).all() for name in rows.dtype.names)


def test_a_fit_that_is_stopped_says_so():
    event, *_ = made_event()
    prepared = get_likelihood("pandel-mpe", ice="built-in").prepare(event)
    tables, out, counts = jitter.tables(), np.empty((1, 5)), np.empty((1, 2), np.int64)
    fit.fit_many(
        np.array([1.1]), np.array([0.7]), np.empty((1, 0, 4)), prepared.reference, prepared.hits,
        prepared.ice, prepared.settings, prepared.rough, tables.log_g, tables.log_s, 3, 1e-9, out,
        counts, *fit.work_arrays(prepared.n_doms),
    )  # fmt: skip
    assert counts[0, 1] == 1
    assert np.isfinite(out).all()


def test_threads_give_what_one_gives_and_the_lock_is_free():
    event, *_ = made_event(n_doms=200)
    prepared = pickle.loads(
        pickle.dumps(get_likelihood("pandel-mpe", ice="built-in").prepare(event))
    )
    zenith, azimuth = np.random.default_rng(3).uniform(0.3, 2.8, (2, 300))
    seeds = np.repeat(np.array([prepared.seeds()]), 300, axis=0)
    alone = prepared.fit_many(zenith, azimuth, seeds)
    done, ticks = [None, None], 0

    def work(k):
        half = slice(150 * k, 150 * (k + 1))
        done[k] = prepared.fit_many(zenith[half], azimuth[half], seeds[half])

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ticks += 1
        threads[0].join(0.001)
    both = np.concatenate(done)
    assert np.array_equal(both["llh"], alone["llh"])
    assert np.array_equal(both["evaluations"], alone["evaluations"])
    assert ticks > 10  # this thread went on meanwhile
