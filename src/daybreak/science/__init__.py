"""DL3 to results: pure functions from observations to tables. Knows no engine and no pages."""
