"""Images of one run: counts, acceptance, ring background, through Gammapy's makers."""

from __future__ import annotations

import numpy as np
from astropy import units as u
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker, RingBackgroundMaker, SafeMaskMaker
from gammapy.maps import MapAxis, WcsGeom
from numpy.typing import NDArray

from daybreak.science.observation import LoadedRun
from daybreak.science.regions import allowed_pixels, exclusion_mask
from daybreak.science.run import ReductionSetup
from daybreak.science.surface import Surface, offsets_deg

_N_ENERGY = 8


def map_geom(setup: ReductionSetup) -> WcsGeom:
    """Geometry of the sky maps: gnomonic, centred on the ON position."""
    assert setup.maps is not None
    return WcsGeom.create(
        skydir=setup.on.center,
        width=setup.maps["width_deg"] * u.deg,
        binsz=setup.maps["pixel_deg"],
        proj="TAN",
        frame="icrs",
    )


def run_maps(
    run: LoadedRun, setup: ReductionSetup, threshold_tev: float, surface: Surface | None = None
) -> dict[str, NDArray[np.float32]]:
    """Images of a run above its energy threshold.

    Parameters
    ----------
    run, setup
        The run (with a background IRF) and how it is reduced.
    threshold_tev
        Lowest energy.
    surface
        By what the background model is multiplied, for both backgrounds.

    Returns
    -------
    dict of numpy.ndarray
        ``counts``, ``fov_background``, ``valid``, ``ring_acceptance``, ``ring_off``,
        ``ring_acceptance_off``; each of shape (ny, nx). The FoV background is the model scaled
        to the counts outside the excluded circles, as Gammapy's FoVBackgroundMaker does with
        its method "scale".
    """
    assert setup.maps is not None
    axis = MapAxis.from_energy_bounds(
        threshold_tev * u.TeV, setup.energy_edges_tev[-1] * u.TeV, nbin=_N_ENERGY
    )
    geom = map_geom(setup).to_cube([axis])
    empty = MapDataset.create(geom, name=f"map-{run.obs_id}")
    maker = MapDatasetMaker(
        selection=["counts", "background"],
        background_interp_missing_data=False,  # done once for the run, in reduce_run
    )
    dataset = maker.run(empty, run.observation)
    if surface is not None:
        place = geom.to_image().get_coord(frame="icrs").skycoord
        pointing = run.observation.get_pointing_icrs(run.observation.tmid)
        offsets = offsets_deg(place.ra.deg, place.dec.deg, pointing.ra.deg, pointing.dec.deg)
        dataset.background.data *= surface(*offsets, axis.center.to_value("TeV"))
    safe = SafeMaskMaker(methods=["offset-max"], offset_max=setup.max_offset_deg * u.deg)
    image = safe.run(dataset, run.observation).to_image(name=f"image-{run.obs_id}")
    allowed = exclusion_mask(setup.on.center, geom.width[0].max() + 0.1 * u.deg, setup.exclude)
    ring = RingBackgroundMaker(
        r_in=setup.maps["ring_inner_deg"] * u.deg,
        width=setup.maps["ring_width_deg"] * u.deg,
        exclusion_mask=allowed.interp_to_geom(image.counts.geom.to_image(), fill_value=True)
        if allowed is not None
        else None,
    )
    on_off = ring.run(image)
    valid = image.mask_safe.data[0]
    model, counts = image.background.data[0], image.counts.data[0]
    off = valid if allowed is None else valid & allowed_pixels(geom.to_image(), setup.exclude)
    expected = float(model[off].sum())
    background = model * (float(counts[off].sum()) / expected if expected > 0 else 0.0)

    def plane(data: np.ndarray) -> NDArray[np.float32]:
        return np.where(valid, np.nan_to_num(data), 0.0).astype(np.float32)

    return {
        "counts": plane(image.counts.data[0]),
        "fov_background": plane(background),
        "valid": valid.astype(np.float32),
        "ring_acceptance": plane(on_off.acceptance.data[0]),
        "ring_off": plane(on_off.counts_off.data[0]),
        "ring_acceptance_off": plane(on_off.acceptance_off.data[0]),
    }
