"""DL3 data stores: list, copy, verify and index them. Knows nothing of pipelines.

A store is a folder (or a URL) with GADF index files, `obs-index.fits.gz` and
`hdu-index.fits.gz`, and possibly a `master.json` that names several such pairs. Nothing here
imports Astropy: a listing, or a copy that has nothing to do, would spend most of its time on that.
"""
