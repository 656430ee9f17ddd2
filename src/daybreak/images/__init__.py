"""From waveforms of cameras to image parameters (DL0 and R1 to DL1), in batches; no files here."""
