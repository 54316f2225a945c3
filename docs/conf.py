"""How Sphinx makes the site of these pages: `python -m sphinx -W docs docs/_build`."""

import re
import sys
from pathlib import Path
from typing import Any

import docutils.nodes
from latex2mathml.converter import convert

sys.path.insert(0, str(Path(__file__).resolve().parent))

import reference

project = "ChromaBench"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "ChromaBench"
html_copy_source = False
smartquotes = False  # which makes one dash of the two of an option
html_show_copyright = False
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"


def visit_math(translator: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    display = "inline" if isinstance(node, docutils.nodes.math) else "block"
    translator.body.append(convert(node.astext(), display=display))
    raise docutils.nodes.SkipNode


def fill_in(app: Any, name: str, source: list[str]) -> None:
    """Write the tables of options and settings into a page that asks for them.

    Files outside of docs/ are not part of the site: a link to one becomes its path.
    """
    text = re.sub(r"\[([^\]]+)\]\(\.\./([^)#]+)[^)]*\)", r"\1 (`\2`)", source[0])
    source[0] = reference.fill(text)


def setup(app: Any) -> None:
    """Register what this file adds to Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("source-read", fill_in)
