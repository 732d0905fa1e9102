"""Settings of the documentation. The pages need no network: formulas are set in MathML, not by a script."""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import links  # noqa: E402

_setup = ConfigParser()
_setup.read(ROOT / "setup.cfg", encoding="utf-8")

project = "wbound"
author = _setup["metadata"]["author"]
copyright = author
release = version = _setup["metadata"]["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nb_execution_mode = "off"  # notebooks are executed by `make notebooks`, not here
myst_enable_extensions = ["amsmath", "dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # the signature has them
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"no-value": True}  # a value that is worth reading stands in the docstring
default_role = "code"  # docstrings set names in single backquotes
# Pages that are shown here and read in the repository too link to files that are not pages.
suppress_warnings = ["myst.xref_missing"]

html_theme = "furo"
html_title = f"wbound {release}"
html_math_renderer = "mathml"


def _formula(latex: str, display: str) -> str:
    made = latex2mathml.converter.convert(latex, display=display)
    # TeX's spacing, which the converter leaves out: none around |, a thin one after log unless a ( follows
    made = made.replace(
        '<mo stretchy="false">&#x0007C;</mo>', '<mo stretchy="false" lspace="0" rspace="0">|</mo>'
    )
    return re.sub(
        r'(<mi>(?:log|exp)</mi>)(?!<mo stretchy="false">(?:&#x00028;|\[))',
        r'\1<mspace width="0.17em"/>',
        made,
    )


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_formula(node.astext(), "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_formula(node.astext(), "block")}</div>')
    raise nodes.SkipNode


ANCHORS = links.anchors(links.THEORY.read_text("utf-8"))


def _kept(found: re.Match[str]) -> str:
    return r"\*" if found.group() == "*" else found.group()


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are prose with formulas such as |X_0| and M*: no substitutions, no stray emphasis; and what
    they cite is linked."""
    text = "\n".join(lines)
    # not the bullet of a list, and not *emphasis*
    text = re.sub(r"(?m)(?<!\\)\*(?! )(?P<inner>\w[^*\n]*\w)\*(?!\w)|^ *\* |\*", _kept, text)
    text = text.replace("|", r"\|")
    lines[:] = links.linked(text, ANCHORS).split("\n")


def _entry(word: str, gloss: str, means: str, section: int) -> str:
    """A word of the report's glossary as a definition list's entry."""
    return f"\n`{word}`\n: *{gloss}.* {means} [Section {section}](theory.md#section-{section}).\n"


def _source(app: Sphinx, name: str, content: list[str]) -> None:
    if name == "theory":
        content[0] = links.with_modules(content[0])
    if name == "glossary":
        from numerics.report.glossary import WORDS

        content[0] += "".join(_entry(word, *entry) for word, entry in WORDS.items())


def setup(app: Sphinx) -> None:
    """Register the MathML renderer, and the links between statements and code."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("source-read", _source)
