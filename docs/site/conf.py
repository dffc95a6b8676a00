"""Sphinx's configuration. make.py lays out what Sphinx reads, and calls it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import thalweg  # noqa: E402

project = "thalweg"
author = "the authors of thalweg"
release = version = thalweg.__version__
project_copyright = "Apache-2.0"

extensions = ["myst_parser", "sphinx_design", "sphinx_copybutton", "offline"]
root_doc = "index"
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Commands and what they print have no language of their own in the documents.
highlight_language = "none"
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

# Types of other libraries are not described here.
nitpick_ignore_regex = [(r"py:.*", r".*")]
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
add_module_names = True

html_theme = "furo"
html_title = "thalweg"
html_theme_options = {"light_css_variables": {"color-code-background": "#f5f6f8"}}
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Read from a disk, pages may not fetch one another, which the lines under a search's results would take.
html_show_search_summary = False
html_math_renderer = "mathml"
copybutton_exclude = ".linenos, .gp, .go"

linkcheck_timeout = 20
linkcheck_workers = 4
# Preprints' host answers programs slowly, and refuses many at once.
linkcheck_rate_limit_timeout = 60
