"""Processes: the law of Eq. 2 and 3 and the integrals of a step, against formulas and mpmath's quadrature."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
import referee
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import wbound
from wbound.calculus.parser import symbol
from wbound.calculus.stable import expm1_minus, sinh_minus
from wbound.errors import BadInput
from wbound.forward import inverse_clock
from wbound.forward.catalogue import CATALOGUE

T = symbol("t")
TIMES = (1e-9, 1e-6, 1e-3, 0.1, 0.7, 2.0, 5.0, 8.0, 40.0)
EVERY = pytest.mark.parametrize("make", referee.ALL.values(), ids=referee.ALL)
NAMED = pytest.mark.parametrize("make", referee.NAMED.values(), ids=referee.NAMED)
Make = Callable[..., referee.Plain]


@pytest.mark.parametrize("name", wbound.CATALOGUE)
def test_the_identities_of_section_0_hold_symbolically(name: str) -> None:
    e = wbound.process(name).expr
    f, g, alpha, sigma2, lam, log_lam = map(sp.expand_func, (e.f, e.g, e.alpha, e.sigma2, e.lam, e.log_lam))
    assert sp.simplify(sp.diff(sigma2, T) - g**2 + 2 * f * sigma2) == 0
    assert sp.simplify(sp.diff(alpha, T) + f * alpha) == 0
    assert sp.simplify(sp.diff(lam, T) - g**2 / alpha**2) == 0
    assert sp.simplify(sigma2 - alpha**2 * lam) == 0
    assert sp.simplify(sp.exp(log_lam) - lam) == 0
    assert lam.subs(T, 0).simplify() == 0 and alpha.subs(T, 0).simplify() == 1


@EVERY
def test_the_law_at_any_time(make: Make) -> None:
    """From 1e-9 to 40, where λ has long overflowed for half of them."""
    p = make()
    with mp.workdps(40):
        lam = [p.lam(mp.mpf(t)) for t in TIMES]
        log_lam = [float(mp.log(value)) for value in lam]
        sigma2 = [float(p.sigma2(mp.mpf(t))) for t in TIMES]
        A = [float(p.A(mp.mpf(t))) for t in TIMES]
    t = np.array(TIMES)
    np.testing.assert_allclose(p.made.log_lam(t), log_lam, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(-p.made.log_alpha(t), A, rtol=1e-13)
    np.testing.assert_allclose(p.made.sigma2(t), sigma2, rtol=1e-13)
    np.testing.assert_allclose(p.made.alpha(t), np.exp(-np.array(A)), rtol=1e-12)
    both = p.made.law(t)
    np.testing.assert_array_equal(both[0], p.made.log_alpha(t))
    np.testing.assert_array_equal(both[1], p.made.log_lam(t))
    fits = np.array(log_lam) < 700.0
    np.testing.assert_allclose(p.made.lam(t[fits]), np.array(lam, float)[fits], rtol=1e-12)
    assert p.made.log_lam(0.0) == -np.inf and p.made.lam(0.0) == 0.0 and p.made.alpha(0.0) == 1.0
    assert p.made.sigma2(0.0) == 0.0


def test_nothing_overflows_at_eight_and_at_forty() -> None:
    p = wbound.process("vp-polynomial")
    assert 87 < p.log_lam(8.0) / np.log(10) < 90  # λ is about 1e88
    assert p.log_lam(40.0) == pytest.approx((40.5**3 - 0.5**3) / 3, rel=1e-14)
    assert p.lam(40.0) == np.inf and p.sigma2(40.0) == 1.0
    along = p.along(np.linspace(40.0, 0.0, 2001))
    assert np.isfinite(along.log_lam[:-1]).all() and np.isfinite(along.steps.Q).all()


@EVERY
def test_shapes_and_dtype(make: Make) -> None:
    p = make().made
    for of in (p.f, p.g, p.alpha, p.sigma2, p.lam, p.log_lam, p.log_alpha):
        assert np.shape(of(1.0)) == ()
        out = of(np.full((2, 3), 0.5))
        assert out.shape == (2, 3) and out.dtype == np.float64
        assert np.all(out == of(0.5))
        assert of([]).shape == (0,)
    # unsorted times, and repeated ones, come back in their places
    t = np.array([2.0, 0.0, 1.0, 2.0, 0.5])
    np.testing.assert_allclose(p.log_lam(t)[[1, 4, 2, 0, 3]], p.log_lam(np.sort(t)), rtol=1e-13)


STEPS = [(0, 1e-6), (0, 0.3), (1e-3, 1e-7), (0.5, 1e-8), (0.5, 0.01), (1.0, 1.0), (3.0, 2.0), (7.5, 1e-4)]


@EVERY
def test_the_integrals_of_a_step(make: Make) -> None:
    """F, G, Q, C, E and the differences that a scheme's error is made of, small and large steps."""
    steps_are_their_integrals(make())


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_the_integrals_of_a_step_off_unit_variance(sigma: float) -> None:
    """g² = 2κf with κ = σ² ≠ 1."""
    steps_are_their_integrals(referee.ou(sigma=sigma))


def steps_are_their_integrals(p: referee.Plain) -> None:
    lo = np.array([a for a, _ in STEPS])
    hi = np.array([a + h for a, h in STEPS])
    got = p.made.steps(lo, hi)
    with mp.workdps(40):
        for i, (a, b) in enumerate(zip(lo, hi, strict=True)):
            s = referee.steps(p, [b, a])[0]
            Q, C = s.alpha_lo**2 * s.H, s.alpha_lo * s.alpha_hi * s.H
            whole = {"F": s.F, "G": s.G, "Q": Q, "C": C, "E": s.E, "A_minus": mp.expm1(s.F) - s.F}
            for name, value in whole.items():
                assert getattr(got, name)[i] == pytest.approx(float(value), rel=1e-12), (name, a, b)
            # what the 30 digits of the two sides leave, and for a user's process the rounding of e^A
            noise = 1e-20 * float(Q) + 1e-14 * float(s.F * s.G)
            gaps = {
                "C_minus_G": C - s.G,
                "C_minus_E": C - s.E,
                "C_minus_half_E": C - s.E / 2,
                "Q_minus_G": Q - s.G,
            }
            for name, value in gaps.items():
                assert getattr(got, name)[i] == pytest.approx(float(value), rel=1e-12, abs=noise), (
                    name,
                    a,
                    b,
                )


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("h", [1e-6, 1e-2, 0.5])
def test_a_kink_that_no_node_sees(share: float, h: float) -> None:
    """f = |t − 1|, g² = |t − 1|/2 + 1 on [1 − share·h, …]: between a step's end and its first node 3 and 5 agree."""
    p = wbound.Process(f="abs(t-1)", g="sqrt(1+abs(t-1)/2)")
    lo = np.array([1.0 - share * h])
    got = p.steps(lo, lo + h)
    a, b = float(1.0 - lo[0]), float(lo[0] + h - 1.0)
    assert got.F[0] == pytest.approx(0.5 * (a * abs(a) + b * abs(b)), rel=1e-13)
    assert got.G[0] == pytest.approx(a + b + 0.25 * (a * abs(a) + b * abs(b)), rel=1e-13)
    with mp.workdps(30):
        at = lambda t: (t * abs(t) + a * abs(mp.mpf(a))) / 2  # noqa: E731  A at 1 + t
        ends = [-mp.mpf(a), *([0] if -a < 0.0 < b else []), mp.mpf(b)]
        grown = mp.quad(lambda t: (1 + abs(t) / 2) * mp.expm1(2 * at(t)), ends)
    assert got.Q_minus_G[0] == pytest.approx(float(grown), rel=1e-12)


@NAMED
def test_a_step_of_any_size_agrees_with_scipy(make: Make) -> None:
    """The same integrals from their definitions by another quadrature, in floats."""
    p = make().made
    for lo, hi in ((0.0, 0.4), (0.3, 0.9), (1.0, 2.5)):
        A = lambda t, lo=lo: quad(p.f, lo, t, epsabs=0, epsrel=1e-13)[0] if p.family != "ve" else 0.0  # noqa: E731
        F = A(hi)
        g2 = lambda t: float(p.g(t)) ** 2  # noqa: E731
        weights: dict[str, Callable[[float], float]] = {
            "G": lambda t: 1.0,
            "Q": lambda t: np.exp(2 * A(t)),
            "C": lambda t: np.exp(2 * A(t) - F),
            "E": lambda t: np.exp(A(t)),
        }
        s = p.steps([lo], [hi])
        assert s.F[0] == pytest.approx(F, rel=1e-12, abs=0.0)
        for name, w in weights.items():
            value = quad(lambda t, w=w: g2(t) * w(t), lo, hi, epsabs=0, epsrel=1e-11)[0]
            assert getattr(s, name)[0] == pytest.approx(value, rel=1e-10), name


@given(x=st.floats(1e-12, 700.0))
def test_the_small_differences(x: float) -> None:
    with mp.workdps(40):
        assert sinh_minus(np.array([x]))[0] == pytest.approx(float(mp.sinh(mp.mpf(x)) - mp.mpf(x)), rel=1e-13)
        assert expm1_minus(np.array([x]))[0] == pytest.approx(
            float(mp.expm1(mp.mpf(x)) - mp.mpf(x)), rel=1e-13
        )


@pytest.mark.parametrize("sizes", [(1e-9, 1e-4, 0.05), (0.05, 0.2, 0.4), (1e-6, 0.3, 3.0, 400.0)])
def test_small_differences_of_many(sizes: tuple[float, ...]) -> None:
    """One series for all: as long as the largest needs, which may be told."""
    x = np.array(sizes)
    with mp.workdps(40):
        sinh = [float(mp.sinh(mp.mpf(v)) - mp.mpf(v)) for v in sizes]
        up, down = ([float(mp.expm1(mp.mpf(v)) - mp.mpf(v)) for v in sign * x] for sign in (1.0, -1.0))
    for largest in (None, sizes[-1]):
        np.testing.assert_allclose(sinh_minus(x, largest), sinh, rtol=1e-13)
        np.testing.assert_allclose(expm1_minus(x, largest), up, rtol=1e-13)
        np.testing.assert_allclose(expm1_minus(-x, largest), down, rtol=1e-13)
    assert sinh_minus(x[:0]).size == expm1_minus(x[:0]).size == 0


@NAMED
def test_a_users_twin_is_the_same_process(make: Make) -> None:
    """The row typed as a user would: by quadrature, to 1e-12 and without the closed form."""
    p = make().made
    q = referee.twin(p)
    t = np.array([1e-6, 1e-2, 0.3, 1.0, 2.0, 6.0, 8.0])
    np.testing.assert_allclose(q.log_lam(t), p.log_lam(t), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(q.log_alpha(t), p.log_alpha(t), rtol=1e-12)
    np.testing.assert_allclose(q.sigma2(t), p.sigma2(t), rtol=1e-12)
    nodes = np.linspace(6.0, 0.0, 40)
    a, b = p.along(nodes), q.along(nodes)
    np.testing.assert_allclose(b.log_lam[:-1], a.log_lam[:-1], rtol=1e-12, atol=1e-12)
    for name in ("F", "G", "Q", "C", "E"):
        np.testing.assert_allclose(getattr(b.steps, name), getattr(a.steps, name), rtol=1e-12)
    assert q != p and q.name == "user"


@EVERY
def test_along_is_the_law_and_the_steps(make: Make) -> None:
    p = make().made
    t = np.array([3.0, 2.5, 1.0, 0.25, 0.01, 0.0])
    for nodes in (t, t[:-1]):  # to 0, and stopped early
        along = p.along(nodes)
        np.testing.assert_allclose(along.log_alpha, p.log_alpha(nodes), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(along.log_lam, p.log_lam(nodes), rtol=1e-12, atol=1e-12)
        steps = p.steps(nodes[1:], nodes[:-1])
        np.testing.assert_allclose(along.steps.Q, steps.Q, rtol=1e-12)
        # what a step adds to the clock is what the law says
        lam = np.exp(along.log_lam)
        H = along.steps.Q * np.exp(-2 * along.log_alpha[1:])
        np.testing.assert_allclose(lam[:-1] - lam[1:], H, rtol=1e-11)


@EVERY
def test_the_clock_read_backward(make: Make) -> None:
    p = make().made
    top = min(float(p.log_lam(30.0)), 180.0)
    goal = np.concatenate((np.linspace(-25.0, top, 60), [-np.inf]))
    t = p.time_of(goal)
    assert t[-1] == 0.0 and (np.diff(t[:-1]) > 0).all()
    np.testing.assert_allclose(p.log_lam(t[:-1]), goal[:-1], rtol=1e-12, atol=1e-12)
    assert np.shape(p.time_of(1.0)) == ()


def test_a_clock_that_never_gets_there_says_so() -> None:
    with pytest.raises(BadInput, match="never reached"):
        wbound.Process(f="0", g="exp(-t)").time_of(5.0)  # λ < 1/2


@EVERY
def test_pickling_and_equality(make: Make) -> None:
    p, same = make().made, make().made
    back = pickle.loads(pickle.dumps(p))
    assert back == p == same and hash(back) == hash(p) and back is not p
    assert repr(back) == repr(p) and back.parameters == p.parameters
    t = np.array([0.1, 3.0])
    np.testing.assert_array_equal(back.log_lam(t), p.log_lam(t))
    assert back.standard_start == p.standard_start
    if "a" in p.parameters:
        other = make(a=1.25).made
        assert other != p and other.log_lam(1.0) != p.log_lam(1.0)
    assert p != "process"


def test_families_and_starts() -> None:
    """What is recognised of a user's (f, g), and who may start from N(0, I)."""
    assert wbound.Process(f="0", g="t").family == "ve"
    vp = wbound.Process(f="(1+t)/2", g="sqrt(1+t)")
    assert vp.family == "stationary" and vp.kappa == 1.0 and vp.standard_start
    scaled = wbound.Process(f="t", g="2*sqrt(t)")
    assert scaled.kappa == pytest.approx(2.0, rel=1e-15) and not scaled.standard_start
    assert wbound.Process(f="t", g="t").family == "general"
    allowed = [name for name in wbound.CATALOGUE if wbound.process(name).standard_start]
    assert allowed == ["ou", "vp-linear", "vp-polynomial", "vp-exponential", "sub-vp"]  # ou(1/2, 1) is VP
    assert not wbound.process("ou", theta=1.0).standard_start
    assert wbound.process("ou", theta=0.05, sigma=math.sqrt(0.1)).standard_start  # VP up to rounding


def test_sympy_comes_in_and_goes_out() -> None:
    t, a = symbol("t"), symbol("a")
    p = wbound.Process(f=a * t / 2, g=sp.sqrt(a * t), a=2.0)
    assert p == wbound.Process(f="a*t/2", g="sqrt(a*t)", a=2.0)
    e = p.expr
    value = e.sigma2.subs({a: 2, t: sp.Rational(3, 2)}).doit()
    assert float(value) == pytest.approx(float(p.sigma2(1.5)), rel=1e-13)


@settings(max_examples=settings.default.max_examples // 2)
@given(
    f=st.sampled_from(["a/(1+t)", "a*exp(-b*t)", "a*(2+sin(b*t))", "a*abs(t-1)", "a*t/(b+t)", "a*log1p(t)"]),
    g=st.sampled_from(["b", "sqrt(b*t)", "b/(1+t)", "a+cosh(t)/9", "1+tanh(b*t)", "t**0.3"]),
    a=st.floats(0.05, 3.0),
    b=st.floats(0.05, 3.0),
    t=st.floats(0.01, 4.0),
)
def test_any_process_of_a_user(f: str, g: str, a: float, b: float, t: float) -> None:
    """λ(t) = ∫_0^t g² e^{2A} from its definition, as an ordinary double integral."""
    names = {k: v for k, v in {"a": a, "b": b}.items() if k in f + g.replace("tanh", "").replace("cosh", "")}
    p = wbound.Process(f=f, g=g, **names)
    breaks = [1.0] if 1.0 < t else None

    def A(s: float) -> float:
        points = [1.0] if s > 1.0 else None
        return float(
            quad(lambda u: float(p.f(u)), 0.0, s, points=points, epsabs=0, epsrel=1e-12, limit=200)[0]
        )

    nodes, weights = np.polynomial.legendre.leggauss(40)
    total = 0.0
    for lo, hi in zip([0.0, *(breaks or [])], [*(breaks or []), t], strict=True):
        # u = x⁴ tames the root at 0
        lo4, hi4 = lo**0.25, hi**0.25
        x = 0.5 * (hi4 - lo4) * nodes + 0.5 * (hi4 + lo4)
        values = [float(p.g(u**4)) ** 2 * np.exp(2.0 * A(u**4)) * 4.0 * u**3 for u in x]
        total += 0.5 * (hi4 - lo4) * float(weights @ values)
    assert float(p.lam(t)) == pytest.approx(total, rel=1e-9)
    assert float(p.log_alpha(t)) == pytest.approx(-A(t), rel=1e-11, abs=1e-14)


@pytest.mark.parametrize(
    ("f", "g", "said"),
    [
        ("t-1", "1", "f = "),
        ("1", "t-1", "g = "),
        ("1/(t-1)", "1", "f = "),
        ("1", "0", "g = "),
        ("log(t)", "1", "f = "),
    ],
)
def test_a_process_outside_its_domain_is_refused(f: str, g: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        wbound.Process(f=f, g=g).check_domain(2.0)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"f": "__import__('os')", "g": "1"}, "f"),
        ({"f": "1", "g": "q*t"}, "q"),
        ({"f": "a", "g": "1", "a": -1.0}, "f = -1: is -1 at t = 1e-09: must be finite and >= 0 on (0, T]"),
        ({"f": "-1", "g": "1"}, "f = -1: is -1 at t = 1e-09: must be finite and >= 0 on (0, T]"),
        ({"f": "1", "g": "-t"}, "g = -t: is -1e-09 at t = 1e-09: must be finite and >= 0 on (0, T]"),
        ({"f": "1/a", "g": "1", "a": 0}, "division by zero"),
        ({"f": "β", "g": "1", "β": 1.0, "beta": 2.0}, "beta is given twice"),
        ({"f": "a", "g": "1", "a": float("nan")}, "a = nan"),
        ({"f": "a", "g": "1", "a": "1"}, "a = 1"),
        ({"f": "t", "g": "1", "t": 1.0}, "t"),
        ({"f": 3j, "g": "1"}, "f"),
    ],
)
def test_what_is_no_process(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        wbound.Process(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=settings.default.max_examples)
@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.floats(0.1, 3.0))
def test_a_negative_parameter_serves_where_f_and_g_stay_nonnegative(a: float, b: float, t: float) -> None:
    """f = 1 + a t and g = 1 + b t: one rule wherever they are read, and λ is that of the numbers typed in."""
    a, b = round(a, 3), round(b, 3)
    low = 1.0 + min(a, b) * t
    assume(abs(low) > 1e-3)
    p = wbound.Process(f="1+a*t", g="1+b*t", a=a, b=b)
    assert p.parameters == {name: v for name, v in (("a", a), ("b", b)) if v > 0.0}
    if low > 0.0:
        p.check_domain(t)
        same = wbound.Process(f=f"1+({a!r})*t", g=f"1+({b!r})*t")
        assert float(p.lam(t)) == pytest.approx(float(same.lam(t)), rel=1e-12)
    else:
        for use in (p.check_domain, lambda at: (p.f(at), p.g(at))):
            with pytest.raises(BadInput, match=r"must be (below|finite and >= 0)"):
                use(t)


@pytest.mark.parametrize(
    ("f", "g", "end"),
    [("1-a*t", "1", 4.0), ("1", "cos(t)", math.pi / 2), ("0", "exp(-t)*(2-t)", 2.0), ("t*(3-t)", "1+t", 3.0)],
)
def test_a_process_of_a_user_ends_where_f_or_g_turns_negative(f: str, g: str, end: float) -> None:
    """T is searched before it, and a T beyond it is refused with the sentence of `check_domain`."""
    p = wbound.Process(f=f, g=g, **({"a": 0.25} if "a*" in f else {}))
    assert p.t_max == pytest.approx(end, rel=1e-12)
    p.check_domain(0.999 * end)
    with pytest.raises(BadInput, match=r"must be (below|finite and >= 0)"):
        p.check_domain(1.0001 * end)
    data = wbound.LogConcave(3, 0.5, 0.5, 6.0, 0.0)
    try:
        need = wbound.iterations(p, data, 1.2, scheme="hf")
    except wbound.errors.Unreachable as error:
        assert error.floor > 1.2
    else:
        assert need.T < end and need.bound <= 1.2


def test_a_root_of_a_square_is_no_kink_of_g2() -> None:
    """g² = 2 sin² is smooth: λ = ∫ 2 sin² = t − sin t cos t; a kink of f is one, and is refused where hidden."""
    for g in ("sqrt(2*sin(t)**2)", "(2*sin(t)²)^0.5"):
        p = wbound.Process(f=0, g=g)
        for t in (0.5, 2.0, 7.0):
            assert float(p.lam(t)) == pytest.approx(t - math.sin(t) * math.cos(t), rel=1e-12)
    with pytest.raises(BadInput, match="hides its kinks"):
        wbound.Process(f="sqrt(sin(t)**2)", g="1")


@pytest.mark.parametrize("t", [-1.0, float("nan"), [0.5, -1e-9]])
def test_times_are_forward_times(t: object) -> None:
    with pytest.raises(BadInput, match="forward times >= 0"):
        wbound.process("vp-linear").log_lam(t)  # type: ignore[arg-type]


def test_a_closed_form_that_is_wrong_is_caught_when_the_process_is_made() -> None:
    t, lo, hi = symbol("t"), symbol("lo"), symbol("hi")
    good = {"family": "ve", "increment": (hi - lo) * (hi + lo) / 2}
    wbound.Process.named("mine", {}, sp.Integer(0), sp.sqrt(t), **good)
    with pytest.raises(BadInput, match="differs from the quadrature"):
        wbound.Process.named(
            "mine", {}, sp.Integer(0), sp.sqrt(t), **{**good, "increment": (hi - lo) ** 2 / 2}
        )
    general = {"family": "general", "increment": hi - lo, "log_lam": sp.log(sp.exp(2 * t) - 1) - sp.log(2)}
    wbound.Process.named("mine", {}, sp.Integer(1), sp.Integer(1), **general)
    with pytest.raises(BadInput, match="differs from the quadrature"):
        wbound.Process.named("mine", {}, sp.Integer(1), sp.Integer(1), **{**general, "log_lam": 2 * t})


@pytest.mark.parametrize(
    ("f", "g", "end"),
    [
        ("0", "1/(c-t)", 2.5),
        ("1/(c-t)", "sqrt(2/(c-t))", 2.5),
        ("0", "1/sqrt(c-t)", 2.5),  # λ grows without end, but slowly
        ("0", "sqrt(log(c/(c-t)))", 2.5),  # and here it stays bounded
        ("0", "exp(c*t)", math.inf),
    ],
)
def test_where_a_process_of_a_user_ends(f: str, g: str, end: float) -> None:
    p = wbound.Process(f=f, g=g, c=2.5)
    assert p.t_max == pytest.approx(end, rel=1e-15)
    if end < math.inf:
        with pytest.raises(BadInput, match="T = 3.0: must be below 2.5, where process user ends"):
            p.check_domain(3.0)
        data = wbound.LogConcave(3, 1.0, 1.0, 3.0, 0.0)
        if "log" in g:  # λ(c) = ∫ log(c/(c−t)) dt = c; Eq. 8 over 1 + m_0λ is what the start leaves there
            floor = math.sqrt(-3.0 * 2.5 * math.log1p(-(2.5**-2))) / 3.5
            with pytest.raises(wbound.errors.Unreachable, match=f"{floor:.5g}"):
                wbound.iterations(p, data, 0.1, scheme="hf")
        else:
            r = wbound.iterations(p, data, 0.2, scheme="hf")
            assert 0.0 < r.T < end and r.bound <= 0.2
            assert wbound.w2_bound(p, data, r.T, r.K, scheme="hf").total <= 0.2


def test_a_ratio_that_only_cancelling_shows_constant() -> None:
    """g² = 2f with (c − t) split over a sum: the stationary family's closed forms apply."""
    assert wbound.Process(f="1/(c-t)", g="sqrt(2/(c-t))", c=2.0).family == "stationary"
    assert wbound.Process(f="1/(c-t)", g="sqrt(3/(c-t))", c=2.0).kappa == pytest.approx(1.5)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_a_kept_table_s_last_move_is_the_last_to_rounding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a closed clock Newton stops a move earlier: the same times, from the table's slopes or without them."""
    p, levels = wbound.process(name), np.linspace(-20.0, 40.0, 500)
    found = p.time_of(levels)
    logs, _, rates = p._clock_table
    steps = 1e-6 * np.maximum(1.0, np.abs(logs))
    by_difference = (p.log_lam(np.exp(logs + steps)) - p.log_lam(np.exp(logs - steps))) / (2.0 * steps)
    inner = (np.abs(logs) < 20.0) & (by_difference > 1e-3)
    np.testing.assert_allclose(1.0 / rates[inner], by_difference[inner], rtol=1e-4)
    monkeypatch.setattr(inverse_clock, "NEAR", 0.0)
    np.testing.assert_allclose(found, p.time_of(levels), rtol=1e-14)
    monkeypatch.setitem(p.__dict__, "_clock_table", None)
    np.testing.assert_allclose(found, p.time_of(levels), rtol=1e-14)
