"""Images that look like showers on a hexagonal lattice, and ctapipe's view of the camera."""

from __future__ import annotations

import numpy as np

from daybreak.images.camera import Camera, hexagonal_camera


def lst_like() -> Camera:
    return hexagonal_camera(
        "LST-like", n_pixels=1855, pitch_m=0.05, focal_length_m=29.3, sampling_rate_ghz=1.0
    )


def shower_images(camera: Camera, n: int, seed: int = 1):
    """Charges (p.e.) and peak times (ns): ellipses with a time gradient, over Poisson noise."""
    rng = np.random.default_rng(seed)
    images = np.empty((n, camera.n_pixels), np.float32)
    times = np.empty_like(images)
    reach = np.hypot(camera.x_m, camera.y_m).max()
    for event in range(n):
        x, y = rng.uniform(-0.9, 0.9, 2) * reach
        psi, size = rng.uniform(-np.pi, np.pi), 10 ** rng.uniform(1.5, 4.0)
        length, width = rng.uniform(0.05, 0.25), rng.uniform(0.02, 0.06)
        dx, dy = camera.x_m - x, camera.y_m - y
        along = dx * np.cos(psi) + dy * np.sin(psi)
        across = dy * np.cos(psi) - dx * np.sin(psi)
        shape = np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
        signal = rng.poisson(size * shape / max(shape.sum(), 1e-9))
        noise = rng.normal(0, 1.0, camera.n_pixels) + rng.poisson(0.3, camera.n_pixels) - 0.3
        images[event] = signal * rng.normal(1, 0.1, camera.n_pixels) + noise
        slope = rng.uniform(-40, 40)
        scatter = rng.normal(0, 0.5, camera.n_pixels)
        times[event] = np.where(
            signal > 0, 20 + slope * along + scatter, rng.uniform(0, 40, camera.n_pixels)
        )
    return images, times


def ctapipe_geometry(camera: Camera):
    import astropy.units as u
    from ctapipe.instrument import CameraGeometry
    from ctapipe.instrument.camera.geometry import PixelShape
    from scipy.sparse import csr_matrix

    ones = np.ones(len(camera.indices), dtype=bool)
    shape = (camera.n_pixels, camera.n_pixels)
    neighbors = csr_matrix((ones, camera.indices, camera.indptr), shape=shape)
    return CameraGeometry(
        camera.name,
        pix_id=np.arange(camera.n_pixels),
        pix_x=camera.x_m * u.m,
        pix_y=camera.y_m * u.m,
        pix_area=camera.area_m2 * u.m**2,
        pix_type=PixelShape.HEXAGON,
        neighbors=neighbors,
    )
