"""How Sphinx builds this folder into a site: `make docs`. What MyST and Sphinx lack is in extensions/."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
PROJECT = DOCS.parent
sys.path[:0] = [str(PROJECT), str(DOCS / "extensions")]

from tfcifar import __version__  # noqa: E402
from tfcifar.cli import start_tensorflow  # noqa: E402

start_tensorflow()  # autodoc imports it anyway; here, without its greeting

project = "tfcifar"
author = copyright = "The tfcifar authors"
release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "command_help",
    "figures_on_record",
    "links_to_sources",
    "package_modules",
    "recipe_fields",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"tfcifar {release}"
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3  # [text](page.md#heading) is checked down to ###
suppress_warnings = ["misc.highlighting_failure"]  # code with `...` in it is still code

highlight_language = "text"  # of blocks that name no other
default_role = "code"  # docstrings are plain text with `code` in it
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False  # Keras' and KerasTuner's own texts are in their documentation
autodoc_typehints_format = "short"
autodoc_use_type_comments = False
add_module_names = False  # each module has its heading
toc_object_entries = False  # "on this page" lists modules; with every function it would be longer than the page
# With -n: only names of this project have to be found, no other documentation is fetched.
nitpick_ignore_regex = [(r"py:.*", r"(?!(pipelines|tfcifar|tuner|export)\.).*")]

linkcheck_timeout = 20  # seconds
