"""The same muons and the same gamma as in CORSIKA's files, simulated again."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from daybreak.images.camera import Camera
from daybreak.simulate.showers import lst_like
from daybreak.simulate.showers.array import make_array
from daybreak.simulate.showers.batch import run_batch

pytestmark = pytest.mark.realdata


def camera_of(about, focal_length_m):
    geometry = about.camera.geometry
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
        about.camera.readout.sampling_rate.to_value("GHz"),
    )


def again(kind, one, shower, pointing, n):
    altitude, azimuth = shower.alt.to_value("rad"), shower.az.to_value("rad")
    c = math.cos(altitude)
    source = [c * math.cos(azimuth), -c * math.sin(azimuth), math.sin(altitude)]
    return run_batch(
        kind,
        make_array((one,), *pointing),
        (one,),
        energy_tev=np.full(n, shower.energy.to_value("TeV")),
        direction=np.tile(-np.array(source), (n, 1)),
        core_m=np.tile([shower.core_x.to_value("m"), shower.core_y.to_value("m")], (n, 1)),
        seeds=np.arange(n, dtype=np.uint32),
        thinning=3e-4,
        keep_photons=False,
    )


def moments(camera, image):
    w = image.astype(float)
    x, y = (np.degrees(a / camera.focal_length_m) for a in (camera.x_m, camera.y_m))
    value = np.linalg.eigvalsh(np.cov(np.stack([x, y]), aweights=w, ddof=0))
    return [w.sum(), w @ x / w.sum(), w @ y / w.sum(), *np.sqrt(value[::-1])]


def opened(data_root, name):
    io = pytest.importorskip("ctapipe.io")
    path = data_root / "simtel" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    return io.EventSource(path, focal_length_choice="EQUIVALENT")


def test_charge_and_place_of_muon_rings(data_root):
    ratio, shift = [], []
    with opened(data_root, "lst_muons.simtel.zst") as source:
        camera = camera_of(source.subarray.tel[1], 28.0)
        one = dataclasses.replace(
            lst_like()[0], camera=camera, site_height_m=2180.0, position_m=(0.0, 0.0, 16.0)
        )
        for event in source:
            shower = event.simulation.shower
            if shower.energy.to_value("GeV") < 12:
                continue  # scattered on the way: each is different
            made = again("muon-", one, shower, (math.pi / 2, 0.0), 12).images[0]
            ours = np.median([moments(camera, i) for i in made], axis=0)
            theirs = moments(camera, event.simulation.tel[1].true_image)
            ratio.append(theirs[0] / ours[0])
            shift.append([theirs[1] - ours[1], theirs[2] - ours[2]])
    assert len(ratio) > 15
    # nothing was adjusted to these muons: the efficiency is from the parts of the telescope
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)
    assert np.median(np.abs(shift)) < 0.12


def test_one_gamma_in_four_large_telescopes(data_root):
    pulls, sizes = [], []
    with opened(data_root, "history_meta_75.simtel.zst") as source:
        event = next(iter(source))
        shower = event.simulation.shower
        site = next(iter(source.simulation_config.values())).prod_site_alt.to_value("m")
        for tel, seen in event.simulation.tel.items():
            about = source.subarray.tel[tel]
            if "LST" not in str(about):
                continue
            camera = camera_of(about, about.optics.effective_focal_length.to_value("m"))
            place = tuple(source.subarray.positions[tel].to_value("m"))
            one = dataclasses.replace(
                lst_like()[0], camera=camera, site_height_m=site, position_m=place
            )
            pointing = event.monitoring.tel[tel].pointing
            where = pointing.altitude.to_value("rad"), pointing.azimuth.to_value("rad")
            made = again("gamma", one, shower, where, 100)
            early = made.first_m > 25e3  # CORSIKA's interacted at 42 km
            ours = np.array([moments(camera, i) for i in made.images[0][early]])
            theirs = np.array(moments(camera, seen.true_image))
            pulls.append(((theirs - ours.mean(axis=0)) / ours.std(axis=0))[1:])
            sizes.append(theirs[0] / ours[:, 0].mean())
    assert len(pulls) == 4
    assert np.sqrt(np.mean(np.square(pulls))) < 1.7
    # fewer photo-electrons than ours, alike in all telescopes: see docs/virtual-telescopes.md
    assert 0.5 < np.mean(sizes) < 1.0
