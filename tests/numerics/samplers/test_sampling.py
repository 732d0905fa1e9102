"""Samplers against the exact law, a plain NumPy twin, Theorem 2's own recursion, and themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.samplers import kernels, plans, sampling
from numerics.samplers.plans import ScorePlan
from numerics.samplers.sampling import coupled_exact, coupled_paths, sample, samples
from numerics.targets.products import Gaussian, LogCosh, ProductTarget, SymmetricMixture
from wbound.data.curvature import StronglyLogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import Defects, defects, law
from wbound.sampler.grid import Grid, Nodes
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES, Scheme, Steps
from wbound.sampler.steps import Batch

ALL = ("em", "em-point", "em-point-arrival", "ei", "hf", "ddpm")
VP, VE = wbound.process("vp-linear", a=1.0, b=0.5), wbound.process("ve-exponential", a=1.0, b=0.5)
COV = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, 0.1], [0.0, 0.1, 0.5]])
MEAN = np.array([1.0, -0.5, 0.2])
DENSE, DIAGONAL = Gaussian(MEAN, COV), Gaussian(MEAN, np.array([2.0, 0.3, 0.7]))
MIXTURE = SymmetricMixture([0.5, -0.3, 0.2], 1.0)
LOGCOSH, SKEW = LogCosh(2, 0.5, 2.0), ProductTarget("-x**2/2 - log(cosh(x - 0.3))", 2)
MILLION = 1_000_000


# ---------------------------------------------------------------------- a plain NumPy twin
def axes(target: Any) -> np.ndarray:
    """The orthogonal axes, as columns, in which the sampler draws the target's noise."""
    if isinstance(target, Gaussian) and target.vectors is not None:
        return target.vectors
    if isinstance(target, SymmetricMixture):
        # Householder: symmetric, with ±c/|c| as its first column
        unit = target.c / np.linalg.norm(target.c)
        sign = math.copysign(1.0, float(unit[0]))
        u = unit + sign * np.eye(target.d)[0]
        return -sign * (np.eye(target.d) - 2.0 * np.outer(u, u) / (u @ u))
    return np.eye(target.d)


def twin(s: Setting, n: int, seed: int) -> np.ndarray:
    """Section 3 as it is written, in x, chunk by chunk; starts prior and standard."""
    d, b = s.data.d, s.nodes.batch
    steps, V, size = s.scheme.steps(b), axes(s.data), max(64, 8192 // s.data.d)
    bias = s.score_bias / math.sqrt(d)
    noise = np.sqrt(steps.Q + (steps.C * s.score_noise) ** 2 / d)
    out = []
    for i, lo in enumerate(range(0, n, size)):
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed).spawn(i + 1)[i]))
        m = min(size, n - lo)
        y = rng.standard_normal((d, m)).T @ V.T
        if s.start == "prior":
            y = y * math.sqrt(s.process.sigma2(s.nodes.T))
        for k in range(s.nodes.K):
            alpha, sigma2 = s.process.alpha(b.t_hi[k]), s.process.sigma2(b.t_hi[k])
            y = steps.A[k] * y + steps.C[k] * (s.data.score(y, float(alpha), float(sigma2)) + bias)
            if noise[k] > 0.0:
                y = y + noise[k] * (rng.standard_normal((d, m)).T @ V.T)
        out.append(y)
    return np.concatenate(out)


TARGETS = {
    "dense": DENSE,
    "diagonal": DIAGONAL,
    "isotropic": Gaussian(np.zeros(2), 2.0),
    "singular": Gaussian(np.zeros(2), np.array([1.0, 0.0])),
    "mixture": MIXTURE,
    "mixture-1d": SymmetricMixture(-0.8, 1.0),
    "log-cosh": LOGCOSH,
    "skew": SKEW,
}


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("name", TARGETS)
def test_kernels_against_the_numpy_twin(name: str, scheme: str) -> None:
    target = TARGETS[name]
    for process, start in ((VP, "standard"), (VE, "prior")):
        bias = 0.0 if name.startswith("mixture-") else 0.3
        s = setting(process, target, 3.0, 12, scheme=scheme, start=start, score_bias=bias, score_noise=0.2)
        n = 2 * max(64, 8192 // target.d) + 100
        got, want = samples(s, n, 7), twin(s, n, 7)
        # a product's score comes from tables, to 1e-10 √L_0 as its target has it
        np.testing.assert_allclose(got, want, rtol=0.0, atol=1e-12 * max(1.0, float(np.abs(want).max())))


def test_the_loops_have_the_bits_of_numpy() -> None:
    rng, d, m, N = np.random.default_rng(1), 3, 50, 7
    r, q, h, g = rng.random((N, 2)), rng.random(N), rng.random(N), rng.random(N)
    q[4] = 0.0
    mean, bias, group = rng.random(d), rng.random(d), np.array([0, 1, 0])
    z = rng.standard_normal((d, m))
    ours = z.copy()
    kernels.linear(np.random.Generator(np.random.SFC64(3)), ours, r, group, q, h, mean, g, bias)
    noise = np.random.Generator(np.random.SFC64(3))
    for k in range(N):
        xi = noise.standard_normal((d, m)) if q[k] else np.zeros((d, m))
        shift = (h[k] * mean + g[k] * bias)[:, None]
        z = r[k][group][:, None] * z + (shift + q[k] * xi)
    np.testing.assert_array_equal(ours, z)


def test_a_table_is_read_right_inside_and_beyond() -> None:
    rng = np.random.default_rng(2)
    cells = rng.standard_normal((5, 6))
    cells[[0, -1], 2:] = 0.0
    x = np.concatenate((rng.uniform(-4.0, 9.0, 300), [0.0, 5.0, -3.0]))
    z = np.stack((x, x))
    zero, one, none = np.zeros(1), np.ones(1), np.zeros(2)
    first, low, per = np.array([0, 5]), np.array([0.5]), np.array([2.0])
    gen = np.random.Generator(np.random.SFC64(0))
    kernels.tabulated(gen, z, one, first, low, per, cells, zero, zero, none, zero, none)
    u = (x - 0.5) * 2.0
    i = np.clip(np.floor(u), 0, 4).astype(int)
    want = x + (cells[i] * (u - i)[:, None] ** np.arange(6)).sum(axis=1)
    np.testing.assert_allclose(z, np.stack((want, want)), rtol=1e-12, atol=1e-12)


class Opaque(StronglyLogConcave):
    """A target that shows nothing but its facts, score and samples: the generic path."""

    def __init__(self, target: Any) -> None:
        self.d, self.m0, self.L0 = target.d, target.m0, target.L0
        self.second_moment, self.mean_norm = target.second_moment, target.mean_norm
        self.score, self.sample = target.score, target.sample


@pytest.mark.parametrize("target", [DIAGONAL, LOGCOSH], ids=["diagonal", "log-cosh"])
def test_any_target_with_a_score(target: Any) -> None:
    own = sample(VP, target, 3.0, 20, n=9000, scheme="ddpm", seed=4, score_noise=0.1)
    other = sample(VP, Opaque(target), 3.0, 20, n=9000, scheme="ddpm", seed=4, score_noise=0.1)
    np.testing.assert_allclose(other, own, rtol=0.0, atol=1e-12)


# ---------------------------------------------------------------------- the exact law
def misfit(x: np.ndarray, s: Setting) -> float:
    """Largest deviation of mean and covariance from the exact law, in standard errors."""
    data, n = s.data, len(x)
    values, group = np.unique(data.eigenvalues, return_inverse=True)
    exact = law(s, values)
    v = (values + exact.excess)[group]
    mean = (1.0 + exact.mean[group]) * data.coordinates
    z = x if data.vectors is None else x @ data.vectors
    off = (z.mean(axis=0) - mean) / np.sqrt(v / n)
    residual = z - mean
    C = residual.T @ residual / n
    errors = np.sqrt((np.outer(v, v) + np.diag(v**2)) / n)
    return float(max(np.abs(off).max(), np.abs((C - np.diag(v)) / errors).max()))


PAIR = Gaussian(np.array([0.7, -0.4]), np.array([[1.5, 0.4], [0.4, 0.6]]))


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("process", [VP, VE], ids=["vp", "ve"])
@pytest.mark.parametrize("start", ["prior", "exact"])
def test_a_million_samples_have_the_exact_law(process: wbound.Process, scheme: str, start: str) -> None:
    s = setting(process, PAIR, 2.5, 8, scheme=scheme, start=start)
    assert misfit(samples(s, MILLION, 11), s) < 5.0


def test_the_exact_law_with_noise_in_the_score_and_the_standard_start() -> None:
    s = setting(VP, PAIR, 2.5, 8, scheme="em", start="standard", score_noise=0.8)
    assert misfit(samples(s, MILLION, 12), s) < 5.0
    assert misfit(samples(replace(s, score_noise=0.0), MILLION, 12), s) > 5.0


def test_the_exact_law_where_the_clock_overflows() -> None:
    far = wbound.process("vp-polynomial")  # λ(8) is about 1e88
    s = setting(far, PAIR, 8.0, 40, scheme="hf", start="prior")
    assert misfit(samples(s, 200_000, 13), s) < 5.0
    # steps by factors of 100 far out, where nothing is lost, then section 7's grid
    near = np.linspace(1e8 ** (-1.0 / 3.0), 1.0, 121) ** -3.0 - 1.0
    near[-1] = 0.0
    grid = Grid.from_lam(np.concatenate((np.geomspace(1e88, near[0], 41)[:-1], near)))
    for target in (MIXTURE, LOGCOSH):
        x = sample(far, target, grid=grid, n=100_000, scheme="hf", seed=1)
        bound = wbound.w2_bound(far, target, grid=grid, scheme="hf").total
        root = math.sqrt((x**2).sum(axis=1).mean())
        assert abs(root - math.sqrt(target.second_moment)) < bound + 0.01
        assert bound < 0.2


def test_the_exact_law_stopped_early() -> None:
    t = np.linspace(2.0, 0.3, 9)
    s = replace(setting(VP, PAIR, 2.0, 8, scheme="ei"), nodes=Nodes(VP, t, False))
    assert misfit(samples(s, 200_000, 14), s) < 5.0
    generic = replace(s, data=Opaque(DIAGONAL))
    own = samples(replace(s, data=DIAGONAL), 500, 1)
    np.testing.assert_allclose(samples(generic, 500, 1), own, atol=1e-11)


def _changed(A: float = 0.0, C: float = 0.0, Q: float = 0.0) -> Callable[[Batch], Steps]:
    """Scheme em with A moved by, and C and Q scaled by, a little."""

    def steps(b: Batch) -> Steps:
        e = SCHEMES["em"].steps(b)
        return Steps(e.A + A, e.C * (1.0 + C), e.Q * (1.0 + Q), e.a - A, e.c - C * e.C, e.q - Q * e.Q)

    return steps


def _late(b: Batch, scheme: Scheme, variances: np.ndarray, c: float) -> Defects:
    """The score of the step before: r + C (1/w_{k−1} − 1/w_{k−2}) s_{k−1}/s_k, at the first step as it is."""
    d, C = defects(b, scheme, variances, c), scheme.steps(b).C
    w = np.exp(2.0 * b.log_alpha_hi) * (variances[:, None] + np.exp(b.log_lam_hi))
    before = np.concatenate((w[:, :1], w[:, :-1]), axis=1)
    unit = [np.exp(a) * (1.0 + c * np.exp(x)) for a, x in
            ((b.log_alpha_hi, b.log_lam_hi), (b.log_alpha_lo, b.log_lam_lo))]  # fmt: skip
    sign = 1.0 if d.sign is None else d.sign
    r = sign * np.exp(d.log_r) + C * (1.0 / w - 1.0 / before) * unit[0] / unit[1]
    return d._replace(log_r=np.log(np.abs(r)), sign=np.sign(r))


def test_mutants_fail_the_law_test(monkeypatch: pytest.MonkeyPatch) -> None:
    s = setting(VP, PAIR, 2.5, 8, scheme="em")
    stronger = wbound.Process(f="(b+a*t)/2", g="1.05*sqrt(b+a*t)", a=1, b=0.5)
    mutants = {"g x 1.05": setting(stronger, PAIR, 2.5, 8, scheme="em")}
    for name, change in {"A": {"A": 0.01}, "C": {"C": 0.02}, "Q": {"Q": 0.02}}.items():
        mutants[name] = replace(s, scheme=Scheme(name, name, "sde", _changed(**change), "a mutant"))
    for name, mutant in mutants.items():
        assert misfit(samples(mutant, MILLION, 11), s) > 5.0, name
    same = replace(s, scheme=Scheme("same", "same", "sde", _changed(), "no mutant"))
    assert misfit(samples(same, MILLION, 11), s) < 5.0
    monkeypatch.setattr(plans, "defects", _late)
    assert misfit(samples(s, MILLION, 11), s) > 5.0


# ---------------------------------------------------------------------- mixtures and products
def quantile_w2(x: np.ndarray, target: Any) -> float:
    """W2 of 1-D samples to a target on the line, by its quantiles."""
    grid = np.linspace(-9.0, 9.0, 20_001) * math.sqrt(target.second_moment)
    levels = (np.arange(x.size) + 0.5) / x.size
    exact = np.interp(levels, target.factors[0].line.tails(grid)[0], grid)
    return math.sqrt(float(((np.sort(x) - exact) ** 2).mean()))


@pytest.mark.parametrize(
    ("name", "w2"),
    [
        ("ve-exponential", 0.029),
        ("ve-constant", 0.037),
        ("ve-sqrt", 0.019),
        ("ve-polynomial", 0.025),
        ("vp-linear", 0.051),
        ("vp-polynomial", 0.079),
        ("vp-exponential", 0.053),
    ],
)
def test_the_mixture_has_the_w2_that_others_found(name: str, w2: float) -> None:
    target = SymmetricMixture(0.8, 1.0)
    x = sample(wbound.process(name), target, 4.0, 60, n=MILLION, scheme="hf", seed=5)[:, 0]
    noise = 3.0 * x.std() / math.sqrt(2.0 * x.size)  # of the standard deviation, the mean being 0 by symmetry
    assert quantile_w2(np.concatenate((x, -x)), target) == pytest.approx(w2, abs=0.002 + noise)


def test_moments_of_mixture_and_product() -> None:
    for target in (MIXTURE, SKEW):
        x = sample(VP, target, 4.0, 150, n=100_000, scheme="hf", seed=6, start="exact")
        y = target.sample(100_000, 7)
        bound = wbound.w2_bound(VP, target, 4.0, 150, scheme="hf", start="exact").total
        # W2 bounds the differences of the means and of the roots of the second moments along any direction
        for u in (np.eye(target.d)[0], np.full(target.d, target.d**-0.5)):
            a, b = x @ u, y @ u
            error = 5.0 * math.hypot(a.std(), b.std()) / math.sqrt(len(a))
            assert abs(a.mean() - b.mean()) < bound + error
            assert abs(math.sqrt((a**2).mean()) - math.sqrt((b**2).mean())) < bound + error
            kurtosis = [((v - v.mean()) ** 4).mean() / v.var() ** 2 for v in (a, b)]
            assert abs(kurtosis[0] - kurtosis[1]) < 0.1


# ---------------------------------------------------------------------- score errors (A3)
@pytest.mark.parametrize("scheme", ALL)
def test_a_constant_bias_has_exactly_its_size(scheme: str) -> None:
    data = Gaussian(np.zeros(4), 2.0)
    args = (VP, data, 3.0, 30)
    off = sample(*args, n=200, scheme=scheme, score_bias=0.4) - sample(*args, n=200, scheme=scheme)
    np.testing.assert_allclose(off, np.broadcast_to(off[0], off.shape), atol=1e-12)
    # a constant push of size M moves every sample by Σ_k P_k C_k M: Eq. 7's score part, where r_k > 0
    exact = np.linalg.norm(off[0])
    b = wbound.w2_bound(*args, scheme=scheme, score_bias=0.4)
    if b.statement == "Theorem 2":
        assert exact == pytest.approx(b.score, rel=1e-9)
    along = sample(*args, n=200, scheme=scheme, score_bias=0.4, bias=[0.0, 3.0, 0.0, -4.0])
    moved = along - sample(*args, n=200, scheme=scheme)
    np.testing.assert_allclose(
        moved, np.broadcast_to([0.0, 0.6 * exact, 0.0, -0.8 * exact], off.shape), atol=1e-12
    )


@pytest.mark.parametrize("process", [VP, VE], ids=["vp", "ve"])
@pytest.mark.parametrize("K", [1, 20])
@pytest.mark.parametrize(("M", "V"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.7)])
def test_the_coupled_error_is_theorem_2(process: wbound.Process, K: int, M: float, V: float) -> None:
    """hf, isotropic and centred, the worst bias: Eq. 7 is an identity for the coupling of its proof."""
    d, n = 6, 100_000
    data = Gaussian(np.zeros(d), 2.0)
    facts = wbound.LogConcave(d=d, m0=0.5, L0=0.5, second_moment=2.0 * d)  # E_0 = ‖X_0‖, as it is coupled
    for start in ("prior", "exact"):
        bound = wbound.w2_bound(
            process, facts, 3.0, K, scheme="hf", start=start, score_bias=M, score_noise=V
        ).total
        paths = coupled_exact(
            process,
            data,
            3.0,
            K,
            n=n,
            scheme="hf",
            seed=3,
            start=start,
            score_bias=M,
            score_noise=V,
            bias="worst",
        )
        # |Δ|² of d equal normals has relative standard deviation √(2/d)
        assert paths.error == pytest.approx(bound, rel=5.0 * math.sqrt(0.5 / (d * n)))


def test_the_exact_path_is_exact_and_the_sampler_beside_it_the_sampler() -> None:
    for scheme in ("em", "ddpm"):
        s = setting(VP, PAIR, 2.5, 8, scheme=scheme)
        paths = coupled_exact(VP, PAIR, 2.5, 8, n=MILLION // 2, scheme=scheme, seed=8)
        assert misfit(paths.first, s) < 5.0
        exact = setting(VE, PAIR, 1e-9, 1, scheme="hf", start="exact")  # its law is p_0 to 1e-9
        assert misfit(paths.second, exact) < 5.0
        assert paths.error > wbound.exact.gaussian_law.exact_w2(VP, PAIR, 2.5, 8, scheme=scheme)


@pytest.mark.parametrize("scheme", ALL)
def test_sampled_w2_with_the_worst_bias_is_within_the_bound(scheme: str) -> None:
    M, data = 0.3, Gaussian(np.array([0.5, 0.0]), np.array([1.5, 0.6]))
    args = {"scheme": scheme, "score_bias": M}
    for process in (VP, VE):
        x = sample(process, data, 3.0, 40, n=200_000, seed=2, bias="worst", **args)
        w2 = math.hypot(*(x.mean(axis=0) - data.mean), *(x.std(axis=0) - np.sqrt(data.cov)))
        assert w2 < wbound.w2_bound(process, data, 3.0, 40, **args).total
        assert w2 > 1.5 * wbound.exact.gaussian_law.exact_w2(
            process, data, 3.0, 40, scheme=scheme
        )  # it is felt


def test_the_worst_bias_is_worse_than_a_constant_one() -> None:
    data = Gaussian(np.zeros(2), 1.0)
    errors = [
        coupled_exact(VP, data, 3.0, 40, n=50_000, scheme="hf", score_bias=0.3, bias=bias).error
        for bias in ("worst", "constant", [1.0, 0.0])
    ]
    assert errors[0] > 1.02 * max(errors[1:])


# ---------------------------------------------------------------------- strong order
@pytest.mark.parametrize("process", [VP, VE], ids=["vp", "ve"])
@pytest.mark.parametrize("target", [DENSE, MIXTURE], ids=["gaussian", "mixture"])
def test_coupled_paths_fall_as_one_over_K(process: wbound.Process, target: Any) -> None:
    Ks = [64, 128, 256]
    errors = [coupled_paths(process, target, 3.0, K, n=3000, seed=9, start="exact").error for K in Ks]
    assert np.polyfit(np.log(Ks), np.log(errors), 1)[0] == pytest.approx(-1.0, abs=0.1)


def test_coupled_paths_are_the_sampler_at_K_and_2K() -> None:
    paths = coupled_paths(VP, PAIR, 2.5, 4, n=300_000, seed=10, scheme="ei")
    assert misfit(paths.first, setting(VP, PAIR, 2.5, 4, scheme="ei")) < 5.0
    assert misfit(paths.second, setting(VP, PAIR, 2.5, 8, scheme="ei")) < 5.0
    plain = wbound.data.gaussian.Gaussian(
        PAIR.mean, PAIR.cov
    )  # the core's own law has no score, and needs none
    again = coupled_paths(VP, plain, 2.5, 4, n=300_000, seed=10, scheme="ei")
    np.testing.assert_array_equal(again.first, paths.first)


# ---------------------------------------------------------------------- bits, memory, manners
@pytest.mark.parametrize("name", ["dense", "mixture", "skew"])
def test_bits_do_not_depend_on_threads_or_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s = setting(VP, TARGETS[name], 3.0, 50, scheme="ddpm")
    one = samples(s, 20_000, 3, threads=1)
    np.testing.assert_array_equal(samples(s, 20_000, 3, threads=2), one)
    chunk = 8192 // s.data.d  # chunks know nothing of each other
    np.testing.assert_array_equal(samples(s, 5_000, 3)[:chunk], one[:chunk])
    monkeypatch.setattr(plans, "_STEPS", 16)
    np.testing.assert_array_equal(samples(s, 20_000, 3, threads=2), one)
    assert not np.array_equal(samples(s, 20_000, 4), one)


def test_the_worst_bias_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    s = setting(VP, DENSE, 3.0, 50, score_bias=0.3)
    one = samples(s, 20_000, 3, bias="worst", threads=1)
    monkeypatch.setattr(plans, "_STEPS", 16)
    np.testing.assert_array_equal(samples(s, 20_000, 3, bias="worst", threads=2), one)


def test_an_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScorePlan, "parallel", True)

    broken = Opaque(DIAGONAL)
    broken.score = lambda x, alpha, sigma2: x[:1]
    with pytest.raises(BadInput, match="score = shape"):
        sample(VP, broken, 3.0, 5, n=20_000, threads=2)


def test_hypotheses_and_schemes_that_do_not_fit() -> None:
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        sample(VP, MIXTURE, 3.0, 5, n=10, score_bias=0.1, bias="worst")
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        coupled_exact(VP, LOGCOSH, 3.0, 5, n=10)
    heun = Scheme("two", "two", "ode", lambda b: SCHEMES["hf"].steps(b)._replace(corrector=b.t_lo), "none")
    with pytest.raises(BadInput, match="two stages"):
        sample(VP, DIAGONAL, 3.0, 5, n=10, scheme=heun)
    with pytest.raises(BadInput, match="must be even"):
        coupled_paths(VP, PAIR, grid=Grid.from_t([1.0, 0.6, 0.3, 0.0]), n=10)
    with pytest.raises(BadInput, match="overflow"):
        sample(VP, Opaque(DIAGONAL), 200.0, 200, n=10)
    assert sampling.sample is sample
