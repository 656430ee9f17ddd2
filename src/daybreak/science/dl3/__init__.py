"""Reading the files of a DL3 run as observatories really write them.

The format is GADF (https://gamma-astro-data-formats.readthedocs.io). What departs from it is put
right where that can be done without a guess, and noted as an :class:`Oddity`; the rest is refused
with the file, the HDU and the keyword or column.
"""
