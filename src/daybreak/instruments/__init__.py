"""Instruments: a YAML profile each, and a reader module where its files need one."""
