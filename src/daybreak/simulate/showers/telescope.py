"""What a virtual telescope is made of, and two models: LST-like and SST-1M-like.

The numbers are round values near those that the collaborations have published; they are no
one's calibration. Each can be changed with :func:`dataclasses.replace`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from daybreak.images.camera import Camera, hexagonal_camera

FloatArray = NDArray[np.float64]
_FINE_STRUCTURE = 1.0 / 137.036


@dataclass(frozen=True, eq=False)
class VirtualTelescope:
    """One virtual telescope.

    Attributes
    ----------
    name
        For people.
    camera
        Pixels, focal length, sampling and reference pulse.
    position_m
        x (north), y (west), z (up) in the array, m.
    site_height_m
        Height of z = 0 above sea level, m.
    field_ut
        The Earth's magnetic field: to the north, to the west, upwards, microtesla.
    mirror_radius_m, mirror_area_m2
        Radius of the dish, and its reflecting area without what is in the shadow.
    parabolic
        The dish keeps wavefronts; a Davies-Cotton dish spreads their times.
    wavelength_nm, efficiency
        Chance that a photon which meets the reflecting area becomes a photo-electron, shape (w,).
    psf_sigma_deg, psf_growth
        Blur per axis in the middle of the camera, and its growth per degree from the middle.
    time_spread_ns
        Jitter of a single photo-electron's time.
    nsb_ghz
        Photo-electrons of the night sky per pixel and ns.
    charge_spread
        Standard deviation of a single photo-electron's charge, in photo-electrons.
    crosstalk
        Mean number of further photo-electrons that one sets free.
    ac_coupled
        The mean of the night sky's light is not in the baseline.
    n_samples, trigger_sample
        Samples of a waveform, and the sample at which the middle of a shower's light lies.
    counts_per_pe, baseline_counts, noise_counts
        Height of the pulse of one photo-electron, baseline, and electronic noise per sample.
    max_counts
        Where samples saturate.
    trigger_threshold_pe, trigger_window_ns
        A group of a pixel and its neighbours fires if it has that many photo-electrons above the
        mean of the night sky within the window.
    extraction_window_ns
        Width over which charge is integrated; sets the noise of images made without waveforms.
    """

    name: str
    camera: Camera
    position_m: tuple[float, float, float]
    site_height_m: float
    field_ut: tuple[float, float, float]
    mirror_radius_m: float
    mirror_area_m2: float
    parabolic: bool
    wavelength_nm: FloatArray
    efficiency: FloatArray
    psf_sigma_deg: float
    psf_growth: float
    time_spread_ns: float
    nsb_ghz: float
    charge_spread: float
    crosstalk: float
    ac_coupled: bool
    n_samples: int
    trigger_sample: float
    counts_per_pe: float
    baseline_counts: float
    noise_counts: float
    max_counts: int
    trigger_threshold_pe: float
    trigger_window_ns: float
    extraction_window_ns: float

    @property
    def height_m(self) -> float:
        """Height of the telescope above sea level, m."""
        return self.site_height_m + self.position_m[2]

    def yield_per_m(self) -> float:
        """Photo-electrons per metre and sin2 of the Cherenkov angle, with no air in between.

        ``2 pi alpha`` times the integral of efficiency / wavelength**2 (Frank and Tamm).
        """
        per_m = self.efficiency / self.wavelength_nm**2 * 1e9
        return 2 * math.pi * _FINE_STRUCTURE * float(np.trapezoid(per_m, self.wavelength_nm))


def pulse_shape(
    rise_ns: float, fall_ns: float, step_ns: float = 0.1
) -> tuple[FloatArray, FloatArray]:
    """A Gaussian folded with an exponential fall, of height 1.

    Parameters
    ----------
    rise_ns
        Standard deviation of the Gaussian.
    fall_ns
        Time constant of the fall.
    step_ns
        Between the times.

    Returns
    -------
    time_ns, height : numpy.ndarray
        The highest point is at time 0.
    """
    from scipy.special import erfcx

    time = np.arange(-5 * rise_ns, 5 * rise_ns + 7 * fall_ns, step_ns)
    z = (rise_ns / fall_ns - time / rise_ns) / math.sqrt(2.0)
    gauss = np.exp(-0.5 * (time / rise_ns) ** 2)
    height = np.where(z > -25, gauss * erfcx(np.maximum(z, -25)), 0.0)
    far = z <= -25
    height[far] = 2 * np.exp(0.5 * (rise_ns / fall_ns) ** 2 - time[far] / fall_ns)
    return time - time[np.argmax(height)], height / height.max()


def _with_pulse(camera: Camera, rise_ns: float, fall_ns: float) -> Camera:
    time, height = pulse_shape(rise_ns, fall_ns)
    return replace(camera, pulse_time_ns=time, pulse=height[None, :])


def _curve(points: dict[int, float], factor: float) -> tuple[FloatArray, FloatArray]:
    wavelength = np.arange(280.0, 701.0, 5.0)
    given = np.array(sorted(points))
    value = np.interp(wavelength, given, [points[w] for w in given], left=0.0, right=0.0)
    return wavelength, factor * value


def lst_like() -> tuple[VirtualTelescope, ...]:
    """One large telescope: 1855 pixels of 0.05 m, a parabolic dish of 23 m, photomultipliers.

    The curve is the quantum efficiency of a super-bialkali photomultiplier; its factor stands for
    mirrors (0.90), light guides and window (0.88), collection of electrons (0.92).
    """
    camera = hexagonal_camera(
        "LSTCam-like", n_pixels=1855, pitch_m=0.05, focal_length_m=29.3, sampling_rate_ghz=1.0
    )
    quantum = {
        **{280: 0.10, 300: 0.30, 320: 0.37, 350: 0.41, 380: 0.425, 400: 0.42, 450: 0.35},
        **{500: 0.26, 550: 0.15, 600: 0.08, 650: 0.03, 700: 0.0},
    }
    wavelength, efficiency = _curve(quantum, 0.90 * 0.88 * 0.92)
    return (
        VirtualTelescope(
            name="LST-like",
            camera=_with_pulse(camera, 1.0, 1.8),
            position_m=(0.0, 0.0, 16.0),
            site_height_m=2184.0,
            field_ut=(30.6, 0.0, -23.7),
            mirror_radius_m=11.5,
            mirror_area_m2=370.0,
            parabolic=True,
            wavelength_nm=wavelength,
            efficiency=efficiency,
            psf_sigma_deg=0.018,
            psf_growth=0.005,
            time_spread_ns=0.6,
            nsb_ghz=0.25,
            charge_spread=0.45,
            crosstalk=0.0,
            ac_coupled=True,
            n_samples=40,
            trigger_sample=15.0,
            counts_per_pe=20.0,
            baseline_counts=400.0,
            noise_counts=3.5,
            max_counts=4095 * 16,
            trigger_threshold_pe=22.0,
            trigger_window_ns=4.0,
            extraction_window_ns=8.0,
        ),
    )


def sst1m_like() -> tuple[VirtualTelescope, ...]:
    """Two small telescopes 155 m apart: 1296 pixels of 0.0243 m, Davies-Cotton, silicon.

    The curve is the photon detection efficiency of silicon sensors behind a window that cuts
    above 540 nm; its factor stands for mirrors (0.88), light cones (0.88) and window (0.93).
    """
    camera = _with_pulse(
        hexagonal_camera(
            "DigiCam-like",
            n_pixels=1296,
            pitch_m=0.0243,
            focal_length_m=5.6,
            sampling_rate_ghz=0.25,
        ),
        4.0,
        12.0,
    )
    detection = {
        **{290: 0.0, 310: 0.10, 330: 0.19, 350: 0.25, 400: 0.33, 450: 0.36, 470: 0.36},
        **{500: 0.35, 530: 0.32, 545: 0.15, 560: 0.02, 570: 0.0},
    }
    wavelength, efficiency = _curve(detection, 0.88 * 0.88 * 0.93)
    one = VirtualTelescope(
        name="SST-1M-like 1",
        camera=camera,
        position_m=(71.0, 30.0, 0.0),
        site_height_m=510.0,
        field_ut=(20.1, 0.0, -44.6),
        mirror_radius_m=2.0,
        mirror_area_m2=7.0,
        parabolic=False,
        wavelength_nm=wavelength,
        efficiency=efficiency,
        psf_sigma_deg=0.045,
        psf_growth=0.015,
        time_spread_ns=0.5,
        nsb_ghz=0.10,
        charge_spread=0.10,
        crosstalk=0.08,
        ac_coupled=False,
        n_samples=50,
        trigger_sample=18.0,
        counts_per_pe=5.0,
        baseline_counts=300.0,
        noise_counts=1.4,
        max_counts=4095,
        trigger_threshold_pe=24.0,
        trigger_window_ns=20.0,
        extraction_window_ns=28.0,
    )
    return one, replace(one, name="SST-1M-like 2", position_m=(-71.0, -30.0, 0.0))
