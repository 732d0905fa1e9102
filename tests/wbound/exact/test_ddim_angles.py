"""Section 16: `ddim`'s floor (Eq. 17), the tangent law, and the scalar that is its error on a geometric grid (Eq. 18)."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.ddim_angles import ddim_floor, ddim_iterations
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.levels import geometric_error, geometric_step
from wbound.sampler.multistep import MULTISTEP, ddim
from wbound.sampler.tangent_law import tangent_density, tangent_error, tangent_sigmas

INFLATED, SHIFTED = (MULTISTEP[name].tape for name in ("ddim-inflated", "ddim-shifted"))


def plain_w2(sigma: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`ddim`'s W2 from the exact start, step by step with the denoiser: sigma (…, K+1), x (E,)."""
    size = np.sqrt(x + sigma[..., :1] ** 2)  # (…, E)
    for k in range(sigma.shape[-1] - 1):
        hi, lo = sigma[..., k, None], sigma[..., k + 1, None]
        kept = lo / hi
        size = size * (kept + (1.0 - kept) * x / (x + hi**2))
    return np.sqrt(((size - np.sqrt(x)) ** 2).sum(axis=-1))


def test_no_grid_is_below_the_floor(record_property: Callable[[str, object], None]) -> None:
    """Eq. 17 over 10,000 random grids (100 × as many in the deep run), isotropic and not."""
    rng = np.random.default_rng(0)
    smallest, n = math.inf, 100 * settings.default.max_examples // 50
    for _ in range(50):
        K, E = int(rng.integers(1, 30)), int(rng.choice([1, 1, 3]))
        x = 10.0 ** rng.uniform(-3, 3, E)
        high = 10.0 ** rng.uniform(-2, 4)
        kind = rng.uniform()
        if kind < 0.3:
            inner = 10.0 ** rng.uniform(-4, 0, (n, K - 1))
        elif kind < 0.6:
            inner = rng.uniform(0, 1, (n, K - 1)) ** rng.uniform(0.2, 5)
        else:  # near the best
            best = tangent_sigmas(K, x, high**2)[1:-1] / high
            inner = np.clip(
                best * np.exp(10.0 ** rng.uniform(-4, 0) * rng.standard_normal((n, K - 1))), 1e-12, 1.0
            )
        inner = -np.sort(-inner, axis=1)
        sigma = high * np.hstack((np.ones((n, 1)), inner, np.zeros((n, 1))))
        floor = ddim_floor(K, x, high**2)
        ratio = float(plain_w2(sigma, x).min() / floor)
        smallest = min(smallest, ratio)
        assert ratio >= 1.0 - 1e-11, (K, x, high)
    assert smallest < 1.001
    record_property("smallest ratio", f"Eq. 17: {smallest:.12g}")


def test_a_floor_one_per_cent_higher_is_refuted() -> None:
    sigma = tangent_sigmas(9, [2.0], 1e4)
    assert plain_w2(sigma, np.array([2.0])) < 1.01 * ddim_floor(9, [2.0], 1e4)


@pytest.mark.parametrize("K", [1, 2, 7, 60])
def test_the_tangent_grid_reaches_it(K: int) -> None:
    """Equality to 1e-12, by the toolkit's exact law from the exact start."""
    p = wbound.process("ve-constant")
    for s2, T in ((1.0, 1e4), (3.7, 0.5), (0.01, 1e6)):
        sigma = tangent_sigmas(K, [s2], T)
        s = wbound.setting(
            p,
            Gaussian(np.zeros(2), np.full(2, s2)),
            scheme="ddim",
            start="exact",
            grid=wbound.Grid.from_sigma(sigma),
        )
        assert float(EXACT_LAW(s)) == pytest.approx(
            ddim_floor(K, [s2, s2], sigma[0] ** 2), rel=1e-12, abs=1e-15
        )


@settings(max_examples=2 * settings.default.max_examples)
@given(
    log_u=st.floats(-12.0, -0.001),
    log_ratio=st.one_of(st.none(), st.floats(-3.0, 8.0)),
    d=st.integers(1, 1000),
    log_sigma=st.floats(-3.0, 3.0),
)
def test_iterations_are_the_least_that_are_enough(
    log_u: float, log_ratio: float | None, d: int, log_sigma: float
) -> None:
    """The integer is the first at which the floor is below ε, and the closed form is necessary."""
    sigma0, u = 10.0**log_sigma, 10.0**log_u
    lam = None if log_ratio is None else (sigma0 * 10.0**log_ratio) ** 2
    found = ddim_iterations(d, sigma0, u * sigma0 * math.sqrt(d), lam)

    def lost(K: int) -> mp.mpf:
        angle = mp.pi / 2 if lam is None else mp.atan(mp.sqrt(mp.mpf(lam)) / sigma0)
        return 1 - mp.exp(K * mp.log(mp.cos(angle / K)))

    with mp.workdps(40):
        assert lost(found.steps) <= u * (1 + 1e-9)
        assert found.steps == 1 or lost(found.steps - 1) >= u * (1 - 1e-9)
    assert found.steps >= found.K * (1 - 1e-12) and found.u == pytest.approx(u)


@pytest.mark.parametrize("lam", [None, 0.3, 1e5])
def test_what_the_count_says_of_itself(lam: float | None) -> None:
    """Θ, u and the closed form by the docstring; the steps by counting up."""
    for d, sigma0, eps in ((4, 1.5, 0.3), (9, 0.2, 0.004), (1, 3.0, 2.9), (16, 1.0, 4.5)):
        found = ddim_iterations(d, sigma0, eps, lam)
        angle = math.pi / 2 if lam is None else math.acos(sigma0 / math.sqrt(sigma0**2 + lam))
        u = eps / (sigma0 * math.sqrt(d))
        assert (found.angle, found.u) == pytest.approx((angle, u), rel=1e-12)
        closed = angle**2 / (2.0 * math.log(1.0 / (1.0 - u))) if u < 1.0 else 0.0
        least = next(K for K in range(1, 10_000) if 1.0 - math.cos(angle / K) ** K <= u)
        assert found.K == pytest.approx(closed, rel=1e-12) and found.steps == least
        assert ddim_floor(least, np.full(d, sigma0**2), lam) <= eps


def test_the_floor_of_a_spectrum_is_each_eigenvalues() -> None:
    x = [0.0, 0.3, 5.0, 0.3]
    for lam in (None, 2.0):
        each = [ddim_floor(4, [v], lam) for v in x]
        angle = [math.pi / 2 if lam is None or not v else math.atan(math.sqrt(lam / v)) for v in x]
        assert each == pytest.approx(
            [math.sqrt(v) * (1.0 - math.cos(a / 4) ** 4) for v, a in zip(x, angle, strict=True)]
        )
        assert ddim_floor(4, x, lam) == pytest.approx(math.hypot(*each), rel=1e-13)


def test_figures() -> None:
    """Section 16: 1.234 as ε → 0, false at finite ε; the cosine grid; three eigenvalues."""
    p, one = wbound.process("ve-constant"), Gaussian(np.zeros(1), 1.0)
    for T in (1e2, 1e6):
        for K, most in ((5, 0.0012), (20, 0.0012), (1000, 0.013)):
            s = wbound.setting(p, one, T, K, scheme="ddim", start="exact", grid="cosine")
            assert 1.0 <= float(EXACT_LAW(s)) / ddim_floor(K, [1.0], T) < 1.0 + most
    assert ddim_iterations(1, 1.0, 1e-9).steps * 1e-9 == pytest.approx(math.pi**2 / 8, rel=1e-6)
    assert ddim_floor(20, [1.0]) == pytest.approx(0.05988, abs=5e-6) and math.pi**2 / 8 / 0.05988 > 20.6
    x = np.array([4.0, 1.0, 0.1])
    for K, exact, leading in ((20, 0.14185, 0.14657), (80, 0.036332, 0.036641), (320, 0.0091407, 0.0091604)):
        assert plain_w2(tangent_sigmas(K, x, 6400.0), x) == pytest.approx(exact, rel=5e-5)
        spent = tangent_density(x, 6400.0)[2]
        assert math.sqrt(float((np.sort(x) * spent**2).sum())) / (2 * K) == pytest.approx(leading, rel=5e-5)


def test_the_tangent_density_by_adaptive_quadrature() -> None:
    """I_i > 0 solves its own equation, and the share of the nodes below σ is ∫√W, both to 1e-9; at both ends too."""
    x, n, top = np.array([0.1, 1.0, 4.0]), np.array([2.0, 1.0, 3.0]), 400.0
    sigma, share, spent = tangent_density(x, top, n)

    def root(s: float) -> float:
        return math.sqrt(float((n * x**2 * spent / (x + s * s) ** 2).sum()))

    whole = quad(root, 0.0, 20.0, epsrel=1e-12, limit=400)[0]
    for i in range(3):
        own = quad(lambda s, i=i: x[i] / (x[i] + s * s) ** 2 / root(s), 0.0, 20.0, epsrel=1e-12, limit=400)[0]
        assert spent[i] == pytest.approx(whole * own, rel=1e-9)
    for j in (1, 2, 3, 900, 2046, 2047):
        above = quad(root, sigma[j], 20.0, epsrel=1e-13, limit=400)[0] / whole
        below = quad(root, 0.0, sigma[j], epsrel=1e-13, limit=400)[0] / whole
        assert share[j] == pytest.approx(below, rel=1e-8) and 1.0 - share[j] == pytest.approx(
            above, rel=1e-7, abs=1e-12
        )


def test_the_tangent_laws_error_is_where_ddim_tends_to() -> None:
    """2K steps are half as far off it as K are; eigenvalues by their number."""
    x, counts, top = np.array([0.1, 1.0, 4.0]), [2, 1, 3], 900.0
    off = []
    for K in (2000, 4000):
        exact = float(plain_w2(tangent_sigmas(K, x, top, counts), np.repeat(x, counts)))
        off.append(exact / tangent_error(K, x, top, counts) - 1.0)
    assert abs(off[0]) < 1e-3 and off[1] == pytest.approx(off[0] / 2.0, rel=0.05)
    assert tangent_error(7, [2.0], 1e4) == pytest.approx(
        math.sqrt(2.0) * math.atan(100.0 / math.sqrt(2.0)) ** 2 / 14.0
    )


def test_the_tangent_law_is_the_best_for_a_spectrum() -> None:
    """No grid found by an optimiser is better than the tangent law by more than O(1/K), and other named ones are worse."""
    x = np.array([4.0, 1.0, 0.1])
    gaps = []
    for K in (8, 32):
        mine = float(plain_w2(tangent_sigmas(K, x, 6400.0), x))

        def w2(logs: np.ndarray) -> float:
            return float(plain_w2(np.concatenate(([80.0], np.exp(logs), [0.0])), x))

        best = minimize(w2, np.log(tangent_sigmas(K, x, 6400.0)[1:-1]), method="BFGS").fun
        gaps.append(mine / best - 1.0)
    assert 0.0 <= gaps[1] < 0.3 * gaps[0] < 0.01
    for wrong in (np.append(np.geomspace(80.0, 0.05, 32), 0.0), 80.0 * (1 - np.arange(33) / 32) ** 7):
        assert plain_w2(wrong, x) > mine


@settings(max_examples=settings.default.max_examples // 2)
@given(logs=st.lists(st.floats(-6.0, 6.0), min_size=1, max_size=8), log_high=st.floats(-3.0, 6.0))
def test_the_density_is_stationary(logs: list[float], log_high: float) -> None:
    """ρ ∝ √W with its own I_i, by quadrature that knows nothing of the code's; the share is 1 at λ_max."""
    x = np.unique(10.0 ** np.array(logs))
    sigma, share, spent = tangent_density(x, 10.0 ** (2 * log_high))
    assert share[0] == 0.0 and share[-1] == pytest.approx(1.0) and (np.diff(share) > 0.0).all()
    assert sigma[-1] == pytest.approx(10.0**log_high, rel=1e-9)
    middle, step = 0.5 * (sigma[1:] + sigma[:-1]), np.diff(sigma)
    W = np.sqrt(((x**2 * spent)[:, None] / (x[:, None] + middle**2) ** 2).sum(axis=0))
    again = (W @ step) * ((x[:, None] / (x[:, None] + middle**2) ** 2) @ (step / W))
    assert again == pytest.approx(spent, rel=1e-3)
    assert np.diff(share) == pytest.approx(W * step / (W @ step), rel=0.02, abs=1e-6)


# ---------------------------------------------------------------------- geometric grids


@settings(max_examples=4 * settings.default.max_examples)
@given(
    log_h=st.floats(-1.5, 1.3),
    K=st.integers(1, 40),
    log_high=st.floats(-3.0, 6.0),
    to_zero=st.booleans(),
    log_x=st.lists(st.floats(-6.0, 8.0), min_size=1, max_size=8),
)
def test_equation_18(log_h: float, K: int, log_high: float, to_zero: bool, log_x: list[float]) -> None:
    h = 10.0**log_h
    assume(h * K < 650.0)  # else the last level is no double
    levels = 10.0**log_high * np.exp(-h * np.arange(K + 1))
    levels = np.append(levels, 0.0) if to_zero else levels
    x = 10.0 ** np.array(log_x)
    log_r = 0.5 * np.log(tape_law(INFLATED(levels), x).variance / x)  # the scalar h/8 is in the start
    allowed = geometric_error(levels, x)
    assert (np.abs(log_r) <= allowed * (1 + 1e-9) + 1e-12).all()


def test_levels_whose_ratio_is_no_double() -> None:
    levels = 1e3 * np.exp(-19.1 * np.arange(36))
    assert geometric_step(levels)[0] == pytest.approx(19.1, rel=1e-12)
    wide = np.append(np.exp(355.0 - 71.0 * np.arange(11)), 0.0)  # from e^355 to e^-355
    assert geometric_step(wide) == (pytest.approx(71.0, rel=1e-12), True)


def test_equation_18_is_attained_at_its_ends() -> None:
    """Far from the other end its end terms are the error, to a few per cent."""
    levels = 1e4 * np.exp(-1.0 * np.arange(60))
    for grid in (levels, np.append(levels, 0.0)):
        x = np.array([1e4 * 0.01, levels[-1] * 100.0])
        log_r = 0.5 * np.log(tape_law(INFLATED(grid), x).variance / x)
        assert np.abs(log_r) == pytest.approx(geometric_error(grid, x), rel=0.02)


@pytest.mark.parametrize("h", [1.0, 2.0, 3.0, 4.0])
def test_the_ripple(h: float) -> None:
    """2/sinh(2π²/h) to 1 %, 0.81 of Eq. 18's first term."""
    levels = np.exp(h * np.arange(40.0, -41.0, -1.0))
    x = np.exp(np.linspace(0.0, h, 401))
    with mp.workdps(40):
        off = [
            sum(
                mp.log((mp.mpf(v) + mp.exp(-mp.mpf(h) / 2) * lam) / (mp.mpf(v) + lam))
                for lam in map(mp.mpf, levels[:-1])
            )
            + (mp.log(mp.mpf(levels[0])) - mp.log(mp.mpf(v))) / 2
            + mp.mpf(h) / 8
            for v in x[::20]
        ]
        size = float(max(abs(o) for o in off))
    ripple = 2.0 / math.sinh(2.0 * math.pi**2 / h)
    assert size == pytest.approx(ripple, rel=0.01)
    for grid in (levels, np.append(levels, 0.0)):
        assert geometric_error(grid, [1.0])[0] == pytest.approx(ripple * math.pi**2 / 8, rel=0.02)


def test_the_inflated_start() -> None:
    """κ = 10⁴, K = 10 with the last step to 0: 1.2992e-3 where plain ddim's best geometric range has 0.199."""
    x = np.geomspace(1.0, 1e4, 400)

    def worst(ends: np.ndarray, factor: float) -> float:
        levels = np.append(np.exp(np.linspace(ends[0], ends[1], 10)), 0.0)
        h = geometric_step(levels)[0]
        return float(
            np.abs(np.sqrt(tape_law(INFLATED(levels), x).variance / x) * math.exp(factor * h) - 1.0).max()
        )

    inflated = minimize(
        worst, [15.6, -6.4], args=(0.0,), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}
    )
    plain = minimize(worst, [11.7, -2.4], args=(-0.125,), method="Nelder-Mead")
    assert inflated.fun == pytest.approx(1.2992e-3, rel=1e-3) and plain.fun == pytest.approx(0.199, rel=5e-3)


def test_shifted_is_of_second_order() -> None:
    """From the exact start, 80 → 0.002, x = 1: .0646 → .00027 where plain has .233 → .0164; slopes 2 and 1."""
    out = {}
    for K in (10, 20, 40, 80, 160):
        levels = np.geomspace(6400.0, 4e-6, K + 1)
        tape = SHIFTED(levels)
        assert tape.own_levels is not None and (tape.levels < tape.own_levels).all()
        law = tape_law(tape, [1.0], start="exact")
        plain = tape_law(ddim(0.0).tape(levels), [1.0], start="exact")
        end = math.sqrt(1.0 + levels[-1])
        out[K] = (abs(math.sqrt(law.variance[0]) - end), abs(math.sqrt(plain.variance[0]) - end))
    assert out[10] == pytest.approx((0.0646, 0.233), rel=5e-3) and out[160] == pytest.approx(
        (0.00027, 0.0164), rel=0.02
    )
    slopes = [math.log2(out[80][i] / out[160][i]) for i in (0, 1)]
    assert slopes[0] == pytest.approx(2.0, abs=0.1) and slopes[1] == pytest.approx(1.0, abs=0.1)


def mixture_w2(
    weights: list[float], centres: list[float], widths: list[float], levels: np.ndarray, wider: float
) -> float:
    """`ddim`'s W2 from N(mean, wider² λ_0) to a mixture on the line with its exact denoiser, by quantiles."""
    q = (np.arange(4000) + 0.5) / 4000
    parts = list(zip(weights, centres, widths, strict=True))
    line = np.linspace(-6.0, 6.0, 24001)
    truth = np.interp(q, sum(p * ndtr((line - m) / s) for p, m, s in parts), line)
    y = sum(p * m for p, m, _ in parts) + ndtri(q) * math.sqrt(levels[0]) * wider
    for hi, lo in zip(levels[:-1], levels[1:], strict=True):
        log_p = np.array(
            [math.log(p / math.sqrt(s**2 + hi)) - (y - m) ** 2 / (2.0 * (s**2 + hi)) for p, m, s in parts]
        )
        share = np.exp(log_p - log_p.max(axis=0))
        own = np.array([(s**2 * y + hi * m) / (s**2 + hi) for _, m, s in parts])
        kept = math.sqrt(lo / hi)
        y = kept * y + (1.0 - kept) * (share * own).sum(axis=0) / share.sum(axis=0)
    return math.sqrt(float(((np.sort(y) - truth) ** 2).mean()))


def test_the_inflated_start_beyond_gaussians() -> None:
    """Nothing is claimed there: on N(±1, 0.3²) it helps, on a lopsided mixture W2 is 1.8 times as large."""
    both = ([0.5, 0.5], [-1.0, 1.0], [0.3, 0.3], 20.0), ([0.38, 0.62], [1.16, -1.63], [0.23, 0.06], 47.0)
    ratios = []
    for *mixture, high in both:
        levels = np.append(np.geomspace(high**2, 0.03**2, 20), 0.0)
        wider = math.exp(geometric_step(levels)[0] / 8.0)
        ratios.append(mixture_w2(*mixture, levels, wider) / mixture_w2(*mixture, levels, 1.0))
    assert ratios[0] == pytest.approx(0.56, abs=0.02) and ratios[1] == pytest.approx(1.84, abs=0.06)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: ddim_floor(0, [1.0]), "K"),
        (lambda: ddim_floor(3, [-1.0]), "variances"),
        (lambda: ddim_floor(3, []), "variances"),
        (lambda: ddim_floor(3, [1.0], 0.0), "lam_max"),
        (lambda: ddim_iterations(1, 0.0, 0.1), "sigma0"),
        (lambda: ddim_iterations(1, 1.0, 0.0), "eps"),
        (lambda: ddim_iterations(1, 1.0, 1e-17), "eps"),
        (lambda: INFLATED([4.0, 2.0, 0.5]), "levels"),
        (lambda: INFLATED([4.0, 0.0]), "levels"),
        (lambda: SHIFTED([1.0, 2.0]), "levels"),
        (lambda: SHIFTED([1.0]), "levels"),
        (lambda: geometric_error([4.0, 1.0], [0.0]), "variances"),
        (lambda: tangent_sigmas(0, [1.0], 1.0), "K"),
        (lambda: tangent_sigmas(2, [0.0], 1.0), "variances"),
        (lambda: tangent_sigmas(2, [1.0], 0.0), "lam_max"),
    ],
)
def test_refusals(call: Callable[[], object], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        call()
    assert caught.value.option == named
