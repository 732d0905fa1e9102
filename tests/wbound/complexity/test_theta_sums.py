"""K(ε) of Theorem 7: the smallest K, and its sums over more steps than are summed one by one."""

from __future__ import annotations

import numpy as np
import pytest

import wbound
from wbound.bounds import theorem_3, theorem_7
from wbound.sampler.scheme import SCHEMES
from wbound.summation.criterion import SUMMED
from wbound.summation.step_sums import CHECKED

DATA = wbound.LogConcave(4, 0.25, 1.0, 9.0, 0.0)


@pytest.mark.parametrize("scheme", ["heun", "heun-lam"])
@pytest.mark.parametrize(("name", "bias"), [("vp-linear", 0.0), ("ve-sqrt", 0.02), ("ou", 0.0)])
def test_the_smallest_number_of_steps(name: str, scheme: str, bias: float) -> None:
    p = wbound.process(name)
    for eps in (0.5, 0.05) if not bias else (0.5,):
        found = wbound.iterations(p, DATA, eps, scheme=scheme, score_bias=bias)
        assert found.criterion == "Eq. 21"
        at = [
            wbound.w2_bound(p, DATA, found.T, K, scheme=scheme, score_bias=bias).total
            for K in (found.K, found.K - 1)
        ]
        assert at[0] <= eps < at[1]
        assert found.bound == pytest.approx(at[0], rel=1e-6)
        # at no other horizon do fewer steps do
        for T in found.T * np.array([0.8, 0.9, 0.97, 1.03, 1.1, 1.25]):
            assert (
                wbound.w2_bound(p, DATA, T, max(1, found.K - 2), scheme=scheme, score_bias=bias).total > eps
            )


@pytest.mark.parametrize("scheme", ["heun", "heun-lam"])
@pytest.mark.parametrize("name", ["vp-linear", "ve-sqrt", "ve-constant"])
def test_many_steps_at_once_are_the_steps_summed(name: str, scheme: str) -> None:
    p, K, M = wbound.process(name), 20_000, 0.1
    T = np.array([2.0, 3.0])
    criterion = theorem_7.SUMS.over_steps(p, DATA, SCHEMES[scheme], "prior", M)
    got = criterion(T, np.full(2, float(K)), CHECKED)
    for t, value in zip(T.tolist(), got, strict=True):
        s = wbound.setting(p, DATA, t, K, scheme=scheme, score_bias=M)
        want = theorem_7.sums(s)
        assert value.error < 1e-6
        assert (value.initialisation, value.score) == pytest.approx((want.start, want.score), rel=1e-8)
        assert value.discretisation == pytest.approx(want.bias, rel=1e-8)  # by the same θ


@pytest.mark.parametrize("scheme", ["ode-ei", "ddim", "heun", "heun-lam"])
@pytest.mark.parametrize("K", [16_384, 16_385, 32_768, 32_769, 300_000])
def test_the_bound_within_iterations_is_w2_bounds(scheme: str, K: int) -> None:
    """On both sides of where sums are no longer done step by step, in clocks that narrow θ's valley."""
    for name, T in (("vp-linear", 5.0), ("ve-sqrt", 1e5), ("sub-vp", 5.5), ("vp-exponential", 5.3)):
        p, data = wbound.process(name), wbound.LogConcave(4, 0.06, 3.0, 9.0, 0.0)
        theorem = theorem_7 if SCHEMES[scheme].stages == 2 else theorem_3
        criterion = theorem.SUMS.over_steps(p, data, SCHEMES[scheme], "prior")
        (value,) = criterion(np.array([T]), np.array([float(K)]), CHECKED)
        want = theorem.sums(wbound.setting(p, data, T, K, scheme=scheme)).bias
        assert value.discretisation == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize(("scheme", "eps"), [("ode-ei", 1e-3), ("ddim", 3e-3), ("heun-lam", 1e-5)])
@pytest.mark.parametrize("name", ["vp-linear", "ou", "ve-sqrt"])
def test_the_steps_that_iterations_names_are_enough(name: str, scheme: str, eps: float) -> None:
    p, data = wbound.process(name), wbound.LogConcave(10, 1.0, 2.0, 7.0, 0.0)
    found = wbound.iterations(p, data, eps, scheme=scheme)
    assert found.K > SUMMED
    enough, fewer = (
        wbound.w2_bound(p, data, found.T, K, scheme=scheme).total for K in (found.K, int(0.9999 * found.K))
    )
    assert enough <= eps * (1.0 + 1e-9) < fewer


def test_a_tolerance_is_theorem_3s() -> None:
    p = wbound.process("vp-linear")
    M = wbound.score_tolerance(p, DATA, 0.3, scheme="heun")
    assert wbound.iterations(p, DATA, 0.3, scheme="heun", score_bias=0.98 * M).K > 0
    with pytest.raises(wbound.Unreachable):
        wbound.iterations(p, DATA, 0.3, scheme="heun", score_bias=1.001 * M)
