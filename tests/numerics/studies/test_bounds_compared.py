"""Bounds side by side: the figures of Strasman et al.'s public configuration, and the command that prints them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import wbound
from numerics.report.sections import peers as section
from numerics.studies.bounds_compared import LAWS, Peers, called_best, law_named, peers, rising_beta
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed

A = (-10.0, -5.0, 0.0, 5.0, 10.0)
T2, STRASMAN = "theorem-2", "modified-score-bound"
#: At a = 0, to three digits: Theorems 1 and 2, the bound after Strasman et al., the exact law of ei from N(0, I).
FIGURES = {
    "isotropic": (4.20, 0.127, 44.5, 0.0428),
    "heteroscedastic": (7.06e45, 0.307, 1.94e4, 0.0448),
    "correlated": (27.3, 0.741, 171.0, 0.0444),
}
#: Which a each calls best: the bound after Strasman et al., Theorem 2, the exact law.
BEST = {
    "isotropic": (5.0, 5.0, 5.0),
    "heteroscedastic": (10.0, 5.0, 0.0),
    "correlated": (5.0, 0.0, 0.0),
}


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[float, Peers]]:
    return {name: {a: peers(rising_beta(a), law_named(name), 1.0, 100) for a in A} for name in LAWS}


@pytest.mark.parametrize("name", LAWS)
def test_the_public_configuration(name: str, tables: Any) -> None:
    table = tables[name][0.0]
    got = (table.bound("theorem-1"), table.bound(T2), table.bound(STRASMAN), table.exact)
    assert [float(f"{v:.3g}") for v in got] == list(FIGURES[name])
    called = called_best(tables[name], [STRASMAN, T2])
    assert tuple(called.values()) == BEST[name]
    # each beside the law of the sampler that it is about, and never below it where its hypotheses hold
    for a in A:
        for row in tables[name][a].rows:
            assert row.exact is not None and row.bound is not None
            assert row.fails or row.bound >= row.exact * (1 - 1e-9)
            assert row.ratio == pytest.approx(row.bound / row.exact)
    fails = {row.statement: row.fails for row in table.rows if row.fails}
    assert set(fails) == ({STRASMAN} if name == "correlated" else set())
    assert table.trivial == pytest.approx(math.sqrt(10.0 + np.trace(np.diag(np.diag(_cov(name))))))


def _cov(name: str) -> np.ndarray:
    return LAWS[name] if LAWS[name].ndim == 2 else np.diag(LAWS[name])


@pytest.mark.parametrize("name", ["heteroscedastic", "correlated"])
def test_the_exact_value_by_a_recursion_of_its_own(name: str, tables: Any) -> None:
    """ei from N(0, I) in the eigenbasis, 30 digits, β linear."""
    with mp.workdps(30):
        values, vectors = np.linalg.eigh(_cov(name))
        means = np.ones(10) @ vectors

        def B(t: mp.mpf) -> mp.mpf:
            return t / 10 + mp.mpf(199) / 20 * t**2

        total = mp.mpf(0)
        for own, mu in zip(values, means, strict=True):
            v, mean = mp.mpf(1), mp.mpf(0)
            for k in range(100):
                hi, lo = B(mp.mpf(100 - k) / 100), B(mp.mpf(99 - k) / 100)
                grow = mp.exp((hi - lo) / 2)
                w = mp.exp(-hi) * mp.mpf(own) + 1 - mp.exp(-hi)
                push = 2 * (grow - 1)
                r = grow - push / w
                v, mean = r**2 * v + grow**2 - 1, r * mean + push * mp.exp(-hi / 2) / w * mp.mpf(mu)
            total += (mp.sqrt(v) - mp.sqrt(mp.mpf(own))) ** 2 + (mean - mp.mpf(mu)) ** 2
        assert tables[name][0.0].exact == pytest.approx(float(mp.sqrt(total)), rel=1e-10)


@pytest.mark.parametrize("a", [-10.0, -0.3, 0.0, 2.0])
def test_a_schedule_with_a_negative_parameter(a: float) -> None:
    """A user's process takes it where f and g stay >= 0: β from 0.1 to 20, its integral by mpmath."""
    p = rising_beta(a, T=2.0)
    for t in (0.0, 0.7, 2.0):
        share = t / 2.0 if a == 0.0 else math.expm1(a * t) / math.expm1(2.0 * a)
        assert 2.0 * float(p.f(t)) == pytest.approx(0.1 + 19.9 * share, rel=1e-12)
        assert float(p.g(t)) ** 2 == pytest.approx(2.0 * float(p.f(t)), rel=1e-12)
    whole = mp.quad(lambda t: 0.1 + 19.9 * (t / 2 if a == 0 else mp.expm1(a * t) / mp.expm1(2 * a)), [0, 2])
    assert -2.0 * float(p.log_alpha(2.0)) == pytest.approx(float(whole), rel=1e-10)
    with pytest.raises(BadInput, match="must be finite and >= 0"):
        float(wbound.Process(f="(1+a*t)/2", g="1", a=-1.0).f(3.0))


def test_the_rows_take_the_sampler_asked_for_where_they_can() -> None:
    p, law = wbound.process("vp-linear"), Gaussian(np.zeros(2), np.array([0.5, 0.8]))
    for scheme, mine in (("hf", 1), ("ode-hf", 2), ("heun", 3)):
        rows = peers(p, law, 1.0, 20, scheme=scheme, start="prior").rows
        assert [r.scheme == scheme for r in rows] == [i == mine for i in range(5)]
        assert [r.start for r in rows] == ["prior"] * 4 + ["standard"]
    hf = peers(p, law, 1.0, 20, scheme="hf", start="exact")
    assert hf.bound(T2) == THEOREM_2(wbound.setting(p, law, 1.0, 20, scheme="hf", start="exact")).total
    own = peers(wbound.process("ve-constant"), law, 1.0, 20, start="prior")
    assert own.rows[-1].bound is None and "standard" in own.rows[-1].fails  # no N(0, I) to start from
    singular = peers(p, Gaussian(np.zeros(2), np.array([0.0, 1.0])), 1.0, 20, start="prior")
    assert all(r.bound is None and r.fails for r in singular.rows) and len(singular.floors) == 1
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        peers(p, wbound.LogConcave(2, 0.5, 1.0, 3.0), 1.0, 20)


def test_none_is_best_where_two_are_level(tables: Any) -> None:
    table = tables["isotropic"][0.0]
    assert called_best({"one": table, "same": table}, [T2]) == {T2: None, "exact": None}
    assert called_best({"one": table}, [T2])["exact"] == "one"
    with pytest.raises(BadInput, match="law"):
        law_named("skewed")


def test_the_command(wb: Any, tmp_path: Path, tables: Any) -> None:
    got = wb.ask("peers", "--law", "isotropic, correlated", "--a", "-5,0", "-o", str(tmp_path / "rows.csv"))
    assert set(got["laws"]) == {"isotropic", "correlated"}
    law = got["laws"]["correlated"]
    assert law["best"] == {"theorem-1": "a = 0"} | dict.fromkeys(
        (T2, "theorem-3", "theorem-7", STRASMAN, "exact"), "a = 0"
    )
    assert law["schedules"]["a = 0"]["exact"] == tables["correlated"][0.0].exact
    assert not law["schedules"]["a = 0"]["rows"][-1]["holds"]
    lines = (tmp_path / "rows.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 2 * 2 * 5 and lines[0].startswith("law,schedule,statement")
    code, out, _ = wb("peers", "--law", "isotropic")
    assert code == 0 and "44.491" in out and "a = 10" in out and max(map(len, out.splitlines())) <= 80
    own = ("--f", "(b+c*exp(a*t))/2", "--g", "sqrt(b+c*exp(a*t))", "-p", "a=-2", "-p", "b=1", "-p", "c=3")
    answer = wb.ask("peers", *own, "--T", "2", "--target", "gaussian", "-q", "cov=0.5", "--d", "3")
    rows = answer["laws"]["gaussian"]["schedules"]["user"]["rows"]
    assert "beta does not decrease" in rows[-1]["fails"] and rows[1]["holds"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--law skewed", "law = skewed"),
        ("--law isotropic --target gaussian", "law = isotropic"),
        ("--target modes", "must be gaussian"),
        ("--d 3", "--target gaussian"),
        ("--process ou --a 1", "a = 1"),
        ("-p b=1", "-p = b=1"),
        ("--a 0,x", "a = x"),
        ("--K 1.5", "K = 1.5"),
        ("--T 0", "T = 0"),
        ("--process ve-constant", "start = standard"),
    ],
)
def test_bad_input(words: str, said: str, wb: Any) -> None:
    assert said in wb.refused("peers", *words.split())


def test_the_section_of_the_report() -> None:
    from numerics.report.blocks import Context

    part = section.build(Context({}, quick=True, say=lambda line: None))
    rows = {(r["law"], r["statement"]): r for r in part.data["rows"]}
    assert rows["isotropic", STRASMAN]["bound"] == pytest.approx(44.49, rel=1e-3)
    assert len(part.data["best"]) == len(LAWS) and part.data["worst"] > 1e40
