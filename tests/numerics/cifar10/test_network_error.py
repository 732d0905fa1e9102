"""M along the sampler where it is known, and Theorem 2 with the M of each step paired with Theorem 2's own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from numerics.cifar10.gaussian_images import GaussianImages, gaussian_of
from numerics.cifar10.images import load_images
from numerics.cifar10.network_error import final_law, score_error, score_weights
from numerics.cifar10.processes import image_process
from numerics.cifar10.sampling import start_of
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.make_setting import setting

TAU = 0.2


@pytest.fixture(scope="module")
def law() -> GaussianImages:
    return gaussian_of(load_images("digits"), TAU)


def test_ve_ends_with_smoothed_data_and_vp_with_the_data(law: GaussianImages) -> None:
    ve, vp = image_process("ve-v2", sigma_min=0.3), image_process("vp-v2")
    for process, extra in ((ve, 0.3**2), (vp, 0.0)):
        found = final_law(process, law)
        np.testing.assert_allclose(found.eigenvalues, law.eigenvalues + extra, rtol=1e-12)
        np.testing.assert_allclose(law.axes @ found.mean, law.mean, atol=1e-12)


@pytest.mark.parametrize("scheme", ["em", "hf", "ei"])
@pytest.mark.parametrize("name", ["vp-original", "vp-v3", "ve-original", "ve-v3"])
def test_the_score_part_step_by_step_is_theorem_2s(name: str, scheme: str, law: GaussianImages) -> None:
    process = image_process(name)
    s = setting(process.process, final_law(process, law), 1.0, 60, scheme=scheme, start=start_of(process))
    M = 0.37
    assert M * score_weights(s).sum() == pytest.approx(THEOREM_2(replace(s, score_bias=M)).score, rel=1e-12)


def test_the_exact_score_has_no_error(law: GaussianImages) -> None:
    process = image_process("vp-original")
    found = score_error(law.exact_score(process), process, law, K=50, scheme="hf", seeds=range(64))
    assert found.M < 1e-4 and found.score < 1e-4 * found.total
    bound = THEOREM_2(
        setting(process.process, final_law(process, law), 1.0, 50, scheme="hf", start="standard")
    )
    assert found.total == pytest.approx(bound.additive, rel=1e-4) and found.bound.total <= found.total * 1.001
    assert found.exact == exact_w2(
        process.process, final_law(process, law), T=1.0, K=50, scheme="hf", start="standard"
    )
    assert found.exact < found.total
    # each end of the bracket beside the total
    ends = ((0.5, 0.9, "holds"), (0.5, 1.1, "undecided"), (1.1, 1.3, "refuted"))
    for low, high, said in ends:
        moved = replace(found.sampled, low=low * found.total, high=high * found.total)
        assert replace(found, sampled=moved).verdict == said


@pytest.mark.parametrize("name", ["vp-v2", "ve-original"])
def test_a_known_error_is_measured_and_bounded(name: str, law: GaussianImages) -> None:
    """A constant error c: M_k = |c| at every step, whatever the states, and the two bounds have one score part."""
    process, K = image_process(name), 40
    exact = law.exact_score(process)
    c = 0.05 * torch.ones(law.shape)
    found = score_error(lambda x, t: exact(x, t) + c, process, law, K=K, seeds=range(80), batch=32)
    size = 0.05 * 8.0
    np.testing.assert_allclose(found.M_k, size, rtol=1e-4)
    assert (found.se_k < 1e-4 * size).all() and found.M == pytest.approx(size, rel=1e-4)
    assert found.score == pytest.approx(found.bound.score, rel=1e-3)
    assert found.bound.total <= found.total  # Eq. 7 below Eq. 7″
    assert found.exact < found.total
    assert found.t.shape == (K,) and found.t[0] == 1.0 and (np.diff(found.t) < 0).all()


def test_an_error_of_one_step_counts_there(law: GaussianImages) -> None:
    """Larger at small times: the sum of the steps' own errors is below the supremum's."""
    process = image_process("ve-original")
    exact = law.exact_score(process)

    def score(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        std = torch.as_tensor(process.std(t.numpy()), dtype=x.dtype)[:, None, None, None]
        return exact(x, t) + 0.02 / std

    found = score_error(score, process, law, K=30, seeds=range(40))
    np.testing.assert_allclose(found.M_k, 0.02 * 8.0 / process.std(found.t), rtol=1e-3)
    assert found.score < 0.2 * found.bound.score
    assert found.to_dict()["M"] == found.M and found.to_dict()["theorem_2"]["total"] == found.bound.total


def test_what_theorem_2_is_not_about_is_refused(law: GaussianImages) -> None:
    process = image_process("vp-original")
    for scheme in ("pc", "ode-heun"):
        with pytest.raises(BadInput, match="Theorem 2"):
            score_error(law.exact_score(process), process, law, K=4, scheme=scheme)
    with pytest.raises(BadInput, match="diverged"):
        score_error(lambda x, t: x * math.nan, process, law, K=4, seeds=range(20))
