"""The scan itself: keeps the workers busy, stores what arrives, decides what comes next."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from daybreak.errors import DaybreakError, EngineError
from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.journal import Journal, Rows
from daybreak.neutrino.scan.pixels import Floats, Pixels
from daybreak.neutrino.scan.pools import FitWorkers
from daybreak.neutrino.scan.select import WHOLE_BELOW
from daybreak.neutrino.scan.tree import Tree, Wanted
from daybreak.neutrino.scan.work import PixelBlock

#: blocks are made as long as this, so that the table and the display are up to date
_BLOCK_S = 0.15
_LARGEST_BLOCK = 64
_FIRST_BLOCK = 2
#: blocks in flight per worker
_DEPTH = 2
#: longest time between two reports, although nothing arrives, in seconds
_LOOK_S = 1.0

ToLocal = Callable[[Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True)
class ScanProgress:
    """How far a scan has come.

    Attributes
    ----------
    nside, done, wanted
        The level that is being scanned, and its pixels.
    total
        Pixels fitted, on all levels, with those of an earlier run.
    best_ra_deg, best_dec_deg, best_llh, best_nside
        The best pixel so far.
    eta_s
        Expected seconds to the end; NaN where nothing is known yet.
    pixels_per_s
        Rate of this run.
    """

    nside: int
    done: int
    wanted: int
    total: int
    best_ra_deg: float
    best_dec_deg: float
    best_llh: float
    best_nside: int
    eta_s: float
    pixels_per_s: float

    def __str__(self) -> str:
        """What is known so far: best fit, rate, time to go; nothing before the first pixel."""
        parts = []
        if self.best_nside:
            place = f"RA {self.best_ra_deg:.2f} Dec {self.best_dec_deg:+.2f}"
            parts.append(f"best {place} (-log L {self.best_llh:.1f})")
        if self.pixels_per_s:
            parts.append(f"{self.pixels_per_s:.0f} pixels/s")
        if isfinite(self.eta_s):
            parts.append(f"{self.eta_s:.0f} s left")
        return ", ".join(parts) or "waiting for the first pixel"


Report = Callable[[ScanProgress], None]


@dataclass(frozen=True)
class ScanRun:
    """How a scan ended.

    Attributes
    ----------
    state
        Which pixels belong to the result.
    complete
        Every pixel that is wanted is there.
    fitted
        Pixels fitted in this run.
    wall_s
        Duration of this run.
    """

    state: Wanted
    complete: bool
    fitted: int
    wall_s: float


@dataclass
class _Rate:
    """Seconds of work per pixel, and the sizes of blocks that follow from it."""

    pixels: int = 0
    cpu_s: float = 0.0

    def add(self, rows: Rows) -> None:
        self.pixels += len(rows)
        self.cpu_s += float(rows["seconds"].sum())

    def block(self, waiting: int, workers: int) -> int:
        if not self.pixels:
            return _FIRST_BLOCK
        each = max(self.cpu_s / self.pixels, 1e-6)
        fair = -(-waiting // (workers * _DEPTH))
        return max(1, min(int(_BLOCK_S / each), _LARGEST_BLOCK, fair))


@dataclass
class _Best:
    llh: float = float("inf")
    nside: int = 0
    pixel: int = -1

    def add(self, rows: Rows) -> None:
        values = np.where(np.isfinite(rows["llh"]), rows["llh"], np.inf)
        if len(rows) and values.min() < self.llh:
            row = rows[int(values.argmin())]
            self.llh, self.nside, self.pixel = (
                float(row["llh"]),
                int(row["nside"]),
                int(row["pixel"]),
            )

    def position_deg(self) -> tuple[float, float]:
        if self.pixel < 0:
            return float("nan"), float("nan")
        ra, dec = sky.centres(self.nside, np.array([self.pixel]))
        return float(np.degrees(ra[0])), float(np.degrees(dec[0]))


@dataclass
class Scan:
    """A scan that is under way.

    Parameters
    ----------
    tree
        What is known; rows of an earlier run are in it already.
    journal
        Where results are stored.
    pool
        Where fits run.
    to_local
        From right ascension and declination to zenith and azimuth (rad) at the event's time.
    first_seeds
        Vertices (k, 4) from which the pixels of the coarsest level start.
    report
        Called after each block, and every second; it may raise KeyboardInterrupt to stop the scan.
    """

    tree: Tree
    journal: Journal
    pool: FitWorkers
    to_local: ToLocal
    first_seeds: Floats
    report: Report | None = None
    _active: dict[Future[Rows], tuple[int, Pixels]] = field(default_factory=dict)
    _sent: set[tuple[int, int]] = field(default_factory=set)
    _places: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    _rate: _Rate = field(default_factory=_Rate)
    _best: _Best = field(default_factory=_Best)

    def run(self) -> ScanRun:
        """Scan to the end, or until the user stops it.

        Raises
        ------
        EngineError
            If a fit fails or a worker is lost; what arrived is kept.
        """
        start = time.monotonic()
        state = self.tree.decide()
        for level in range(len(self.tree.nsides)):
            self._best.add(self.tree.rows(level))
        try:
            while len(state.missing):
                self._level(state, start)
                state = self.tree.decide()
            complete = True
        except KeyboardInterrupt:
            self._collect(timeout_s=0.0)
            state, complete = self.tree.decide(), False
            complete = not len(state.missing)
        finally:
            for future in self._active:
                future.cancel()
            self.journal.sync()
        return ScanRun(state, complete, self._rate.pixels, time.monotonic() - start)

    def _level(self, state: Wanted, start: float) -> None:
        """Fit what `state` misses; guess ahead where workers would wait."""
        level = state.level
        queue = [int(p) for p in state.missing if (level, int(p)) not in self._sent]
        self._look_up(level, queue)
        needed = {int(p) for p in state.missing}
        slots = self.pool.workers * _DEPTH
        while needed:
            while queue and len(self._active) < slots:
                size = self._rate.block(len(queue), self.pool.workers)
                self._send(level, np.array(queue[:size], np.int64))
                del queue[:size]
            if not queue and len(self._active) < self.pool.workers:
                self._guess(state, slots)
            for done_level, pixels in self._collect(_LOOK_S):
                if done_level == level:
                    needed.difference_update(int(p) for p in pixels)
            if self.report is not None:
                self.report(self._progress(state, len(needed), start))

    def _guess(self, state: Wanted, slots: int) -> None:
        likely = self.tree.guess(state.level, state.settled[state.level])
        level = state.level + 1
        ahead = [int(p) for p in likely if (level, int(p)) not in self._sent]
        ahead = ahead[: (slots - len(self._active)) * _LARGEST_BLOCK]
        self._look_up(level, ahead)
        while ahead and len(self._active) < slots:
            size = self._rate.block(len(ahead), self.pool.workers)
            self._send(level, np.array(ahead[:size], np.int64))
            del ahead[:size]

    def _seeds(self, level: int, pixels: Pixels) -> Floats:
        """Vertices to start from: several on the coarsest level, then that of the parent.

        A likelihood that does not trust the parent's vertex tries others besides.
        """
        if level == 0:
            return np.repeat(self.first_seeds[None], len(pixels), axis=0)
        return self.tree.seeds(level, pixels)

    def _look_up(self, level: int, pixels: list[int]) -> None:
        """Directions of pixels in the detector, all at once: a call costs as much as a fit."""
        new = np.array([p for p in pixels if (level, p) not in self._places], np.int64)
        if len(new):
            nside = self.tree.nsides[level]
            zenith, azimuth = self.to_local(*sky.centres(nside, new))
            for pixel, *place in zip(new.tolist(), zenith, azimuth, strict=True):
                self._places[level, pixel] = (float(place[0]), float(place[1]))

    def _send(self, level: int, pixels: Pixels) -> None:
        nside = self.tree.nsides[level]
        places = np.array([self._places[level, int(p)] for p in pixels])
        seeds = self._seeds(level, pixels)
        future = self.pool.submit(PixelBlock(nside, pixels, places[:, 0], places[:, 1], seeds))
        self._active[future] = (level, pixels)
        self._sent.update((level, int(p)) for p in pixels)

    def _collect(self, timeout_s: float) -> list[tuple[int, Pixels]]:
        """Take in the blocks that are done; wait for one, but no longer than that, if none is."""
        done, _ = wait(self._active, timeout=timeout_s, return_when=FIRST_COMPLETED)
        arrived = []
        for future in done:
            level, pixels = self._active.pop(future)
            rows = _rows(future, self.tree.nsides[level])
            self.journal.append(rows)
            self.tree.add(rows)
            self._rate.add(rows)
            self._best.add(rows)
            arrived.append((level, pixels))
        return arrived

    def _progress(self, state: Wanted, waiting: int, start: float) -> ScanProgress:
        nsides, settings = self.tree.nsides, self.tree.settings
        elapsed = time.monotonic() - start
        rate = self._rate.pixels / elapsed if elapsed > 0 else 0.0
        ahead, above = waiting, len(state.settled[state.level])
        for level in range(state.level + 1, len(nsides)):
            refined = min(settings.n_best + settings.n_minima // 2, above)
            if nsides[level - 1] < WHOLE_BELOW:
                refined = above
            above = refined * (nsides[level] // nsides[level - 1]) ** 2
            ahead += above
        ra, dec = self._best.position_deg()
        wanted = len(state.settled[state.level])
        return ScanProgress(
            nside=nsides[state.level], done=wanted - waiting, wanted=wanted, total=len(self.tree),
            best_ra_deg=ra, best_dec_deg=dec, best_llh=self._best.llh,
            best_nside=self._best.nside, eta_s=ahead / rate if rate > 0 else float("nan"),
            pixels_per_s=rate,
        )  # fmt: skip


def _rows(future: Future[Rows], nside: int) -> Rows:
    try:
        return future.result()
    except DaybreakError:
        raise
    except Exception as error:
        raise EngineError(
            f"a fit at nside {nside} failed: {type(error).__name__}: {error}",
            "What was finished is kept: the same command goes on from there.",
        ) from error
