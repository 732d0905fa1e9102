"""The exact score as a network gives the exact sampler's law; coefficients; a seed is an image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from numerics.cifar10.gaussian_images import GaussianImages
from numerics.cifar10.processes import NAMES, ImageProcess, image_process
from numerics.cifar10.sampling import SCHEMES, plan, sample_images, start_of, theory_scheme, theory_setting
from numerics.transport.samples import gaussian_w2
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import EXACT_LAW, exact_w2
from wbound.sampler.grid import Grid

SHAPE = (1, 2, 2)
N = 10_000
#: Standard errors allowed: 4 means and 10 covariances a case, 13 cases: 5.0 fails by chance once in 10⁴ runs.
SIGMAS = 5.0


def images_of(
    shape: tuple[int, int, int], mean: np.ndarray, eigenvalues: np.ndarray, seed: int
) -> GaussianImages:
    d = mean.size
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    return GaussianImages("test", shape, mean, eigenvalues, turn, 1000, torch.device("cpu"))


@pytest.fixture(scope="module")
def law() -> GaussianImages:
    return images_of(SHAPE, np.array([0.3, -0.4, 0.1, 0.0]), np.array([0.02, 0.1, 0.3, 0.5]), 3)


def smoothed(process: ImageProcess, law: GaussianImages) -> Gaussian:
    """What the sampler ends with: for VE rows the data smoothed by sigma_min (section 9)."""
    values = law.eigenvalues + float(process.std(0.0)) ** 2
    return Gaussian(law.mean, law.axes @ np.diag(values) @ law.axes.T)


def exact_law(
    process: ImageProcess, law: GaussianImages, K: int, scheme: str, grid: str = "uniform"
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the output by the linear recursion of section 3, in the law's eigenbasis."""
    p = plan(process, K, scheme, grid)
    vectors, eigenvalues = law.axes, law.eigenvalues
    mu = law.mean @ vectors
    mean, v = np.zeros(4), np.full(4, process.prior_std**2)

    def slope(t: float) -> tuple[np.ndarray, np.ndarray]:
        a = float(process.alpha(t))
        w = a**2 * eigenvalues + float(process.std(t)) ** 2
        return -1.0 / w, a * mu / w  # s(x) = slope x + constant

    for k in range(K):
        s1, s0 = slope(p.t[k])
        A, B = p.A[k] + p.C[k] * s1, p.C[k] * s0
        if p.second is not None:
            C, D = p.second[0][k], p.second[1][k]
            r1, r0 = slope(p.t_next[k]) if D else (0.0, 0.0)
            A, B = p.A[k] + C * s1 + D * r1 * A, C * s0 + D * (r1 * B + r0)
        mean, v = A * mean + B, A**2 * v + p.Q[k]
    return vectors @ mean, vectors @ np.diag(v) @ vectors.T


@pytest.mark.parametrize(
    ("name", "scheme", "grid"),
    [
        *((name, "em", "uniform") for name in NAMES),
        *(("vp-v2", s, "uniform") for s in SCHEMES if s not in ("em", "pc", "paper")),
        ("ve-v3", "ode-heun", "uniform"),
        ("ve-original", "hf", "edm"),
        ("vp-v1", "ddpm", "cosine"),
    ],
)
def test_the_exact_score_as_a_network_gives_the_exact_law(
    name: str, scheme: str, grid: str, law: GaussianImages
) -> None:
    process, K = image_process(name), 25
    mean, cov = exact_law(process, law, K, scheme, grid)
    data = smoothed(process, law)
    s = theory_setting(process, data, K, scheme, grid)
    assert s is not None
    # the literature's prior, std sigma_max, is wbound's √λ(1) to 2e-8
    assert gaussian_w2(mean, cov, data.mean, data.cov) == pytest.approx(EXACT_LAW(s), rel=1e-5)
    if grid == "uniform":
        theirs = exact_w2(
            process.process, data, T=1.0, K=K, scheme=theory_scheme(scheme), start=start_of(process)
        )
        assert EXACT_LAW(s) == theirs

    x = sample_images(
        law.exact_score(process), process, SHAPE, K, scheme, range(N), batch=N, grid=grid, dtype=torch.float64
    )
    rows = x.reshape(N, 4).numpy()
    diagonal = np.diag(cov)
    assert (np.abs(rows.mean(axis=0) - mean) < SIGMAS * np.sqrt(diagonal / N)).all()
    # a Gaussian's sample covariance has variance (v_i v_j + v_ij²)/n
    error = np.sqrt((np.outer(diagonal, diagonal) + cov**2) / N)
    assert (np.abs(np.cov(rows.T) - cov) < SIGMAS * error).all()


def test_the_law_notices_a_wrong_score(law: GaussianImages) -> None:
    """Five per cent of every score are more than the allowance above: the test can fail."""
    process, K = image_process("vp-v2"), 25
    _, cov = exact_law(process, law, K, "em")
    exact = law.exact_score(process)
    x = sample_images(
        lambda x, t: 1.05 * exact(x, t), process, SHAPE, K, "em", range(N), batch=N, dtype=torch.float64
    )
    found = np.cov(x.reshape(N, 4).numpy().T)
    diagonal = np.diag(cov)
    assert (np.abs(found - cov) > SIGMAS * np.sqrt((np.outer(diagonal, diagonal) + cov**2) / N)).any()


def test_predictor_corrector_coefficients_are_those_of_a_chain() -> None:
    """vp-v1 has β constant: the chain's β_i is 1 − e^{−β/K}, and A = 2 − √(1 − β_i), C = Q = β_i."""
    process, K = image_process("vp-v1"), 40
    beta = float(process.process.g(0.5)) ** 2
    p = plan(process, K, "pc")
    step = -math.expm1(-beta / K)
    np.testing.assert_allclose(p.A, 2.0 - math.sqrt(1.0 - step), rtol=1e-12)
    np.testing.assert_allclose(p.C, step, rtol=1e-11)
    np.testing.assert_allclose(p.Q, step, rtol=1e-11)
    np.testing.assert_allclose(p.alpha, 1.0 - step, rtol=1e-12)
    ve = image_process("ve-v3")
    em, pc = plan(ve, K, "em"), plan(ve, K, "pc")
    for a, b in ((em.A, pc.A), (em.C, pc.C), (em.Q, pc.Q), (np.ones(K), pc.alpha)):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_papers_scheme_is_by_family() -> None:
    for name, owner in (("vp-v2", "em-point"), ("ve-v2", "pc")):
        process = image_process(name)
        a, b = plan(process, 7, "paper"), plan(process, 7, owner)
        assert np.array_equal(a.A, b.A) and np.array_equal(a.Q, b.Q) and a.langevin == b.langevin
        x, y = (sample_images(lambda x, t: -x, process, SHAPE, 3, s, [5]) for s in ("paper", owner))
        assert torch.equal(x, y)  # pc's last noise is left out in both
    assert theory_setting(image_process("ve-v2"), Gaussian(np.zeros(1), np.ones(1)), 5, "paper") is None


def test_the_langevin_step_is_algorithm_5s() -> None:
    """One step, K = 1, by hand: ε = 2α (r ‖z‖/‖s‖)² of this image, then the predictor's mean."""
    process = image_process("vp-v1")
    p = plan(process, 1, "pc")
    g = torch.Generator().manual_seed(7)
    x, z, _ = torch.randn((3, *SHAPE), generator=g, dtype=torch.float64)
    eps = 2.0 * p.alpha[0] * (0.16 * z.norm() / (2.0 * x).norm()) ** 2
    x = x + eps * (-2.0 * x) + torch.sqrt(2.0 * eps) * z
    expected = p.A[0] * x + p.C[0] * (-2.0 * x)
    found = sample_images(lambda x, t: -2.0 * x, process, SHAPE, 1, "pc", [7], dtype=torch.float64)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["vp-original", "ve-original"])
def test_predictor_corrector_comes_near_the_law(name: str) -> None:
    """In d = 64, where the norms that set its step hardly vary: within 8 % of the spread at K = 60."""
    process, n, d = image_process(name), 1000, 64
    law = images_of((1, 8, 8), np.full(d, 0.2), np.linspace(0.05, 0.5, d), 4)
    turn = law.axes
    data = smoothed(process, law)
    shape, score = (1, 8, 8), law.exact_score(process)
    found = []
    for K in (5, 60):
        x = (
            sample_images(score, process, shape, K, "pc", range(n), batch=n).reshape(n, d).double().numpy()
            @ turn
        )
        found.append(
            gaussian_w2(x.mean(axis=0), x.var(axis=0), data.mean @ turn, np.diag(turn.T @ data.cov @ turn))
        )
    far, near = np.array(found) / math.sqrt(float(law.eigenvalues.sum()))
    assert near < 0.08 < 0.25 < far


@pytest.mark.parametrize("scheme", ["em", "ddpm", "pc", "ode-heun"])
def test_an_image_is_a_function_of_its_seed(scheme: str, law: GaussianImages) -> None:
    process = image_process("ve-original")
    score = law.exact_score(process)
    seeds = [5, 0, 2**32 - 1, 17, 3]
    whole = sample_images(score, process, SHAPE, 6, scheme, seeds, batch=5, dtype=torch.float64)
    for batch in (1, 2, 3):
        again = sample_images(score, process, SHAPE, 6, scheme, seeds, batch=batch, dtype=torch.float64)
        torch.testing.assert_close(again, whole, rtol=1e-12, atol=1e-12)
    alone = sample_images(score, process, SHAPE, 6, scheme, [17], dtype=torch.float64)
    torch.testing.assert_close(alone[0], whole[3], rtol=1e-12, atol=1e-12)
    assert len({round(float(v), 6) for v in whole[:, 0, 0, 0]}) == len(seeds)


def test_denoising_leaves_only_the_last_noise_out(law: GaussianImages) -> None:
    process = image_process("vp-original")
    score = law.exact_score(process)
    kept, bare = (
        sample_images(score, process, SHAPE, 4, "em", [1], denoise=d, dtype=torch.float64)
        for d in (False, True)
    )
    g = torch.Generator().manual_seed(1)
    noise = torch.randn((5, *SHAPE), generator=g, dtype=torch.float64)[-1]
    torch.testing.assert_close((kept - bare)[0], math.sqrt(plan(process, 4, "em").Q[-1]) * noise)


def test_times_stay_where_networks_are_trained_and_are_asked_as_counted() -> None:
    process = image_process("ve-v2")
    for scheme, calls in (("em", 8), ("pc", 16), ("ode-heun", 15)):
        asked: list[float] = []

        def score(x: torch.Tensor, t: torch.Tensor, asked: list[float] = asked) -> torch.Tensor:
            asked.append(float(t[0]))
            return -x / 2500.0

        sample_images(score, process, SHAPE, 8, scheme, [0])
        assert len(asked) == calls == plan(process, 8, scheme).evaluations
        assert min(asked) >= process.t_min and max(asked) == 1.0


def test_other_grids_are_wbounds(law: GaussianImages) -> None:
    process = image_process("ve-original")
    mean = sample_images(law.exact_score(process), process, SHAPE, 12, "hf", range(50), grid="edm")
    assert torch.isfinite(mean).all()
    p = plan(process, 12, "hf", Grid.edm(7.0, 0.002))
    assert p.K == 12 and (np.diff(p.t) < 0).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"K": 0}, "K"),
        ({"K": 2.5}, "K"),
        ({"scheme": "euler"}, "scheme"),
        ({"grid": "optimal"}, "grid"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": [2**32]}, "seeds"),
        ({"seeds": []}, "shape"),
        ({"batch": 0}, "batch"),
        ({"shape": (8, 8)}, "shape"),
        ({"snr": -1.0}, "snr"),
    ],
)
def test_bad_input(change: dict, said: str) -> None:
    given = {
        "K": 4,
        "scheme": "em",
        "seeds": [0],
        "shape": SHAPE,
        "batch": 4,
        "grid": "uniform",
        "snr": 0.1,
    } | change
    with pytest.raises(BadInput) as caught:
        sample_images(lambda x, t: -x, image_process("vp-original"), **given)
    assert caught.value.option == said
