"""Calibration constants of the SST-1M cameras, from the files that sst1mpipe ships.

Gains, crosstalk and dark counts are those of dark runs, averaged over 2023 and 2024
(``averaged_calib_param_v2_2023_2024_tel*.h5``). How signals drop under night-sky light follows
sst1mpipe 0.9 (``utils/NSB_tools.py``): a spline from the variance of the baseline to its shift, and
a linear loss of gain and detection efficiency with that shift (arXiv:1910.00348, figure 11.1).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray

from daybreak.errors import ConfigError
from daybreak.products.hdf5 import tables_without_pickle

FloatArray = NDArray[np.float64]

#: numbers of the telescopes; the prototype's files have 1 and 2
TELESCOPES = {1: 21, 2: 22, 21: 21, 22: 22}
_WINDOWS = {21: "corr_factor_1st_wdw.txt", 22: "corr_factor_2nd_wdw.txt"}
_MAPPING = "digicam_pixels_mapping_V5T.txt"
_SWAPS = "inverted_module_list.json"
_SETTINGS = "sst1mpipe_data_config.json"
_HINT = "The files are those of sst1mpipe's data folder; copy them again."

#: knots, coefficients and degree: variance of the baseline (ADC squared) to its shift (ADC)
_SHIFT = {
    21: (
        (0, 0, 0, 46.96969697, 60.90909091, 67.57575758, 74.24242424, 74.24242424, 74.24242424),
        (-0.4367913, 9.08788226, 39.66927065, 54.18389959, 69.24518367, 104.29418015, 0, 0, 0),
        2,
    ),
    22: (
        (
            *(0, 0, 93.74735497, 126.46232902, 181.54405469, 256.80398702, 266.62290877),
            *(292.98812266, 294.71402901, 295.67072519, 298.04051867, 339.91032956, 339.91032956),
        ),
        (
            *(-1.74764142, 48.41280122, 68.36843193, 104.62272377, 168.14318275, 179.34289593),
            *(212.07400565, 214.10474285, 215.17017626, 217.7828114, 268.19128994, 0, 0),
        ),
        1,
    ),
}
#: loss of gain and of photon detection efficiency per ADC count of baseline shift
_LOSS = {21: -0.00487 - 0.00317, 22: -0.00118 - 0.000663}


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """What turns the raw data of one camera into photoelectrons.

    Attributes
    ----------
    telescope
        21 or 22.
    gain_adc, dc_to_pe
        Height of one photoelectron and its integral (ADC counts, and ADC counts summed over
        samples), shape (pixels,). ``dc_to_pe`` of pixels without a good fit is the mean of others.
    crosstalk
        Probability of optical crosstalk, shape (pixels,); NaN where it was not fitted.
    dark_rate_mhz
        Dark count rate, shape (pixels,); NaN where it was not fitted.
    bad
        Pixels whose fit is not good, or that the settings name, shape (pixels,).
    transmittance
        Of the window, by which charges are divided, shape (pixels,).
    swaps
        Pairs of lists of pixels whose modules were connected the wrong way at that time.
    """

    telescope: int
    gain_adc: FloatArray
    dc_to_pe: FloatArray
    crosstalk: FloatArray
    dark_rate_mhz: FloatArray
    bad: NDArray[np.bool_]
    transmittance: FloatArray
    swaps: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return len(self.dc_to_pe)


def load_calibration(folder: Path, telescope: int, when: Time) -> CameraCalibration:
    """Read the calibration of a camera for one time.

    Parameters
    ----------
    folder
        With the files of sst1mpipe's data folder.
    telescope
        21 or 22; 1 and 2 of the prototype's files mean the same.
    when
        Time of the data; it decides which modules were swapped.

    Raises
    ------
    ConfigError
        If the telescope is unknown, or a file is missing or not what it should be.
    """
    if telescope not in TELESCOPES:
        raise ConfigError(f"telescope {telescope} is no SST-1M telescope (21, 22)")
    number = TELESCOPES[telescope]
    found = _dark_runs(
        folder / f"averaged_calib_param_v2_2023_2024_tel{number - 20}.h5",
        ("gain", "dc_to_pe", "true_Xtalk", "dcr_MHz", "calib_flag"),
    )
    fitted = found["calib_flag"] == 1
    dc_to_pe = found["dc_to_pe"].copy()
    if not fitted.any() or not (dc_to_pe[fitted] > 0).all():
        raise ConfigError(f"{folder}: the calibration of telescope {number} has no gains", _HINT)
    dc_to_pe[~fitted] = dc_to_pe[fitted].mean()
    window = _window(folder / _WINDOWS[number], len(dc_to_pe))
    bad = ~fitted
    for pixel in _named_bad(folder / _SETTINGS, number):
        if not 0 <= pixel < len(bad):
            raise ConfigError(f"{folder / _SETTINGS}: there is no pixel {pixel} to be bad")
        bad[pixel] = True
    return CameraCalibration(
        number,
        found["gain"],
        dc_to_pe,
        found["true_Xtalk"],
        found["dcr_MHz"],
        bad,
        window,
        _swaps(folder, number, when),
    )


def voltage_drop(variance_adc2: ArrayLike, telescope: int) -> FloatArray:
    """Factor by which signals are smaller under night-sky light.

    Parameters
    ----------
    variance_adc2
        Variance of the samples of pedestal events (ADC counts squared), any shape.
    telescope
        21 or 22 (or 1, 2).

    Returns
    -------
    numpy.ndarray
        1 without light; charges are divided by it. Beyond the spline's range (74 and 340 ADC
        squared) it is extrapolated, as sst1mpipe does.
    """
    from scipy.interpolate import splev

    number = TELESCOPES[telescope]
    knots, coefficients, degree = _SHIFT[number]
    spline = (np.array(knots, float), np.array(coefficients, float), degree)
    shift = splev(np.asarray(variance_adc2, float), spline)
    return np.asarray(1 + _LOSS[number] * np.asarray(shift), float)


def _dark_runs(path: Path, wanted: tuple[str, ...]) -> dict[str, FloatArray]:
    """Columns of a table that pandas wrote ("fixed" layout: blocks of columns of one type)."""
    tables = tables_without_pickle()

    if not path.is_file():
        raise ConfigError(f"{path}: the calibration file is missing", _HINT)
    found: dict[str, FloatArray] = {}
    try:
        with tables.open_file(str(path), "r") as handle:
            group = handle.get_node("/param")
            for block in range(8):
                if f"block{block}_items" not in group:
                    break
                names = handle.get_node(f"/param/block{block}_items")[:]
                values = handle.get_node(f"/param/block{block}_values")[:]
                for column, name in enumerate(names):
                    found[name.decode("ascii")] = np.asarray(values[:, column], float)
    except (tables.HDF5ExtError, tables.NoSuchNodeError, OSError, ValueError, IndexError) as error:
        raise ConfigError(f"{path}: this is not a calibration file of sst1mpipe", _HINT) from error
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise ConfigError(f"{path}: there is no column {', '.join(lacking)}", _HINT)
    return {name: found[name] for name in wanted}


def _window(path: Path, n_pixels: int) -> FloatArray:
    try:
        values = np.loadtxt(path, skiprows=1, usecols=1, ndmin=1)
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"{path}: the window's transmittance can't be read", _HINT) from error
    if len(values) != n_pixels or not ((values > 0) & (values <= 1.5)).all():
        raise ConfigError(f"{path}: it has not one transmittance for each pixel", _HINT)
    return np.asarray(values, float)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: this can't be read as JSON", _HINT) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: this is not what sst1mpipe writes there", _HINT)
    return found


def _named_bad(path: Path, telescope: int) -> list[int]:
    if not path.is_file():
        return []
    pixels = _json(path).get("analysis", {}).get("bad_pixels", {}).get(f"tel_{telescope:03d}", [])
    if not isinstance(pixels, list) or not all(isinstance(pixel, int) for pixel in pixels):
        raise ConfigError(f"{path}: bad_pixels of tel_{telescope:03d} is no list of numbers")
    return pixels


def _swaps(
    folder: Path, telescope: int, when: Time
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """Pixels of modules that were swapped at a time."""
    modules = []
    try:
        for entry in _json(folder / _SWAPS).values():
            # the key is misspelt in the file itself
            first, last = (Time(entry[k], scale="utc") for k in ("date_sart", "date_stop"))
            if entry["ntel"] == telescope and first < when < last:
                modules.append((int(entry["module_1"]), int(entry["module_2"])))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{folder / _SWAPS}: an entry can't be understood", _HINT) from error
    if not modules:
        return ()
    try:
        module, pixel = np.loadtxt(folder / _MAPPING, usecols=(2, 8), unpack=True, dtype=int)
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"{folder / _MAPPING}: the pixel map can't be read", _HINT) from error
    pairs = [tuple(np.sort(pixel[module == number]) for number in pair) for pair in modules]
    if any(len(a) != len(b) or not len(a) for a, b in pairs):
        raise ConfigError(f"{folder / _MAPPING}: swapped modules have no pixels there", _HINT)
    return tuple((a, b) for a, b in pairs)
