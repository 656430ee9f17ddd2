"""Sphinx configuration. `make docs` builds without network and takes warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from daybreak import __version__

project = "Daybreak"
author = "The Daybreak developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "config_table", "mathml"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "Daybreak"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["daybreak.css"]
html_copy_source = False
