from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fake_scan import make_event
from test_scan_contours import scanned

from daybreak.neutrino import maps, skyreader
from daybreak.neutrino.result import ScanOutcome, write_maps, write_tables
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.journal import PIXEL_DTYPE
from daybreak.neutrino.scan.settings import Region, ScanSettings
from daybreak.products.provenance import provenance

PLACE = (84.1, 11.3)
BLOCK = provenance("scan", "digest", {"event": "0" * 64})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ScanOutcome:
    return scanned(tmp_path_factory.mktemp("scan"), ((*PLACE, 0.4, 0.0),))


@pytest.fixture(scope="module")
def folder(result: ScanOutcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("maps")
    write_maps(out, make_event(), result, BLOCK)
    write_tables(out / "results", result, {"provenance": BLOCK})
    return out


def test_the_tiles_cover_the_sky_once(result: ScanOutcome):
    assert result.tiling.area_sr().sum() == pytest.approx(4 * np.pi)
    assert result.tiling.own.all()
    assert result.tiling.probability().sum() == pytest.approx(1.0)
    known = {(nside, p) for nside, rows in result.levels for p in rows["pixel"].tolist()}
    assert (
        set(zip(result.tiling.nside.tolist(), result.tiling.pixel.tolist(), strict=True)) <= known
    )


def test_a_gaussian_minimum_has_a_gaussian_probability(result: ScanOutcome):
    ra, dec = result.tiling.centres()
    away = np.degrees(sky.separation_rad(*np.radians(PLACE), ra, dec))
    inside = result.tiling.probability()[away < 0.4 * np.sqrt(-2 * np.log(0.5))].sum()
    assert inside == pytest.approx(0.5, abs=0.02)
    wider = result.tiling.probability(4.0)[away < 0.8 * np.sqrt(-2 * np.log(0.5))].sum()
    assert wider == pytest.approx(0.5, abs=0.02)


def test_children_that_were_not_fitted_inherit():
    top = np.zeros(12, PIXEL_DTYPE)
    top["nside"], top["pixel"], top["llh"] = 1, np.arange(12), 50.0 + np.arange(12)
    some = np.zeros(2, PIXEL_DTYPE)
    some["nside"], some["pixel"], some["llh"] = 2, sky.children(1, np.array([4]), 2)[0][:2], 7.0
    tiling = maps.tile([(1, top), (2, some), (4, top[:0])])
    assert len(tiling) == 11 + 4
    assert tiling.area_sr().sum() == pytest.approx(4 * np.pi)
    fine = tiling.nside == 2
    assert sorted(tiling.llh[fine].tolist()) == [7.0, 7.0, 54.0, 54.0]
    assert tiling.own[fine].sum() == 2


def test_the_flat_map(folder: Path, result: ScanOutcome):
    with fits.open(folder / "skymap.fits.gz") as hdus:
        header, data = hdus[1].header, hdus[1].data
        assert (header["ORDERING"], header["COORDSYS"], header["NSIDE"]) == ("RING", "C", 512)
        assert header["CALIB"] == "wilks"
        assert header["COMPLETE"] is True
        assert header["MJD-OBS"] == pytest.approx(59754.675880, abs=1e-5)
        assert header["CREATOR"].startswith("daybreak")
        assert len(data) == 12 * 512**2
        assert data["PROB"].sum() == pytest.approx(1.0)
        best = int(np.argmin(data["LLH"]))
        assert best == result.best.pixel
        ra, dec = sky.centres(512, np.array([best]))
        assert np.degrees([ra[0], dec[0]]) == pytest.approx(PLACE, abs=0.1)
        assert data["TS"].min() == 0.0


def test_flat_and_multiorder_say_the_same(folder: Path):
    with fits.open(folder / "skymap.multiorder.fits") as hdus:
        header, rows = hdus[1].header, hdus[1].data
        assert (header["ORDERING"], header["PIXTYPE"], header["MOCORDER"]) == (
            "NUNIQ",
            "HEALPIX",
            9,
        )
        uniq, density = np.asarray(rows["UNIQ"]), np.asarray(rows["PROBDENSITY"])
        llh = np.asarray(rows["LLH"])
        assert rows.columns["PROBDENSITY"].unit == "sr-1"
    assert (np.diff(uniq) > 0).all()
    level = np.floor(np.log2(uniq / 4) / 2).astype(int)
    nside = 2**level
    area = 4 * np.pi / (12.0 * nside**2)
    assert area.sum() == pytest.approx(4 * np.pi)
    assert (density * area).sum() == pytest.approx(1.0)
    from astropy_healpix import HEALPix

    with fits.open(folder / "skymap.fits.gz") as hdus:
        flat = np.asarray(hdus[1].data["LLH"], float)
    for n in (1, 8, 64, 512):
        here = nside == n
        if not here.any():
            continue
        ring = HEALPix(n, order="ring").nested_to_ring(uniq[here] - 4 * n * n)
        below = sky.children(n, ring, 512) if n < 512 else np.asarray(ring)[:, None]
        assert np.allclose(flat[below], llh[here][:, None], rtol=1e-6, atol=0)


def test_a_part_of_the_sky_leaves_the_rest_empty(tmp_path: Path):
    settings = ScanSettings(around=Region(ra_deg=84.0, dec_deg=11.0, radius_deg=3.0))
    part = scanned(tmp_path, ((*PLACE, 0.4, 0.0),), settings)
    write_maps(tmp_path, make_event(), part, BLOCK)
    with fits.open(tmp_path / "skymap.fits.gz") as hdus:
        data = hdus[1].data
        far = sky.pixel_at(512, np.radians([264.0]), np.radians([-11.0]))
        assert np.isnan(data["LLH"][far]).all()
        assert data["PROB"][far].tolist() == [0.0]
        assert data["PROB"].sum() == pytest.approx(1.0)


def test_the_table_of_pixels(folder: Path, result: ScanOutcome):
    from astropy.table import Table

    pixels = Table.read(folder / "results" / "pixels.fits")
    assert len(pixels) == result.pixels
    assert pixels["x_m"].unit == "m"
    levels = Table.read(folder / "results" / "levels.ecsv")
    assert levels["pixels"].sum() == result.pixels
    assert levels["evaluations"].sum() == pixels["evaluations"].sum()


def test_the_json_is_json(folder: Path, result: ScanOutcome):
    (path,) = (folder / "skyreader").glob("*.json")
    loaded = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert list(loaded) == ["nside-1", "nside-8", "nside-64", "nside-512"]
    assert path.name == "run00136766.evt000007637140.own-simulation_1_8_64_512.json"
    assert sum(len(block["data"]) for block in loaded.values()) == result.pixels


@pytest.mark.parametrize("kind", ["../../etc/x", "a/b", "\x00", "gold ;rm", ""])
def test_a_hostile_kind_stays_in_its_folder(kind: str):
    name = skyreader.file_stem(make_event(kind=kind), [1, 8])
    assert "/" not in name
    assert "\x00" not in name


@pytest.mark.peer
class TestPeers:
    def test_healpy_reads_the_flat_map(self, folder: Path, result: ScanOutcome):
        healpy = pytest.importorskip("healpy")
        llh, ts, probability = healpy.read_map(
            folder / "skymap.fits.gz", field=(0, 1, 2), dtype=None
        )
        theta, phi = healpy.pix2ang(512, int(np.argmin(llh)))
        assert np.degrees(phi) == pytest.approx(PLACE[0], abs=0.1)
        assert 90 - np.degrees(theta) == pytest.approx(PLACE[1], abs=0.1)
        assert probability.sum() == pytest.approx(1.0, abs=1e-6)
        assert ts.min() == 0.0

    def test_mocpy_reads_the_multiorder_map(self, folder: Path):
        mocpy = pytest.importorskip("mocpy")
        moc = mocpy.MOC.from_multiordermap_fits_file(
            str(folder / "skymap.multiorder.fits"), cumul_from=0.0, cumul_to=0.9
        )
        area = moc.sky_fraction * 4 * np.pi * (180 / np.pi) ** 2
        assert area == pytest.approx(np.pi * 0.16 * 2 * np.log(10), rel=0.04)

    @pytest.mark.parametrize("suffix", ["json", "npz"])
    def test_skyreader_loads_the_scan(self, folder: Path, result: ScanOutcome, suffix: str):
        reader = pytest.importorskip("skyreader")
        (path,) = (folder / "skyreader").glob(f"*.{suffix}")
        read = reader.SkyScanResult.read_json if suffix == "json" else reader.SkyScanResult.read_npz
        loaded = read(path)
        assert loaded.nsides == [1, 8, 64, 512]
        assert loaded.has_minimal_metadata()
        meta = loaded.get_event_metadata()
        assert (meta.run_id, meta.event_id, meta.is_real_event) == (136766, 7637140, False)
        assert meta.mjd == pytest.approx(59754.675880, abs=1e-5)
        ra, dec = loaded.best_dir
        assert np.degrees([ra, dec]) == pytest.approx(PLACE, abs=0.1)
        assert loaded.best_fit["index"] == result.best.pixel
        fine = loaded.get_results_per_nside(512)
        ours = dict(result.levels)[512]
        assert np.array_equal(fine["index"], ours["pixel"])
        assert np.array_equal(fine["llh"], ours["llh"])
        assert np.array_equal(fine["Z"], ours["z_m"])

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    def test_skyreader_plots_the_scan(
        self, folder: Path, result: ScanOutcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        reader = pytest.importorskip("skyreader")
        import matplotlib as mpl

        mpl.use("Agg")
        (path,) = (folder / "skyreader").glob("*.json")
        loaded = reader.SkyScanResult.read_json(path)
        plotter = reader.plot.plot.SkyScanPlotter(output_dir=tmp_path)
        plotter.PLOT_DPI_STANDARD = plotter.PLOT_DPI_ZOOMED = 60
        plotter.create_plot(loaded)
        plotter.create_plot_zoomed(loaded)
        made = sorted(tmp_path.glob("*.pdf"))
        assert len(made) == 2
        assert all(p.stat().st_size > 20_000 for p in made)
        said = re.findall(r"Contour Area \((\d+)%\): ([\d.]+)", capsys.readouterr().out)
        assert [percent for percent, _ in said] == ["50", "90"]
        areas = [contour.area_deg2 for contour in result.contours]
        assert [float(area) for _, area in said] == pytest.approx(areas, rel=0.02)
