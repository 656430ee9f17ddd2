"""What a scan knows, and what it wants to know next.

The result of a pixel depends on the event and on its parent's vertex alone, so it is the same in
whatever order the pixels are fitted. Which pixels belong to the result is decided level by level,
each on the complete one above. Pixels that were fitted on a guess before their level was decided
and that turn out not to be wanted stay in the journal, but not in the result. Thus a scan that was
stopped and resumed, or ran on other workers, ends with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.journal import PIXEL_DTYPE, Rows
from daybreak.neutrino.scan.pixels import Floats, Pixels
from daybreak.neutrino.scan.select import open_border, to_refine
from daybreak.neutrino.scan.settings import ScanSettings

_ROUNDS = 60


@dataclass
class Wanted:
    """The state of the decision.

    Attributes
    ----------
    settled
        Pixels that belong to the result, per level, sorted; the last entry may wait for some.
    level
        Index of the level that waits.
    missing
        Pixels that it waits for, the most promising first; none: the scan is complete.
    capped
        nsides whose outward growth ended at `max_pixels`.
    """

    settled: list[Pixels] = field(default_factory=list)
    level: int = 0
    missing: Pixels = field(default_factory=lambda: np.empty(0, np.int64))
    capped: tuple[int, ...] = ()


class Tree:
    """All results so far, by level and pixel.

    Parameters
    ----------
    settings
        What was asked for.
    """

    def __init__(self, settings: ScanSettings) -> None:
        self.settings = settings
        self.nsides = settings.nsides
        self._rows: list[dict[int, Rows]] = [{} for _ in self.nsides]
        self._level = {nside: level for level, nside in enumerate(self.nsides)}

    def add(self, rows: Rows) -> Rows:
        """Take in rows; those that are known already or belong to no level are left out.

        Parameters
        ----------
        rows
            Fitted pixels.

        Returns
        -------
        ndarray
            The rows that were new.
        """
        new = np.zeros(len(rows), bool)
        for i, row in enumerate(rows):
            level = self._level.get(int(row["nside"]))
            if level is not None and int(row["pixel"]) not in self._rows[level]:
                self._rows[level][int(row["pixel"])] = row.copy()
                new[i] = True
        return rows[new]

    def has(self, level: int, pixel: int) -> bool:
        """Whether the pixel was fitted.

        Parameters
        ----------
        level
            Number of the level, 0 for the coarsest.
        pixel
            Number of the pixel.
        """
        return pixel in self._rows[level]

    def __len__(self) -> int:
        return sum(map(len, self._rows))

    def rows(self, level: int, pixels: Pixels | None = None) -> Rows:
        """Rows of a level (or of the known ones of `pixels`), sorted by pixel.

        Parameters
        ----------
        level
            Number of the level, 0 for the coarsest.
        pixels
            Numbers of pixels, shape (n,).
        """
        known = self._rows[level]
        picked = sorted(known) if pixels is None else sorted(int(p) for p in pixels if p in known)
        if not picked:
            return np.empty(0, PIXEL_DTYPE)
        return np.array([known[p] for p in picked], PIXEL_DTYPE)

    def seeds(self, level: int, pixels: Pixels) -> Floats:
        """Vertex of each pixel's parent, shape (n, 1, 4); the parents are known.

        Parameters
        ----------
        level
            Number of the level, 0 for the coarsest.
        pixels
            Numbers of pixels, shape (n,).
        """
        above = sky.parents(self.nsides[level], pixels, self.nsides[level - 1])
        found = [self._rows[level - 1][int(p)] for p in above]
        return np.array([[[r["x_m"], r["y_m"], r["z_m"], r["t_ns"]]] for r in found], float)

    def first_level(self) -> Pixels:
        """Pixels of the coarsest level."""
        circle, nside = self.settings.around, self.nsides[0]
        if circle is None:
            return np.arange(sky.n_pixels(nside))
        return sky.disc(nside, circle.ra_deg, circle.dec_deg, circle.radius_deg)

    def _inside(self, nside: int, pixels: Pixels) -> Pixels:
        """Those of `pixels` that the region touches."""
        circle = self.settings.around
        if circle is None or not len(pixels):
            return pixels
        ra, dec = sky.centres(nside, pixels)
        away = sky.separation_rad(np.radians(circle.ra_deg), np.radians(circle.dec_deg), ra, dec)
        return pixels[np.degrees(away) <= circle.radius_deg + 1.15 * sky.size_deg(nside)]

    def offspring(self, level: int, pixels: Pixels) -> Pixels:
        """Pixels of the next level inside `pixels` of `level`, in the order of the parents.

        Parameters
        ----------
        level
            Number of the level, 0 for the coarsest.
        pixels
            Numbers of pixels, shape (n,).
        """
        finer = self.nsides[level + 1]
        return self._inside(finer, sky.children(self.nsides[level], pixels, finer).ravel())

    def decide(self) -> Wanted:
        """Go through the levels as far as the results allow."""
        state = Wanted(settled=[np.sort(self.first_level())])
        state.missing = self._unknown(0, state.settled[0])
        while not len(state.missing) and state.level + 1 < len(self.nsides):
            rows = self.rows(state.level, state.settled[state.level])
            chosen = to_refine(self.nsides[state.level], rows["pixel"], rows["llh"], self.settings)
            wanted = self.offspring(state.level, chosen)
            state.level += 1
            state.settled.append(np.sort(wanted))
            state.missing = self._unknown(state.level, wanted)
            if not len(state.missing):
                self._grow(state)
        return state

    def _unknown(self, level: int, pixels: Pixels) -> Pixels:
        known = self._rows[level]
        return np.array([p for p in pixels if int(p) not in known], np.int64)

    def _grow(self, state: Wanted) -> None:
        """Follow the level outwards; leaves in `state` what is missing for the next round."""
        level, nside = state.level, self.nsides[state.level]
        for _ in range(_ROUNDS):
            rows = self.rows(level, state.settled[level])
            border = open_border(nside, rows["pixel"], rows["llh"], self.settings.closure_delta_llh)
            border = self._inside(nside, border)
            if not len(border):
                return
            above = np.unique(sky.parents(nside, border, self.nsides[level - 1]))
            more = np.setdiff1d(self.offspring(level - 1, above), state.settled[level])
            if not len(more) or len(state.settled[level]) + len(more) > self.settings.max_pixels:
                state.capped = (*state.capped, nside) if len(more) else state.capped
                return
            if not self._ancestors(state, level - 1, above):
                return
            state.settled[level] = np.union1d(state.settled[level], more)
            state.missing = self._unknown(level, more)
            if len(state.missing):
                return

    def _ancestors(self, state: Wanted, level: int, pixels: Pixels) -> bool:
        """Make sure that `pixels` of `level` are known or asked for; their vertex is the seed."""
        state.settled[level] = np.union1d(state.settled[level], pixels)
        unknown = self._unknown(level, pixels)
        if not len(unknown):
            return True
        if level > 0:
            above = np.unique(sky.parents(self.nsides[level], unknown, self.nsides[level - 1]))
            if not self._ancestors(state, level - 1, above):
                return False
        state.level, state.missing = level, unknown
        return False

    def guess(self, level: int, wanted: Pixels) -> Pixels:
        """Pixels of the next level that are likely to be wanted, from what is known of `level`.

        Parameters
        ----------
        level
            Number of the level, 0 for the coarsest.
        wanted
            Pixels of the level that are wanted.
        """
        if level + 1 >= len(self.nsides):
            return np.empty(0, np.int64)
        rows = self.rows(level, wanted)
        if not len(rows):
            return np.empty(0, np.int64)
        chosen = to_refine(self.nsides[level], rows["pixel"], rows["llh"], self.settings)
        return self._unknown(level + 1, self.offspring(level, chosen))
