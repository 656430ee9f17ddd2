"""From a neutrino event to sky maps and a report."""
