"""Virtual Cherenkov telescopes: showers, the images that telescopes take of them, waveforms.

A fast model, not CORSIKA: cascades are followed particle by particle in a flat atmosphere with
simplified physics. See the page *Virtual telescopes*.
"""
