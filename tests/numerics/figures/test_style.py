"""Widths of labels, by which margins are set, beside matplotlib's own."""

from __future__ import annotations

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from numerics.figures.style import STYLE, text_width

LABELS = (
    "Theorem 2 (hf)",
    "λ(T) = 1000 × variance",
    "$10^{-3}$",
    "W2/√tr Σ",
    "fjQ,;()&@",
    "O",
    "C e s",
    "½ σ_max",
    "∫",
    "-",
)


@pytest.mark.parametrize("text", LABELS)
def test_the_width_of_a_label_is_that_of_its_path(text: str) -> None:
    prop = FontProperties(family=STYLE["font.family"])
    whole = TextPath((0, 0), text, size=STYLE["font.size"], prop=prop).get_extents().width
    assert text_width(text) == pytest.approx(whole / 72.0, rel=1e-12)
    assert text_width("") == 0.0
