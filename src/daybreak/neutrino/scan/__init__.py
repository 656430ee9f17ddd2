"""The scan of a track event's likelihood over the sky.

- :mod:`~daybreak.neutrino.scan.settings`: what can be asked for;
- :mod:`~daybreak.neutrino.scan.pixels`: HEALPix pixels, in the RING order;
- :mod:`~daybreak.neutrino.scan.select`: which pixels are worth a closer look;
- :mod:`~daybreak.neutrino.scan.tree`: what is known and what is wanted next;
- :mod:`~daybreak.neutrino.scan.journal`: results appended to one file as they arrive;
- :mod:`~daybreak.neutrino.scan.work`: the fits of one block of pixels, here or on a cluster;
- :mod:`~daybreak.neutrino.scan.pools`: threads or processes of this machine;
- :mod:`~daybreak.neutrino.scan.driver`: all of it together.
"""
