"""One network for every process: the score along a process from the smoothed data's, and what training comes to."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from numerics.cifar10.gaussian_images import GaussianImages, gaussian_of
from numerics.cifar10.images import ImageSet, load_images
from numerics.cifar10.network_error import final_law
from numerics.cifar10.networks import ScoreNetwork, architecture
from numerics.cifar10.noise_levels import LevelScore, along, denoiser_of, level_score_of, of_denoiser
from numerics.cifar10.processes import NAMES, image_process
from numerics.cifar10.runs import Run, load_run, make_config
from numerics.cifar10.sampling import plan, theory_setting
from numerics.cifar10.training import resume, train
from numerics.transport.samples import gaussian_w2
from wbound.errors import BadInput
from wbound.exact.gaussian_law import EXACT_LAW


@pytest.fixture(scope="module")
def law() -> GaussianImages:
    """Digits pooled to 4 × 4: the Gaussian of the training ones, τ = 0.3."""
    digits = load_images("digits").split(0)[0]
    pooled = torch.nn.functional.avg_pool2d(digits.images.float(), 2).to(torch.uint8)
    return gaussian_of(ImageSet("digits4", pooled), 0.3)


@torch.no_grad()
def level_error(
    level_score: LevelScore, law: GaussianImages, sigmas: np.ndarray, *, n: int = 256, seed: int = 0
) -> np.ndarray:
    """(E|s_θ − s|²/E|s|²)^{1/2} at each σ (N,), y = X_0 + σZ, from n draws a level; the law's own score is known.

    Kind: *estimate* (its spread is of order 1/√(n d) of itself).
    """
    generator = torch.Generator(law.device).manual_seed(seed)
    out = np.zeros(len(sigmas))
    for i, sigma in enumerate(sigmas):
        y = law.floats(torch.arange(n), generator)
        y = y + float(sigma) * torch.randn(y.shape, generator=generator, device=y.device)
        at = torch.full((n,), float(sigma), device=y.device)
        true = law.level_score(y, at).double()
        out[i] = float(((level_score(y, at).double() - true).square().sum() / true.square().sum()).sqrt())
    return out


@pytest.mark.parametrize("name", NAMES)
def test_one_score_is_every_processs(name: str, law: GaussianImages) -> None:
    """Against ∇log p_t itself, at every time; and back."""
    process = image_process(name)
    x = torch.randn(5, *law.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    through, exact = along(law.level_score, process), law.exact_score(process)
    for t in (1e-5, 0.01, 0.3, 1.0):
        torch.testing.assert_close(through(x, t), exact(x, t), rtol=1e-10, atol=1e-10)
    back = level_score_of(exact, process)
    for t in (0.01, 0.3, 0.9):
        sigma = torch.full((5,), float(process.std(t) / process.alpha(t)), dtype=torch.float64)
        torch.testing.assert_close(back(x, sigma), law.level_score(x, sigma), rtol=1e-4, atol=1e-6)
    twice = of_denoiser(denoiser_of(law.level_score))
    sigma = torch.full((5,), 0.7, dtype=torch.float64)
    torch.testing.assert_close(twice(x, sigma), law.level_score(x, sigma), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_eight_clocks_exact_laws_with_the_exact_score_as_the_one_network(
    name: str, law: GaussianImages
) -> None:
    """The output's mean and covariance by what `along` answers, against `EXACT_LAW`: within 1e-5."""
    process, d = image_process(name), law.d
    score = along(law.level_score, process)
    basis = torch.cat((torch.zeros(1, d), torch.eye(d))).double().reshape(-1, *law.shape)

    def affine(t: float) -> tuple[np.ndarray, np.ndarray]:
        rows = score(basis, t).reshape(d + 1, d).numpy()
        return (rows[1:] - rows[0]).T, rows[0]  # s(x) = S x + o

    data = final_law(process, law)
    for K, scheme in ((5, "em"), (20, "hf"), (20, "em"), (10, "ode-heun")):
        p = plan(process, K, scheme)
        mean, cov = np.zeros(d), process.prior_std**2 * np.eye(d)
        for k in range(K):
            S, o = affine(p.t[k])
            C, D = (p.C[k], 0.0) if p.second is None else (p.second[0][k], p.second[1][k])
            M, shift = p.A[k] * np.eye(d) + C * S, C * o
            if D:
                R, r = affine(p.t_next[k])
                first = p.A[k] * np.eye(d) + p.C[k] * S
                M, shift = M + D * R @ first, shift + D * (R @ (p.C[k] * o) + r)
            mean, cov = M @ mean + shift, M @ cov @ M.T + p.Q[k] * np.eye(d)
        s = theory_setting(process, data, K, scheme)
        assert s is not None
        turned = law.axes.T @ cov @ law.axes
        found = gaussian_w2(law.axes.T @ mean, turned, data.mean, np.diag(data.eigenvalues))
        assert found == pytest.approx(EXACT_LAW(s), rel=1e-5)


def test_preconditioning_is_karras_et_als(law: GaussianImages) -> None:
    """D = c_skip y + c_out F(c_in y, ln(σ)/4), their table 1; with F = 0 it is c_skip y."""
    torch.manual_seed(0)
    sigma_data = law.root_mean_square
    network = ScoreNetwork(architecture("smoke", "sigma", 1, 4, sigma_data=sigma_data)).double().eval()
    seen: list[torch.Tensor] = []

    class F(torch.nn.Module):
        def forward(self, x: torch.Tensor, label: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
            seen[:] = [x, label]
            return (torch.tanh(x) + 0.1,)

    network.unet = F()
    y = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    sigma = torch.tensor([0.01, 0.9, 80.0], dtype=torch.float64)
    with torch.no_grad():
        D = denoiser_of(lambda y, s: network(y, s, s))(y, sigma)
    s = sigma[:, None, None, None]
    total = s**2 + sigma_data**2
    torch.testing.assert_close(seen[0], y / total.sqrt())
    torch.testing.assert_close(seen[1], torch.log(sigma) / 4.0)
    # the network's output is float32
    expected = sigma_data**2 / total * y + s * sigma_data / total.sqrt() * (torch.tanh(seen[0]) + 0.1)
    torch.testing.assert_close(D, expected, rtol=1e-6, atol=1e-6)


def test_the_targets_mean_square_is_1_at_every_level(law: GaussianImages) -> None:
    """What σ_data is measured for: E|(X_0 − c_skip y)/c_out|² = d with the root mean square, and with no other."""

    def size(sigma: float, sigma_data: float) -> float:
        second, total = law.root_mean_square**2, sigma**2 + sigma_data**2
        skip = sigma_data**2 / total
        return ((1.0 - skip) ** 2 * second + skip**2 * sigma**2) * total / (sigma * sigma_data) ** 2

    for sigma in (0.01, 0.5, 20.0):
        assert size(sigma, law.root_mean_square) == pytest.approx(1.0)
        assert abs(size(sigma, 0.5) - 1.0) > 1e-5
    digits = load_images("digits")
    assert digits.root_mean_square == pytest.approx(float(digits.floats().square().mean()) ** 0.5, rel=1e-6)


def test_at_its_optimum_the_network_is_within_5_percent(law: GaussianImages) -> None:
    """Relative L2 of the score at σ in [0.05, 5], each of nine levels: trained on the least of the training loss, the
    exact score itself, weighted by its size, so that no sampling noise of the loss is in it."""
    torch.manual_seed(0)
    network = ScoreNetwork(architecture("smoke", "sigma", 1, 4, sigma_data=law.root_mean_square))
    steps, batch, draw = 500, 64, torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(network.parameters(), lr=6e-3, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        share = (np.arange(batch) + np.random.default_rng(step).random(batch)) / batch
        sigma = torch.from_numpy(np.exp(np.interp(share, [0, 1], np.log([0.04, 6.0])))).float()
        y = law.floats(torch.arange(batch), draw)
        y = y + sigma[:, None, None, None] * torch.randn(y.shape, generator=draw)
        off = network(y, sigma, sigma) - law.level_score(y, sigma)
        loss = ((sigma**2 + 0.3)[:, None, None, None] * off.square()).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    network.eval()
    levels = np.geomspace(0.05, 5.0, 9)
    error = level_error(lambda y, s: network(y, s, s), law, levels, n=1000)
    assert error.max() < 0.05
    zero = level_error(lambda y, s: 0.0 * y, law, levels)
    assert zero == pytest.approx(np.ones(9))


def test_a_run_conditioned_on_sigma(tmp_path: Path) -> None:
    """It learns towards the least loss, goes on, and is any process's score; the other kind is its own's alone."""
    config = make_config(
        "ve-v2",
        preset="smoke",
        conditioning="sigma",
        steps=60,
        batch=32,
        log_every=20,
        gaussian_tau=0.3,
        decay="none",
    )
    whole = train(tmp_path / "whole", config)
    rows = Run(tmp_path / "whole").rows()
    assert whole.optimum is not None and whole.optimum < rows[-1]["loss"] < rows[0]["loss"] < 1.2
    train(tmp_path / "cut", replace(config, steps=30))
    assert resume(tmp_path / "cut", steps=60).loss == whole.loss
    found = load_run(tmp_path / "cut", process=image_process("vp-v3"))
    data = config.training_data("cpu")
    assert found.architecture.sigma_data == data.root_mean_square and found.process.name == "vp-v3"
    x = torch.randn(2, *found.shape)
    own = load_run(tmp_path / "cut")
    assert own.process.name == "ve-v2"
    torch.testing.assert_close(found.score(x, 0.4), along(own.level_score, found.process)(x, 0.4))
    train(tmp_path / "own", replace(config, conditioning="process", process="vp-v3", steps=2))
    with pytest.raises(BadInput, match="process = vp-v1: must be vp-v3"):
        load_run(tmp_path / "own", process=image_process("vp-v1"))
    assert load_run(tmp_path / "own").architecture.kind == "vp"


def test_runs_of_older_versions_are_read(tmp_path: Path) -> None:
    """What a version before this one wrote: no conditioning, no sigma_data, in config.json or in the checkpoint."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    config = make_config("vp-v2", preset="smoke", steps=2, batch=4)
    train(tmp_path / "run", config)
    card, path = tmp_path / "run" / "config.json", Run(tmp_path / "run").last
    assert path is not None
    before = load_run(tmp_path / "run").score(torch.ones(1, 1, 8, 8), 0.5)
    held: dict[str, Any] = json.loads(card.read_text())
    for part, known in (("config", OLD_CONFIG), ("architecture", OLD_ARCHITECTURE)):
        held[part] = {key: value for key, value in held[part].items() if key in known}
        assert set(held[part]) == known
    card.write_text(json.dumps(held))
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        header = file.metadata()
    header["architecture"] = json.dumps(held["architecture"])
    save_file(tensors, path, header)
    assert torch.equal(load_run(tmp_path / "run").score(torch.ones(1, 1, 8, 8), 0.5), before)
    assert resume(tmp_path / "run", steps=3).step == 3


#: The keys of config.json as of the last version without them.
OLD_CONFIG = {
    *(
        "process",
        "data",
        "preset",
        "steps",
        "batch",
        "lr",
        "warmup",
        "ema",
        "decay",
        "parameters",
        "root",
        "flips",
    ),
    *("dequantise", "gaussian_tau", "split_seed", "seed", "clip", "precision", "compile", "log_every"),
    *("checkpoint_every", "sample_every", "sample_steps", "keep"),
}
OLD_ARCHITECTURE = {
    *("preset", "kind", "channels", "size", "widths", "blocks", "attention", "middle_attention", "dropout"),
    *("groups", "fourier", "skip", "sigma_min", "sigma_max"),
}


def test_settings_of_the_levels() -> None:
    for given, said in (
        ({"conditioning": "time"}, "conditioning = time: must be one of process, sigma"),
        ({"conditioning": "sigma", "p_std": 0.0}, "p-std = 0"),
        ({"conditioning": "sigma", "p_mean": math.nan}, "p-mean"),
    ):
        with pytest.raises(BadInput, match=said):
            make_config("ve-v2", preset="smoke", **given)
