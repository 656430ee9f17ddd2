"""The same images through ctapipe: masks the same, parameters to 1e-6."""

from __future__ import annotations

import numpy as np
import pytest
from camera_images import ctapipe_geometry, lst_like, shower_images

from daybreak.images.extraction import ExtractionSettings, extract, integration_correction
from daybreak.images.invalid import interpolate_invalid
from daybreak.images.parameters import COLUMNS, CleaningSettings, image_parameters

pytest.importorskip("ctapipe", reason="ctapipe is not installed")
pytestmark = pytest.mark.peer

N = 400
#: ctapipe computes these in single precision: compared with its functions in double
SINGLE = ("intensity", "peak_time")
#: these come out differently from run to run in ctapipe itself
RANDOM = ("timing_slope", "timing_intercept", "timing_deviation")


@pytest.fixture(scope="module")
def camera():
    return lst_like()


@pytest.fixture(scope="module")
def geometry(camera):
    return ctapipe_geometry(camera)


@pytest.fixture(scope="module")
def showers(camera):
    return shower_images(camera, N)


def theirs(geometry, image, times, mask):
    """Parameters of one image by ctapipe's functions, by our names."""
    from ctapipe.image import (
        concentration_parameters,
        descriptive_statistics,
        hillas_parameters,
        leakage_parameters,
        morphology_parameters,
    )

    chosen = geometry[mask]
    hillas = hillas_parameters(chosen, image[mask])
    parts = {
        "hillas": hillas,
        "leakage": leakage_parameters(geometry, image, mask),
        "concentration": concentration_parameters(chosen, image[mask], hillas),
        "morphology": morphology_parameters(geometry, mask),
        "intensity": descriptive_statistics(image[mask].astype(float)),
        "peak_time": descriptive_statistics(times[mask].astype(float)),
    }
    found = {}
    for prefix, container in parts.items():
        for key, value in container.items():
            key = {"x": "cog_x", "y": "cog_y", "fov_lon": "cog_x", "fov_lat": "cog_y"}.get(key, key)
            if prefix == "hillas" and key in ("psi", "phi", "psi_uncertainty"):
                value = value.to_value("rad")
            found[f"{prefix}_{key}"] = float(getattr(value, "value", value))
    return found


@pytest.mark.parametrize("frame", ["camera", "sky"])
def test_every_parameter(camera, geometry, showers, frame):
    images, times = showers
    if frame == "sky":
        import astropy.units as u
        from ctapipe.coordinates import CameraFrame, TelescopeFrame

        geometry.frame = CameraFrame(focal_length=camera.focal_length_m * u.m, rotation=0 * u.deg)
        geometry = geometry.transform_to(TelescopeFrame())
        camera = camera.on_sky()
    found = image_parameters(images, times, camera, CleaningSettings())
    compared, worst = 0, 0.0
    for event in range(N):
        mask = found.masks[event]
        if not np.isfinite(found.table[event, 0]):
            assert mask.sum() <= 2 or images[event][mask].sum() <= 50
            continue
        compared += 1
        for name, value in theirs(geometry, images[event], times[event], mask).items():
            ours = found.column(name)[event]
            if np.isnan(value):
                assert np.isnan(ours), (event, name)
                continue
            difference = abs(ours - value) / max(abs(value), 1e-6)
            assert difference < 1e-6, (event, name, ours, value)
            worst = max(worst, difference)
    assert compared > N / 2
    assert set(theirs(geometry, images[0], times[0], images[0] > 3)) | set(RANDOM) == set(COLUMNS)
    print(f"{compared} images, largest difference {worst:.1e}")


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("neighbors", [0, 1, 2, 3])
@pytest.mark.parametrize(("picture", "boundary"), [(8, 4), (5, 5), (3, 6), (20, 0.5)])
def test_tail_cuts(camera, geometry, showers, picture, boundary, neighbors, isolated):
    from ctapipe.image import tailcuts_clean

    images, times = showers[0][:60], showers[1][:60]
    settings = CleaningSettings(picture, boundary, neighbors, isolated)
    masks = image_parameters(images, times, camera, settings).masks
    for image, mask in zip(images, masks, strict=True):
        expected = tailcuts_clean(
            geometry, image, picture, boundary, isolated, min_number_picture_neighbors=neighbors
        )
        assert np.array_equal(mask, expected)


def test_thresholds_of_each_pixel(camera, geometry, showers):
    from ctapipe.image import tailcuts_clean

    images, times = showers[0][:60], showers[1][:60]
    rng = np.random.default_rng(3)
    picture = rng.uniform(5, 12, camera.n_pixels).astype(np.float32)
    boundary = (picture / 2).astype(np.float32)
    masks = image_parameters(
        images, times, camera, CleaningSettings(), picture=picture, boundary=boundary
    ).masks
    for image, mask in zip(images, masks, strict=True):
        expected = tailcuts_clean(
            geometry, image, picture, boundary, min_number_picture_neighbors=2
        )
        assert np.array_equal(mask, expected)


def test_time_cleaning_and_the_largest_island(camera, geometry, showers):
    from ctapipe.image import tailcuts_clean
    from ctapipe.image.cleaning import apply_time_delta_cleaning
    from ctapipe.image.morphology import largest_island, number_of_islands

    images, times = showers
    timed = image_parameters(images, times, camera, CleaningSettings(4, 2, 0, time_limit_ns=2.0))
    largest = image_parameters(
        images, times, camera, CleaningSettings(4, 2, 0, largest_island=True)
    )
    fewer = islands = 0
    for event in range(N):
        mask = tailcuts_clean(geometry, images[event], 4, 2)
        expected = apply_time_delta_cleaning(geometry, mask, times[event], 1, 2.0)
        assert np.array_equal(timed.masks[event], expected)
        fewer += expected.sum() < mask.sum()
        count, labels = number_of_islands(geometry, mask)
        assert np.array_equal(largest.masks[event], largest_island(labels))
        islands += count > 1
    assert fewer > 50 and islands > 50, "both had something to do"


def test_the_trimmed_fit_is_as_good_as_ctapipes(camera, geometry, showers):
    """The same sum of the same points; both draw five starts, and may miss the least of all."""
    from ctapipe.fitting import lts_linear_regression

    images, times = showers
    found = image_parameters(images, times, camera, CleaningSettings(timing="trimmed"))
    better = worse = same = 0
    for event in range(N):
        mask, psi = found.masks[event], found.column("hillas_psi")[event]
        if not np.isfinite(psi):
            continue
        dx = camera.x_m[mask] - found.column("hillas_cog_x")[event]
        dy = camera.y_m[mask] - found.column("hillas_cog_y")[event]
        along = dx * np.cos(psi) + dy * np.sin(psi)
        time = times[event][mask].astype(float)

        def trimmed(slope, intercept, along=along, time=time):
            squared = np.sort((time - slope * along - intercept) ** 2)
            return squared[: int(0.85 * len(time))].sum()

        ours = trimmed(found.column("timing_slope")[event], found.column("timing_intercept")[event])
        line, _ = lts_linear_regression(along, time, samples=5)
        other = trimmed(*line)
        if abs(ours - other) <= 1e-6 * other + 1e-9:
            same += 1
        elif ours < other:
            better += 1
        else:
            worse += 1
    total = same + better + worse
    assert total > N / 2 and same > 0.7 * total
    assert abs(better - worse) < 4 * np.sqrt(better + worse + 1)


def test_the_weighted_fit_finds_the_gradient(camera):
    """Injected: it does not depend on chance, nor on a few late pixels."""
    images, times = shower_images(camera, 200, seed=8)
    settings = CleaningSettings()
    first = image_parameters(images, times, camera, settings)
    again = image_parameters(images[::-1].copy(), times[::-1].copy(), camera, settings)
    np.testing.assert_array_equal(first.table, again.table[::-1])
    trimmed = image_parameters(images, times, camera, CleaningSettings(timing="trimmed"))
    good = first.column("morphology_n_pixels") > 30
    a, b = first.column("timing_slope")[good], trimmed.column("timing_slope")[good]
    assert np.median(np.abs(a - b)) < 1.0 and np.corrcoef(a, b)[0, 1] > 0.98


def test_threads_change_nothing(camera, showers):
    images, times = showers
    settings = CleaningSettings(timing="trimmed")
    one = image_parameters(images, times, camera, settings)
    two = image_parameters(images, times, camera, settings, threads=2)
    np.testing.assert_array_equal(one.masks, two.masks)
    np.testing.assert_array_equal(one.table, two.table)


@pytest.fixture(scope="module")
def waveforms(camera):
    rng = np.random.default_rng(4)
    images, times = shower_images(camera, 30, seed=5)
    samples = np.arange(40)
    peak = np.clip(times, 2, 37)[..., None]
    pulse = np.exp(-0.5 * ((samples - peak) / 1.8) ** 2) / (1.8 * np.sqrt(2 * np.pi))
    noise = rng.normal(0, 0.3, (30, camera.n_pixels, 40))
    return (np.clip(images, 0, None)[..., None] * pulse + noise).astype(np.float32)


@pytest.mark.parametrize("method", ["local_peak", "neighbor_peak", "fixed"])
def test_extraction(camera, waveforms, method):
    from ctapipe.image.extractor import extract_around_peak, neighbor_average_maximum

    settings = ExtractionSettings(method, 8, 4, peak_sample=18, correct=False)
    broken = np.zeros((30, camera.n_pixels), dtype=bool)
    broken[:, ::97] = True
    charge, time = extract(waveforms, camera, settings, broken=broken)
    two = extract(waveforms, camera, settings, broken=broken, threads=2)
    np.testing.assert_array_equal(charge, two[0])
    for event in range(30):
        if method == "local_peak":
            peak = waveforms[event].argmax(axis=-1)
        elif method == "fixed":
            peak = np.full(camera.n_pixels, 18)
        else:
            peak = neighbor_average_maximum(
                waveforms[event][None], camera.indices, camera.indptr, 0, broken[event][None]
            )[0]
        expected, at = extract_around_peak(waveforms[event], peak, 8, 4, 1.0)
        np.testing.assert_allclose(charge[event], expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(time[event], at, rtol=1e-6, atol=1e-6)


def test_the_correction_for_the_window(camera):
    from dataclasses import replace

    from ctapipe.image.extractor import integration_correction as theirs

    time = np.arange(0, 40, 0.1)
    pulse = np.exp(-0.5 * ((time - 15) / 2.0) ** 2)
    pulsed = replace(camera, pulse_time_ns=time, pulse=pulse[None])
    for width, shift in ((8, 4), (3, 1), (5, 3), (40, 20)):
        expected = theirs(pulse[None], 0.1, 1.0, width, shift)[0]
        assert integration_correction(pulsed, width, shift) == pytest.approx(expected, rel=1e-12)
    assert integration_correction(camera, 8, 4) == 1.0


def test_invalid_pixels(camera, geometry, showers):
    """Each the mean of its valid neighbours; alone among invalid ones: zero."""
    images, times = (a[:20].copy() for a in showers)
    invalid = np.zeros(images.shape, dtype=bool)
    invalid[:, ::53] = True
    middle = 0
    alone = camera.indices[camera.indptr[middle] : camera.indptr[middle + 1]]
    invalid[:, [middle, *alone]] = True
    expected = images.copy()
    matrix = geometry.neighbor_matrix
    for event in range(20):
        for pixel in np.flatnonzero(invalid[event]):
            valid = matrix[pixel] & ~invalid[event]
            expected[event, pixel] = images[event][valid].mean() if valid.any() else 0
    charge = images.copy()
    interpolate_invalid(charge, times, invalid, camera)
    np.testing.assert_allclose(charge, expected, rtol=1e-5, atol=1e-5)
    assert charge[0, middle] == 0 and np.isfinite(times).all()
