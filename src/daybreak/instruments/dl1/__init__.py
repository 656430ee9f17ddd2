"""Camera data of any ctapipe EventSource to DL1 files of ctapipe's data model."""
