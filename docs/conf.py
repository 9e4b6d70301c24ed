"""How the book is built: `python3 noxfile.py -s docs`, without a network and without a warning."""

import sys
from pathlib import Path

from signals_core import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "signals"
author = "The signals maintainers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "book"]
exclude_patterns = ["_build", "_ext"]
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # what Grafana adds to SQL, no lexer knows

# The headings that other pages may link to, named as a forge names them.
myst_heading_anchors = 4

# Docstrings are written for the terminal too: a word between single backticks is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"

html_theme = "furo"
html_title = "signals"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
