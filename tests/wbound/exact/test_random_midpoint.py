"""The randomised midpoint's law on Gaussians: its moments by quadrature over the times at 50 digits, its order, W2 itself."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import wbound
from numerics import Gaussian
from numerics.samplers.random_midpoint import RUNS, outputs
from numerics.studies.curves import bound_curve
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact import random_midpoint
from wbound.exact.random_midpoint import KINDS, law_of_random_midpoint, random_midpoint_law
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting

CLOCK = wbound.process("ve-constant", a=1.0)


def step(x: Any, before: Any, after: Any, u: Any, kind: str) -> tuple[Any, Any]:
    """What one step multiplies by, and the variance it injects, from its definition."""
    H, late = before - after, before - u * (before - after)
    pull = H if kind == "sde" else H / 2
    gain = 1 - pull / (x + late) * (1 - u * pull / (x + before))
    if kind == "ode":
        return gain, mp.mpf(0)
    return gain, u * H * (1 - H / (x + late)) ** 2 + (1 - u) * H


def averaged(x: Any, lam: list[Any], kind: str, v: Any) -> tuple[Any, Any]:
    """E y² and E of the product of the gains, over the times of all steps."""
    mean = mp.mpf(1)
    for before, after in zip(lam, lam[1:], strict=False):
        near = (x + before) / (before - after)  # 1/q: the integrand's pole, at u = 1/q >= 1
        points = [0, *(p for p in (1 - (near - 1), 0.5) if 0 < p < 1), 1]
        points = sorted({mp.mpf(p) for p in points})
        gains = mp.quad(lambda u: step(x, before, after, u, kind)[0] ** 2, points)
        noise = mp.quad(lambda u: step(x, before, after, u, kind)[1], points) if kind == "sde" else 0
        mean *= mp.quad(lambda u: step(x, before, after, u, kind)[0], points)
        v = gains * v + noise
    return v, mean


@pytest.mark.parametrize("kind", ["sde", "ode"])
def test_the_second_moment_at_fifty_digits(kind: str) -> None:
    """Fifty settings, twenty-five of each kind: spectra, grids, starts; and the flow's upper bound with it."""
    rng = np.random.default_rng(3)
    with mp.workdps(50):
        for _ in range(25):
            x = 10.0 ** rng.uniform(-2.0, 2.0)
            K = int(rng.integers(1, 4))
            lam = np.sort(x * 10.0 ** rng.uniform(-3.0, 1.5, K))[::-1]
            levels = [*lam, 0.0]
            start = str(rng.choice(["prior", "exact"]))
            got = random_midpoint_law(
                CLOCK, Gaussian([0.0], x), kind=kind, start=start, grid=Grid.from_lam(levels)
            )
            own = [
                mp.mpf(float(t)) for t in Grid.from_lam(levels).nodes(CLOCK, Gaussian([0.0], x), None, None).t
            ]
            begun = own[0] + (mp.mpf(x) if start == "exact" else 0)
            v, mean = averaged(mp.mpf(x), own, kind, begun)
            assert got.second_moment[0] == pytest.approx(float(v), rel=1e-12)
            assert got.low == pytest.approx(float(abs(mp.sqrt(v) - mp.sqrt(x))), rel=1e-7, abs=1e-12 * x**0.5)
            if kind == "ode":
                high = mp.sqrt(v - 2 * mean * mp.sqrt(begun * x) + mp.mpf(x))
                assert got.high == pytest.approx(float(high), rel=1e-7, abs=1e-12 * x**0.5)


@pytest.mark.parametrize("q", [1e-9, 1e-3, 0.2, 0.4999999, 0.5, 0.7, 0.99, 1.0 - 2.0**-20])
def test_moments_over_a_time_do_not_cancel(q: float) -> None:
    """The noise's defect and variance, the flow's factor and its variance, by quadrature in s = −log(1 − uq)."""
    with mp.workdps(50):
        Q = mp.mpf(q)
        end = -mp.log(1 - Q)

        def mean(of: Any) -> Any:
            cuts = [end * k / 8 for k in range(9)]
            return mp.quad(lambda s: of((1 - mp.exp(-s)) / Q, mp.exp(s)) * mp.exp(-s) / Q, cuts)

        def n(u: Any, z: Any) -> Any:
            return u * (1 - Q * z) ** 2 + 1 - u

        def r(u: Any, z: Any) -> Any:
            return 1 - Q / 2 * (1 - u * Q / 2) * z

        defect, first = mean(n) - (1 - Q), mean(r)
        noise, spread = (mean(lambda u, z, of=of: of(u, z) ** 2) - mean(of) ** 2 for of in (n, r))
        at = np.array([q]), np.array([1.0 - q])
        assert random_midpoint._noise_defect(*at)[0] == pytest.approx(float(defect), rel=1e-12)
        assert random_midpoint._noise_variance(*at)[0] == pytest.approx(float(noise), rel=1e-9)
        got = random_midpoint._flow_moments(*at)
        assert got[0][0] == pytest.approx(float(first), rel=1e-13)
        assert got[1][0] == pytest.approx(float(spread / first**2), rel=1e-9)


def test_the_bounds_of_w2() -> None:
    """low and high of two steps in two directions, from each start, by sums over a product rule in u, one and two."""
    u, w = np.polynomial.legendre.leggauss(40)
    u, w = 0.5 * (u + 1.0), 0.5 * w
    variances, lam = np.array([0.7, 2.0]), [3.0, 0.8, 0.0]
    both = np.outer(w, w)
    p = wbound.process("ou", theta=0.5, sigma=1.0)
    for kind in ("sde", "ode"):
        for start, begun in (("prior", [3.0, 3.0]), ("exact", [3.7, 5.0]), ("standard", [4.0, 4.0])):
            # the standard start of this process is N(0, I) in x: 1/α² = 1 + λ(T)
            got = random_midpoint_law(
                p, Gaussian(np.zeros(2), variances), kind=kind, start=start, grid=Grid.from_lam(lam)
            )
            low = high = 0.0
            for i, x in enumerate(variances):
                one, two = (
                    [step(float(x), a, b, float(v), kind) for v in u]
                    for a, b in zip(lam, lam[1:], strict=False)
                )
                (r1, n1), (r2, n2) = (np.array(m, float).T for m in (one, two))
                gain = np.outer(r1, r2)
                given = gain**2 * begun[i] + n1[:, None] * r2**2 + n2
                m = float((both * given).sum())
                assert got.second_moment[i] == pytest.approx(m, rel=1e-10)
                low += (math.sqrt(m) - math.sqrt(x)) ** 2
                if kind == "ode":
                    high += float((both * (gain * math.sqrt(begun[i]) - math.sqrt(x)) ** 2).sum())
                else:
                    spread = float((both * (given - m) ** 2).sum())
                    first = (math.sqrt(m) - math.sqrt(x)) ** 2 + math.sqrt(x) * spread / m**1.5
                    high += min(first, float((both * (given - x) ** 2).sum()) / x)
            assert got.low == pytest.approx(math.sqrt(low), rel=1e-7)
            assert got.high == pytest.approx(math.sqrt(high), rel=1e-7)


@pytest.mark.parametrize("kind", ["sde", "ode"])
def test_the_order(kind: str) -> None:
    """Two, in the second moment; the upper bound of W2 falls like K^{−3/2}."""
    law = Gaussian(np.zeros(3), np.array([2.0, 1.0, 0.3]))
    found = [
        random_midpoint_law(
            wbound.process("ou", theta=1.0, sigma=1.4), law, 3.0, K, kind=kind, start="exact", grid="log-lam"
        )
        for K in (512, 2048)
    ]
    for attribute, order in (("low", 2.0), ("high", 1.5)):
        slope = math.log(getattr(found[0], attribute) / getattr(found[1], attribute)) / math.log(4.0)
        assert slope == pytest.approx(order, abs=0.06)


@pytest.mark.parametrize("kind", ["sde", "ode"])
@pytest.mark.parametrize(("x", "lam"), [(1.0, 0.5), (0.3, 2.0), (4.0, 1.0)])
def test_w2_of_one_step_lies_between(kind: str, x: float, lam: float) -> None:
    """W2 of the mixture on the line through its distribution function."""
    got = random_midpoint_law(
        CLOCK, Gaussian([0.0], x), kind=kind, start="exact", grid=Grid.from_lam([lam, 0.0])
    )
    u, w = np.polynomial.legendre.leggauss(60)
    u, w = 0.5 * (u + 1.0), 0.5 * w
    moves = [step(x, lam, 0.0, v, kind) for v in u]
    widths = np.sqrt([float(g) ** 2 * (x + lam) + float(n) for g, n in moves])

    def density(y: float) -> float:
        return float(w @ (norm.pdf(y / widths) / widths))

    def moved(y: float) -> float:
        return (y - math.sqrt(x) * norm.ppf(float(w @ norm.cdf(y / widths)))) ** 2 * density(y)

    ends = 7.5 * float(widths.max())
    exact = math.sqrt(2.0 * quad(moved, -ends, 0.0, epsabs=1e-12, limit=200)[0])
    assert got.low * (1 - 1e-6) <= exact <= got.high * (1 + 1e-6)


def sampled(
    process: wbound.Process,
    target: Any,
    T: float,
    K: int,
    n: int = 100,
    *,
    kind: str = "sde",
    seed: int = 0,
    runs: int = RUNS,
    **how: str,
) -> np.ndarray:
    """n outputs of the scheme with the exact score."""
    s = setting(process, target, T, K, scheme=KINDS[kind], **how)
    return outputs(s, n, np.random.Generator(np.random.SFC64(seed)), runs)


@pytest.mark.parametrize("kind", ["sde", "ode"])
@pytest.mark.parametrize("start", ["prior", "exact", "standard"])
def test_the_sampler_has_this_law(kind: str, start: str) -> None:
    """Its second moments, six deviations wide: runs are independent, outputs of one run are not."""
    p, law = wbound.process("vp-linear", a=1.0, b=0.5), Gaussian(np.zeros(2), np.array([0.4, 2.0]))
    runs, each = 400, 200
    want = random_midpoint_law(p, law, 2.0, 6, kind=kind, start=start).second_moment
    y = sampled(p, law, 2.0, 6, runs * each, kind=kind, start=start, runs=runs, seed=5)
    by_run = (y**2).reshape(runs, each, 2).mean(axis=1)
    off = (by_run.mean(axis=0) - want) / (by_run.std(axis=0, ddof=1) / math.sqrt(runs))
    assert np.abs(off).max() < 6.0
    again = sampled(p, law, 2.0, 6, 10, kind=kind, start=start, seed=5)
    assert (
        again.shape == (10, 2)
        and (again == sampled(p, law, 2.0, 6, 10, kind=kind, start=start, seed=5)).all()
    )


def test_any_target_with_a_score() -> None:
    """On a mixture the randomised midpoint of the SDE is near the data's own second moment, nearer than hf."""
    from numerics import SymmetricMixture, sample

    target, p = SymmetricMixture(0.8, 1.0), wbound.process("ou", theta=1.0, sigma=1.4)
    where: dict[str, Any] = {"T": 3.0, "K": 12, "n": 40_000, "start": "exact", "seed": 1}
    mine = sampled(p, target, grid="log-lam", runs=400, **where)
    theirs = sample(p, target, scheme="hf", grid="log-lam", **where)
    mine, theirs = (abs(float((y**2).mean()) - 1.64) for y in (mine, theirs))
    assert mine < 0.5 * theirs


@pytest.mark.parametrize(("name", "kind"), [("random-midpoint", "sde"), ("ode-random-midpoint", "ode")])
def test_it_is_a_scheme_by_name(name: str, kind: str) -> None:
    """Sampled and drawn along K; no bound, no exact law and no tape; two calls a step."""
    p, law = wbound.process("ou", theta=1.0, sigma=1.4), Gaussian(np.zeros(2), np.array([0.4, 2.0]))
    s = wbound.setting(p, law, 3.0, 8, scheme=name)
    assert s.scheme is wbound.RANDOM_TIMES[name] and s.scheme.calls(8) == 16 and s.scheme.steps_of(17) == 8
    assert s.scheme.order == 1.5
    y = wbound.sample(p, law, 3.0, 8, 600, scheme=name, seed=3)
    assert y.shape == (600, 2) and (y == wbound.sample(p, law, 3.0, 8, 600, scheme=name, seed=3)).all()
    curve = bound_curve(p, law, [4, 8, 16], T=3.0, scheme=name, start="exact", n=400)
    want = [random_midpoint_law(p, law, 3.0, K, kind=kind, start="exact") for K in (4, 8, 16)]
    for key, values in (("at_least", [w.low for w in want]), ("at_most", [w.high for w in want])):
        line = curve.line(key)
        assert line is not None and line.values == pytest.approx(values, rel=1e-12) and not line.start.any()
    assert curve.line("exact") is None and not any(key.startswith("theorem") for key in curve.columns())
    assert curve.line("samples") is not None
    for refused in (
        lambda: wbound.w2_bound(p, law, 3.0, 8, scheme=name),
        lambda: wbound.exact_w2(p, law, 3.0, 8, scheme=name),
        lambda: wbound.tape_of(s),
        lambda: wbound.iterations(p, law, eps=0.1, scheme=name),
        lambda: wbound.verify(p, law, 3.0, 8, scheme=name),
    ):
        with pytest.raises(HypothesisFailed, match="levels that are not random"):
            refused()
    with pytest.raises(BadInput, match="exact score"):
        wbound.sample(p, law, 3.0, 8, 10, scheme=name, score_bias=0.1)
    with pytest.raises(HypothesisFailed, match="an exact score"):
        law_of_random_midpoint(wbound.setting(p, law, 3.0, 8, scheme=name, score_noise=0.1))
    with pytest.raises(HypothesisFailed, match="scheme = em"):
        law_of_random_midpoint(wbound.setting(p, law, 3.0, 8, scheme="em"))


def test_stopped_early_and_refusals() -> None:
    law = Gaussian(np.zeros(2), np.array([0.0, 1.0]))
    early = random_midpoint_law(CLOCK, law, 3.0, 200, start="exact", grid=Grid.uniform(delta=0.1))
    assert early.second_moment == pytest.approx([0.1, 1.1], rel=2e-2) and early.low <= early.high
    with pytest.raises(HypothesisFailed, match="eigenvalue is 0"):
        random_midpoint_law(CLOCK, law, 3.0, 20)
    with pytest.raises(HypothesisFailed, match="mean is not 0"):
        random_midpoint_law(CLOCK, Gaussian([1.0], 1.0), 3.0, 20)
    with pytest.raises(HypothesisFailed, match="overflows"):
        random_midpoint_law(wbound.process("vp-linear"), Gaussian([0.0], 1.0), 60.0, 20)
    with pytest.raises(BadInput, match="kind"):
        random_midpoint_law(CLOCK, Gaussian([0.0], 1.0), 3.0, 20, kind="pde")
    with pytest.raises(BadInput, match="must have a method"):
        sampled(CLOCK, wbound.LogConcave(1, 1.0, 1.0, 1.0), 3.0, 20)
