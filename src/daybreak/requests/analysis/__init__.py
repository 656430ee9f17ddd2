"""From DL3 to a report."""
