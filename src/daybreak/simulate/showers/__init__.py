"""Virtual Cherenkov telescopes: showers, the images that telescopes take of them, waveforms.

A fast model, not CORSIKA: cascades are followed particle by particle in a flat atmosphere with
simplified physics. See the page *Virtual telescopes*.
"""

from daybreak.simulate.showers.events import PhotonList, ShowerEvents, simulate_showers
from daybreak.simulate.showers.telescope import VirtualTelescope, lst_like, sst1m_like
from daybreak.simulate.showers.waveforms import (
    flatfield_waveforms,
    images_from_photons,
    make_waveforms,
    pedestal_waveforms,
)

__all__ = [
    "PhotonList",
    "ShowerEvents",
    "VirtualTelescope",
    "flatfield_waveforms",
    "images_from_photons",
    "lst_like",
    "make_waveforms",
    "pedestal_waveforms",
    "simulate_showers",
    "sst1m_like",
]
