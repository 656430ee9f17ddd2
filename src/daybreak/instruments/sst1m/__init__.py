"""SST-1M (DigiCam): raw data, calibration constants, and from waveforms to charges."""
