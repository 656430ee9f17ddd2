"""Frozen configuration models and the loading of YAML files into them."""
