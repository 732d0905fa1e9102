"""One test for every statement object: its hypotheses, its formula, its kind, its citation."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from formula_values import formula_value, quantities
from scipy.optimize import minimize_scalar
from truths import TRUTH, w2

import wbound
from wbound.bounds import ddpm, shared, theorem_3, theorem_3_profile, theorem_7
from wbound.bounds.modified_score import MODIFIED_EI
from wbound.bounds.theorem import Theorem
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import Corrector, Named, Scheme, Steps, scheme_named
from wbound.statement import formulas
from wbound.statement.formula import Formula
from wbound.statement.statement_object import Bound, Hypothesis, Statement
from wbound.theory.statements import STATEMENTS

EVERY = pytest.mark.parametrize("id", STATEMENTS)
#: Settings of each statement.
N = 10
#: θ at which the θ-terms of Eq. 9″ and 15 are compared; their own θ is the best one.
THETA = 1.6


SCHEMES = ("em", "em-point", "em-point-arrival", "ei", "hf", "hf", "ddpm", "ddpm", "ode-hf", "ddim", "ode-ei")
PROCESSES = ("ve-constant", "ve-exponential", "ou", "vp-linear", "sub-vp")
#: What is drawn besides the ordinary, and the statements that are about it.
SPECIAL = {
    **{f"section-9:{name}": f"image-ve-{name}" for name in ("original", "v1", "v2", "v3")},
    "theorem-7": "two stages",
    "modified-score-bound": "modified score",
    "theorem-3-prime": "bounded",
    "profiles:m": "bounded",
    "profiles:L": "bounded",
    "profiles:early": "early",
    "eq-18": "geometric",
    "tangent-law": "tangent",
    **{f"random-midpoint{part}": "drawn" for part in ("", ":flow", ":low", ":high", ":flow-high")},
}
#: Settings drawn so far, by kind and K.
DRAWN: dict[tuple[str, int | None], tuple[list[Setting], Iterator[Setting]]] = {}


def drawn(kind: str, K: int | None) -> Iterator[Setting]:
    """The same settings for every statement, drawn when they are asked for."""
    known, more = DRAWN.setdefault((kind, K), ([], settings(7, K, kind)))
    for i in range(3000):
        if i == len(known):
            known.append(next(more))
        yield known[i]


def settings(seed: int, K: int | None = None, kind: str = "") -> Iterator[Setting]:
    """Settings of every kind, without end."""
    rng = np.random.default_rng(seed)
    while True:
        name = kind if kind.startswith("image") else str(rng.choice(PROCESSES))
        parameters = {"theta": 0.7, "sigma": 1.3} if name == "ou" and rng.uniform() < 0.5 else {}
        p = wbound.process(name, **parameters)
        d = int(rng.integers(1, 4))
        one = rng.uniform() < 0.6
        variances = np.full(d, rng.uniform(0.3, 3.0)) if one else rng.uniform(0.3, 3.0, d)
        mean = np.zeros(d) if rng.uniform() < 0.6 else rng.normal(size=d)
        law: Any = Gaussian(mean, variances)
        if kind == "bounded":  # the symmetric mixture's
            size, tau = rng.uniform(0.3, 3.0), rng.uniform(0.5, 1.5)
            law = wbound.bounded_data(size, tau, d, size**2 + d * tau**2)
        steps = int(rng.integers(1, 6)) if K is None else K
        T = float(rng.uniform(0.5, 3.0)) / (3.0 if kind.startswith("image") else 1.0)
        starts = ["exact", "prior", "standard"] if p.standard_start else ["exact", "prior"]
        schemes = {
            "two stages": ("heun", "heun", "heun-lam", "ddim"),
            "geometric": ("ddim", "ddim-inflated"),
            "drawn": tuple(wbound.RANDOM_TIMES),
        }.get(kind, SCHEMES)
        quiet = rng.uniform() < 0.6
        scheme: str | Scheme = str(rng.choice(schemes))
        even = quiet or K is not None or kind in ("early", "geometric", "tangent")
        uniform: Any = Grid.uniform(delta=0.1 * float(p.lam(T))) if kind == "early" else "uniform"
        if kind == "modified score":
            p, scheme = wbound.process("vp-linear", a=0.5, b=float(rng.uniform(0.2, 1.0))), MODIFIED_EI
            law, starts = Gaussian(mean, variances / variances.max() * rng.uniform(0.3, 1.0)), ["standard"]
        uniform = {"geometric": "log-lam", "tangent": "tangent"}.get(kind, uniform)
        yield wbound.setting(
            p,
            law,
            T if even else None,
            steps if even else None,
            scheme=scheme,
            start=str(rng.choice(starts)),
            grid=uniform if even else Grid.from_t(T * (1.0 - np.arange(steps + 1) / steps) ** 1.5),
            score_bias=0.0 if quiet or K else float(rng.choice([0.0, 0.2])),
            score_noise=0.0 if quiet or K else float(rng.choice([0.0, 0.3, 30.0])),
            M1="exact" if quiet and scheme == "em" and not (K or kind) else None,
        )


def fitting(statement: Statement, n: int = N, K: int | None = None) -> list[Setting]:
    """Some settings in which its hypotheses hold."""
    out: list[Setting] = []
    for s in drawn(SPECIAL.get(statement.id, ""), K):
        try:
            statement.check(s)
        except (HypothesisFailed, BadInput):
            continue
        out.append(s)
        if len(out) == n:
            return out
    raise AssertionError(f"no settings for {statement.id}")


#: Statements of any Gaussian whose formula is written for one eigenvalue, by their anchors.
ONE_EIGENVALUE = ("eq-12-prime", "lemma-3", "exact-iterations", "assumption-a2")


def number(value: Any) -> float:
    return value.total if isinstance(value, Bound) else float(value)


# ---------------------------------------------------------------------- the hypotheses

Broken = Callable[[Setting], Setting]


def other(**changes: Any) -> Broken:
    return lambda s: dataclasses.replace(s, **changes)


def nodes(grid: Grid, *at: float) -> Broken:
    return lambda s: dataclasses.replace(s, nodes=wbound.setting(s.process, s.data, *at, grid=grid).nodes)  # type: ignore[arg-type]


def _lopsided(b: Any) -> Steps:
    steps = wbound.SCHEMES["ode-hf"].steps(b)
    return steps._replace(corrector=Corrector(0.6 * steps.C, 0.2 * b.steps.Q))


PROFILE = wbound.bounded_data(1.0, 1.0, 2, 2.5)
#: How each hypothesis is broken, by its name.
BREAKS: dict[str, Broken] = {
    "A1": other(data=PROFILE),
    "a curvature profile": other(data=LogConcave(2, 1.0, 1.0, 2.0)),
    "A1 or A1′": other(data=Gaussian(np.zeros(2), np.array([0.0, 1.0]))),
    "f, g >= 0": other(process=wbound.Process(f="1-1e8*t", g="1")),
    "A2": other(M1=None),
    "A3 (bias only)": other(score_noise=0.1),
    "uniform grid": nodes(Grid.from_t([2.0, 0.5, 0.0])),
    "step-size condition": lambda s: dataclasses.replace(
        s, data=LogConcave(1, 1e3, 1e3, 1e-3), nodes=wbound.setting(s.process, s.data, 3.0, 2).nodes
    ),
    theorem_7.WEIGHTS: other(
        scheme=Scheme("lopsided", "other weights", "ode", Named(_lopsided), "a test", 2)
    ),
    "levels that are not random": lambda s: dataclasses.replace(
        s, scheme=scheme_named("ode-random-midpoint" if s.scheme.kind == "ode" else "random-midpoint")
    ),
    "an SDE scheme": other(scheme=wbound.SCHEMES["ddim"]),
    "an ODE scheme": other(scheme=wbound.SCHEMES["em"]),
    "a step by the score where it stands": lambda s: dataclasses.replace(
        s, scheme=scheme_named("ab2" if s.scheme.kind == "ode" else "ddim(eta=0.5)")
    ),
    "a step of one stage": other(scheme=wbound.SCHEMES["heun"]),
    "Gaussian data": other(data=LogConcave(1, 0.5, 2.0, 1.0)),
    "an unbiased score": other(score_bias=0.1),
    "data N(0, sigma0^2 I)": other(data=Gaussian(np.ones(2), 1.0)),
    "data N(mu, sigma0^2 I)": other(data=Gaussian(np.ones(2), np.array([1.0, 2.0]))),
    "start exact": other(start="prior"),
    "start prior": other(start="exact"),
    "start standard": other(start="exact"),
    "bounded data smoothed by noise": other(data=LogConcave(1, 0.5, 2.0, 1.0)),
    "stopped early": nodes(Grid.uniform(), 2.0, 4),
    "exact score": other(score_noise=0.1),
    "lambda_K = 0": nodes(Grid.uniform(delta=0.1), 2.0, 4),
    "a known mean": other(data=LogConcave(1, 0.5, 0.5, 2.0)),
    "start prior or standard": other(start="exact"),
    "start at the mean": other(data=Gaussian(np.ones(2), np.array([1.0, 2.0]))),
    "eigenvalues > 0": other(data=Gaussian(np.zeros(2), np.array([0.0, 1.0]))),
    "0 < a < b": other(data=Gaussian(np.zeros(2), 1.0)),
    "geometric levels": nodes(Grid.from_t([2.0, 1.9, 0.5, 0.0])),
    "grid tangent": nodes(Grid.from_t([2.0, 1.9, 0.5, 0.0])),
    "m_0 >= 1": other(data=Gaussian(np.zeros(2), np.array([2.0, 0.5]))),
    "beta does not decrease": other(process=wbound.Process(f="(2-t/8)/2", g="sqrt(2-t/8)")),
    "the step size": lambda s: dataclasses.replace(
        s,
        data=Gaussian(np.zeros(1), 1e-4),
        nodes=wbound.setting(s.process, s.data, 3.0, 2).nodes,
    ),
    "m_0 lambda(T) > 1": other(data=Gaussian(np.zeros(1), 1e6)),
}


#: Parameters of a process that is not VP either.
UNLIKE: dict[str, dict[str, float]] = defaultdict(lambda: {"sigma": 2.0}, {"process ou": {}})


def breaking(name: str) -> Broken:
    if name.startswith("scheme "):
        wrong = next(x for x in ("em", "hf", "ddim") if x not in name.split())
        return other(scheme=wbound.SCHEMES[wrong])
    if name.startswith("process "):
        return other(process=wbound.process("ve-constant" if name == "process ou" else "ou", **UNLIKE[name]))
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
            assert names(caught.value, statement, hypothesis), (hypothesis.name, caught.value)
            assert "\n" not in str(caught.value)


def names(error: Exception, statement: Statement, hypothesis: Hypothesis) -> bool:
    """Whether an error says which statement and which hypothesis (a value left out is an option's error)."""
    ours = isinstance(error, BadInput) or getattr(error, "statement", "") == statement.name
    return ours and any(part in str(error) for part in hypothesis.name.split(" or "))


@EVERY
def test_a_hypothesis_left_out_is_noticed(id: str) -> None:
    """What a broken one raises comes from its own check, not from the evaluation."""
    statement = STATEMENTS[id]
    s = fitting(statement, 1)[0]
    for hypothesis in statement.hypotheses:
        if (id, hypothesis.name) == ("exact-law", "Gaussian data"):
            continue  # what reads the data is the check
        others = tuple(h for h in statement.hypotheses if h is not hypothesis)
        raised: Exception | None = None
        try:
            with np.errstate(all="ignore"):
                dataclasses.replace(statement, hypotheses=others)(breaking(hypothesis.name)(s))
        except (ArithmeticError, AssertionError, ValueError, TypeError, AttributeError) as error:
            raised = error
        assert raised is None or not names(raised, statement, hypothesis), (hypothesis.name, raised)


# ---------------------------------------------------------------------- the formula


def at_angle(theta: float) -> dict[str, float]:
    """θ, and the maximum ϑ of θx² − x³ over [0, 1] as a search finds it."""
    x = np.linspace(0.0, 1.0, 100_001)
    return {"theta": theta, "vartheta": float((theta * x**2 - x**3).max())}


def at_theta(id: str, s: Setting) -> float:
    """The code's value of Eq. 9′, 9″ or 15 at a given θ."""
    if id == "theorem-7":
        p = theorem_7.sums(s, (THETA, THETA))
        return p.start + p.bias + p.score
    if id == "theorem-3-prime":
        t = theorem_3_profile.local(s.nodes.batch, s)
        log_P, log_P0 = theorem_3.log_products(t.log_gamma)
        rest = (
            math.exp(log_P0) * shared.start_error(s.data, s.start, s.process, *s.nodes.first),
            np.exp(log_P) @ t.drift,
        )
        curved = math.exp(theorem_3_profile.at_theta(s, t, log_P, THETA))
        return float(sum(rest) + curved + s.score_bias * (np.exp(log_P) @ t.score))
    if s.scheme.kind == "ode":
        p = theorem_3.sums(s, THETA)
        return p.start + p.bias + p.score
    parts = ddpm.ancestral_sums(s, THETA)
    return sum(parts) if id == "eq-9-prime" else parts.additive


def compared(statement: Statement, formula: Formula) -> Iterator[tuple[Setting, float, float]]:
    """The settings, the formula evaluated as it stands, and the code's value."""
    id = statement.id
    for s in fitting(statement, 3 * N if statement.anchor in ONE_EIGENVALUE else N):
        terms = quantities(s, id) | at_angle(THETA)
        if id in ("theorem-2", "theorem-2-prime") and ddpm.has_ancestral(s):
            continue  # the smaller of Eq. 7 and 9″
        if id == "exact-law" and (s.scheme.kind == "ode" or "sigma_0" not in terms):
            continue  # its formula is written for one coordinate of an SDE scheme
        if id in ("eq-12", "eq-12:prior"):
            terms["u"] = float(EXACT_LAW(s)) / (terms["sigma_0"] * math.sqrt(s.data.d))
        if statement.anchor in ONE_EIGENVALUE and "sigma_0" not in terms:
            continue  # written for one eigenvalue
        shown, value = formula_value(formula, terms), number(statement(s))
        if id in ("theorem-3", "theorem-3-prime", "theorem-7", "eq-9-prime", "eq-9-second"):
            assert formula is not statement.formula or value <= shown * (1 + 1e-9)
            value = at_theta(id, s)
        yield s, shown, value


@pytest.mark.parametrize("id", ["theorem-3", "eq-9-prime", "eq-9-second"])
def test_the_best_theta_is_taken(id: str) -> None:
    """The code's value is the smallest over θ of the displayed formula."""
    statement = STATEMENTS[id]
    for s in fitting(statement, 3):
        terms = quantities(s, id)
        best = min(
            minimize_scalar(
                lambda theta, terms=terms: formula_value(statement.formula, terms | at_angle(theta)),
                bounds=ends,
                method="bounded",
                options={"xatol": 1e-3},
            ).fun
            for ends in ((0.0, 1.999), (2.001, 4.0))
        )
        assert number(statement(s)) == pytest.approx(best, rel=1e-4)


def same(id: str, shown: float, value: float) -> bool:
    if id == "assumption-a2:gaussian":  # the code's supremum errs upward, by no more than this
        return shown * (1 - 1e-9) <= value <= shown * (1 + 2e-6)
    return shown == pytest.approx(value, rel=1e-8, abs=1e-12)


@EVERY
def test_the_formula_is_what_is_computed(id: str) -> None:
    """The displayed formula is the code's value."""
    found = list(compared(STATEMENTS[id], STATEMENTS[id].formula))
    assert len(found) >= 3
    for s, shown, value in found:
        assert same(id, shown, value), s


@EVERY
def test_a_wrong_formula_is_noticed(id: str) -> None:
    """Every formula changed by 1e-5."""
    right = STATEMENTS[id].formula
    wrong = dataclasses.replace(right, claim=right.claim.func(right.claim.lhs, right.claim.rhs * 1.00001))
    assert not all(same(id, shown, value) for _, shown, value in compared(STATEMENTS[id], wrong))


# ---------------------------------------------------------------------- the kind


@EVERY
def test_its_kind_is_what_it_says(id: str) -> None:
    """exact: equal to an independent route; upper and lower: on the right side of it; order: ever nearer to it."""
    statement, told = STATEMENTS[id], 0
    truth = TRUTH.get(id, w2)
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
    assert statement.id == id
    assert statement.citation.startswith(statement.name) and statement.source in statement.citation
    text = statement.latex
    signs = {"exact": " = ", "upper": r" \leq ", "lower": r" \geq ", "order": r" \sim "}
    assert signs[statement.kind] in text and r"\\" not in text
    assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")


def test_every_formula_has_its_statement() -> None:
    own = {id for id, statement in STATEMENTS.items() if isinstance(statement, Theorem)}
    assert set(formulas.FORMULAS) == set(STATEMENTS) - own
    assert all(STATEMENTS[id].formula.latex for id in own)
