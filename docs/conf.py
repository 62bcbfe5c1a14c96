"""How the documentation is built: `make docs`, without network."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
sys.path.append(str(Path(__file__).parent / "_ext"))

from gallery import Order, arguments, whole_figures

project = "bayesglm"
author = "The bayesglm authors"
project_copyright = "The bayesglm authors"
release = version = importlib.metadata.version("bayesglm")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "gallery",
    "registry_tables",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
templates_path = ["_templates"]
exclude_patterns = ["_build", "benchmarks/*.md", "gallery/**/*.ipynb", "gallery/**/*.md5", "gallery/**/*.py", "gallery/**/*.json"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Building needs no network, so other projects' pages are not linked.
nitpick_ignore_regex = [(r"py:.*", r"(pymc|pytensor|numpy|pandas|xarray|arviz\w*)\..*")]

html_theme = "pydata_sphinx_theme"
html_title = "bayesglm"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False, "search_as_you_type": False}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1,
    "plot_gallery": "True",
    "matplotlib_animations": False,
    "nested_sections": False,
    "within_subsection_order": Order,
    "image_scrapers": (whole_figures,),
    "reset_argv": arguments,
}
# The gallery's objects hold functions, which Sphinx cannot keep between builds.
suppress_warnings = ["config.cache"]
