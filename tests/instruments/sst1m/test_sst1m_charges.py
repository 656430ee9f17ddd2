"""Charges of SST-1M: against ctapipe on the same waveforms, against sst1mpipe's own DL1."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.time import Time
from sst1m_cases import small_events

from daybreak.errors import ConfigError
from daybreak.images.camera import hexagonal_camera
from daybreak.instruments.sst1m.calibration import (
    CameraCalibration,
    load_calibration,
    voltage_drop,
)
from daybreak.instruments.sst1m.charges import (
    ChargeSettings,
    extract_charges,
    fill_from_neighbors,
    integration_factor,
    local_peak_sums,
    saturated_sums,
    subtract_baseline,
    swap_modules,
)
from daybreak.instruments.sst1m.geometry import load_layout
from daybreak.instruments.sst1m.pedestals import NoiseBuffer, first_pedestals, noise_of_events
from daybreak.instruments.sst1m.raw import open_raw, write_raw

NIGHT = Time("2018-08-22T23:59:00", scale="utc")


@pytest.fixture(scope="module")
def real() -> Path:
    protozfits = pytest.importorskip("protozfits")
    folder = Path(protozfits.__file__).parent / "tests" / "resources"
    return folder / "example_SST1M_20180822.fits.fz"


@pytest.fixture()
def sst1m(data_root) -> Path:
    pytest.importorskip("tables")
    folder = data_root / "sst1m"
    if not folder.is_dir():
        pytest.skip(f"no SST-1M calibration at {folder}")
    return folder


@pytest.mark.realdata()
def test_calibration(sst1m):
    one, two = (load_calibration(sst1m, tel, NIGHT) for tel in (21, 2))
    assert (one.telescope, two.telescope) == (21, 22)
    assert (one.bad.sum(), two.bad.sum()) == (5, 21)
    # means of the dark runs (facts/iact.md: gain about 21, dc_to_pe about 23.5)
    assert np.nanmean(one.gain_adc) == pytest.approx(21.03, abs=0.01)
    assert one.dc_to_pe.mean() == pytest.approx(23.51, abs=0.02)
    assert np.nanmean(one.crosstalk) == pytest.approx(0.105, abs=0.001)
    assert np.nanmean(one.dark_rate_mhz) == pytest.approx(1.80, abs=0.01)
    assert np.isfinite(one.dc_to_pe).all()
    # relative: their mean is one
    for window in (one.transmittance, two.transmittance):
        assert window.mean() == pytest.approx(1, abs=1e-6)
        assert 0.9 < window.min() < window.max() < 1.1


@pytest.mark.realdata()
@pytest.mark.parametrize(
    ("telescope", "when", "n"),
    [
        (22, "2023-08-31", 0),
        (22, "2023-09-02", 1),
        (22, "2024-07-18T00:00:01", 0),
        (21, "2023-09-02", 0),
        (21, "2026-01-01", 1),
    ],
)
def test_swapped_modules_by_date(sst1m, telescope, when, n):
    swaps = load_calibration(sst1m, telescope, Time(when, scale="utc")).swaps
    assert len(swaps) == n
    for first, second in swaps:
        assert len(first) == len(second) == 12
        assert not set(first) & set(second)


@pytest.mark.realdata()
def test_layout(sst1m):
    layout = load_layout(sst1m / "sst1m_array.h5")
    assert set(layout) == {21, 22}
    camera = layout[21].camera
    assert (camera.name, camera.n_pixels, camera.sampling_rate_ghz) == ("DigiCam", 1296, 0.25)
    assert camera.focal_length_m == pytest.approx(5.6)
    assert camera.n_neighbors.max() == 6
    assert np.bincount(camera.n_neighbors).tolist() == [0, 0, 3, 69, 0, 69, 1155]
    assert layout[22].position.to_value("m") == pytest.approx([71.38, 30.43, 1.42])


@pytest.mark.realdata()
def test_layout_is_what_ctapipe_reads(sst1m):
    pytest.importorskip("ctapipe")
    from ctapipe.instrument import SubarrayDescription

    theirs = SubarrayDescription.from_hdf(
        sst1m / "sst1m_array.h5", focal_length_choice="EQUIVALENT"
    ).tel[22]
    ours = load_layout(sst1m / "sst1m_array.h5")[22].camera
    geometry = theirs.camera.geometry
    assert np.array_equal(ours.x_m, geometry.pix_x.to_value("m"))
    assert np.allclose(ours.width_m, geometry.pixel_width.to_value("m"), rtol=1e-12)
    matrix = geometry.neighbor_matrix
    for pixel in range(ours.n_pixels):
        mine = ours.indices[ours.indptr[pixel] : ours.indptr[pixel + 1]]
        assert np.array_equal(mine, np.flatnonzero(matrix[pixel]))


@pytest.mark.realdata()
def test_sums_are_ctapipes(sst1m, real):
    """Pixel by pixel, on all real events, with ctapipe's integration correction."""
    pytest.importorskip("ctapipe")
    from ctapipe.image.extractor import LocalPeakWindowSum
    from ctapipe.instrument import SubarrayDescription

    subarray = SubarrayDescription.from_hdf(
        sst1m / "sst1m_array.h5", focal_length_choice="EQUIVALENT"
    )
    extractor = LocalPeakWindowSum(subarray, window_width=7, window_shift=3)
    camera = load_layout(sst1m / "sst1m_array.h5")[22].camera
    chunk = next(open_raw(real).chunks())
    sums, times = local_peak_sums(chunk.waveforms, chunk.baselines)
    sums = sums * integration_factor(camera, 7, 3)
    samples = subtract_baseline(chunk.waveforms, chunk.baselines)
    none = np.zeros((1, 1296), bool)
    for row in range(len(chunk)):
        dl1 = extractor(samples[None, row], 22, np.zeros(1296, int), none)
        np.testing.assert_allclose(sums[row], dl1.image, rtol=2e-6, atol=1e-4)
        np.testing.assert_allclose(times[row], dl1.peak_time, rtol=1e-6)


@pytest.mark.realdata()
def test_charges_are_those_of_sst1mpipe(sst1m, real, data_root):
    """All 38,880 charges of the peer's DL1; its event numbers run from 1000000."""
    import tables

    calibration = load_calibration(sst1m, 22, NIGHT)
    camera = load_layout(sst1m / "sst1m_array.h5")[22].camera
    raw = open_raw(real)
    buffer = first_pedestals(raw, calibration)
    assert len(buffer) == 2
    chunk = next(raw.chunks())
    noise = noise_of_events(chunk, chunk.waveforms, buffer)
    assert len(buffer) == 4
    got = extract_charges(
        chunk.waveforms,
        chunk.baselines,
        calibration,
        camera,
        variance_adc2=noise.variance_adc2,
        quiet=noise.quiet,
    )
    path = data_root / "peers/sst1mpipe/example_SST1M_20180822_dl1.h5"
    with tables.open_file(str(path)) as handle:
        peer = handle.root.dl1.event.telescope.images.tel_022[:]
    rows = peer["event_id"] - 1_000_000
    assert list(rows) == [i for i in range(32) if i not in (4, 21)]
    charge, time = got.charge_pe[rows], got.peak_time_ns[rows]
    assert got.filled[rows].sum() == 660
    np.testing.assert_allclose(charge, peer["image"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(time, peer["peak_time"], rtol=1e-6)


def _flat(n_pixels: int = 19, **changes) -> tuple[CameraCalibration, object]:
    camera = hexagonal_camera(
        "toy", n_pixels=n_pixels, pitch_m=0.02, focal_length_m=5.6, sampling_rate_ghz=0.25
    )
    parts = {
        "gain_adc": np.full(n_pixels, 20.0),
        "dc_to_pe": np.full(n_pixels, 25.0),
        "crosstalk": np.full(n_pixels, 0.1),
        "dark_rate_mhz": np.full(n_pixels, 2.0),
        "bad": np.zeros(n_pixels, bool),
        "transmittance": np.full(n_pixels, 0.9),
        "swaps": (),
    }
    return CameraCalibration(22, **{**parts, **changes}), camera


def test_charge_of_a_known_pulse():
    calibration, camera = _flat()
    waveforms = np.full((1, 19, 50), 200, np.uint16)
    waveforms[0, 4, 20:23] += np.array([100, 300, 50], np.uint16)
    baselines = np.full((1, 19), 200 * 16 + 8, np.uint16)
    got = extract_charges(waveforms, baselines, calibration, camera)
    # seven samples of half an ADC count too little, 25 ADC per photoelectron, window 0.9
    assert got.charge_pe[0, 4] == pytest.approx((450 - 7 * 0.5) / 25 / 0.9)
    weights = np.array([99.5, 299.5, 49.5])
    time = (weights * [20, 21, 22]).sum() / weights.sum() * 4
    assert got.peak_time_ns[0, 4] == pytest.approx(time)
    # a flat pixel: the window hangs over the start, and no sample is positive
    assert got.charge_pe[0, 0] == pytest.approx(-4 * 0.5 / 25 / 0.9)
    assert got.peak_time_ns[0, 0] == 0
    assert not got.filled.any()
    assert not got.saturated.any()


def test_saturated_pulse():
    samples = np.zeros((1, 1, 50), np.uint16)
    pulse = np.array([100, 800, 2600, 3100, 3100, 3000, 2900, 2600, 1500, 700, 500], np.uint16)
    samples[0, 0, 10:21] = pulse
    samples[0, 0, 25:28] = 900
    baselines = np.zeros((1, 1), np.uint16)
    sums, times = local_peak_sums(samples, baselines)
    assert saturated_sums(samples, baselines, sums, times, ChargeSettings())[0, 0]
    # from 800 (above 620) to 500, the first below it; the second pulse is not reached
    assert sums[0, 0] == pulse[1:].sum()
    assert times[0, 0] == (6 / 2 + 12) * 4
    # as high but narrow
    samples[0, 0, 13:17] = 100
    samples[0, 0, 13] = 3100
    sums, times = local_peak_sums(samples, baselines)
    before = sums.copy()
    assert not saturated_sums(samples, baselines, sums, times, ChargeSettings()).any()
    assert np.array_equal(sums, before)


def test_saturated_pulse_to_the_end_of_the_readout():
    samples = np.zeros((1, 1, 20), np.uint16)
    samples[0, 0, 12:] = 3500
    baselines = np.zeros((1, 1), np.uint16)
    sums, times = local_peak_sums(samples, baselines)
    assert saturated_sums(samples, baselines, sums, times, ChargeSettings()).all()
    assert sums[0, 0] == 8 * 3500


def test_bad_and_dead_pixels_get_their_neighbours_mean():
    bad = np.zeros(19, bool)
    bad[0] = True
    calibration, camera = _flat(bad=bad, transmittance=np.ones(19))
    rng = np.random.default_rng(4)
    waveforms = rng.integers(190, 230, (2, 19, 50)).astype(np.uint16)
    baselines = np.full((2, 19), 200 * 16, np.uint16)
    quiet = np.zeros((2, 19), bool)
    around = camera.indices[camera.indptr[0] : camera.indptr[1]]
    quiet[1, around[0]] = True
    got = extract_charges(waveforms, baselines, calibration, camera, quiet=quiet)
    assert got.filled.sum() == 3
    assert got.charge_pe[0, 0] == pytest.approx(got.charge_pe[0, around].mean(), rel=1e-6)
    assert got.charge_pe[1, 0] == pytest.approx(got.charge_pe[1, around[1:]].mean(), rel=1e-6)


def test_bad_pixels_without_good_neighbours_are_zero():
    _, camera = _flat()
    charge, time = np.ones((1, 19)), np.ones((1, 19))
    fill_from_neighbors(charge, time, np.ones((1, 19), bool), camera)
    assert not charge.any()
    assert not time.any()


def test_swap_is_its_own_inverse():
    rng = np.random.default_rng(5)
    waveforms = rng.integers(0, 4096, (2, 6, 3)).astype(np.uint16)
    baselines = rng.integers(0, 4096, (2, 6)).astype(np.uint16)
    swaps = ((np.array([0, 1]), np.array([4, 5])),)
    once = swap_modules(waveforms, baselines, swaps)
    assert np.array_equal(once[0][:, [4, 5]], waveforms[:, [0, 1]])
    assert np.array_equal(once[0][:, [2, 3]], waveforms[:, [2, 3]])
    assert np.array_equal(once[1][:, [0, 1]], baselines[:, [4, 5]])
    twice = swap_modules(*once, swaps)
    assert np.array_equal(twice[0], waveforms)
    assert np.array_equal(twice[1], baselines)


def test_voltage_drop():
    """More light, smaller signals; the loss per ADC count of shift is that of the fits."""
    assert voltage_drop(0.0, 21) == pytest.approx(1 + 0.4367913 * (0.00487 + 0.00317))
    for telescope, end in ((21, 74), (22, 339)):
        drop = voltage_drop(np.linspace(0, end, 50), telescope)
        assert (np.diff(drop) < 0).all()
        assert drop[-1] > 0.1


def test_noise_buffer_slides():
    buffer = NoiseBuffer(2)
    for scale in (1, 3, 5):
        buffer.add((np.tile([0, 2 * scale], (4, 10))).astype(np.uint16))
    assert len(buffer) == 2
    assert buffer.std_adc == pytest.approx(np.full(4, 4.0))


def test_noise_at_each_event(tmp_path):
    """A pedestal event counts for those after it, not for itself; swapped pixels are put right."""
    events = small_events(n=6)
    events["bits"] = np.array([1, 8, 1, 1, 8, 1])
    path = tmp_path / "a.fits.fz"
    write_raw(path, **events)
    swaps = ((np.array([0, 1]), np.array([4, 5])),)
    calibration, _ = _flat(24, swaps=swaps)
    order = np.array([4, 5, 2, 3, 0, 1, *range(6, 24)])
    stds = events["waveforms"].std(axis=2)[:, order]
    raw = open_raw(path)
    buffer = first_pedestals(raw, calibration, length=1)
    assert buffer.std_adc == pytest.approx(stds[1])
    chunk = next(raw.chunks())
    waveforms, _ = swap_modules(chunk.waveforms, chunk.baselines, swaps)
    limit = float(np.median(stds[4]))
    noise = noise_of_events(chunk, waveforms, buffer, dead_below_adc=limit)
    used = stds[[1, 1, 1, 1, 1, 4]]
    assert noise.variance_adc2 == pytest.approx(np.median(used**2, axis=1))
    assert np.array_equal(noise.quiet, used < limit)
    # without any pedestal event nothing is known
    empty = noise_of_events(next(raw.chunks(1)), waveforms[:1], NoiseBuffer())
    assert np.isnan(empty.variance_adc2).all()
    assert not empty.quiet.any()


def test_loss_of_each_event_is_its_own():
    calibration, camera = _flat()
    waveforms = np.full((3, 19, 50), 300, np.uint16)
    baselines = np.full((3, 19), 200 * 16, np.uint16)
    variance = np.array([np.nan, 50.0, 200.0])
    got = extract_charges(waveforms, baselines, calibration, camera, variance_adc2=variance)
    drop = voltage_drop(variance[1:], 22)
    charge = got.charge_pe[:, 0]
    assert charge[0] / charge[1:] == pytest.approx(drop, rel=1e-6)


@pytest.mark.realdata()
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("averaged_calib_param_v2_2023_2024_tel1.h5", "nonsense"),
        ("corr_factor_1st_wdw.txt", "pixel_id\tcorrection_factor\n0\t0.9\n"),
        ("inverted_module_list.json", "[1, 2"),
        ("inverted_module_list.json", '{"entry1": {"ntel": 21}}'),
        ("sst1mpipe_data_config.json", '{"analysis": {"bad_pixels": {"tel_021": [1296]}}}'),
    ],
)
def test_damaged_calibration_files_are_named(sst1m, tmp_path, name, content):
    for path in sst1m.iterdir():
        if path.suffix in {".h5", ".txt", ".json"}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert load_calibration(tmp_path, 21, NIGHT).n_pixels == 1296
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        load_calibration(tmp_path, 21, NIGHT)
    (tmp_path / name).unlink()
    if name != "sst1mpipe_data_config.json":
        with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
            load_calibration(tmp_path, 21, NIGHT)


@pytest.mark.realdata()
def test_named_bad_pixels(sst1m, tmp_path):
    for path in sst1m.iterdir():
        if path.suffix in {".h5", ".txt", ".json"}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = {"analysis": {"bad_pixels": {"tel_021": [7], "tel_022": []}}}
    (tmp_path / "sst1mpipe_data_config.json").write_text(json.dumps(settings))
    assert load_calibration(tmp_path, 21, NIGHT).bad.sum() == 6
    assert load_calibration(tmp_path, 22, NIGHT).bad.sum() == 21


def test_unknown_telescope(tmp_path):
    with pytest.raises(ConfigError, match="telescope 7"):
        load_calibration(tmp_path, 7, NIGHT)
