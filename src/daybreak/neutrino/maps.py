"""Sky maps of a scan: the pixels as one tiling of the sky, flat and multi-order HEALPix files."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.neutrino.scan import pixels as sky
from daybreak.neutrino.scan.journal import Rows
from daybreak.neutrino.scan.pixels import Floats, Pixels
from daybreak.products.atomic import atomic_path
from daybreak.products.provenance import header_cards

#: 2 delta llh of 90 % for two parameters (Wilks): the scale 1 of a probability map
TS_90_WILKS = 4.605170185988092
_ORIGIN = "daybreak"


@dataclass(frozen=True, eq=False)
class Tiling:
    """The scanned sky as pixels that do not overlap, each as fine as it was looked at.

    Attributes
    ----------
    nside, pixel
        Resolution and RING number of each tile.
    llh
        Negative log-likelihood at the tile's centre, or at that of the finest pixel above it that
        was fitted.
    own
        Whether the tile itself was fitted.
    """

    nside: NDArray[np.int64]
    pixel: Pixels
    llh: Floats
    own: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixel)

    def centres(self) -> tuple[Floats, Floats]:
        """Right ascension and declination of the tiles in radians."""
        ra, dec = np.empty(len(self)), np.empty(len(self))
        for nside in np.unique(self.nside):
            here = self.nside == nside
            ra[here], dec[here] = sky.centres(int(nside), self.pixel[here])
        return ra, dec

    def area_sr(self) -> Floats:
        """Solid angle of each tile."""
        return 4 * np.pi / (12.0 * self.nside.astype(float) ** 2)

    def probability(self, scale: float = 1.0) -> Floats:
        """Probability in each tile for a prior that is uniform on the sky.

        P ~ exp(-(llh - min llh) / scale) times the solid angle.

        Parameters
        ----------
        scale
            How much wider the likelihood is than its values say; 2 delta llh at 90 % over 4.61.
        """
        delta = (self.llh - np.nanmin(self.llh)) / scale
        weight = np.where(np.isfinite(delta), np.exp(-np.nan_to_num(delta, nan=0.0)), 0.0)
        weight = weight * self.area_sr()
        return np.asarray(weight / weight.sum())


def tile(levels: Sequence[tuple[int, Rows]]) -> Tiling:
    """Turn the levels of a scan into one tiling.

    Where only some of the children of a pixel were fitted, the others inherit its value.

    Parameters
    ----------
    levels
        nside and rows of each level, from coarse to fine; levels without rows are left out.

    Returns
    -------
    Tiling
        Tiles of fitted pixels, sorted by nside and pixel.
    """
    filled = [(nside, rows) for nside, rows in levels if len(rows)]
    parts: list[tuple[int, Pixels, Floats, NDArray[np.bool_]]] = []
    nside, rows = filled[0]
    tiles = np.asarray(rows["pixel"], np.int64)
    values, own = np.asarray(rows["llh"], float), np.ones(len(rows), bool)
    for finer, below in filled[1:]:
        fitted = np.asarray(below["pixel"], np.int64)
        split = np.isin(tiles, sky.parents(finer, fitted, nside))
        parts.append((nside, tiles[~split], values[~split], own[~split]))
        grid = sky.children(nside, tiles[split], finer)
        values = np.repeat(values[split], grid.shape[1])
        tiles = grid.ravel()
        order = np.argsort(tiles)
        tiles, values = tiles[order], values[order]
        own = np.zeros(len(tiles), bool)
        at = np.searchsorted(tiles, fitted)
        inside = at < len(tiles)
        inside[inside] &= tiles[at[inside]] == fitted[inside]
        values[at[inside]] = below["llh"][inside]
        own[at[inside]] = True
        nside = finer
    parts.append((nside, tiles, values, own))
    return Tiling(
        np.concatenate([np.full(len(p[1]), p[0], np.int64) for p in parts]),
        np.concatenate([p[1] for p in parts]),
        np.concatenate([p[2] for p in parts]),
        np.concatenate([p[3] for p in parts]),
    )


def flat(tiling: Tiling, values: Floats, nside: int, *, split: bool = False) -> Floats:
    """Values of tiles on all pixels of one nside (RING); NaN where nothing was scanned.

    Parameters
    ----------
    tiling, values
        The tiles and a value for each.
    nside
        At least as fine as the finest tile.
    split
        Share a tile's value out over its pixels (for probabilities) instead of repeating it.
    """
    out = np.full(sky.n_pixels(nside), np.nan)
    for coarse in np.unique(tiling.nside):
        here = tiling.nside == coarse
        below = sky.children(int(coarse), tiling.pixel[here], nside)
        share = below.shape[1] if split else 1
        out[below] = (values[here] / share)[:, None]
    return out


def _cards(header: Mapping[str, Any], provenance: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(k, v) for k, v in header.items() if v is not None] + list(
        header_cards(dict(provenance))
    )


def _write(path: Path, hdu: Any, compress: bool) -> None:
    from astropy.io import fits

    with atomic_path(path) as partial:
        hdus = fits.HDUList([fits.PrimaryHDU(), hdu])
        if compress:
            with partial.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream:
                hdus.writeto(stream)
        else:
            hdus.writeto(partial, overwrite=True)


def write_flat(
    path: Path,
    tiling: Tiling,
    scale: float,
    header: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Write a HEALPix map of one resolution, RING, ICRS, gzip-compressed.

    Columns: ``LLH`` (negative log-likelihood), ``TS`` (2 delta llh above the best pixel),
    ``PROB`` (probability in each pixel; the sum is 1).

    Parameters
    ----------
    path
        File name, ``.fits.gz``.
    tiling
        The scanned sky.
    scale
        See :meth:`Tiling.probability`.
    header
        More header cards.
    provenance
        See :mod:`daybreak.products.provenance`.
    """
    from astropy.io import fits

    nside = int(tiling.nside.max())
    llh = flat(tiling, tiling.llh, nside)
    probability = flat(tiling, tiling.probability(scale), nside, split=True)
    columns = [
        fits.Column("LLH", "E", array=llh.astype("f4")),
        fits.Column("TS", "E", array=(2 * (llh - np.nanmin(llh))).astype("f4")),
        fits.Column("PROB", "D", array=np.nan_to_num(probability, nan=0.0), unit="pix-1"),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="SKYMAP")
    keys: dict[str, Any] = {
        "PIXTYPE": "HEALPIX", "ORDERING": "RING", "COORDSYS": "C", "NSIDE": nside,
        "FIRSTPIX": 0, "LASTPIX": len(llh) - 1, "INDXSCHM": "IMPLICIT", "OBJECT": "FULLSKY",
        "ORIGIN": _ORIGIN,
    }  # fmt: skip
    for key, value in _cards(keys | dict(header), provenance):
        _set(hdu.header, key, value)
    _write(path, hdu, compress=True)


def write_multiorder(
    path: Path,
    tiling: Tiling,
    scale: float,
    header: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Write a multi-order map as the IVOA's MOC 2.0 and the LVK alerts have it.

    Columns: ``UNIQ``, ``PROBDENSITY`` (1/sr), ``LLH``, ``TS``. Rows are sorted by UNIQ.

    Parameters are those of :func:`write_flat`.

    Parameters
    ----------
    path
        The file.
    tiling
        The tiles that cover the sky.
    scale
        From -log L to the values written.
    header
        Further words of the header.
    provenance
        Goes into the header.
    """
    from astropy.io import fits

    uniq = np.empty(len(tiling), np.int64)
    for nside in np.unique(tiling.nside):
        here = tiling.nside == nside
        uniq[here] = sky.uniq(int(nside), tiling.pixel[here])
    order = np.argsort(uniq)
    density = tiling.probability(scale) / tiling.area_sr()
    columns = [
        fits.Column("UNIQ", "K", array=uniq[order]),
        fits.Column("PROBDENSITY", "D", array=density[order], unit="sr-1"),
        fits.Column("LLH", "D", array=tiling.llh[order]),
        fits.Column("TS", "D", array=2 * (tiling.llh - np.nanmin(tiling.llh))[order]),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="SKYMAP")
    keys: dict[str, Any] = {
        "PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C",
        "MOCORDER": int(np.log2(int(tiling.nside.max()))), "INDXSCHM": "EXPLICIT",
        "MOCVERS": "2.0", "MOCDIM": "SPACE", "ORIGIN": _ORIGIN,
    }  # fmt: skip
    for key, value in _cards(keys | dict(header), provenance):
        _set(hdu.header, key, value)
    _write(path, hdu, compress=False)


def _set(header: Any, key: str, value: Any) -> None:
    if key in ("HISTORY", "COMMENT"):
        header.add_history(value) if key == "HISTORY" else header.add_comment(value)
    else:
        header[key] = value
