"""The recorder itself: what is affine is known completely, what is not is refused, and nothing is left behind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from numerics.recorders.callables import ANSWERS, record
from numerics.recorders.recording import NotRecorded
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.tape import Tape

SIGMAS = np.append(np.geomspace(20.0, 0.05, 6), 0.0)
X = np.array([4.0, 1.0, 0.3, 0.01])


def ddim(network: Any, x: Any, noise: Any) -> Any:
    for s, after in zip(SIGMAS[:-1], SIGMAS[1:], strict=True):
        D = network(x, s)
        x = D + (after / s) * (x - D)
    return x


def test_a_sampler_of_ones_own_has_the_law_of_its_recursion() -> None:
    law = tape_law(record(ddim, start_std=20.0), X)
    gain = np.ones_like(X)
    for s, after in zip(SIGMAS[:-1], SIGMAS[1:], strict=True):
        gain *= (X + s * after) / (X + s**2)
    np.testing.assert_allclose(law.variance, gain**2 * 400.0, rtol=1e-12)
    np.testing.assert_allclose(law.mean_gain, 1.0 - gain, rtol=1e-12)


@pytest.mark.parametrize("answers", [a for a in ANSWERS if a != "denoiser"])
def test_every_form_of_an_answer_is_the_same_tape(answers: str) -> None:
    rng = np.random.default_rng(3)

    def vp(network: Any, x: Any, noise: Any) -> Any:
        for s, after in zip(SIGMAS[:-1], SIGMAS[1:], strict=True):
            a, b = 1.0 / math.hypot(1.0, s), 1.0 / math.hypot(1.0, after)
            out, z = network(x, s * a, a), s * a
            D = {
                "denoiser": lambda o, x=x, a=a, z=z: o,
                "noise": lambda o, x=x, a=a, z=z: (x - z * o) / a,
                "score": lambda o, x=x, a=a, z=z: (x + z**2 * o) / a,
                "v": lambda o, x=x, a=a, z=z: a * x - z * o,
                "velocity": lambda o, x=x, a=a, z=z: (x - z * o) / (a + z),
            }[form](out)
            x = b * D + (after * b / z) * (x - a * D)
            x = x + 0.1 * after * noise()
        return x

    form = "denoiser"
    want = record(vp, start_std=0.99)
    form = answers
    got = record(vp, start_std=0.99, answers=answers)
    assert want.J == 5 and want.K == got.K == 6  # the last noise has no size, and no column
    for name in ("levels", "start", "answers", "noises", "offsets"):
        np.testing.assert_allclose(getattr(got, name), getattr(want, name), atol=1e-12)
    mean = rng.normal(size=X.size)
    assert tape_law(got, X).w2(mean) == pytest.approx(tape_law(want, X).w2(mean), rel=1e-12)


def test_offsets_and_noise_before_the_first_evaluation_are_kept() -> None:
    def churned(network: Any, x: Any, noise: Any) -> Any:
        x = x + 3.0 * noise() + 0.5
        return network(x, 5.0) + 0.25

    tape = record(churned, start_std=4.0, start_level=16.0)
    law = tape_law(tape, X)
    keep = X / (X + 25.0)
    np.testing.assert_allclose(law.variance, keep**2 * 25.0, rtol=1e-12)
    np.testing.assert_allclose(law.mean_offset, 0.25 + 0.5 * keep, rtol=1e-12)
    exact = tape_law(tape, X, start="exact")
    np.testing.assert_allclose(exact.variance, keep**2 * (X + 25.0), rtol=1e-12)


def _clips(network: Any, x: Any, noise: Any) -> Any:
    return np.clip(network(x, 2.0), -1.0, 1.0)


def _clips_far(network: Any, x: Any, noise: Any) -> Any:
    return np.clip(network(x, 2.0), -50.0, 50.0)


def _bends(network: Any, x: Any, noise: Any) -> Any:
    D = network(x, 2.0)
    return D + 1e-3 * np.tanh(D)


def _normalises(network: Any, x: Any, noise: Any) -> Any:
    D = network(x, 2.0)
    return D / np.abs(D).max() if np.abs(D).max() > 0 else D


def _adapts(network: Any, x: Any, noise: Any) -> Any:
    for _ in range(2 if np.abs(x).max() > 1.0 else 1):
        x = network(x, 2.0)
    return x


def _chooses(network: Any, x: Any, noise: Any) -> Any:
    return network(x, 2.0 + float(np.abs(x).max()))


TOSS = np.random.default_rng(5)


def _tosses(network: Any, x: Any, noise: Any) -> Any:
    return network(x, 2.0) + TOSS.normal(size=x.shape)


@pytest.mark.parametrize("bad", [_clips, _clips_far, _bends, _normalises, _adapts, _chooses, _tosses])
def test_what_is_not_affine_is_refused(bad: Any) -> None:
    with pytest.raises(NotRecorded, match=bad.__name__) as said:
        record(bad, start_std=2.0)
    assert said.value.kind == "not affine" and "\n" not in str(said.value) and said.value.exit_code == 2


def test_nan_and_exceptions_are_one_line_with_their_words() -> None:
    def nan(network: Any, x: Any, noise: Any) -> Any:
        return network(x, 2.0) * math.nan

    def breaks(network: Any, x: Any, noise: Any) -> Any:
        network(x, 2.0)
        raise IndexError("index 11 is\nout of bounds")

    with pytest.raises(NotRecorded, match="nan: its output is NaN after 1 evaluation"):
        record(nan)
    with pytest.raises(NotRecorded, match="breaks: IndexError: index 11 is out of bounds"):
        record(breaks)
    with pytest.raises(NotRecorded, match="never asks"):
        record(lambda network, x, noise: x)
    with pytest.raises(BadInput, match="answers = eps"):
        record(ddim, answers="eps")
    with pytest.raises(BadInput, match="steps = 3"):
        record(ddim, 3)


# ---------------------------------------------------------------------- in the style of k-diffusion


def k_ancestral(
    model: Any, x: Any, sigmas: Any, extra_args: Any = None, disable: Any = None, eta: float = 1.0
) -> Any:
    import torch

    ones = x.new_ones([x.shape[0]])
    for i in range(len(sigmas) - 1):
        D = model(x, sigmas[i] * ones)
        up = min(
            sigmas[i + 1],
            eta * (sigmas[i + 1] ** 2 * (sigmas[i] ** 2 - sigmas[i + 1] ** 2) / sigmas[i] ** 2) ** 0.5,
        )
        down = (sigmas[i + 1] ** 2 - up**2) ** 0.5
        x = x + (x - D) / sigmas[i] * (down - sigmas[i])
        if sigmas[i + 1] > 0:
            x = x + torch.randn_like(x) * up
    return x


def test_a_function_in_the_style_of_k_diffusion() -> None:
    plain = record(k_ancestral, sigmas=SIGMAS, eta=0.0)
    np.testing.assert_allclose(
        tape_law(plain, X).variance, tape_law(record(ddim, start_std=20.0), X).variance, rtol=1e-12
    )
    law = tape_law(record(k_ancestral, sigmas=SIGMAS), X)
    variance = np.full_like(X, SIGMAS[0] ** 2)
    for s, after in zip(SIGMAS[:-1], SIGMAS[1:], strict=True):
        up = min(after, math.sqrt(after**2 * (s**2 - after**2) / s**2))
        down = math.sqrt(after**2 - up**2)
        variance = (1.0 + s * (down - s) / (X + s**2)) ** 2 * variance + up**2
    np.testing.assert_allclose(law.variance, variance, rtol=1e-12)
    with pytest.raises(BadInput, match="etta"):
        record(k_ancestral, sigmas=SIGMAS, etta=0.0)
    with pytest.raises(BadInput, match="sigmas"):
        record(k_ancestral, sigmas=[1.0])


def test_brownian_trees_by_elementary_intervals() -> None:
    """Increments over intervals that overlap have the covariance of one path."""
    torchsde = pytest.importorskip("torchsde")
    import torch

    def tree(model: Any, x: Any, sigmas: Any) -> Any:
        path = torchsde.BrownianTree(0.0, torch.zeros_like(x[0]), 4.0, entropy=7)
        D = model(x, sigmas[0] * x.new_ones([1]))
        D = D + 2.0 * (path(0.0, 1.0) + 3.0 * path(0.5, 2.0))[None]
        return D - 1.5 * path(torch.tensor(2.0), torch.tensor(0.0))[None] + path(3.0, 9.0)[None]

    tape = record(tree, sigmas=[2.0, 0.0])
    # W over [0,½], [½,1], [1,2], [3,4]: weights 2+1.5, 2+6+1.5, 6+1.5, and 1 (clamped to the tree's end)
    want = 0.5 * 3.5**2 + 0.5 * 9.5**2 + 7.5**2 + 1.0
    assert tape_law(tape, X).noise == pytest.approx(np.full(4, want), rel=1e-12)


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    torchsde = pytest.importorskip("torchsde")
    before = (torch.randn, torch.randn_like, torchsde.BrownianTree, torchsde.BrownianInterval)

    def breaks(model: Any, x: Any, sigmas: Any) -> Any:
        model(x, sigmas[:1])
        raise RuntimeError("on purpose")

    with pytest.raises(NotRecorded):
        record(breaks, sigmas=[2.0, 0.0])
    assert (torch.randn, torch.randn_like, torchsde.BrownianTree, torchsde.BrownianInterval) == before
    torch.manual_seed(1)
    a = torch.randn(3)
    torch.manual_seed(1)
    assert torch.equal(a, torch.randn(3)) and float(a.abs().sum()) > 0.0


def test_a_recorded_tape_goes_through_a_file(tmp_path: Any) -> None:
    tape = record(k_ancestral, sigmas=SIGMAS)
    for name in ("tape.json", "tape.npz"):
        tape.save(tmp_path / name)
        back = Tape.load(tmp_path / name)
        assert tape_law(back, X).w2() == tape_law(tape, X).w2() and back.made["sampler"] == "k_ancestral"
