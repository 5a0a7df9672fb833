"""The site: ``sphinx-build -W --keep-going -c docs . build/site`` in the root of the repository.

The root is the source folder, so that the pages of data/ and benchmarks/ are part of the site, and a link between two
files is the same here and where Git shows them.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "Mainstream"
author = "the authors of Mainstream"
project_copyright = author
release = version_of("mainstream")

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "data/**.md", "benchmarks/*.md", "examples/*.ipynb"]
exclude_patterns = ["README.md", "build", "dist", ".*", "**/.*"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120

autodoc_typehints = "none"  # the docstrings say it in words, with shapes and units
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_preprocess_types = True

html_theme = "furo"
html_title = f"Mainstream {release}"
html_extra_path = ["site"]  # index.html, which leads to docs/index.html
html_show_sphinx = False
html_copy_source = False


def seen_from_docs(app: Sphinx, included: Path, page: str, text: list[str]) -> None:
    """The README is the first page of the site; its links are written for the folder that it lies in."""
    if included.name == "README.md":
        text[0] = re.sub(r"\]\((?!https?:|#)", "](../", text[0])


def setup(app: Sphinx) -> None:
    """Let Sphinx call what is above."""
    app.connect("include-read", seen_from_docs)
