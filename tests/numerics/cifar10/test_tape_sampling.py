"""A recorded sampler run with a network that knows σ: against the tape's exact law, and against our own samplers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from numerics.cifar10.gaussian_images import GaussianImages
from numerics.cifar10.processes import image_process
from numerics.cifar10.sampling import theory_setting
from numerics.cifar10.tape_sampling import sample_tape
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of

SHAPE = (1, 2, 2)


@pytest.fixture(scope="module")
def law() -> GaussianImages:
    turn, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))
    mean, values = np.array([0.3, -0.4, 0.1, 0.0]), np.array([0.02, 0.1, 0.3, 0.5])
    return GaussianImages("test", SHAPE, mean, values, turn, 1000, torch.device("cpu"))


def tape_named(name: str) -> Tape:
    """Of a scheme of ours; or one without a short memory, whose noise, offset and first answer stay."""
    if name != "long":
        setting = theory_setting(image_process("ve-v1"), Gaussian(np.zeros(1), np.ones(1)), 9, name)
        assert setting is not None
        return tape_of(setting)
    answers = np.array([[0, 0, 0], [0.3, 0, 0], [0.1, 0.4, 0], [0.05, 0.25, 0.7]], float)
    return Tape(
        levels=np.array([9.0, 1.0, 0.1]),
        start=np.array([1.0, 0.5, 0.2, 0.1]),
        answers=answers,
        noises=np.array([[0.0], [0.2], [0.1], [0.05]]),
        offsets=np.array([0.0, 0.1, 0.0, 0.02]),
        start_level=9.0,
        start_std=0.9,
        start_mean=0.05,
    )


@pytest.mark.parametrize("name", ["em", "hf", "ddpm", "ode-heun", "long"])
def test_a_tape_gives_its_exact_law(name: str, law: GaussianImages) -> None:
    tape, n = tape_named(name), 8000
    x = sample_tape(law.level_score, tape, SHAPE, range(n), batch=3000, dtype=torch.float64)
    rows = x.reshape(n, 4).numpy() @ law.axes
    found = tape_law(tape, law.eigenvalues)
    # five standard errors: four means, four variances
    sd = np.sqrt(found.variance)
    mean = found.mean_gain * (law.mean @ law.axes) + found.mean_offset * law.axes.sum(axis=0)
    assert (np.abs(rows.mean(axis=0) - mean) < 5.0 * sd / np.sqrt(n)).all()
    assert (np.abs(rows.var(axis=0) / found.variance - 1.0) < 5.0 * np.sqrt(2.0 / n)).all()


def test_row_by_row_is_the_definition(law: GaussianImages) -> None:
    """Eq. 16 written out, without the short memory, on the same draws; and a batch changes nothing."""
    for name in ("hf", "long"):
        tape = tape_named(name)
        g = torch.Generator().manual_seed(5)
        draws = torch.randn((1 + tape.J, *SHAPE), generator=g, dtype=torch.float64)
        z, answers = draws[0] * tape.start_std + tape.start_mean, []
        for i in range(tape.K + 1):
            v = tape.start[i] * z + tape.offsets[i]
            v = v + sum((tape.answers[i, j] * a for j, a in enumerate(answers)), torch.zeros_like(z))
            v = v + sum((tape.noises[i, j] * draws[1 + j] for j in range(tape.J)), torch.zeros_like(z))
            if i < tape.K:
                level = tape.levels[i]
                y = np.sqrt(1.0 + level) * v
                sigma = torch.tensor([np.sqrt(level)], dtype=torch.float64)
                answers.append(y + level * law.level_score(y[None], sigma)[0])
        found = sample_tape(law.level_score, tape, SHAPE, [4, 5, 6], batch=2, dtype=torch.float64)
        torch.testing.assert_close(found[1], v, rtol=1e-9, atol=1e-12)


def test_a_tape_that_asks_at_pure_noise_needs_the_mean(law: GaussianImages) -> None:
    tape = Tape(
        levels=np.array([np.inf]),
        start=np.array([1.0, 0.5]),
        answers=np.array([[0.0], [2.0]]),
        noises=np.zeros((2, 0)),
        offsets=np.zeros(2),
        start_level=np.inf,
        start_std=1.0,
    )
    with pytest.raises(BadInput, match="pure noise, the data's mean"):
        sample_tape(law.level_score, tape, SHAPE)
    mean = torch.full(SHAPE, 0.25, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    z = torch.randn((1, *SHAPE), generator=g, dtype=torch.float64)
    found = sample_tape(law.level_score, tape, SHAPE, mean=mean, dtype=torch.float64)
    torch.testing.assert_close(found, 0.5 * z + 0.5)
