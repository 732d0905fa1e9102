"""Section 9's processes on unit time: what forward samples have, and a wrong table is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from numerics.cifar10 import processes
from numerics.cifar10.images import load_images
from numerics.cifar10.processes import NAMES, image_process
from wbound.errors import BadInput, Inconsistent

#: Section 9's deviations at t = 1/2.
STD = {
    "ve-original": 0.7071067812,
    "ve-v1": 35.35533977,
    "ve-v2": 25.0000015,
    "ve-v3": 12.85605339,
    "vp-original": 0.9596542021,
}


@pytest.mark.parametrize("name", NAMES)
def test_forward_samples_have_the_marginals_mean_and_deviation(name: str) -> None:
    """X_t of many steps of the SDE itself (Euler–Maruyama on f and g, not on α and std) from one image."""
    process, steps, n = image_process(name), 1500, 4000
    x0 = load_images("digits").floats(torch.tensor([7]))[0, 0, :2, 2:4].double().numpy().ravel()
    rng = np.random.default_rng(5)
    t = np.linspace(0.0, 0.5, steps + 1)
    f, g = process.process.f(t[:-1] + 0.25 / steps), process.process.g(t[:-1] + 0.25 / steps)
    x = np.broadcast_to(x0, (n, 4)) + (process.std(0.0) * rng.standard_normal((n, 4)))
    for k in range(steps):
        x = x * (1.0 - f[k] * 0.5 / steps) + g[k] * np.sqrt(0.5 / steps) * rng.standard_normal((n, 4))
    alpha, std = float(process.alpha(0.5)), float(process.std(0.5))
    # five standard errors of the mean; of the deviation five and the scheme's own 0.2 %
    assert np.abs(x.mean(axis=0) - alpha * x0).max() < 5.0 * std / np.sqrt(n)
    spread = np.sqrt((x - alpha * x0).var())
    assert abs(spread / std - 1.0) < 5.0 / np.sqrt(2 * 4 * n) + 0.002
    if name in STD:
        assert std == pytest.approx(STD[name], rel=1e-9)


def test_the_literatures_convention() -> None:
    for name in NAMES:
        process = image_process(name)
        assert process.kind == name[:2] and process.check().consistent
        if process.kind == "ve":
            assert float(process.std(0.0)) == pytest.approx(0.01, rel=1e-12)
            assert float(process.std(1.0)) == pytest.approx(process.prior_std) == pytest.approx(50.0)
        else:
            assert process.prior_std == 1.0 and float(process.std(0.0)) == 0.0
        assert process.std(np.array([[0.1], [0.2]])).dtype == np.float64


def test_parameters() -> None:
    assert float(image_process("ve-v3", rho=7.0).std(0.5)) == pytest.approx(2.401315441, rel=1e-9)
    assert image_process("ve-v1", sigma_max=9.0).prior_std == 9.0
    assert image_process("vp-v2", rho=5.0).to_dict()["parameters"]["rho"] == 5.0
    assert image_process("vp-v1") == image_process("vp-v1") != image_process("vp-v1", beta_max=10.0)


@pytest.mark.parametrize("name", ["ve-v1", "vp-v3"])
@pytest.mark.parametrize("wrong", ["marginal_std", "mean_factor"])
def test_a_wrong_table_is_inconsistent(name: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = getattr(processes, wrong)
    monkeypatch.setattr(processes, wrong, lambda process, t: true(process, t) * (1.0 + 1e-6 * np.asarray(t)))
    with pytest.raises(Inconsistent, match=f"process {name}"):
        image_process(name).check()


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="process = vp-v4: must be one of vp-original"):
        image_process("vp-v4")
    with pytest.raises(BadInput, match="rho"):
        image_process("ve-v1", rho=2.0)
    with pytest.raises(BadInput, match="sigma_min"):
        image_process("ve-v1", sigma_min=60.0)
