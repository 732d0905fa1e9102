"""∫_0^t of a user's own f or g²: right wherever it is asked for, the same in any order, and never integrated twice."""

import numpy as np
import pytest

import wbound
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput
from wbound.forward import kept_integrals
from wbound.forward.kept_integrals import KeptIntegral

TIMES = np.array([0.0, 1e-300, 1e-13, 2.0**-30, 3e-9, 1e-3, 0.5, 1.0, 1.7, 31.4, 2.0**10, 4000.0])


def _grown(t: np.ndarray) -> np.ndarray:
    """∫(1 + sin)²."""
    return 1.5 * t + 4.0 * np.sin(0.5 * t) ** 2 - 0.25 * np.sin(2.0 * t)


CASES = {
    "oscillating": (lambda t: (1.0 + np.sin(t)) ** 2, _grown, ()),
    "singular at 0": (lambda t: np.maximum(t, 1e-320) ** -0.5, lambda t: 2.0 * np.sqrt(t), ()),
    "with a kink": (lambda t: np.abs(t - 2.0), lambda t: 2.0 + 0.5 * (t - 2.0) * np.abs(t - 2.0), (2.0,)),
    "decaying": (lambda t: np.exp(-t), lambda t: -np.expm1(-t), ()),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_integral_in_any_order(case: str) -> None:
    of, integral, kinks = CASES[case]
    at_once = KeptIntegral(of, "g", kinks)(TIMES)
    with np.errstate(invalid="ignore"):
        expected = integral(TIMES)
    if case in ("oscillating", "with a kink"):  # whose closed form cancels near 0
        near = TIMES < 1e-2
        expected[near] = {"oscillating": TIMES, "with a kink": 2.0 * TIMES}[case][near]
        assert at_once[near] == pytest.approx(expected[near], rel=2e-3)
    far = TIMES >= 1e-2
    assert at_once[far] == pytest.approx(expected[far], rel=3e-13)
    for order in (TIMES, TIMES[::-1]):
        kept = KeptIntegral(of, "g", kinks)
        assert np.array([float(kept(np.array(t))) for t in order]) == pytest.approx(
            at_once[np.searchsorted(TIMES, order)], rel=1e-15, abs=0.0
        )
    assert KeptIntegral(of, "g", kinks)(TIMES.reshape(3, 4)).shape == (3, 4)
    assert KeptIntegral(of, "g", kinks)(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("case", CASES)
def test_what_was_asked_before_changes_no_bit(case: str) -> None:
    """A sweep's cells are computed in any order, on any number of cores, and its file is the same to the last bit."""
    of, _, kinks = CASES[case]
    asked = np.array([0.3, 1.7, 12.5, 40.0])
    fresh = KeptIntegral(of, "g", kinks)(asked)
    rng = np.random.default_rng(5)
    for _ in range(20):
        kept = KeptIntegral(of, "g", kinks)
        for before in rng.uniform(0.0, 60.0, int(rng.integers(1, 6))):
            kept(np.array([before]))
        assert kept(asked).tolist() == fresh.tolist()


def test_a_later_time_costs_its_last_piece() -> None:
    seen = 0

    def of(t: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += t.size
        return np.asarray((1.0 + np.sin(t)) ** 2)

    kept = KeptIntegral(of, "g", ())
    kept(np.array([1e4]))
    first, seen = seen, 0
    for t in np.linspace(9e3, 1e4, 50):
        kept(np.array([t]))
    assert seen < 50 * 600 < first / 2
    seen = 0
    kept(np.array([1e4 + 10.0]))
    assert seen < first / 20


def test_what_needs_too_many_panels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_integrals, "MANY", 4000)
    kept = KeptIntegral(CASES["oscillating"][0], "g", ())
    kept(np.array([100.0]))
    with pytest.raises(BadInput, match="could not be integrated"):
        kept(np.array([1e4]))
    assert float(kept(np.array(50.0))) == pytest.approx(float(_grown(np.array(50.0))), rel=1e-13)


def test_an_oscillating_clock_is_not_integrated_from_the_start_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """K(ε) of g = 1 + sin t, whose horizons are looked for up to 3e6: 4.5e8 values with each integral from 0, and the
    last good horizon sought where none so far is needed."""
    seen, p = 0, wbound.Process(f="0", g="1+sin(t)")
    plain = p._g2

    def of(t: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += t.size
        return plain(t)

    monkeypatch.setattr(p, "_g2", of)
    data = LogConcave(d=1, m0=1.0, L0=1.0, second_moment=1.0)
    found = wbound.iterations(p, data, 0.1, theorem="published", M1=1.0)
    assert 20_000 < found.K <= 23_160
    assert seen < 4e7
