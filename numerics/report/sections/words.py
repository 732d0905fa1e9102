"""Section: every word that the page explains where it says it first, in full."""

from __future__ import annotations

from numerics.report.blocks import Context, Part, Prose, Words
from numerics.report.glossary import WORDS

__all__ = ["build"]


def build(context: Context) -> Part:
    """The part of this section."""
    text = "The numbers after a meaning are sections of `docs/theory.md`, which `make docs` shows as a page."
    return Part({"words": list(WORDS)}, (Words(), Prose(text)))
