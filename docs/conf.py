"""How Sphinx builds the documentation: `make docs`, without network and without warnings."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

project = "maetab"
author = "the maetab developers"
project_copyright = author
# Read, not imported: the settings load without torch.
(release,) = re.findall(
    r'^__version__ = "(.+)"$', (ROOT / "maetab" / "__init__.py").read_text(encoding="utf-8"), re.M
)
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery"]
default_role = "literal"  # a name in single backquotes is code, in docstrings too

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
numpydoc_show_class_members = False  # the templates list them, with their docstrings
numpydoc_class_members_toctree = False

# Examples are run when the pages are built; one that has changed or failed is run again.
sphinx_gallery_conf = {
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["examples"],
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "download_all_examples": False,
    "copyfile_regex": r"^$",
}

nitpicky = True
# Annotations name types of other packages, and our own that have no page here.
pages = (
    r"(MAE|evaluation|plot|nn\.masking|nn\.losses\.(Point)?Loss$|nn\.backbones\.(Backbone|Shape)$"
    r"|nn\.guess\.(gaussian\.(BaseGuess|Normal)|options\.GuessOptions)$)"
)
# Course is what displays of series are made of: their constructors from frames make it.
inner = r"maetab\.plot\.course\.Course"
nitpick_ignore_regex = [(r"py:class", rf"(?!maetab\.{pages}).*"), (r"py:class", inner)]

html_theme = "alabaster"
html_theme_options = {
    "description": "Masked autoencoders for tables",
    "fixed_sidebar": True,
    "page_width": "1120px",
    "sidebar_width": "230px",
    "show_powered_by": False,
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sourcelink = False


def is_inherited_from_elsewhere(member: Any) -> bool:
    """Return whether a member of a class is written in another package."""
    function = member.fget if isinstance(member, property) else inspect.unwrap(member)
    return not (getattr(function, "__module__", None) or "").startswith("maetab")


def skip_member(app: Any, what: str, name: str, member: Any, skip: bool, options: Any) -> Any:
    """Leave out what the estimators inherit from scikit-learn: its own pages describe it."""
    methods = inspect.isroutine(member) or isinstance(member, property)
    if what == "class" and methods and is_inherited_from_elsewhere(member):
        return True
    return None


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", skip_member)
