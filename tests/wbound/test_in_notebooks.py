"""What a notebook shows of the objects: tables whose text is escaped, formulas, one line; and noise levels in one line."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import wbound
from wbound.calculus.notebook import html_table, shown
from wbound.data.gaussian import Gaussian
from wbound.design.placed_numerically import numerical_grid


class Tags(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td"), tag
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(thing: Any) -> str:
    read = Tags(thing._repr_html_())
    assert read.open == []
    return read.text


def test_text_is_escaped() -> None:
    evil = "<script>alert(1)</script>&\"'"
    read = Tags(html_table(evil, [(evil, evil)], (evil, evil)))
    assert read.text.count(evil) == 5 and read.open == []
    made = wbound.MULTISTEP["ab2"].tape([4.0, 1.0, 0.0], made={"sampler": evil})
    assert evil in text_of(made)
    assert (shown(None), shown(0.123456789), shown(7)) == ("—", "0.123457", "7")


def test_a_bound() -> None:
    data = wbound.LogConcave(d=3, m0=0.5, L0=0.5, second_moment=6.0, mean_norm=0.0)
    bound = wbound.w2_bound(wbound.process("vp-linear"), data, T=4.0, K=100, scheme="hf")
    assert str(bound).startswith(
        f"W2 <= {bound.total:.6g} (Theorem 2: initialisation"
    ) and "vacuous" not in str(bound)
    assert f"{bound.total:.6g}" in text_of(bound) and bound._repr_latex_() == rf"$W_2 \le {bound.total:.6g}$"
    few = wbound.w2_bound(wbound.process("vp-linear"), data, T=4.0, K=1, scheme="hf")
    assert few.vacuous and "vacuous" in str(few)
    infinite = wbound.Bound(np.inf, 0.0, np.inf, 0.0, np.inf, 1.0, "Theorem 2")
    assert infinite._repr_latex_() == r"$W_2 \le \infty$"


def test_processes_orders_statements_and_tapes() -> None:
    p = wbound.process("vp-linear", a=1.5)
    assert r"\sqrt{a t + b}" in p._repr_latex_() and "a1.5" in text_of(p)
    orders = wbound.orders(p, theorem="published")
    assert "Theorem 1" in text_of(orders) and str(orders._repr_latex_()).startswith(r"$K \asymp \frac{d")
    for statement in wbound.STATEMENTS.values() if isinstance(wbound.STATEMENTS, dict) else wbound.STATEMENTS:
        assert statement.name in text_of(statement) and statement.latex in statement._repr_latex_()
    tape = wbound.tape_of(wbound.setting(p, Gaussian([0.0], 1.0), 3.0, 7, scheme="ddim"))
    assert "calls of the network7" in text_of(tape)


def test_noise_levels_in_one_line() -> None:
    variances = [4.0, 1.0, 0.25]
    got = wbound.sigmas(variances, K=6)
    assert got.shape == (7,) and got[-1] == 0.0 and (np.diff(got) < 0.0).all()
    data = Gaussian(np.zeros(3), np.array(variances))
    best = numerical_grid(data, 6, objective="exact", scheme="ddim", start="prior")
    assert got == pytest.approx(np.sqrt(best.lam), rel=1e-12)
    rng = np.random.default_rng(2)
    samples = rng.standard_normal((50, 3, 2)) + 1.0
    flat = samples.reshape(50, 6)
    held = Gaussian(flat.mean(axis=0), np.cov(flat, rowvar=False, bias=True))
    assert wbound.sigmas(samples, 3, "hf") == pytest.approx(wbound.sigmas(held, 3, "hf"), rel=1e-12)
    for wrong in ([1.0, -1.0], [0.0, 0.0], [np.nan, 1.0], ["a"], samples[:6], 3.0):
        with pytest.raises(wbound.BadInput):
            wbound.sigmas(wrong)
    with pytest.raises(wbound.BadInput, match="ddim"):
        wbound.sigmas(variances, sampler="dpmpp-2m")
