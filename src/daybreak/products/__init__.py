"""Products on disk: names, atomic writing, checksums and provenance. Knows no science."""
