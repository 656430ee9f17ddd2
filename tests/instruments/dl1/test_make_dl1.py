"""Camera data to DL1, beside ctapipe's own calibrator and image processor on the same files."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from daybreak.cli import main as cli
from daybreak.config.dl1 import Dl1Config
from daybreak.errors import ConfigError, RunDataError
from daybreak.instruments.dl1.make import make_dl1
from daybreak.instruments.dl1.naming import dl1_names
from daybreak.instruments.dl1.settings import resolve_dl1

pytest.importorskip("ctapipe", reason="ctapipe is not installed")

FILES = {
    "history_meta_75.simtel.zst": "effective",
    "lst_muons.simtel.zst": "equivalent",
    "gamma_prod6_tel_event_header_v4.simtel.zst": "effective",
    "camsettings_v6.simtel.zst": "effective",
}
#: ctapipe computes these in single precision
SINGLE = ("intensity_skewness", "intensity_kurtosis", "peak_time_skewness", "peak_time_kurtosis")
#: they come out differently from run to run in ctapipe itself
RANDOM = ("timing_slope", "timing_intercept", "timing_deviation")


def theirs(path, focal):
    """Images, masks and parameters by telescope and event, as ctapipe makes them."""
    from ctapipe.calib import CameraCalibrator
    from ctapipe.image import ImageProcessor
    from ctapipe.io import EventSource
    from traitlets.config import Config

    config = Config(
        {
            "TailcutsImageCleaner": {
                "picture_threshold_pe": 8.0,
                "boundary_threshold_pe": 4.0,
                "min_picture_neighbors": 2,
                "keep_isolated_pixels": False,
            },
            "ImageQualityQuery": {
                "quality_criteria": [
                    ("pixels", "np.count_nonzero(image) > 2"),
                    ("charge", "image.sum() > 50"),
                ]
            },
        }
    )
    found = {}
    with EventSource(path, focal_length_choice=focal.upper()) as source:
        calibrate = CameraCalibrator(source.subarray)
        process = ImageProcessor(source.subarray, config=config)

        for event in source:
            calibrate(event)
            process(event)
            for tel_id, dl1 in event.dl1.tel.items():
                found[tel_id, event.index.event_id] = dl1
    return found


@pytest.mark.realdata
@pytest.mark.peer
@pytest.mark.parametrize("name", FILES)
def test_the_numbers_of_ctapipe(data_root, tmp_path, name):
    from ctapipe.io import TableLoader

    path = data_root / "simtel" / name
    config = Dl1Config(images=True, focal_length=FILES[name], timing="trimmed", chunk=7)
    made = make_dl1(path, tmp_path / "out.dl1.h5", config)
    expected = theirs(path, FILES[name])
    assert made.images == len(expected) and made.stopped == ""
    with TableLoader(made.path, focal_length_choice=FILES[name].upper()) as loader:
        table = loader.read_telescope_events(dl1_images=True, dl1_parameters=True)
    assert len(table) == made.images
    parametrised = 0
    for row in table:
        dl1 = expected[int(row["tel_id"]), int(row["event_id"])]
        np.testing.assert_allclose(row["image"], dl1.image, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(row["peak_time"], dl1.peak_time, rtol=1e-5, atol=1e-5)
        assert np.array_equal(row["image_mask"], dl1.image_mask)
        for group, container in dl1.parameters.items():
            prefix = {"intensity_statistics": "intensity", "peak_time_statistics": "peak_time"}
            for key, value in container.items():
                column = f"{prefix.get(group, group)}_{key}"
                if column not in table.colnames or column in RANDOM:
                    continue
                unit = table[column].unit
                number = u.Quantity(value).to_value(unit) if unit is not None else float(value)
                ours = float(u.Quantity(row[column]).value)
                if column == "hillas_intensity" and np.isfinite(number):
                    parametrised += 1
                if column.startswith("morphology") and number < 0:
                    assert ours < 0
                    continue
                slack = 2e-3 if column in SINGLE else 2e-5
                np.testing.assert_allclose(
                    ours, number, rtol=slack, atol=1e-7, err_msg=f"{name} {column}"
                )
    assert parametrised == made.parametrised > 0


def run(*words):
    """Exit code of the command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return ended.value.code or 0


@pytest.mark.realdata
def test_made_once(data_root, tmp_path, capsys):
    """The second time it is there; another setting makes it anew; nothing else is left."""
    path = data_root / "simtel" / "lst_muons.simtel.zst"
    words = (
        "make",
        "dl1",
        str(path),
        "-o",
        str(tmp_path / "out"),
        "--set",
        "focal_length=equivalent",
    )
    assert run(*words) == 0
    assert "made: " in capsys.readouterr().out
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == "lst_muons.dl1.h5"
    time = made.stat().st_mtime_ns
    assert run(*words) == 0
    assert "there: " in capsys.readouterr().out and made.stat().st_mtime_ns == time
    assert run(*words, "--set", "cleaning.picture=6") == 0
    assert "made: " in capsys.readouterr().out and made.stat().st_mtime_ns > time
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["lst_muons.dl1.h5"]


@pytest.mark.realdata
def test_a_file_that_ends_early(data_root, tmp_path, capsys):
    whole = (data_root / "simtel" / "prod4_pixelsettings_v3.gz").read_bytes()
    cut = tmp_path / "cut.simtel.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    code = run("make", "dl1", cut, "-o", tmp_path / "out")
    said = capsys.readouterr()
    assert code == 10 and "Traceback" not in said.err + said.out
    assert "cut.simtel.gz: the file ends early, after" in said.err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["cut.dl1.h5"]


@pytest.mark.parametrize("content", [b"", b"no camera data", b"\x1f\x8b\x08 no gzip", b"SIMPLE  ="])
def test_rubbish(tmp_path, content, capsys):
    path = tmp_path / "rubbish.simtel.gz"
    path.write_bytes(content)
    with pytest.raises(RunDataError, match=r"rubbish\.simtel\.gz"):
        make_dl1(path, tmp_path / "out.h5", Dl1Config())
    assert not (tmp_path / "out.h5").exists()
    with pytest.raises(RunDataError, match="is not there"):
        make_dl1(tmp_path / "absent", tmp_path / "out.h5", Dl1Config())


def test_names_and_settings(tmp_path):
    names = dl1_names([tmp_path / "a.simtel.zst", tmp_path / "b.fits.fz"], tmp_path)
    assert [p.name for p in names.values()] == ["a.dl1.h5", "b.dl1.h5"]
    with pytest.raises(ConfigError, match=r"two of the files would be made into a\.dl1\.h5"):
        dl1_names([tmp_path / "a.simtel.zst", tmp_path / "x" / "a.gz"], tmp_path)
    assert resolve_dl1(None, ["cleaning.picture=6"]).cleaning.picture == 6
    with pytest.raises(ConfigError, match=r"unknown key 'cleaning\.pictur'"):
        resolve_dl1(None, ["cleaning.pictur=6"])
    with pytest.raises(ConfigError, match="boundary is above picture"):
        resolve_dl1(None, ["cleaning.picture=3"])
