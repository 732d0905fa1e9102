"""Explanations: the terms add up to the bound, are its parts, and say the numbers that make them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import wbound
from wbound.bounds import ddpm, shared, theorem_2
from wbound.data.beyond_log_concave import bounded_data
from wbound.sampler.make_setting import setting
from wbound.theory import explanation

DATA = {
    "gaussian": wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0),
    "log-concave": wbound.LogConcave(4, 0.5, 3.0, 9.0),
    "rough": wbound.LogConcave(3, 0.5, 50.0, 6.0, 0.0),
    "bounded": bounded_data(1.0, 0.8, 4, 3.5, 0.0),
}
STOPPED = wbound.Grid.from_lam(np.geomspace(400.0, 0.01, 81), stop="early")
CASES = [
    ("published", "em", "gaussian", {}),
    ("published", "em", "log-concave", {"score_bias": 0.2}),
    ("published", "em", "log-concave", {"M1": 0.0, "start": "exact"}),
    ("published", "em", "gaussian", {"start": "standard", "score_bias": 0.1}),
    ("sharp", "hf", "gaussian", {}),
    ("sharp", "hf", "log-concave", {"start": "exact", "score_bias": 0.3}),
    ("sharp", "em", "log-concave", {"score_bias": 0.3, "score_noise": 0.5}),
    ("sharp", "ei", "gaussian", {"start": "standard", "score_noise": 0.5}),
    ("sharp", "hf", "bounded", {"grid": STOPPED, "score_bias": 0.1}),
    ("sharp", "em", "gaussian", {"grid": STOPPED}),
    ("sharp", "ddpm", "gaussian", {}),
    ("sharp", "ddpm", "log-concave", {"score_bias": 0.3, "start": "exact"}),
    ("sharp", "ddpm", "log-concave", {"score_noise": 0.5}),
    ("sharp", "ddpm", "rough", {}),
    ("sharp", "ode-hf", "gaussian", {}),
    ("sharp", "ddim", "log-concave", {"score_bias": 0.3}),
    ("sharp", "ode-ei", "gaussian", {"start": "standard"}),
    ("sharp", "ode-hf", "log-concave", {"grid": STOPPED, "score_bias": 0.2}),
    ("sharp", "heun", "log-concave", {"score_bias": 0.3, "start": "exact"}),
    ("sharp", "heun", "gaussian", {"grid": STOPPED, "score_bias": 0.2}),
    ("sharp", "heun-lam", "log-concave", {"start": "standard"}),
]


def of(theorem: str, scheme: str, data: str, options: dict[str, Any], K: int = 300) -> wbound.Setting:
    given = {"M1": 0.3 if theorem == "published" else None} | options
    T, K_ = (None, None) if "grid" in given else (4.0, K)
    return setting(wbound.process("vp-linear", a=1.0, b=0.5), DATA[data], T, K_, scheme=scheme, **given)


@pytest.mark.parametrize(("theorem", "scheme", "data", "options"), CASES)
def test_the_terms_add_up_to_the_bound(theorem: str, scheme: str, data: str, options: dict[str, Any]) -> None:
    s = of(theorem, scheme, data, options)
    bound = wbound.theory.statements.upper_bound(theorem, scheme)(s)
    found = explanation.explain(s, theorem)
    assert found.total == bound.total and math.isfinite(bound.total)
    assert sum(term.value for term in found.terms) == pytest.approx(bound.total, rel=1e-12)
    for term in found.terms:
        assert term.value >= 0.0
        if term.squares:
            assert sum(part.value for part in term.squares) == pytest.approx(term.value**2, rel=1e-12)
            assert all(part.value >= 0.0 for part in term.squares)
    # the terms are the statement's parts: those of the start are the initialisation, those of the score it
    start = [t for outer in found.terms for t in (outer, *outer.squares) if t.meaning.startswith("start,")]
    assert len(start) == 1
    size = start[0].value if start[0] in found.terms else math.sqrt(start[0].value)
    assert size == pytest.approx(bound.initialisation, rel=1e-10, abs=1e-300)
    assert (size == 0.0) == (options.get("start") == "exact")


@pytest.mark.parametrize(("theorem", "scheme", "data", "options"), CASES)
def test_the_numbers_put_in_make_the_term(
    theorem: str, scheme: str, data: str, options: dict[str, Any]
) -> None:
    found = explanation.explain(of(theorem, scheme, data, options), theorem)
    for term in [t for outer in found.terms for t in (outer, *outer.squares)]:
        numbers = re.fullmatch(r"(\(|√\()?([-\d.e+]+(?: × [-\d.e+]+)*)(\)²?)?", term.filled)
        if numbers is None:
            assert re.match(r"(sum|root)", term.filled), term.filled
            continue
        value = math.prod(float(n) for n in numbers[2].split(" × "))
        value = math.sqrt(value) if numbers[1] == "√(" else value**2 if numbers[3] == ")²" else value
        assert value == pytest.approx(term.value, rel=2e-5), term
    known = {k.symbol: k.value for k in found.known}
    assert known["K"] == (80 if "grid" in options else 300) and known["d"] == DATA[data].d


@pytest.mark.parametrize("scheme", ["em", "ei", "ddpm"])
def test_shares_of_the_recursion(scheme: str) -> None:
    """Each cause alone, where it is alone, and all of them beside the plain recursion."""
    s = of("sharp", scheme, "log-concave", {"score_bias": 0.3, "score_noise": 0.4}, K=50)
    terms = theorem_2.local(s.nodes.batch, s.data, s.scheme, True)
    u = shared.start_term(s)
    rows = [np.broadcast_to(v, 50) for v in (np.exp(terms.log_gamma), terms.b, terms.n2, terms.C)]
    for g, b, n2, C in zip(*rows, strict=True):
        u = math.sqrt((g * u + b + 0.3 * C) ** 2 + n2 + (0.4 * C) ** 2)
    found = theorem_2.shares(s)
    assert math.fsum(found) == pytest.approx(u * u, rel=1e-13)
    P = np.append(np.cumprod(rows[0][::-1])[::-1], 1.0)
    assert found.start == pytest.approx((P[0] * shared.start_term(s)) ** 2, rel=1e-12)
    assert found.noise == pytest.approx(float(np.sum(P[1:] ** 2 * rows[2])), rel=1e-12)
    assert found.score_noise == pytest.approx(float(np.sum((0.4 * P[1:] * rows[3]) ** 2)), rel=1e-12)
    more = theorem_2.shares(of("sharp", scheme, "log-concave", {"score_bias": 0.6, "score_noise": 0.4}, K=50))
    assert more.score_bias > 2.0 * found.score_bias > 0.0


def test_ddpm_says_which_equation_and_what_the_other_gives() -> None:
    small = explanation.explain(of("sharp", "ddpm", "gaussian", {}), "sharp")
    assert small.statement.endswith("(Eq. 9'')") and "Eq. 7 gives " in small.remarks[0]
    other = of("sharp", "ddpm", "rough", {}, K=20)
    few = explanation.explain(other, "sharp")
    expected = ddpm.ancestral(other).total
    assert few.statement.endswith("(Eq. 7)") and few.total < expected
    assert f"gives {expected:.6g}" in few.remarks[0]


def test_an_infinite_bound_is_said_to_be_so() -> None:
    process = wbound.Process(f="50", g="1")
    s = setting(process, DATA["gaussian"], 8.0, 2, scheme="em")
    found = explanation.explain(s)
    assert found.total == math.inf and "infinite" in found.remarks[0]
    assert sum(term.value for term in found.terms) == math.inf


def test_it_refuses_as_the_statement_does() -> None:
    s = of("sharp", "em", "log-concave", {}, K=2)
    with pytest.raises(wbound.BadInput, match="M1"):
        explanation.explain(s, "published")
    with pytest.raises(wbound.BadInput, match="theorem"):
        explanation.explain(s, "best")
