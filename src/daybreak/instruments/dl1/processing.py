"""From waveforms of one telescope to charges, times and image parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daybreak.config.dl1 import Dl1Config
from daybreak.images.camera import Camera
from daybreak.images.extraction import ExtractionSettings, extract
from daybreak.images.invalid import interpolate_invalid
from daybreak.images.parameters import CleaningSettings, ImageParameters, image_parameters
from daybreak.instruments.dl1.reading import TelescopeBuffer


@dataclass(frozen=True)
class ProcessedImages:
    """A batch of one telescope.

    Attributes
    ----------
    obs_ids, event_ids
        Shape (events,).
    charge, time_ns
        Shape (events, pixels).
    parameters
        Masks and parameters, places in degrees.
    """

    obs_ids: NDArray[np.int64]
    event_ids: NDArray[np.int64]
    charge: NDArray[np.float32]
    time_ns: NDArray[np.float32]
    parameters: ImageParameters


def extraction_settings(config: Dl1Config) -> ExtractionSettings:
    """Settings of the charge extraction.

    Parameters
    ----------
    config
        The resolved configuration.
    """
    return ExtractionSettings(**config.extraction.model_dump())


def cleaning_settings(config: Dl1Config) -> CleaningSettings:
    """Settings of cleaning and parameters.

    Parameters
    ----------
    config
        The resolved configuration.
    """
    cleaning = config.cleaning
    return CleaningSettings(
        picture=cleaning.picture,
        boundary=cleaning.boundary,
        min_picture_neighbors=cleaning.min_picture_neighbors,
        keep_isolated=cleaning.keep_isolated,
        time_limit_ns=cleaning.time_limit,
        time_neighbors=cleaning.time_neighbors,
        largest_island=cleaning.largest_island,
        min_pixels=config.min_pixels,
        min_charge=config.min_charge,
        timing=config.timing,
    )


def process(
    buffer: TelescopeBuffer, camera: Camera, config: Dl1Config, threads: int = 1
) -> ProcessedImages:
    """Extract, calibrate, fill invalid pixels, clean and parametrise.

    Parameters
    ----------
    buffer
        Events of one telescope.
    camera
        Its camera, in metres.
    config
        The resolved configuration.
    threads
        Threads to use.
    """
    waveforms, broken = np.stack(buffer.waveforms), np.stack(buffer.broken)
    if waveforms.shape[2] == 1:  # integrated by the camera
        charge = np.ascontiguousarray(waveforms[:, :, 0])
        time = np.zeros_like(charge)
    else:
        selected = [c for c in buffer.channel if c is not None]
        charge, time = extract(
            waveforms,
            camera,
            extraction_settings(config),
            channel=np.stack(selected) if len(selected) == len(buffer) else None,
            broken=broken,
            threads=threads,
        )
    for event, (shift, factor) in enumerate(zip(buffer.time_shift_ns, buffer.factor, strict=True)):
        if shift is not None:
            time[event] -= shift
        if factor is not None:
            charge[event] *= factor
    interpolate_invalid(charge, time, broken, camera)
    event_ids = np.array(buffer.event_ids, dtype=np.int64)
    found = image_parameters(
        charge, time, camera.on_sky(), cleaning_settings(config), event_ids=event_ids,
        threads=threads,
    )  # fmt: skip
    return ProcessedImages(np.array(buffer.obs_ids, np.int64), event_ids, charge, time, found)
