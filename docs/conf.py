"""Settings of the documentation. The pages need no network: formulas are set in MathML, not by a script."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path
from typing import Any

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
_setup = ConfigParser()
_setup.read(ROOT / "setup.cfg", encoding="utf-8")

project = "wbound"
author = _setup["metadata"]["author"]
copyright = author
release = version = _setup["metadata"]["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nb_execution_mode = "off"  # notebooks are executed by `make notebooks`, not here
myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
# Pages that are shown here and read in the repository too link to files that are not pages.
suppress_warnings = ["myst.xref_missing"]

html_theme = "furo"
html_title = f"wbound {release}"
html_math_renderer = "mathml"


def _formula(latex: str, display: str) -> str:
    return latex2mathml.converter.convert(latex, display=display)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_formula(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_formula(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the MathML renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
