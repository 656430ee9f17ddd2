"""The report of a sky scan."""
