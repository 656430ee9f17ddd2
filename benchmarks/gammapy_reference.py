"""The script's spectrum and light curves once more, by its own functions, to compare with.

Two things differ between the script and Daybreak on purpose, and each is put right here so that
everything else can be compared to a hundredth of an error:

- Gammapy 2.1 stacks the energy dispersion of runs with the exposure *before* the containment
  correction as weight. The stack then predicts other counts than its runs together, by 4 % in bins
  that only some runs reach. Daybreak's weight is the exposure that the prediction is made with.
- The script's light curves begin at 0.92 TeV also in runs whose threshold is higher; Daybreak's
  begin above the highest threshold of all runs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore, Observations
from gammapy.datasets import Datasets
from gammapy.maps import WcsNDMap
from gammapy.modeling import Fit
from gammapy.modeling.models import SkyModel
from regions import CircleSkyRegion

sys.path.insert(0, str(Path(__file__).parent / "peer"))

import gammapy_tutorial as peer

ON_RADIUS = 0.11 * u.deg
MINUTES = 5


class Place(Protocol):
    """What is needed of a case: position (deg) and the TARGET_TAGs of its runs."""

    ra: float
    dec: float
    tags: tuple[str, ...]


def reference(
    case: Place,
    store: Path,
    *,
    corrected: bool,
    curve_range_tev: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Power law, flux points and light curves in the shape of ``peer.json``.

    Parameters
    ----------
    case
        The source.
    store
        The data.
    corrected
        Stack with the right weights; else as the script does.
    curve_range_tev
        Energy range of the light curves; None: no light curves.
    """
    observations, target, mask = _observations(case, store)
    datasets = peer.reduce_spectra(observations, target, ON_RADIUS, mask)
    if corrected:
        for dataset in datasets:
            weight = dataset.edisp.exposure_map
            weight.data = dataset.exposure.quantity.to_value(weight.unit).reshape(weight.data.shape)
    stacked = datasets.stack_reduce(name="stacked")
    fits = _fits(stacked)
    chosen = peer.choose_model(fits)
    model = fits[chosen]["model"]
    found: dict[str, Any] = {"power_law": peer.numbers_of_power_law(fits["pl"]), "chosen": chosen}
    with tempfile.TemporaryDirectory() as folder:
        points = peer.make_flux_points(stacked, model, ["errn-errp", "ul"], Path(folder))
        found["flux_points"] = peer.numbers_of_flux_points(points)
        if curve_range_tev is not None:
            peer.LIGHT_CURVE_RANGE = curve_range_tev * u.TeV
            found["light_curves"] = _curves(
                observations, datasets, target, mask, model, Path(folder)
            )
    return found


def _observations(case: Place, store: Path) -> tuple[Observations, SkyCoord, WcsNDMap]:
    target = SkyCoord(case.ra, case.dec, unit="deg")
    data = DataStore.from_dir(store)
    tags = np.char.strip(np.asarray(data.obs_table["TARGET_TAG"]).astype(str))
    runs = data.get_observations(data.obs_table[np.isin(tags, case.tags)]["OBS_ID"])
    exclusion = CircleSkyRegion(target, peer.EXCLUSION_RADIUS)
    return runs, target, ~peer.map_geom(target).region_mask([exclusion])


def _fits(stacked: Any) -> dict[str, Any]:
    fits = {}
    for name, spectral in peer.spectral_models().items():
        model = SkyModel(spectral_model=spectral, name=name)
        stacked.models = [model]
        Fit().run([stacked])
        copy = model.copy(name=name, copy_data=True)
        copy.spectral_model.covariance = spectral.covariance
        fits[name] = {"model": copy, "stat": float(stacked.stat_sum())}
    return fits


def _curves(
    observations: Observations,
    datasets: Datasets,
    target: SkyCoord,
    mask: WcsNDMap,
    model: SkyModel,
    folder: Path,
) -> dict[str, Any]:
    intervals = peer.short_intervals(observations, MINUTES)
    short = peer.reduce_spectra(observations.select_time(intervals), target, ON_RADIUS, mask)
    nights = peer.night_intervals(observations)
    curves = {
        "run": peer.make_light_curve("run", datasets, model, [], folder),
        "night": peer.make_light_curve("night", datasets, model, [], folder, intervals=nights),
        "minutes": peer.make_light_curve("minutes", short, model, [], folder, intervals=intervals),
    }
    return {name: peer.numbers_of_light_curve(*curve) for name, curve in curves.items()}
