"""The exact law of every scheme, and Proposition 1, against loops in x-units and outside figures."""

from __future__ import annotations

import math

import checks
import mpmath as mp
import numpy as np
import pytest
import referee
from checks import MEANS, SCHEMES, SPECTRUM

import wbound
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact import gaussian_law
from wbound.exact.floor import PROPOSITION_1, floor_w2
from wbound.exact.gaussian_law import defects, exact_w2, from_starts, law, remaining, start_defects
from wbound.sampler.grid import Grid
from wbound.sampler.steps import GridBatch, batch

Array = np.ndarray


@pytest.mark.parametrize("name", referee.ALL)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("start", ["prior", "exact"])
def test_the_recursion(name: str, scheme: str, start: str) -> None:
    checks.exact_is_the_plain_recursion(name, scheme, start)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_standard_start(scheme: str) -> None:
    for name in ("vp-linear", "sub-vp"):
        checks.exact_is_the_plain_recursion(name, scheme, "standard")


def test_figures_from_outside() -> None:
    checks.outside_figures()
    law = LogConcave(3, 0.5, 0.5, 6.0)
    assert exact_w2(wbound.process("ve-exponential"), law, 5.0, 50, scheme="hf") == pytest.approx(
        0.091872, abs=5e-7
    )
    one = Gaussian(0.0, 1.0)
    p = wbound.process("ou", theta=0.5, sigma=1.0)
    for K, value in ((100, 0.06067), (400, 0.02139), (1600, 0.00700)):
        assert exact_w2(p, one, 4.0, K, scheme="ddpm", start="exact") == pytest.approx(value, abs=6e-6)


def test_bures_from_outside() -> None:
    """N(1, I/2) to N(0, I), d = 10: 3.2951273687; W2 as `exact_w2` composes it from variances and means."""
    assert math.sqrt(10 * ((1 - math.sqrt(0.5)) ** 2 + 1.0)) == pytest.approx(3.2951273687, abs=5e-11)
    # an unmoving clock leaves the start where it is: λ(T) tiny, start N(0, I) against N(1, I/2)
    p = wbound.process("vp-linear", a=1e-8, b=1e-8)
    got = exact_w2(p, Gaussian(np.ones(10), 0.5), 1e-3, 1, scheme="hf", start="standard")
    assert got == pytest.approx(3.2951273687, abs=1e-8)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_against_particles(scheme: str) -> None:
    """The sampler itself, on a million particles in one dimension: mean and variance within 5 errors."""
    rng = np.random.default_rng(11)
    n, T, K, mean, variance = 1_000_000, 1.5, 4, 0.8, 0.4
    p = wbound.process("vp-linear")
    law = Gaussian(mean, variance)
    s = wbound.setting(p, law, T, K, scheme=scheme)
    steps, b = s.scheme.steps(s.nodes.batch), s.nodes.batch
    y = rng.standard_normal(n) * math.sqrt(float(p.sigma2(T)))
    for k in range(K):
        w = float(b.sigma2_hi[k] + np.exp(2 * b.log_alpha_hi[k]) * variance)
        score = -(y - math.exp(b.log_alpha_hi[k]) * mean) / w
        y = steps.A[k] * y + steps.C[k] * score + math.sqrt(steps.Q[k]) * rng.standard_normal(n)
    w2 = math.hypot(y.mean() - mean, y.std() - math.sqrt(variance))
    slack = 5 * y.std() * math.sqrt(1.5 / n)
    assert exact_w2(p, law, T, K, scheme=scheme) == pytest.approx(w2, abs=slack)


def test_a_full_covariance_is_its_spectrum() -> None:
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    full = Gaussian(basis @ np.array(MEANS), (basis * SPECTRUM) @ basis.T)
    axes = Gaussian(np.array(MEANS), np.array(SPECTRUM))
    for scheme in SCHEMES:
        p = wbound.process("sub-vp")
        assert exact_w2(p, full, 2.0, 20, scheme=scheme) == pytest.approx(
            exact_w2(p, axes, 2.0, 20, scheme=scheme), rel=1e-11
        )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_singular_covariance(scheme: str) -> None:
    """A law on a subspace has an exact W2: zero eigenvalues by the same loop, finite and right."""
    p = referee.vp_linear()
    law = Gaussian(np.array([1.0, 0.0, 0.5]), np.array([0.0, 0.0, 2.0]))
    want = referee.exact_w2(p, referee.uniform(2.0, 9), (0.0, 0.0, 2.0), (1.0, 0.0, 0.5), scheme, "prior")
    assert exact_w2(p.made, law, 2.0, 9, scheme=scheme) == pytest.approx(want, rel=1e-10)
    point = Gaussian(np.array([1.0, 2.0]), 0.0)
    # ancestral sampling of a point ends in it exactly: the denoiser knows it
    left = exact_w2(p.made, point, 2.0, 50, scheme=scheme)
    assert left < 1e-12 if scheme == "ddpm" else 0.01 < left < 3.0


def test_many_dimensions_and_many_steps() -> None:
    """d = 4096 with all eigenvalues different; and blocks of steps against one block."""
    rng = np.random.default_rng(6)
    spectrum = np.exp(rng.standard_normal(4096))
    mean = rng.standard_normal(4096)
    p = wbound.process("vp-linear")
    whole = exact_w2(p, Gaussian(mean, spectrum), 4.0, 300, scheme="em")
    parts = [
        exact_w2(p, Gaussian(mean[i : i + 64], spectrum[i : i + 64]), 4.0, 300, scheme="em")
        for i in range(0, 4096, 64)
    ]
    assert whole == pytest.approx(math.sqrt(sum(v * v for v in parts)), rel=1e-10)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_long_grids_in_blocks(scheme: str) -> None:
    """100,000 steps by blocks against a plain float loop (which loses some digits)."""
    p, K, T = wbound.process("vp-linear"), 100_000, 3.0
    law = Gaussian(np.array([1.0, 0.2]), np.array([0.3, 2.0]))
    t = T * (1 - np.arange(K + 1) / K)
    s = wbound.setting(p, law, T, K, scheme=scheme)
    steps = s.scheme.steps(wbound.sampler.steps.batch(p, t[1:], t[:-1]))
    alpha, lam = p.alpha(t), p.lam(t)
    total = 0.0
    for v0, mu in zip(law.eigenvalues, law.mean, strict=True):
        w = alpha[:-1] ** 2 * (v0 + lam[:-1])
        v, m = float(p.sigma2(T)), 0.0
        for A, C, Q, wk, ak in zip(
            steps.A.tolist(), steps.C.tolist(), steps.Q.tolist(), w.tolist(), alpha.tolist(), strict=False
        ):
            m = A * m - C / wk * (m - ak * mu)
            v = (A - C / wk) ** 2 * v + Q
        total += (math.sqrt(v) - math.sqrt(v0)) ** 2 + (m - mu) ** 2
    assert exact_w2(p, law, T, K, scheme=scheme) == pytest.approx(math.sqrt(total), rel=1e-6)


@pytest.mark.parametrize("scheme", ["em", "ei", "hf"])
def test_the_fast_twin_of_the_defects(scheme: str) -> None:
    """In λ itself, for isotropic laws on tame grids: what the general formulas say of each step by itself."""
    wide, law = False, Gaussian(np.zeros(2), 1.5)
    fading = referee.user_fading
    for p, T, K in (
        (wbound.process("vp-linear"), 1.7, 6),
        (fading(2.0, 1.0, 1.0).made, 5.1, 12),
        (fading(1.0, 30.0, 20.0).made, 0.95, 1),
    ):
        s = wbound.setting(p, law, T, K, scheme=scheme)
        b, t = s.nodes.batch, s.nodes.t
        assert isinstance(b, GridBatch) and b.tame
        for V2 in (0.0, 0.3):
            got = defects(b, s.scheme, np.array([1.5]), 1.0 / 1.5, V2)
            want = defects(batch(p, t[1:], t[:-1]), s.scheme, np.array([1.5]), 1.0 / 1.5, V2)
            assert got.rho == pytest.approx(want.rho, rel=1e-11)
            assert np.broadcast_to(got.shift, (1, K)) == pytest.approx(np.broadcast_to(want.shift, (1, K)))
            log_r = 0.0 if got.log_r is None else got.log_r
            assert np.broadcast_to(log_r, (1, K)) == pytest.approx(want.log_r, rel=1e-11, abs=1e-15)
            signs = [np.broadcast_to(1.0 if d.sign is None else d.sign, (1, K)) for d in (got, want)]
            np.testing.assert_array_equal(*signs)
            wide |= bool((signs[0] < 0.0).any())
    assert wide == (scheme != "hf")


def test_blocks_of_an_isotropic_law() -> None:
    """Eq. 10 over three blocks of steps; and of a coordinate of which little is left, by a loop."""
    p, K = wbound.process("vp-linear"), 70_000
    lam = p.lam(np.linspace(2.0, 0.0, K + 1))
    w = 1.5 + lam
    for start, missing in (("exact", 0.0), ("prior", 1.5**3 / w[0] ** 2)):
        excess = 1.5**2 * float((np.diff(lam) ** 2 / (w[1:] ** 2 * w[:-1])).sum()) - missing
        want = abs(math.sqrt(1.5 + excess) - math.sqrt(1.5))
        law = Gaussian(np.zeros(1), 1.5)
        assert exact_w2(p, law, 2.0, K, scheme="hf", start=start) == pytest.approx(want, rel=1e-6)
    law, variances = Gaussian(np.zeros(2), np.array([90.0, 30.0])), (90.0, 30.0)
    for delta, steps in ((0.0, K), (1e-3, 40)):
        grid = Grid.uniform(delta=delta) if delta else "uniform"
        s = wbound.setting(p, law, 0.2, steps, scheme="hf", grid=grid)
        lam, squares = np.exp(s.nodes.log_lam), 0.0
        for own in variances:
            v = float(lam[0])
            for hi, lo in zip(lam[:-1].tolist(), lam[1:].tolist(), strict=True):
                v = v * ((own + lo) / (own + hi)) ** 2 + hi - lo
            assert v < 1.0
            squares += (math.sqrt(own) - math.sqrt(v)) ** 2
            (left,) = remaining(s, np.array([own]))
            assert left == pytest.approx(v, rel=1e-7)
        both = remaining(s, np.array(variances))
        assert np.square(np.sqrt(variances) - np.sqrt(both)).sum() == pytest.approx(squares, rel=1e-9)
        got = exact_w2(p, law, 0.2, steps, scheme="hf", grid=grid)
        assert got == pytest.approx(math.sqrt(squares), rel=1e-9)


def test_the_starts_defects() -> None:
    """v_0 − w_0 and the mean's error at the start, in units of α(1 + cλ)^power."""
    alpha, lam, c, v = 0.3, 5.0, 0.7, np.array([0.2, 3.0])
    sigma2 = alpha**2 * lam
    p = wbound.process("ou", theta=0.5, sigma=math.sqrt(sigma2 / (1.0 - alpha**2)))
    for power in (1.0, 0.5):
        unit = alpha * (1.0 + c * lam) ** power
        for start, v0, mean in (("prior", sigma2, -1.0), ("standard", 1.0, -1.0), ("exact", None, 0.0)):
            w0 = alpha**2 * v + sigma2
            missing, lost = start_defects(start, v, c, p, math.log(alpha), math.log(lam), power)
            want = np.zeros(2) if v0 is None else (v0 - w0) / unit**2
            assert missing == pytest.approx(want, rel=1e-12)
            assert lost == pytest.approx(mean * alpha / unit, rel=1e-12)


@pytest.mark.parametrize("start", ["prior", "exact"])
@pytest.mark.parametrize("delta", [0.0, 0.02])
def test_a_scheme_that_remembers(start: str, delta: float) -> None:
    """DDIM's η = 0 and 1, whose laws go by their tapes, are ddim and ddpm, whose laws go by their steps."""
    p, x = wbound.process("vp-linear"), np.array([0.3, 1.5, 40.0])
    grid = Grid.uniform(delta=delta) if delta else "uniform"
    for eta, plain in (("0", "ddim"), ("1", "ddpm")):
        by_tape, by_steps = (
            wbound.setting(p, Gaussian(0.0, 1.0), 1.7, 4, scheme=name, start=start, grid=grid)
            for name in (f"ddim(eta={eta})", plain)
        )
        got, want = law(by_tape, x), law(by_steps, x)
        assert got.excess == pytest.approx(want.excess, rel=1e-9) and (np.abs(want.excess) > 1e-3).all()
        assert got.mean == pytest.approx(want.mean, rel=1e-9, abs=1e-13)
        assert remaining(by_tape, x) == pytest.approx(x + want.excess, rel=1e-9)


def test_a_law_in_short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five blocks of steps are one: variances, means and what is left, also of hf, whose steps keep all of a distance."""
    p, x = wbound.process("vp-linear"), np.array([0.3, 1.5, 40.0])
    for scheme, of in (("em", x), ("ei", x[1:2]), ("hf", x[1:2]), ("ddpm", x), ("ddim", x)):
        s = wbound.setting(
            p, Gaussian(0.0, 1.0), 1.7, 300, scheme=scheme, score_noise=0.1 if scheme == "em" else 0.0
        )
        whole, left = law(s, of), remaining(s, of)
        with monkeypatch.context() as patch:
            patch.setattr(gaussian_law, "BLOCK", 1)
            parts = law(s, of)
            assert remaining(s, of) == pytest.approx(left, rel=1e-12)
        assert parts.excess == pytest.approx(whole.excess, rel=1e-11)
        assert parts.mean == pytest.approx(whole.mean, rel=1e-11)


def test_equality_is_zero() -> None:
    """The stationary law, started from itself: em keeps none, but as K grows the law is the data's."""
    p, law = wbound.process("vp-linear"), Gaussian(np.zeros(5), 1.0)
    assert exact_w2(p, law, 1.0, 10**5, scheme="hf", start="exact") < 1e-4
    start_only = exact_w2(p, law, 1e-9, 1, scheme="hf", start="exact")
    assert start_only < 1e-15


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sampler_that_stops_early(scheme: str) -> None:
    p = referee.vp_linear()
    times = [2.0, 1.2, 0.7, 0.2]
    early = Grid("early", "t", lambda request: np.array(times), True, 3)
    law = Gaussian(np.array(MEANS), np.array(SPECTRUM))
    total = mp.mpf(0)
    with mp.workdps(30):
        for v0, mu in zip(SPECTRUM, MEANS, strict=True):
            v, m = referee.start_law(p, mp.mpf(2), "prior", mp.mpf(v0), mp.mpf(mu))
            for s in referee.steps(p, times):
                A, C, Q = referee.coefficients(s, scheme)
                w = s.alpha_hi**2 * (v0 + s.lam_hi)
                m, v = A * m - C / w * (m - s.alpha_hi * mu), (A - C / w) ** 2 * v + Q
            a = p.alpha(mp.mpf("0.2"))
            total += (mp.sqrt(v) / a - mp.sqrt(v0)) ** 2 + (m / a - mu) ** 2
    got = exact_w2(p.made, law, grid=early, scheme=scheme)
    assert got == pytest.approx(float(mp.sqrt(total)), rel=1e-10)


# ---------------------------------------------------------------------- slopes


def slope(values: Array, Ks: Array) -> float:
    return float(-np.polyfit(np.log(Ks), np.log(values), 1)[0])


@pytest.mark.parametrize("name", wbound.PUBLISHED)
def test_slopes_in_K(name: str) -> None:
    """Where discretisation dominates (the exact start): exact W2 and Theorem 2 fall as K^{−1}, Theorem 1's
    discretisation as K^{−1/2}, ddpm as K^{−1} log K."""
    p = wbound.process(name)
    T = float(p.time_of(math.log(50.0)))
    law = Gaussian(np.zeros(10), np.linspace(0.5, 2.0, 10))
    Ks = np.array([2000, 4000, 8000, 16000])
    for scheme in ("em", "ei", "hf"):
        exact = [exact_w2(p, law, T, int(K), scheme=scheme, start="exact") for K in Ks]
        bound = [wbound.w2_bound(p, law, T, int(K), scheme=scheme, start="exact").total for K in Ks]
        assert slope(np.array(exact), Ks) == pytest.approx(1.0, abs=0.1)
        assert slope(np.array(bound), Ks) == pytest.approx(1.0, abs=0.1)
    # ddpm: K^{−1} log K; ve-sqrt's steps shrink towards λ = 0 and it has no logarithm
    one, Ks = Gaussian(np.zeros(10), 1.0), np.array([8000, 32_000, 128_000])
    log = np.ones(3) if name == "ve-sqrt" else np.log(Ks)
    exact = [exact_w2(p, one, T, int(K), scheme="ddpm", start="exact") for K in Ks]
    bound = [wbound.w2_bound(p, one, T, int(K), scheme="ddpm", start="exact").total for K in Ks]
    assert slope(np.array(exact) / log, Ks) == pytest.approx(1.0, abs=0.1)
    assert slope(np.array(bound) / log, Ks) == pytest.approx(1.0, abs=0.1)
    # a law wide enough that D outweighs the M_1 terms, which are of order 1/K
    wide = Gaussian(np.zeros(10), np.linspace(4.0, 6.0, 10))
    M1 = wide.M1(p, T)
    total = [wbound.w2_bound(p, wide, T, int(K), theorem="published", M1=M1, start="exact").total for K in Ks]
    assert slope(np.array(total), Ks) == pytest.approx(0.5, abs=0.1)


# ---------------------------------------------------------------------- Proposition 1


def test_equations_10_and_11() -> None:
    checks.equation_10()
    checks.proposition_1()


@pytest.mark.parametrize("name", wbound.CATALOGUE)
def test_the_floor_holds_for_every_process(name: str) -> None:
    """hf from p_T, any clock and grid: never below Eq. 11, and never fewer steps than Eq. 12 says."""
    rng = np.random.default_rng(9)
    p = wbound.process(name)
    for _ in range(20):
        lam_T = math.exp(rng.uniform(-3, 20))
        K, d, variance = (
            int(np.exp(rng.uniform(0, 7))),
            int(rng.integers(1, 50)),
            math.exp(rng.uniform(-3, 3)),
        )
        law = Gaussian(np.zeros(d), variance)
        T = float(p.time_of(math.log(lam_T)))
        inner = np.sort(rng.uniform(0, T, K - 1))[::-1]
        grid = Grid.from_t(np.concatenate(([T], inner, [0.0])))
        sigma0 = math.sqrt(variance)
        for value in (
            exact_w2(p, law, T, K, scheme="hf", start="exact"),
            exact_w2(p, law, grid=grid, scheme="hf", start="exact"),
        ):
            assert value >= floor_w2(K, d, sigma0, lam_T) * (1 - 1e-9)
            assert wbound.lower_bound(d, sigma0, value, lam_T).K <= K * (1 + 1e-9)
        s = wbound.setting(p, law, T, K, scheme="hf", start="exact")
        assert PROPOSITION_1(s) == pytest.approx(floor_w2(K, d, sigma0, lam_T), rel=1e-9)


def test_equation_12() -> None:
    d, sigma0, eps, lam_T = 7, 1.3, 0.05, 40.0
    u, varrho = eps / (sigma0 * math.sqrt(7)), sigma0 / math.sqrt(sigma0**2 + lam_T)
    want = 4 * (1 - varrho) ** 2 / (2 * u + u * u)
    got = wbound.lower_bound(d, sigma0, eps, lam_T)
    assert got.K == pytest.approx(want, rel=1e-13) and got.steps == math.ceil(want)
    assert (got.u, got.varrho, got.theta) == pytest.approx((u, varrho, 0.0), rel=1e-13)
    far = wbound.lower_bound(d, sigma0, eps)
    assert far.K == pytest.approx(4 / (2 * u + u * u), rel=1e-13)
    tiny = wbound.lower_bound(d, sigma0, 1e-9)
    assert tiny.K == pytest.approx(2 * sigma0 * math.sqrt(d) / 1e-9, rel=1e-6)
    theta = varrho**4 / (2 * u + u * u)
    prior = wbound.lower_bound(d, sigma0, eps, lam_T, start="prior", theta=theta * 1.000001)
    assert prior.K == pytest.approx(want / (1 + theta), rel=1e-5) and prior.theta == theta * 1.000001
    # the floor and the count are the same statement
    assert floor_w2(1000, d, sigma0, lam_T) == pytest.approx(_eps_of(1000, d, sigma0, varrho), rel=1e-10)


def _eps_of(K: float, d: int, sigma0: float, varrho: float) -> float:
    """ε at which Eq. 12 gives K: u = √(1+4(1−ϱ)²/K) − 1."""
    return sigma0 * math.sqrt(d) * (math.sqrt(1 + 4 * (1 - varrho) ** 2 / K) - 1)


def test_the_tuned_cancellation() -> None:
    """σ_0² = 2, K = 50, the grid uniform in w^{−1/2}: from the prior the exact W2 vanishes at λ(T) = 9.883060988,
    so the naive lower bound fails there; with the proviso it does not apply."""
    p, law = wbound.process("ve-constant"), Gaussian(np.zeros(1), 2.0)

    def w2(lam_T: float, start: str) -> float:
        edge = 1 / math.sqrt(2 + lam_T)
        w = (edge + np.arange(51) / 50 * (1 / math.sqrt(2.0) - edge)) ** -2
        return exact_w2(p, law, grid=Grid.from_lam(np.append(w[:-1] - 2.0, 0.0)), scheme="hf", start=start)

    at = 9.883060988
    assert w2(at, "prior") < 1e-9
    assert min(w2(at * 0.99, "prior"), w2(at * 1.01, "prior")) > 1e-5
    assert w2(at, "exact") >= floor_w2(50, 1, math.sqrt(2.0), at)
    with pytest.raises(HypothesisFailed, match=r"varrho\^4 <= theta"):
        wbound.lower_bound(1, math.sqrt(2.0), 1e-3, at, start="prior")
    # with the θ that the proviso asks for at a larger ε, the statement holds
    eps = 0.02
    width = 2 * eps / math.sqrt(2.0) + eps**2 / 2
    theta = (2 / (2 + at)) ** 2 / width
    need = wbound.lower_bound(1, math.sqrt(2.0), eps, at, start="prior", theta=theta * (1 + 1e-12)).K
    assert need <= 50


def test_em_crosses_zero_even_from_the_exact_start() -> None:
    """vp-linear, a = 1, b = ½, σ_0² = 2, K = 10: zero at T ≈ 2.8418, so em has no such floor."""
    p, law = wbound.process("vp-linear"), Gaussian(0.0, 2.0)
    values = [exact_w2(p, law, T, 10, scheme="em", start="exact") for T in (2.7, 2.8418, 3.0)]
    assert values[1] < 1e-4 < min(values[0], values[2]) / 5


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"scheme": "em"}, "Proposition 1 does not apply: scheme hf fails: scheme = em"),
        ({"start": "prior"}, "start exact fails: start = prior can cancel"),
        ({"data": Gaussian(np.array([0.0, 1.0]), 1.0)}, "not centred and isotropic"),
        ({"data": Gaussian(np.zeros(2), np.array([1.0, 2.0]))}, "not centred and isotropic"),
        ({"data": LogConcave(1, 1.0, 2.0, 0.7)}, "p_0 is not known to be Gaussian"),
    ],
)
def test_hypotheses_of_proposition_1(typed: dict[str, object], said: str) -> None:
    arguments = {"data": Gaussian(np.zeros(2), 1.0), "scheme": "hf", "start": "exact", **typed}
    s = wbound.setting(wbound.process("ou"), T=1.0, K=5, **arguments)  # type: ignore[arg-type]
    with pytest.raises(HypothesisFailed) as caught:
        PROPOSITION_1(s)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"d": 0}, "d = 0"),
        ({"sigma0": -1.0}, "sigma0 = -1.0: must be a finite number > 0"),
        ({"eps": 0.0}, "eps = 0.0: must be a finite number > 0"),
        ({"eps": float("nan")}, "eps = nan"),
        ({"lam_T": 0.0}, "lam_T = 0.0"),
        ({"start": "standard"}, "start = standard: must be one of exact, prior"),
        ({"theta": 0.5}, "theta = 0.5: is for start = prior"),
        ({"theta": -0.5, "start": "prior"}, "theta = -0.5"),
    ],
)
def test_bad_lower_bounds(typed: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        wbound.lower_bound(**{"d": 3, "sigma0": 1.0, "eps": 0.1, **typed})  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", ("em", "hf", "ddpm", "ddim", "dpmpp-2m"))
def test_the_starts_at_once(scheme: str) -> None:
    p, data, starts = wbound.process("vp-linear"), Gaussian(MEANS, SPECTRUM), ("prior", "exact", "standard")
    for T, start in ((3.0, "exact"), (0.2, "prior")):  # of the second little is left
        s = wbound.setting(p, data, T, 7, scheme=scheme, start=start)
        assert from_starts(s, starts) == [exact_w2(p, data, T=T, K=7, scheme=scheme, start=x) for x in starts]
    with pytest.raises(HypothesisFailed, match="p_0 is not known to be Gaussian"):
        from_starts(wbound.setting(p, LogConcave(1, 1.0, 2.0, 0.7), 1.0, 5), starts)


def test_what_has_no_exact_law() -> None:
    p = wbound.process("ou")
    with pytest.raises(HypothesisFailed, match="p_0 is not known to be Gaussian"):
        exact_w2(p, LogConcave(1, 1.0, 2.0, 0.7), 1.0, 5)
    from wbound.exact.gaussian_law import EXACT_LAW

    s = wbound.setting(p, Gaussian(0.0, 1.0), 1.0, 5, score_bias=0.1)
    with pytest.raises(HypothesisFailed, match="score_bias = 0.1 has no one law"):
        EXACT_LAW(s)
