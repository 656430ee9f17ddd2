from __future__ import annotations

import random
import re
import time
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_scan import FIT_DTYPE, Bowl, make_event, to_local

from daybreak.errors import EngineError
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan import pools
from daybreak.neutrino.scan.driver import Scan, ScanProgress, ScanRun
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Journal
from daybreak.neutrino.scan.settings import Region, ScanSettings
from daybreak.neutrino.scan.tree import Tree
from daybreak.neutrino.scan.work import decode_event, encode_event, fit_block, scan_block

SEEDS = np.array([[1.0, 2.0, 3.0, 4.0]])
TWO = ((84.1, 11.3, 0.4, 0.0), (250.0, -40.0, 0.5, 1.0))


def run(
    folder: Path, model: Any = None, settings: ScanSettings | None = None, workers: int = 2,
    report: Any = None, pool: Any = pools.threads,
) -> tuple[Tree, ScanRun]:  # fmt: skip
    tree = Tree(settings or ScanSettings())
    with Journal(folder / "pixels.bin", "key") as journal:
        tree.add(journal.rows)
        with pool(model or Bowl(), workers) as place:
            return tree, Scan(tree, journal, place, to_local, SEEDS, report).run()


def settled(tree: Tree, done: ScanRun) -> np.ndarray:
    parts = [tree.rows(level, pixels) for level, pixels in enumerate(done.state.settled)]
    rows = np.concatenate(parts)
    rows["seconds"] = 0.0
    return rows


def best(tree: Tree) -> tuple[float, float]:
    rows = tree.rows(len(tree.nsides) - 1)
    pixel = rows["pixel"][[int(np.argmin(rows["llh"]))]]
    return tuple(float(np.degrees(v[0])) for v in sky.centres(tree.nsides[-1], pixel))


@pytest.mark.parametrize(
    "place", [(84.1, 11.3), (0.01, -0.5), (359.99, 41.8), (12.0, 89.95), (200.0, -89.5)]
)
def test_the_minimum_is_found_anywhere(tmp_path: Path, place):
    tree, done = run(tmp_path, Bowl(((*place, 0.4, 0.0),)))
    assert done.complete
    ra, dec = np.radians(best(tree))
    away = sky.separation_rad(*np.radians(place), np.array([ra]), np.array([dec]))
    assert np.degrees(away[0]) < sky.size_deg(512)
    assert 1500 < len(tree) < 3200


def test_a_second_minimum_is_refined_too(tmp_path: Path):
    tree, done = run(tmp_path, Bowl(TWO))
    rows = settled(tree, done)
    fine = rows[rows["nside"] == 512]
    for ra0, dec0, _, depth in TWO:
        ra, dec = sky.centres(512, fine["pixel"])
        near = np.degrees(sky.separation_rad(*np.radians((ra0, dec0)), ra, dec)) < 0.2
        assert near.sum() > 5
        assert fine["llh"][near].min() == pytest.approx(1000 + depth, abs=0.05)


def test_the_contour_region_is_looked_at_to_its_edge(tmp_path: Path):
    wide = Bowl(((84.1, 11.3, 3.0, 0.0),))
    tree, done = run(tmp_path, wide, ScanSettings(closure_delta_llh=3.3, max_pixels=20_000))
    assert done.complete
    assert done.state.capped == ()
    fine = tree.rows(3, done.state.settled[3])
    inside = fine["llh"] < fine["llh"].min() + 3.3
    area = inside.sum() * sky.size_deg(512) ** 2
    assert area == pytest.approx(np.pi * 9 * 2 * 3.3, rel=0.02)


def test_growth_ends_at_the_limit_and_is_told(tmp_path: Path):
    wide = Bowl(((84.1, 11.3, 20.0, 0.0),))
    _, done = run(tmp_path, wide, ScanSettings(max_pixels=2000))
    assert done.complete
    assert 512 in done.state.capped
    assert len(done.state.settled[3]) <= 2000


def test_every_pixel_is_seeded_by_its_parent(tmp_path: Path):
    tree, done = run(tmp_path)
    rows = settled(tree, done)
    by_place = {(int(r["nside"]), int(r["pixel"])): r for r in rows}
    for finer, coarser in ((8, 1), (64, 8), (512, 64)):
        below = rows[rows["nside"] == finer]
        above = sky.parents(finer, below["pixel"], coarser)
        for row, parent in zip(below, above, strict=True):
            seed = by_place[(coarser, int(parent))]
            assert row["z_m"] == seed["z_m"] + 1
            assert row["t_ns"] == seed["t_ns"] * 0.9
    first = rows[rows["nside"] == 1]
    assert set(first["z_m"]) == {4.0}


def jitter() -> None:
    time.sleep(random.random() * 0.004)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_order_of_arrival_does_not_matter(tmp_path: Path, workers: int):
    calm = settled(*run(tmp_path / "calm", Bowl(TWO), workers=1))
    tree, done = run(tmp_path / "wild", Bowl(TWO, jitter), workers=workers)
    assert np.array_equal(settled(tree, done), calm)


class Stopper:
    """Presses Ctrl-C when so many pixels are there."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, now: ScanProgress) -> None:
        if now.total >= self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [3, 12, 500, 800, 1600, 2300])
def test_a_stopped_scan_goes_on_to_the_same_result(tmp_path: Path, after: int):
    whole = settled(*run(tmp_path / "whole", Bowl(TWO)))
    tree, done = run(tmp_path / "part", Bowl(TWO, jitter), report=Stopper(after))
    assert not done.complete
    assert len(tree) >= after
    again, done = run(tmp_path / "part", Bowl(TWO))
    assert done.complete
    assert done.fitted == len(again) - len(tree)
    assert np.array_equal(settled(again, done), whole)
    _, third = run(tmp_path / "part", Bowl(TWO))
    assert third.fitted == 0


def test_the_next_level_begins_before_the_last_is_complete(tmp_path: Path):
    class Slow(Bowl):
        """One pixel of nside 8 takes very long."""

        def fit_many(self, zenith, azimuth, seeds):
            if zenith.min() < 0.12 and not slept:
                slept.append(True)
                time.sleep(0.5)
            return super().fit_many(zenith, azimuth, seeds)

    slept: list[bool] = []
    levels: list[tuple[int, int]] = []

    def report(now: ScanProgress) -> None:
        levels.append((now.nside, now.total))

    calm = settled(*run(tmp_path / "calm"))
    tree, done = run(tmp_path / "slow", Slow(), report=report, workers=3)
    ahead = [total for nside, total in levels if nside == 8 and total > 12 + 768]
    assert ahead, "nothing was fitted ahead"
    assert np.array_equal(settled(tree, done), calm)


def test_only_a_circle(tmp_path: Path):
    region = Region(ra_deg=84.0, dec_deg=11.0, radius_deg=2.0)
    tree, done = run(tmp_path, settings=ScanSettings(around=region))
    assert done.complete
    rows = settled(tree, done)
    for nside in (8, 64, 512):
        ra, dec = sky.centres(nside, rows["pixel"][rows["nside"] == nside])
        away = np.degrees(sky.separation_rad(*np.radians((84.0, 11.0)), ra, dec))
        assert away.max() < 2.0 + 1.2 * sky.size_deg(nside)
    assert best(tree) == pytest.approx((84.1, 11.3), abs=0.12)


@pytest.mark.parametrize("nsides", [(1,), (2, 4), (8, 64), (1, 2, 4, 8, 16, 32, 64)])
def test_other_resolutions(tmp_path: Path, nsides):
    tree, done = run(tmp_path, settings=ScanSettings(nsides=nsides))
    assert done.complete
    away = sky.separation_rad(
        *np.radians((84.1, 11.3)), *(np.radians(np.array([v])) for v in best(tree))
    )
    assert np.degrees(away[0]) < sky.size_deg(nsides[-1])


def test_processes_do_the_same(tmp_path: Path):
    settings = ScanSettings(nsides=(1, 8))
    calm = settled(*run(tmp_path / "threads", settings=settings))
    tree, done = run(tmp_path / "processes", settings=settings, pool=pools.processes)
    assert np.array_equal(settled(tree, done), calm)


class Broken(Bowl):
    def fit_many(self, zenith, azimuth, seeds):
        if len(zenith) and np.any(zenith < 0.5):
            raise ZeroDivisionError("ice is missing")
        return super().fit_many(zenith, azimuth, seeds)


def test_a_fit_that_fails_is_told_and_the_rest_is_kept(tmp_path: Path):
    with pytest.raises(EngineError, match=r"nside 8.*ice is missing") as caught:
        run(tmp_path, Broken())
    assert "kept" in caught.value.hint
    with Journal(tmp_path / "pixels.bin", "key") as journal:
        assert len(journal.rows) >= 12


class Holes(Bowl):
    """Finds nothing on half of the sky."""

    def fit_many(self, zenith, azimuth, seeds):
        out = super().fit_many(zenith, azimuth, seeds)
        out["llh"][azimuth > np.pi] = np.nan
        return out


def test_pixels_without_a_fit_are_no_minima(tmp_path: Path):
    tree, done = run(tmp_path, Holes())
    assert done.complete
    assert best(tree) == pytest.approx((84.1, 11.3), abs=0.12)
    assert np.isnan(tree.rows(0)["llh"]).any()


def test_progress_tells_the_best_fit_and_the_time_to_go(tmp_path: Path):
    seen: list[ScanProgress] = []
    _, done = run(tmp_path, Bowl(sleep=lambda: time.sleep(0.002)), report=seen.append)
    last = seen[-1]
    assert (last.nside, last.done) == (512, last.wanted)
    assert (last.best_ra_deg, last.best_dec_deg) == pytest.approx((84.1, 11.3), abs=0.12)
    assert last.eta_s == pytest.approx(0.0, abs=1e-6)
    assert re.match(r"best RA 8\d\.\d\d Dec \+11\.\d\d .* pixels/s, 0 s left$", str(last))
    assert all(a.best_llh >= b.best_llh for a, b in pairwise(seen))
    assert done.complete and done.wall_s > 0


def test_a_scan_that_waits_for_its_workers_can_be_stopped(tmp_path: Path):
    """As on a cluster whose queue is full: nothing arrives, and progress is told all the same."""

    @contextmanager
    def queue(*_):
        yield pools.FitWorkers(lambda block: Future(), 2, "queue")

    seen = []

    def stop(progress: ScanProgress) -> None:
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    _, done = run(tmp_path, pool=queue, report=stop)
    assert not done.complete and done.fitted == 0
    assert seen[0].total == 0 and str(seen[0]) == "waiting for the first pixel"


def test_an_event_survives_the_way_to_a_worker():
    event = make_event()
    back = decode_event(encode_event(event))
    assert np.array_equal(back.pulses.time_ns, event.pulses.time_ns)
    assert back.pulses.charge_pe.dtype == event.pulses.charge_pe.dtype
    assert np.array_equal(back.geometry.xyz_m, event.geometry.xyz_m)
    assert back.header.run == event.header.run
    assert abs((back.header.start - event.header.start).to_value("s")) < 1e-9
    assert encode_event(back) == encode_event(event)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04N."])
def test_bytes_that_are_no_event_are_refused(data: bytes):
    with pytest.raises(EngineError, match="no event"):
        decode_event(data)


def test_a_worker_elsewhere_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import pickle
    from concurrent.futures import ThreadPoolExecutor

    from daybreak.neutrino.scan import work

    made: list[bytes] = []

    def prepared(event: bytes, likelihood: str, options: str) -> Bowl:
        made.append(event)
        assert (likelihood, options) == ("bowl", '{"a": 1}')
        return Bowl()

    monkeypatch.setattr(work, "_prepared", prepared)
    settings = ScanSettings(nsides=(1, 8, 64))
    calm = settled(*run(tmp_path / "here", settings=settings))
    with ThreadPoolExecutor(3) as executor:

        def submit(payload: dict[str, Any]) -> Any:
            return executor.submit(scan_block, pickle.loads(pickle.dumps(payload)))

        place = pools.remote(submit, make_event(), "bowl", {"a": 1}, 3, "cluster")
        tree = Tree(settings)
        with Journal(tmp_path / "pixels.bin", "key") as journal:
            done = Scan(tree, journal, place, to_local, SEEDS).run()
    assert np.array_equal(settled(tree, done), calm)
    assert decode_event(made[0]).header.run == 136766


def test_cpu_time_is_shared_out():
    class Busy(Bowl):
        def fit_many(self, zenith, azimuth, seeds):
            end = time.thread_time() + 0.05
            while time.thread_time() < end:
                pass
            return super().fit_many(zenith, azimuth, seeds)

    from daybreak.neutrino.scan.work import PixelBlock

    zenith = np.linspace(0.1, 3, 10)
    rows = fit_block(Busy(), PixelBlock(8, np.arange(10), zenith, zenith, np.zeros((10, 1, 4))))
    assert rows.dtype == PIXEL_DTYPE
    assert rows["seconds"].sum() == pytest.approx(0.05, abs=0.02)
    assert rows["seconds"] / rows["evaluations"] == pytest.approx(
        rows["seconds"][0] / rows["evaluations"][0]
    )
    assert set(FIT_DTYPE.names) >= {"llh", "evaluations"}
