"""`w2_bound`: both theorems above the exact law over a random search, and bad input in one line each."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import referee
from hypothesis import HealthCheck, assume, given, note, seed, settings
from hypothesis import strategies as st

import wbound
from wbound.bounds import theorem_1
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed, WboundError
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.grid import Grid
from wbound.statement.statement_object import Bound
from wbound.theory.statements import STATEMENTS, THEOREMS, upper_bound

# ---------------------------------------------------------------------- the search

#: Rounding only: both sides are sums of up to 1e4 terms carried to about 1e-13, and at equality (one step, or
#: a start error that is all there is) the ratio is 1 and may come out as 1 − 1e-12.
ROUNDING = 1e-9

#: Different cells in each of the four searches of a theorem (2,000 in all, 100,000 in the deep run), and how
#: many may be drawn for them: up to every fifth comes twice, more or fewer with every change of the code.
CELLS = 5 * settings.default.max_examples
DRAWN = 7 * settings.default.max_examples

#: (f, g) that are no row of the catalogue: kinks, zeros, oscillation, decay, growth.
OTHERS = (
    ("a", "b*exp(-c*t)"),
    ("a*t", "b*sqrt(t)"),
    ("a*(2+sin(b*t))", "c"),
    ("a/(1+t)", "b"),
    ("a*exp(-b*t)", "c*exp(b*t)"),
    ("a*abs(t-1)", "c"),
    ("0", "a*sqrt(t)*exp(b*t)"),
    ("a*tanh(b*t)", "c*log1p(t)"),
    ("0", "a*t/(1+b*t)"),
    ("a/sqrt(t)", "b*t**(-1/4)"),
)


def log_uniform(lo: float, hi: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(lo), math.log(hi)).map(math.exp)


@st.composite
def processes(draw: st.DrawFn) -> wbound.Process:
    """Named ones, their twins as a user types them, and others; parameters log-uniform in 1e-2 … 1e2."""
    kind = draw(st.sampled_from(("named", "named", "named", "twin", "other")))
    if kind == "other":
        f, g = draw(st.sampled_from(OTHERS))
        text = f + " " + g.replace("exp", "").replace("tanh", "").replace("abs", "").replace("sqrt", "")
        names = [name for name in "abc" if name in text.replace("tan", "")]
        return wbound.Process(
            f=f, g=g, **{name: draw(log_uniform(0.01, 100.0), label=name) for name in names}
        )
    row = wbound.CATALOGUE[draw(st.sampled_from(list(wbound.CATALOGUE)))]
    values = {name: draw(log_uniform(0.01, 100.0), label=name) for name, _ in row.defaults}
    try:
        p = wbound.process(row.name, **values)
    except BadInput as error:  # such as (b + at)^(2c + 1) with b, c near 100
        assume("exceeds double precision" not in str(error))
        raise
    return referee.twin(p) if kind == "twin" else p


@st.composite
def horizons(draw: st.DrawFn, p: wbound.Process) -> float:
    """T with λ(T) log-uniform in 1e-2 … 1e80, where the clock gets there in reasonable time."""
    goal = draw(st.floats(math.log(1e-2), math.log(1e80)), label="log lam(T)")
    try:
        T = float(p.time_of(goal))
    except BadInput as error:  # a clock that ends before, or is past it at once
        assume("never reached" not in str(error) and "resolves" not in str(error))
        raise
    assume(1e-12 < T < 1e12)
    return T


@st.composite
def laws(draw: st.DrawFn, smallest: float = 1e-6) -> Gaussian:
    """Eigenvalues log-uniform in 1e-6 … 1e6 (all equal in a third of the cases), means on in two thirds."""
    d = draw(st.sampled_from((1, 2, 3, 8)))
    value = log_uniform(min(max(smallest, 1e-6), 0.99e6), 1e6)
    if draw(st.sampled_from((False, False, True))):
        variances = np.full(d, draw(value))
    else:
        variances = np.array(draw(st.lists(value, min_size=d, max_size=d)))
    mean = np.zeros(d)
    if draw(st.sampled_from((False, True, True))):
        sizes = draw(st.lists(log_uniform(1e-3, 1e3), min_size=d, max_size=d))
        signs = draw(st.lists(st.sampled_from((-1.0, 0.0, 1.0)), min_size=d, max_size=d))
        mean = np.array(signs) * np.array(sizes) * math.sqrt(variances.max())
    return Gaussian(mean, variances)


STEPS = log_uniform(1.0, 1e4).map(round)


def starts(p: wbound.Process) -> st.SearchStrategy[str]:
    return st.sampled_from(("prior", "exact", "standard") if p.standard_start else ("prior", "exact"))


def compare(bound: float, exact: float, where: str, seen: dict[str, tuple[float, str]], case: object) -> None:
    """Bound ≥ exact but for rounding; keeps the smallest ratio."""
    assert not math.isnan(bound) and not math.isnan(exact)
    assert bound >= exact * (1 - ROUNDING), (bound, exact, case)
    if 0.0 < exact < math.inf:
        ratio = bound / exact
        if ratio < seen.get(where, (math.inf, ""))[0]:
            seen[where] = (ratio, repr(case))


def apart(number: int) -> Callable[[Any], Any]:
    """Cells of its own for each of the searches: a derandomised search draws the same ones under one name."""
    return seed(number) if settings.default.derandomize else lambda search: search


class Enough(BaseException):
    """All cells are there: no failure, and no ordinary error, which Hypothesis would take for one."""


def stop_at(cells: int) -> None:
    """End a search that has its `CELLS`; `DRAWN` is for what comes twice."""
    if cells == CELLS:
        raise Enough


def report(seen: dict[str, tuple[float, str]], record_property: Callable[[str, object], None]) -> None:
    """For the closing lines of the run (tests/conftest.py)."""
    for where, (ratio, case) in sorted(seen.items()):
        record_property("smallest ratio", f"{where}: {ratio:.12g} at {case}")


SDE = ("em", "ei", "hf", "ddpm", "em-point", "em-point-arrival")


@pytest.mark.long
@pytest.mark.parametrize("scheme", SDE)
def test_the_sharp_bound_holds(scheme: str, record_property: Callable[[str, object], None]) -> None:
    """Theorem 2 over 6 × 500 random cells (25,000 each in the deep run)."""
    seen: dict[str, tuple[float, str]] = {}
    distinct: set[str] = set()

    @apart(SDE.index(scheme))
    @settings(max_examples=DRAWN, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def search(data: st.DataObject) -> None:
        p = data.draw(processes())
        # which takes f and g at t = 0 and is refused where they are infinite
        with np.errstate(divide="ignore"):
            assume(scheme != "em-point-arrival" or np.isfinite([p.f(0.0), p.g(0.0)]).all())
        T = data.draw(horizons(p), label="T")
        law, K = data.draw(laws()), data.draw(STEPS, label="K")
        start = data.draw(starts(p), label="start")
        V = data.draw(st.sampled_from((0.0, 0.0, 0.0, 1.0))) / math.sqrt(float(law.eigenvalues.max()))
        s = wbound.setting(p, law, T, K, scheme=scheme, start=start, score_noise=V)
        case = (p, T, K, law.eigenvalues.tolist(), law.mean.tolist(), start, V)
        note(repr(case))
        distinct.add(repr(case))
        got = upper_bound("sharp", s.scheme)(s)
        assert got.total <= got.additive * (1 + ROUNDING) or not math.isfinite(got.additive)
        compare(got.total, EXACT_LAW(s), f"Theorem 2, {scheme}", seen, case)
        stop_at(len(distinct))

    with suppress(Enough):
        search()
    assert len(distinct) == CELLS
    report(seen, record_property)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
def test_the_published_bound_holds(part: int, record_property: Callable[[str, object], None]) -> None:
    """Theorem 1 over 4 × 500 random cells at which its step-size condition holds (25,000 each in the deep
    run); eigenvalues are drawn no smaller than the last step allows, and K is at most 100 where λ and α need
    quadrature."""
    seen: dict[str, tuple[float, str]] = {}
    distinct: set[str] = set()

    @apart(10 + part)
    @settings(max_examples=DRAWN, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def search(data: st.DataObject) -> None:
        p = data.draw(processes())
        T = data.draw(horizons(p), label="T")
        closed = p.name != "user"
        K = data.draw(STEPS if closed else log_uniform(1.0, 100.0).map(round), label="K")
        law = data.draw(laws(smallest=0.4 * float(p.lam(T / K))))
        start = data.draw(starts(p), label="start")
        s = wbound.setting(p, law, T, K, start=start)
        assume(bool((theorem_1.step_sizes(s.nodes.batch, law) <= 1.0).all()))
        M1 = law.M1(p, T, rtol=1e-2)  # any upper bound of the supremum serves
        assume(math.isfinite(M1))
        s = wbound.setting(p, law, T, K, start=start, M1=M1)
        case = (p, T, K, law.eigenvalues.tolist(), law.mean.tolist(), start)
        note(repr(case))
        try:
            bound = upper_bound("published", s.scheme)(s).total
        except BadInput as error:  # a user's f that oscillates hundreds of times a step is refused
            assume("could not be integrated" not in str(error))
            raise
        compare(bound, EXACT_LAW(s), f"Theorem 1, start {start}", seen, case)
        distinct.add(repr(case))
        stop_at(len(distinct))

    with suppress(Enough):
        search()
    assert len(distinct) == CELLS
    report(seen, record_property)


# ---------------------------------------------------------------------- the front door


def test_two_theorems_and_what_they_are() -> None:
    assert set(THEOREMS) == {"published", "sharp"}
    for key, statement in STATEMENTS.items():
        assert (
            statement.id == key
            and statement.source
            and statement.kind in ("exact", "upper", "lower", "order")
        )
        assert statement.hypotheses and callable(statement.evaluate)
    assert [STATEMENTS[i].kind for i in ("theorem-1", "theorem-2", "exact-law", "proposition-1")] == [
        "upper",
        "upper",
        "exact",
        "lower",
    ]


def test_defaults_and_attributes() -> None:
    p, data = wbound.process("vp-linear", a=1.0, b=0.5), LogConcave(3, 0.5, 0.5, 6.0)
    plain = wbound.w2_bound(p, data, T=4.0, K=100)
    said = wbound.w2_bound(
        p, data, T=4.0, K=100, scheme="em", theorem="sharp", start="prior", grid="uniform", score_bias=0.0
    )
    assert plain == said and isinstance(plain, Bound) and plain.kind == "upper"
    assert plain.trivial == pytest.approx(math.sqrt(6.0)) and not plain.vacuous
    assert wbound.w2_bound(p, data, T=8.0, K=1).vacuous
    by_value = wbound.w2_bound(p, data, 4.0, 100, scheme=wbound.SCHEMES["em"], grid=Grid.uniform())
    assert by_value == plain
    law = wbound.w2_bound(p, Gaussian(np.zeros(3), 2.0), 4.0, 100)
    centred = LogConcave(3, 0.5, 0.5, 6.0, 0.0)
    assert law.total == pytest.approx(wbound.w2_bound(p, centred, 4.0, 100).total, rel=1e-12)


def test_a_bound_with_infinite_total_is_vacuous() -> None:
    assert Bound(math.inf, 0.0, math.inf, 0.0, math.inf, 1.0, "Theorem 2").vacuous
    assert Bound(math.nan, 0.0, 0.0, 0.0, 0.0, 1.0, "Theorem 2").vacuous


P, DATA = "vp-linear", (3, 0.5, 0.5, 6.0)
BAD: list[tuple[dict[str, Any], type[WboundError], str]] = [
    ({"process": "vp-linear"}, BadInput, "must be wbound.process(name, …) or wbound.Process(f=…, g=…)"),
    ({"process": None}, BadInput, "process = None"),
    ({"data": None}, BadInput, "data = NoneType: must be wbound.LogConcave(…) or a target"),
    ({"data": np.zeros((5, 3))}, BadInput, "data = ndarray"),
    ({"T": 0}, BadInput, "T = 0: must be a finite number > 0"),
    ({"T": -2.0}, BadInput, "T = -2.0: must be a finite number > 0"),
    ({"T": float("nan")}, BadInput, "T = nan: must be a finite number > 0"),
    ({"T": "4"}, BadInput, "T = 4: must be a finite number > 0"),
    ({"T": [4.0, 3.0]}, BadInput, "T = [4.0, 3.0]: must be a finite number > 0"),
    ({"K": 0}, BadInput, "K = 0: must be an integer >= 1"),
    ({"K": -5}, BadInput, "K = -5: must be an integer >= 1"),
    ({"K": 2.5}, BadInput, "K = 2.5: must be an integer >= 1"),
    ({"K": float("nan")}, BadInput, "K = nan: must be an integer >= 1"),
    ({"K": float("inf")}, BadInput, "K = inf: must be an integer >= 1"),
    ({"K": True}, BadInput, "K = True: must be an integer >= 1"),
    ({"K": None}, BadInput, "K = None: must be an integer >= 1"),
    (
        {"scheme": "euler"},
        BadInput,
        "scheme = euler: must be one of em, em-point, em-point-arrival, ei, hf, ddpm",
    ),
    ({"theorem": "folk"}, BadInput, "theorem = folk: must be one of published, sharp"),
    ({"theorem": 2}, BadInput, "theorem = 2: must be one of published, sharp"),
    ({"start": "zero"}, BadInput, "start = zero: must be one of prior, exact, standard"),
    ({"grid": "fine"}, BadInput, "grid = fine: must be one of uniform"),
    ({"grid": np.linspace(4, 0, 101)}, BadInput, "Grid.from_t, Grid.from_lam or Grid.from_sigma of an array"),
    ({"grid": [1.0, 0.0]}, BadInput, "Grid.from_t, Grid.from_lam or Grid.from_sigma of an array"),
    ({"score_bias": -0.1}, BadInput, "score_bias = -0.1: must be a finite number >= 0"),
    ({"score_noise": float("nan")}, BadInput, "score_noise = nan: must be a finite number >= 0"),
    ({"theorem": "published"}, BadInput, "M1 = None: Theorem 1 needs A2's constant"),
    (
        {"theorem": "published", "M1": "exact", "data": LogConcave(3, 0.5, 0.6, 6.0)},
        BadInput,
        "M1 = exact: is known for Gaussian data",
    ),
    (
        {"theorem": "published", "M1": 1.0, "scheme": "hf"},
        HypothesisFailed,
        "Theorem 1 does not apply: scheme em fails",
    ),
    (
        {"theorem": "published", "M1": 1.0, "T": None, "K": None, "grid": Grid.from_t([4.0, 1.0, 0.0])},
        HypothesisFailed,
        "Theorem 1 does not apply: uniform grid fails",
    ),
    (
        {"theorem": "published", "M1": 1.0, "K": 3},
        HypothesisFailed,
        "the step-size condition, integral of g^2 (m+L) <= 2(1+F_k), fails at step k =",
    ),
    (
        {"process": wbound.process("ve-constant"), "start": "standard"},
        BadInput,
        "ve-constant does not tend to N(0, I)",
    ),
    ({"process": wbound.Process(f="1-t", g="1")}, BadInput, "must be finite and >= 0 on (0, T]"),
    ({"process": wbound.Process(f="1", g="0")}, BadInput, "must not vanish on all of (0, T]"),
    (
        {"data": Gaussian(np.zeros(2), np.array([0.0, 1.0]))},
        HypothesisFailed,
        "A1 fails: the covariance is singular",
    ),
]


@pytest.mark.parametrize(("typed", "kind", "said"), BAD, ids=[f"{i}" for i in range(len(BAD))])
def test_bad_input_in_one_line(typed: dict[str, Any], kind: type[WboundError], said: str) -> None:
    arguments: dict[str, Any] = {
        "process": wbound.process(P),
        "data": LogConcave(*DATA),
        "T": 4.0,
        "K": 100,
        **typed,
    }
    with pytest.raises(kind) as caught:
        wbound.w2_bound(**arguments)
    message = str(caught.value)
    assert said in message and "\n" not in message and len(message) < 300
    assert isinstance(caught.value, ValueError) and caught.value.exit_code == 2


def test_bad_data_in_one_line() -> None:
    for facts, kind in (
        ((3, 2.0, 1.0, 6.0), BadInput),
        ((3, 0.0, 1.0, 6.0), BadInput),
        ((3, float("nan"), 1.0, 6.0), BadInput),
        ((3, 0.5, 0.5, 1.0), HypothesisFailed),
    ):
        with pytest.raises(kind) as caught:
            LogConcave(*facts)
        assert "\n" not in str(caught.value)
