"""One test for every statement object: its hypotheses, its formula, its kind, its citation."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

import wbound
from wbound import claims, formulas, ode, sharp
from wbound.clock import Grid
from wbound.data import Gaussian, LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.gaussian import EXACT_LAW
from wbound.setting import Bound, Setting, Statement
from wbound.statements import STATEMENTS

THEORY = (Path(__file__).resolve().parents[2] / "docs" / "theory.md").read_text("utf-8")
EVERY = pytest.mark.parametrize("id", STATEMENTS)
#: Settings of each statement.
N = 10
#: θ at which the θ-terms of Eq. 9″ and 15 are compared; their own θ is the best one.
THETA = 1.6


SCHEMES = ("em", "ei", "hf", "hf", "ddpm", "ode-hf", "ddim", "ode-ei")
#: Settings drawn so far, by K.
DRAWN: dict[int | None, tuple[list[Setting], Iterator[Setting]]] = {}


def drawn(K: int | None) -> Iterator[Setting]:
    """The same settings for every statement, drawn when they are asked for."""
    known, more = DRAWN.setdefault(K, ([], settings(7, K)))
    for i in range(3000):
        if i == len(known):
            known.append(next(more))
        yield known[i]


def settings(seed: int, K: int | None = None) -> Iterator[Setting]:
    """Settings of every kind, without end."""
    rng = np.random.default_rng(seed)
    while True:
        name = str(rng.choice(["ve-constant", "ve-exponential", "ou", "vp-linear", "sub-vp"]))
        p = wbound.process(name)
        d = int(rng.integers(1, 4))
        one = rng.uniform() < 0.6
        variances = np.full(d, rng.uniform(0.3, 3.0)) if one else rng.uniform(0.3, 3.0, d)
        mean = np.zeros(d) if rng.uniform() < 0.6 else rng.normal(size=d)
        law = Gaussian(mean, variances)
        steps = int(rng.integers(1, 6)) if K is None else K
        T = float(rng.uniform(0.5, 3.0))
        starts = ["exact", "prior", "standard"] if p.standard_start else ["exact", "prior"]
        quiet, scheme = rng.uniform() < 0.6, str(rng.choice(SCHEMES))
        yield wbound.setting(
            p,
            law,
            T if quiet or K else None,
            steps if quiet or K else None,
            scheme=scheme,
            start=str(rng.choice(starts)),
            grid="uniform" if quiet or K else Grid.from_t(T * (1.0 - np.arange(steps + 1) / steps) ** 1.5),
            score_bias=0.0 if quiet or K else float(rng.choice([0.0, 0.2])),
            score_noise=0.0 if quiet or K else float(rng.choice([0.0, 0.3])),
            M1="exact" if quiet and scheme == "em" and not K else None,
        )


def fitting(statement: Statement, n: int = N, K: int | None = None) -> list[Setting]:
    """Some settings in which its hypotheses hold."""
    out: list[Setting] = []
    for s in drawn(K):
        try:
            for hypothesis in statement.hypotheses:
                hypothesis.check(s)
        except (HypothesisFailed, BadInput):
            continue
        out.append(s)
        if len(out) == n:
            return out
    raise AssertionError(f"no settings for {statement.id}")


def number(value: Any) -> float:
    return value.total if isinstance(value, Bound) else float(value)


# ---------------------------------------------------------------------- the hypotheses

Broken = Callable[[Setting], Setting]


def other(**changes: Any) -> Broken:
    return lambda s: dataclasses.replace(s, **changes)


def nodes(grid: Grid, *at: float) -> Broken:
    return lambda s: dataclasses.replace(s, nodes=wbound.setting(s.process, s.data, *at, grid=grid).nodes)  # type: ignore[arg-type]


PROFILE = wbound.bounded_data(1.0, 1.0, 2, 2.5)
#: How each hypothesis is broken, by its name.
BREAKS: dict[str, Broken] = {
    "A1": other(data=PROFILE),
    "A1 or A1′": other(data=Gaussian(np.zeros(2), np.array([0.0, 1.0]))),
    "A2": other(M1=None),
    "A3": other(score_noise=0.1),
    "A3 (bias only)": other(score_noise=0.1),
    "uniform grid": nodes(Grid.from_t([2.0, 0.5, 0.0])),
    "step-size condition": lambda s: dataclasses.replace(
        s, data=LogConcave(1, 1e3, 1e3, 1e-3), nodes=wbound.setting(s.process, s.data, 3.0, 2).nodes
    ),
    "an SDE scheme": other(scheme=wbound.SCHEMES["ddim"]),
    "an ODE scheme": other(scheme=wbound.SCHEMES["em"]),
    "Gaussian data": other(data=LogConcave(1, 0.5, 2.0, 1.0)),
    "an unbiased score": other(score_bias=0.1),
    "data N(0, sigma0^2 I)": other(data=Gaussian(np.ones(2), 1.0)),
    "start exact": other(start="prior"),
    "exact score": other(score_noise=0.1),
    "lambda_K = 0": nodes(Grid.uniform(delta=0.1), 2.0, 4),
    "a known mean": other(data=LogConcave(1, 0.5, 0.5, 2.0)),
    "m_0 lambda(T) > 1": other(data=Gaussian(np.zeros(1), 1e6)),
}


def breaking(name: str) -> Broken:
    if name.startswith("scheme "):
        wrong = next(x for x in ("em", "hf", "ddim") if x not in name.split())
        return other(scheme=wbound.SCHEMES[wrong])
    return BREAKS[name]


@EVERY
def test_breaking_a_hypothesis_raises_and_names_it(id: str) -> None:
    """Every hypothesis by itself, from settings in which all hold; the error says which statement and which."""
    statement = STATEMENTS[id]
    assert statement.hypotheses
    for s in fitting(statement, 3):
        statement(s)
        for hypothesis in statement.hypotheses:
            with pytest.raises((HypothesisFailed, BadInput)) as caught:
                statement(breaking(hypothesis.name)(s))
            said = str(caught.value)
            assert any(part in said for part in hypothesis.name.split(" or ")), (hypothesis.name, said)
            assert "\n" not in said


# ---------------------------------------------------------------------- the formula


def at_theta(s: Setting) -> float:
    """The code's value of Eq. 9″ or 15 at a given θ."""
    if s.scheme.kind == "ode":
        p = ode.sums(s, THETA)
        return p.start + p.bias + p.score
    return sharp.ancestral_sums(s, THETA).additive


@EVERY
def test_the_formula_is_what_is_computed(id: str) -> None:
    """The displayed formula, evaluated as it stands, is the code's value."""
    statement, compared = STATEMENTS[id], 0
    for s in fitting(statement):
        terms = claims.quantities(s, id) | {"theta": THETA}
        if id in ("theorem-2", "theorem-2-prime") and sharp.has_ancestral(s):
            continue  # the smaller of Eq. 7 and 9″
        if id == "exact-law" and (s.scheme.kind == "ode" or "sigma_0" not in terms):
            continue  # its formula is written for one coordinate of an SDE scheme
        if id == "eq-12":
            terms["u"] = float(EXACT_LAW(s)) / (terms["sigma_0"] * math.sqrt(s.data.d))
        if id == "eq-12-prime" and "sigma_0" not in terms:
            continue  # one eigenvalue
        shown, value = statement.formula.value(terms), number(statement(s))
        if id in ("theorem-3", "eq-9-second"):
            assert value <= shown * (1 + 1e-9)
            value = at_theta(s)
        assert shown == pytest.approx(value, rel=1e-8, abs=1e-12), s
        compared += 1
    assert compared >= 3


def test_a_wrong_formula_is_noticed() -> None:
    """A coefficient of Eq. 9 changed by 1e-6."""
    s = fitting(STATEMENTS["eq-9"], 1)[0]
    right = formulas.FORMULAS["eq-9"]
    wrong = formulas.Formula(right.claim.subs(formulas.E_0, formulas.E_0 * 1.000001 + 1e-6))
    assert wrong.value(claims.quantities(s)) != pytest.approx(number(STATEMENTS["eq-9"](s)), rel=1e-8)


# ---------------------------------------------------------------------- the kind


def _w2(s: Setting) -> float | None:
    return None if s.score_bias else float(EXACT_LAW(s))


def _law(s: Setting) -> Gaussian:
    assert isinstance(s.data, Gaussian)
    return s.data


def _end(s: Setting) -> tuple[float, float]:
    return float(s.process.alpha(s.nodes.T)), float(s.process.lam(s.nodes.T))


def _eigenvalue(s: Setting) -> float:
    alpha, lam = _end(s)
    return 1.0 / (alpha**2 * (float(_law(s).eigenvalues.min()) + lam))


def _second_moment(s: Setting) -> float:
    (alpha, lam), law = _end(s), _law(s)
    return float((alpha**2 * (law.eigenvalues + lam) + alpha**2 * law.coordinates**2).sum())


def _step_noise(s: Setting) -> float:
    """∫(u−λ_1)²E‖∇²log q_u‖²du of a Gaussian, over the first step."""
    hi, lo = (float(s.process.lam(t)) for t in s.nodes.t[:2])
    values = _law(s).eigenvalues
    return quad(lambda u: (u - lo) ** 2 * float(((values + u) ** -2.0).sum()), lo, hi, epsrel=1e-11)[0]


def _curvature_integral(s: Setting) -> float:
    m0 = 1.0 / float(_law(s).eigenvalues.max())
    p = s.process

    def rate(t: float) -> float:
        alpha2 = float(p.alpha(t)) ** 2
        return m0 / (alpha2 * (1 + m0 * float(p.lam(t)))) * float(p.g(t)) ** 2

    return quad(rate, 0.0, s.nodes.T, epsrel=1e-10)[0]


def _start(s: Setting) -> float:
    lam, law = _end(s)[1], _law(s)
    widths = (np.sqrt(law.eigenvalues + lam) - math.sqrt(lam)) ** 2
    return math.sqrt(float((widths + law.coordinates**2).sum()))


def _plain_law(s: Setting) -> tuple[float, float]:
    """W2, and the variance's excess of a law of one eigenvalue, by loops over coordinates and steps in x-units."""
    law, p, t = _law(s), s.process, s.nodes.t
    alpha, lam = p.alpha(t), p.lam(t)
    steps, total, excess = s.scheme.steps(s.nodes.batch), 0.0, 0.0
    for own, mu in zip(law.eigenvalues, law.coordinates, strict=True):
        w = alpha**2 * (own + lam)
        v = {"exact": w[0], "prior": alpha[0] ** 2 * lam[0], "standard": 1.0}[s.start]
        m = alpha[0] * mu if s.start == "exact" else 0.0
        for k in range(s.nodes.K):
            A, C, Q = (float(x[k]) for x in (steps.A, steps.C, steps.Q))
            m = A * m - C / w[k] * (m - alpha[k] * mu)
            v = (A - C / w[k]) ** 2 * v + Q + C**2 * s.score_noise**2 / law.d
        total += (math.sqrt(v) - math.sqrt(own)) ** 2 + (m - mu) ** 2
        excess = v - own
    return math.sqrt(total), excess


#: By an independent route: the quantity that a statement is about, where it is not the exact W2 (None: cannot be told).
TRUTH: dict[str, Callable[[Setting], float | None]] = {
    "eq-4": _eigenvalue,
    "lemma-2": _second_moment,
    "lemma-3": _step_noise,
    "eq-6": _curvature_integral,
    "eq-8": _start,
    "exact-law": lambda s: _plain_law(s)[0],
    "eq-10": lambda s: _plain_law(s)[1],
    "eq-10-prime": lambda s: _plain_law(s)[1],
    "eq-12": lambda s: float(s.nodes.K),
    "eq-13": lambda s: (
        wbound.w2_bound(
            s.process, s.data, s.nodes.T, s.nodes.K, scheme="hf", start="exact", grid="optimal"
        ).total
    ),
}


@EVERY
def test_its_kind_is_what_it_says(id: str) -> None:
    """exact: equal to an independent route; upper and lower: on the right side of it; order: ever nearer to it."""
    statement, told = STATEMENTS[id], 0
    truth = TRUTH.get(id, _w2)
    if statement.kind == "order":
        for few, many in zip(fitting(statement, 3, 300), fitting(statement, 3, 3000), strict=True):
            near, far = (abs(number(statement(s)) / float(truth(s) or 0.0) - 1.0) for s in (many, few))
            assert near < 0.2 * far and near < 0.02
        return
    for s in fitting(statement):
        want = truth(s)
        if want is None:
            continue
        value, told = number(statement(s)), told + 1
        if statement.kind == "exact":
            assert value == pytest.approx(want, rel=1e-8, abs=1e-11)
        elif statement.kind == "upper":
            assert value >= want * (1 - 1e-9)
        else:
            assert statement.kind == "lower" and value <= want * (1 + 1e-9)
    assert told >= 3


# ---------------------------------------------------------------------- the citation


@EVERY
def test_latex_and_citation_come_from_the_object(id: str) -> None:
    statement = STATEMENTS[id]
    assert statement.id == id and f"({id})=" in THEORY
    assert statement.citation.startswith(statement.name) and statement.source in statement.citation
    text = statement.latex
    assert any(sign in text for sign in ("=", r"\leq", r"\geq"))
    assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")
    # the line that says the kind, after the anchor or before it
    at = THEORY.index(f"({id})=")
    lines = [m for m in re.finditer(r"\*\*Kind\*\* (.*?) · ", THEORY)]
    around = [m[1] for m in lines if m.start() < at][-1:] + [m[1] for m in lines if m.start() > at][:1]
    assert any(statement.kind in line for line in around), around


def test_every_formula_has_its_statement() -> None:
    assert set(formulas.FORMULAS) == set(STATEMENTS)
