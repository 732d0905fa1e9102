"""How a tape answers to an error of the network, and how wide the states are that it asks about: by derivatives, by recursion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels, zolotarev_levels
from wbound.exact.tape_response import amplification, answer_weights, state_widths
from wbound.sampler.multistep import ddim, multistep_named
from wbound.sampler.pure_noise import from_pure_noise
from wbound.sampler.tape import Tape

X = np.array([0.03, 1.0, 40.0])
LEVELS = np.append(np.geomspace(400.0, 1e-3, 6), 0.0)
TAPES = {
    "phase": phase_levels(np.geomspace(0.2, 6.0, 9)).tape(),
    "2M": multistep_named("dpmpp-2m").tape(LEVELS),
    "UniPC": multistep_named("unipc-3").tape(LEVELS),
    "η = 1": ddim(1.0).tape(LEVELS),
}


def output_with(tape: Tape, x: float, shift: np.ndarray) -> float:
    """The output from a start of 0, every answer moved by ``shift`` (K,): forward, as a sampler runs."""
    answers = np.zeros(tape.K)
    for i in range(tape.K + 1):
        v = float(tape.answers[i, :i] @ answers[:i]) if i < tape.K else float(tape.answers[i] @ answers)
        if i == tape.K:
            return v
        lam = float(tape.levels[i])
        answers[i] = x * math.sqrt(1.0 + lam) / (x + lam) * v + shift[i]
    raise AssertionError


@pytest.mark.parametrize("tape", TAPES.values(), ids=TAPES)
def test_what_an_error_of_the_network_does(tape: Tape) -> None:
    """Weights by running forward with one answer moved; the worst sign by trying all of them."""
    u = answer_weights(tape, X)
    for e, x in enumerate(X.tolist()):
        by_running = [output_with(tape, x, one) for one in np.eye(tape.K)]
        assert u[:, e] == pytest.approx(by_running, rel=1e-11, abs=1e-13)
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * tape.K)).reshape(tape.K, -1).T
    sigma = np.sqrt(tape.levels)
    n = np.array([3.0, 1.0, 2.0])
    worst = [max(output_with(tape, x, s * sigma) for s in signs) for x in X.tolist()]
    most = math.sqrt(float(n @ np.square(worst)) / float(n @ X))
    assert amplification(tape, X, n) == pytest.approx(most, rel=1e-11)


@pytest.mark.parametrize("tape", TAPES.values(), ids=TAPES)
@pytest.mark.parametrize("start", ["own", "exact"])
def test_how_wide_the_states_are(tape: Tape, start: str) -> None:
    """Each state is the output of a shorter tape, whose law `tape_law` has."""
    widths = state_widths(tape, X, start)
    assert widths.shape == (tape.K, X.size)
    for i in range(1, tape.K):
        unit = math.sqrt(1.0 + tape.levels[i])
        cut = replace(
            tape,
            levels=tape.levels[:i],
            start=np.append(tape.start[:i], tape.start[i] * unit),
            answers=np.vstack((tape.answers[:i, :i], tape.answers[i, :i] * unit)),
            noises=np.vstack((tape.noises[:i], tape.noises[i] * unit)),
            offsets=np.zeros(i + 1),
            own_levels=None,
        )
        law = tape_law(cut, X, start=start)
        assert widths[i] == pytest.approx(np.sqrt(law.variance / (X + tape.levels[i])), rel=1e-10)
    if start == "exact" and tape.levels[0] == tape.start_level:
        assert widths[0] == pytest.approx(1.0, rel=1e-12)


def test_section_17s_widths() -> None:
    """Up to 2.0 for the class κ = 10⁶, K = 3; and what is exact at the data is not so on the way."""
    widths = state_widths(zolotarev_levels(3, 1.0, 1e6).tape(), np.geomspace(1.0, 1e6, 400))
    assert 1.9 < widths.max() < 2.05 and widths.min() > 0.9


def test_what_is_refused() -> None:
    tape = TAPES["phase"]
    for bad in ([], [-1.0], [math.nan]):
        with pytest.raises(BadInput, match="variances"):
            answer_weights(tape, bad)
    with pytest.raises(BadInput, match="variances"):
        amplification(tape, [0.0])
    with pytest.raises(BadInput, match="finite and > 0"):
        amplification(from_pure_noise(LEVELS), X)
