"""Cameras of ctapipe as plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from daybreak.images.camera import Camera


def camera_from_ctapipe(telescope: Any, *, effective: bool = True) -> Camera:
    """Arrays of a telescope's camera.

    Parameters
    ----------
    telescope
        ``TelescopeDescription`` of ctapipe.
    effective
        Take the effective focal length where it is known, else the equivalent one.

    Returns
    -------
    Camera
        Places in the camera frame, metres.
    """
    geometry, readout = telescope.camera.geometry, telescope.camera.readout
    rows = geometry.neighbor_matrix_sparse.tocsr()
    rows.sort_indices()
    optics = telescope.optics
    focal = optics.effective_focal_length if effective else optics.equivalent_focal_length
    if not np.isfinite(focal.value):
        focal = optics.equivalent_focal_length
    pulse = np.atleast_2d(np.asarray(readout.reference_pulse_shape, dtype=float))
    step_ns = float(readout.reference_pulse_sample_width.to_value("ns"))
    return Camera(
        name=str(geometry.name),
        x_m=np.ascontiguousarray(geometry.pix_x.to_value("m"), dtype=float),
        y_m=np.ascontiguousarray(geometry.pix_y.to_value("m"), dtype=float),
        area_m2=np.ascontiguousarray(geometry.pix_area.to_value("m2"), dtype=float),
        width_m=np.ascontiguousarray(geometry.pixel_width.to_value("m"), dtype=float),
        indptr=rows.indptr.astype(np.int32),
        indices=rows.indices.astype(np.int32),
        focal_length_m=float(focal.to_value("m")),
        sampling_rate_ghz=float(readout.sampling_rate.to_value("GHz")),
        pulse_time_ns=np.asarray(step_ns * np.arange(pulse.shape[1]), dtype=np.float64),
        pulse=pulse,
        rotation_rad=float(geometry.cam_rotation.to_value("rad")),
        hexagonal="HEX" in str(geometry.pix_type).upper(),
    )
