"""Draw the events of a run with Gammapy's ``MapDatasetEventSampler``.

The sampler spreads events evenly over a map's pixels. So the background gets a coarse map of the
whole field with fine energy bins, and each source a small map of its own with pixels much
narrower than the point spread function; a single map for both would be slow or would smear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.time import Time
from gammapy.data import GTI
from gammapy.datasets import MapDataset, MapDatasetEventSampler
from gammapy.makers.utils import (
    make_edisp_map,
    make_map_background_irf,
    make_map_exposure_true_energy,
    make_psf_map,
)
from gammapy.maps import Map, MapAxis, WcsGeom
from gammapy.modeling.models import FoVBackgroundModel

from daybreak.simulate.instrument import VirtualInstrument, full_enclosure_irfs
from daybreak.simulate.sampling import (
    Events,
    Exposure,
    in_order,
    make_events,
    mean_flux_factor,
    sample_seconds,
    separation_deg,
)
from daybreak.simulate.sources import Source

_REFERENCE = Time(60310, format="mjd", scale="tt")
_BACKGROUND_PIXEL = 0.1 * u.deg
_POINT_PIXEL = 0.002 * u.deg


def _gti(exposure: Exposure) -> GTI:
    """Good time of a run that starts at the reference: only its length matters here."""
    return GTI.create(0 * u.s, exposure.ontime * u.s, reference_time=_REFERENCE)


def _background_dataset(exposure: Exposure, instrument: VirtualInstrument) -> MapDataset:
    bkg = full_enclosure_irfs(instrument)["bkg"]
    energy = bkg.axes["energy"].upsample(2)
    geom = WcsGeom.create(
        skydir=exposure.pointing,
        binsz=_BACKGROUND_PIXEL,
        width=2 * instrument.fov_radius + 2 * _BACKGROUND_PIXEL,
        proj="TAN",
        frame="icrs",
        axes=[energy],
    )
    background = make_map_background_irf(
        pointing=exposure.pointing,
        ontime=exposure.ontime * u.s,
        bkg=bkg,
        geom=geom,
        time_start=_REFERENCE,
    )
    dataset = MapDataset(background=background, gti=_gti(exposure), name="background")
    dataset.models = [FoVBackgroundModel(dataset_name="background")]
    return dataset


def _source_dataset(
    source: Source, exposure: Exposure, instrument: VirtualInstrument
) -> MapDataset:
    """A small map around the source with its exposure, energy dispersion and PSF."""
    irfs = full_enclosure_irfs(instrument)
    extent = source.extent
    pixel = _POINT_PIXEL if extent == 0 else extent / 30
    true = MapAxis.from_energy_bounds(
        "0.03 TeV", "150 TeV", 40, per_decade=True, name="energy_true"
    )
    geom = WcsGeom.create(
        skydir=source.position,
        binsz=pixel,
        width=2 * extent + 9 * pixel,
        proj="TAN",
        frame="icrs",
        axes=[true],
    )
    coarse = WcsGeom.create(
        skydir=source.position, binsz=0.25, width=2 * extent + 0.75 * u.deg, frame="icrs"
    )
    rad = irfs["psf"].axes["rad"]
    live = exposure.ontime * (1 - instrument.dead_time) * u.s
    exposure_map = make_map_exposure_true_energy(exposure.pointing, live, irfs["aeff"], geom)
    psf_geom = coarse.to_cube([rad, irfs["psf"].axes["energy_true"]])
    edisp_geom = coarse.to_cube([irfs["edisp"].axes["migra"], irfs["edisp"].axes["energy_true"]])
    reco = geom.to_image().to_cube([true.copy(name="energy")])
    dataset = MapDataset(
        mask_safe=Map.from_geom(reco, data=np.ones(reco.data_shape, dtype=bool)),
        exposure=exposure_map,
        psf=make_psf_map(irfs["psf"], exposure.pointing, psf_geom),
        edisp=make_edisp_map(irfs["edisp"], exposure.pointing, edisp_geom),
        gti=_gti(exposure),
        name=source.name,
    )
    model = source.to_gammapy()
    model.spectral_model.amplitude.value *= mean_flux_factor(source, exposure)
    dataset.models = [model]
    return dataset


def _seconds(table: Any) -> Any:
    return (table["TIME"] - _REFERENCE).to_value("s")


def _background(sampler: Any, exposure: Exposure, instrument: VirtualInstrument) -> Events:
    table = sampler.sample_background(_background_dataset(exposure, instrument))
    return make_events(
        _seconds(table),
        table["RA"].quantity.to_value("deg"),
        table["DEC"].quantity.to_value("deg"),
        table["ENERGY"].quantity.to_value("TeV"),
        0,
    )


def _in_view(source: Source, exposure: Exposure, instrument: VirtualInstrument) -> bool:
    place, pointing = source.position.icrs, exposure.pointing.icrs
    distance = separation_deg(place.ra.deg, place.dec.deg, pointing.ra.deg, pointing.dec.deg)
    return bool(distance < (instrument.fov_radius + source.extent).to_value("deg"))


def _gammas(
    sampler: Any, source: Source, mc_id: int, exposure: Exposure, instrument: VirtualInstrument
) -> Events:
    dataset = _source_dataset(source, exposure, instrument)
    table = sampler.sample_sources(dataset)
    if len(table) == 0:
        empty = np.zeros(0)
        return make_events(empty, empty, empty, empty, mc_id)
    table = sampler.sample_edisp(dataset.edisp, table)
    table = sampler.sample_psf(dataset.psf, table)
    if source.flare is None:
        seconds = _seconds(table)
    else:
        seconds = sample_seconds(sampler.random_state, len(table), source, exposure)
    return make_events(
        seconds,
        table["RA"].quantity.to_value("deg"),
        table["DEC"].quantity.to_value("deg"),
        table["ENERGY"].quantity.to_value("TeV"),
        mc_id,
    )


def sample_with_gammapy(
    seed: np.random.SeedSequence,
    exposure: Exposure,
    sources: Sequence[Source],
    instrument: VirtualInstrument,
) -> Events:
    """All events of a run within the field of view, by time, drawn by Gammapy's sampler.

    A flare scales the source's flux by its mean over the run; its arrival times are then drawn
    from the flare's own profile, everything else is Gammapy's.

    Parameters
    ----------
    seed
        Of the run.
    exposure
        Pointing and times of the run.
    sources
        What shines there.
    instrument
        Its response is used.
    """
    state = np.random.RandomState(np.random.MT19937(seed))
    sampler = MapDatasetEventSampler(random_state=state, keep_mc_id=False)
    parts = [_background(sampler, exposure, instrument)]
    for index, source in enumerate(sources):
        if _in_view(source, exposure, instrument):
            parts.append(_gammas(sampler, source, index + 1, exposure, instrument))
    return in_order(Events.join(parts), exposure, instrument)
