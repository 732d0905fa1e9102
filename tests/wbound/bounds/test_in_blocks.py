"""Bounds of many steps are summed block by block: the same sums, and memory that does not grow with K."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import wbound
from wbound.bounds import ddpm, theorem_1, theorem_2, theorem_3, theorem_3_profile, theorem_7
from wbound.errors import HypothesisFailed
from wbound.sampler import grid
from wbound.sampler.make_setting import Setting, setting
from wbound.statement.statement_object import Bound
from wbound.theory.explanation import explain
from wbound.theory.statements import upper_bound

P = wbound.process("vp-linear")
FACTS = wbound.LogConcave(3, 0.5, 2.0, 4.0)
BOUNDED = wbound.bounded_data(1.0, 0.5, 3, 1.75)
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "Theorem 2": (FACTS, {"scheme": "em", "score_noise": 0.2}),
    "Theorem 2'": (BOUNDED, {"scheme": "ei", "score_noise": 0.2}),
    "Eq. 9'": (FACTS, {"scheme": "ddpm"}),
    "Theorem 3": (FACTS, {"scheme": "ddim"}),
    "Theorem 3'": (BOUNDED, {"scheme": "ddim"}),
    "Theorem 3', to early": (wbound.early_stopped(1.0, 0.05, 3, 1.0), {"scheme": "ddim"}),
    "Theorem 7": (FACTS, {"scheme": "heun-lambda"}),
    "Theorem 7, last step of one stage": (FACTS, {"scheme": "heun"}),
}


def made(name: str, K: int, where: str = "uniform") -> Setting:
    data, options = CASES[name]
    return setting(P, data, 4.0, K, grid=where, score_bias=0.1, **options)


def bound_of(s: Setting) -> Bound:
    return upper_bound("sharp", s.scheme, s.data)(s)


def few(monkeypatch: pytest.MonkeyPatch, size: int = 64) -> None:
    for name, value in {"BLOCK": size, "HELD": size, "SAMPLED": size}.items():
        monkeypatch.setattr(grid, name, value)


@pytest.mark.parametrize("where", ["uniform", "log-lam"])
@pytest.mark.parametrize("name", CASES)
def test_blocks_add_up_to_the_whole(name: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same θ all sums are the same to rounding; the θ found on fewer steps is nearly as good as the best."""

    def sums(s: Setting) -> list[tuple[float, ...]]:
        if name.startswith("Theorem 2"):
            return [tuple(theorem_2.sums(s))]
        if name == "Eq. 9'":
            return [tuple(ddpm.by_cause(s, theta)) for theta in (0.3, 1.8, 3.0)]
        if name == "Theorem 3":
            return [tuple(theorem_3.sums(s, theta)) for theta in (0.3, 1.8, 3.0)]
        if name.startswith("Theorem 7"):
            return [tuple(theorem_7.five(s, (theta, 2.0 - 0.3 * theta))) for theta in (0.3, 1.8, 3.0)]
        monkeypatch.setattr(theorem_3_profile, "best_theta", lambda value: 1.3)
        return [tuple(theorem_3_profile._parts(s))]

    whole, bound = sums(made(name, 1000, where)), bound_of(made(name, 1000, where))
    monkeypatch.undo()
    best = bound_of(made(name, 1000, where)).total
    few(monkeypatch)
    found = bound_of(made(name, 1000, where))
    assert best * (1.0 - 1e-6) < found.total < best * (1.0 + 2e-3), (found.total, best)
    parts = sums(made(name, 1000, where))
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    assert bound.statement == found.statement


def test_theorem_1_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long steps: each block's terms are multiplied by what those after it keep."""
    whole = theorem_1._summed(setting(P, FACTS, 1.5, 200, score_bias=0.1, M1=3.0))
    few(monkeypatch, 16)
    parts = theorem_1._summed(setting(P, FACTS, 1.5, 200, score_bias=0.1, M1=3.0))
    assert parts[0] == pytest.approx(whole[0], rel=1e-12) and abs(whole[0]) > 0.01
    assert parts[1] == pytest.approx(whole[1], rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_what_is_explained_in_blocks_adds_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    s = made(name, 500)
    bound = bound_of(s)
    shown = explain(s)
    assert shown.total == pytest.approx(bound.total, rel=1e-13)
    if bound.statement != "Theorem 2":
        assert sum(term.value for term in shown.terms) == pytest.approx(bound.total, rel=1e-12)


def test_weights_are_looked_at_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    s = made("Theorem 7", 500)
    theorem_7._weights(s)
    steps = s.scheme.steps
    seen: list[int] = []

    def wrong(b: Any) -> Any:
        seen.append(b.size)
        found: Any = steps(b)
        own, D = found.corrector
        return found._replace(
            corrector=(own, np.where(np.arange(b.size) == 3, -D, D) if len(seen) == 3 else D)
        )

    other = type("Scheme", (), {"flow": True, "steps": staticmethod(wrong), "name": "own"})()
    with pytest.raises(HypothesisFailed, match="other weights in step 132"):
        theorem_7._weights(Setting(s.process, s.data, s.nodes, other))


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("Eq. 9'", "uniform"),
        ("Theorem 3", "uniform"),
        ("Theorem 3'", "uniform"),
        ("Theorem 7", "uniform"),
        ("Theorem 3", "edm"),
    ],
)
def test_memory_does_not_grow_with_K(name: str, where: str) -> None:
    """At K = 10⁶ they took from 210 to 640 MB."""
    bound_of(made(name, 40_000, where))
    tracemalloc.start()
    try:
        bound_of(made(name, 1_000_000, where))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 70e6, f"{1e-6 * peak:.0f} MB"
