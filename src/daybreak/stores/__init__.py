"""DL3 data stores: list, copy, verify and index them. Knows nothing of pipelines.

A store is a folder (or a URL) with GADF index files, `obs-index.fits.gz` and
`hdu-index.fits.gz`, and possibly a `master.json` that names several such pairs. Whole files are
checked by the walker of `fits`, chunk by chunk as they are copied, and the ten thousand headers of
a listing are read by `quick`; tables are Astropy's.
"""
