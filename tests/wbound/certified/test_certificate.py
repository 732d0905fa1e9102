"""Balls against the double path, and against mpmath."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import referee
import sympy as sp

import wbound
from wbound.calculus import balls
from wbound.calculus.balls import Program, double_of, enclosure, exact_ball, exact_text, flint, precision
from wbound.calculus.parser import parse, symbol
from wbound.certified import certificate, totals
from wbound.certified.certificate import certify, prove, verify
from wbound.certified.flow_statements import STEPS
from wbound.data.curvature import StronglyLogConcave
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import EQUAL
from wbound.errors import BadInput, HypothesisFailed, Inconsistent, WboundError
from wbound.exact.gaussian_law import exact_w2
from wbound.forward.catalogue import CATALOGUE
from wbound.sampler.description import Description as Inputs

DEEP = bool(os.environ.get("WBOUND_DEEP"))
LAW = Gaussian([0.3, -1.0, 0.2], [0.5, 2.0, 1.0])
ISOTROPIC = wbound.LogConcave(3, 0.5, 0.5, 6.0)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def random_data(rng: np.random.Generator) -> Any:
    d = int(rng.integers(1, 5))
    if rng.random() < 0.5:
        mean = rng.normal(size=d) * between(rng, 1e-2, 10) * (rng.random() < 0.7)
        return Gaussian(
            mean, [between(rng, 1e-6, 1e6) if rng.random() < 0.3 else between(rng, 0.1, 10) for _ in mean]
        )
    m0 = between(rng, 1e-3, 1e3)
    L0 = m0 * (1.0 if rng.random() < 0.3 else between(rng, 1, 1e3))
    mean_norm = None if rng.random() < 0.5 else 0.0 if rng.random() < 0.5 else between(rng, 1e-2, 10)
    variance = d * (rng.random() * (1 / m0 - 1 / L0) + 1 / L0)
    return wbound.LogConcave(d, m0, L0, variance + (mean_norm or 0.0) ** 2, mean_norm)


def random_setting(
    rng: np.random.Generator, most: float
) -> tuple[Any, Any, float, int, dict[str, Any]] | None:
    """A process, data, T, K and options in the ranges of the design; None where the double path refuses."""
    name = str(rng.choice(list(CATALOGUE)))
    p = wbound.process(name, **{k: between(rng, 1e-2, 1e2) for k, _ in CATALOGUE[name].defaults})
    theorem = "published" if rng.random() < 0.25 else "sharp"
    far = math.log(1e4 if theorem == "published" else 1e80)
    try:
        T = float(np.ravel(p.time_of(rng.uniform(math.log(1e-2), far)))[0])
        data, K = random_data(rng), max(int(between(rng, 1, most)), 1 if theorem == "sharp" else 3)
        scheme = "em" if theorem == "published" else str(rng.choice(["em", "ei", "hf", "ddpm"]))
        options = {
            "scheme": scheme,
            "theorem": theorem,
            "start": str(rng.choice(["prior", "exact"] + ["standard"] * p.standard_start)),
            "grid": "uniform"
            if theorem == "published"
            else str(rng.choice(["uniform", "log-lam", "edm", "optimal"])),
            "score_bias": 0.0 if rng.random() < 0.5 else between(rng, 1e-4, 1),
            "score_noise": 0.0 if theorem == "published" or rng.random() < 0.7 else between(rng, 1e-4, 1),
            "M1": None if theorem == "sharp" else 0.0 if rng.random() < 0.3 else between(rng, 1e-4, 1),
        }
        if math.isinf(wbound.w2_bound(p, data, T, K, **options).total):
            return None  # overflow, said so
    except WboundError:
        return None
    return p, data, T, K, options


def compare(p: Any, data: Any, T: float, K: int, options: dict[str, Any]) -> certificate.Certificate:
    """The certificate, after both doubles have been checked against it."""
    c = certify(p, data, T, K, **options)
    c.check("bound", wbound.w2_bound(p, data, T, K, **options).total)
    if c.exact is not None:
        rest = {k: options[k] for k in ("scheme", "start", "grid", "score_noise") if k in options}
        c.check("exact", exact_w2(p, data, T, K, **rest))
        assert c.holds is True
    return c


@pytest.mark.parametrize("seed", range(16 if DEEP else 1))
def test_doubles_are_as_near_as_they_may_be(seed: int) -> None:
    """|double − mid| ≤ radius + 1e-11 |mid| over random settings, and bound ≥ exact is proved each time."""
    rng, seen = np.random.default_rng(seed), Counter[str]()
    goal = 64
    while seen.total() < goal:
        drawn = random_setting(rng, 300 if DEEP else 40)
        if drawn is None:
            continue
        try:
            c = compare(*drawn)
        except HypothesisFailed:  # a step size that the doubles let pass by a rounding
            assert drawn[4]["theorem"] == "published"
            continue
        assert c.bound is not None and (c.slack or c.bound.relative < 1e-15)
        seen[f"{drawn[4]['scheme']} {drawn[4]['theorem']}"] += 1
    assert len(seen) == 5, seen


def times(factor: float, of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a, **k: of(*a, **k) * factor


WRONG = 1e-9


@pytest.mark.parametrize("which", ["psi", "start", "drift", "law", "roughness", "growth"])
def test_a_double_formula_that_is_wrong_by_1e_9_is_noticed(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wbound.bounds.theorem_1
    import wbound.bounds.theorem_2
    import wbound.exact.gaussian_law

    p, T, K = wbound.process("vp-linear"), 3.0, 20
    options: dict[str, Any] = {"scheme": "em", "theorem": "sharp", "start": "exact"}
    if which == "psi":
        right = StronglyLogConcave.log_psi
        monkeypatch.setattr(StronglyLogConcave, "log_psi", lambda *a: right(*a) + 4 * WRONG)
    elif which == "start":
        options |= {"start": "prior"}
        T = 0.5
        monkeypatch.setattr(
            wbound.bounds.shared, "start_error", times(1 + 4 * WRONG, wbound.bounds.shared.start_error)
        )
    elif which == "drift":
        right_local = wbound.bounds.theorem_2.local

        def late(*a: Any) -> Any:
            out = right_local(*a)
            return out._replace(b=out.b * (1 + 4 * WRONG))

        monkeypatch.setattr(wbound.bounds.theorem_2, "local", late)
    elif which == "law":
        right_defects = wbound.exact.gaussian_law.defects

        def off(*a: Any) -> Any:
            out = right_defects(*a)
            return out._replace(rho=out.rho * (1 + 4 * WRONG))

        monkeypatch.setattr(wbound.exact.gaussian_law, "defects", off)
    else:
        options |= {"theorem": "published", "M1": 0.0, "start": "prior"}
        K = 60
        name = "_roughness" if which == "roughness" else "_displacement"
        monkeypatch.setattr(
            wbound.bounds.theorem_1, name, times(1 + 4 * WRONG, getattr(wbound.bounds.theorem_1, name))
        )
    with pytest.raises(Inconsistent, match="double path"):
        compare(p, LAW, T, K, options)
    monkeypatch.undo()
    compare(p, LAW, T, K, options)


@pytest.mark.parametrize("scheme", sorted(STEPS))
def test_ode_samplers(scheme: str) -> None:
    """Theorems 3 and 7 and the exact law, whose double path sums over other units and integrates by nodes."""
    rng = np.random.default_rng(len(scheme))
    names, seen = ["vp-linear", "ve-sqrt", "sub-vp", "ve-exponential"], 0
    while seen < 4:
        p = wbound.process(str(rng.choice(names)))
        T = float(np.ravel(p.time_of(rng.uniform(-3.0, 40.0)))[0])
        data, K = (random_data(rng), LAW)[seen % 2], int(between(rng, 1, 30))
        grid = str(rng.choice(["uniform", "log-lam", "edm", "optimal"]))
        start = str(rng.choice(["prior", "exact", *["standard"] * p.standard_start]))
        options = {"scheme": scheme, "start": start, "grid": grid, "score_bias": 0.1 * (seen == 2)}
        if math.isinf(wbound.w2_bound(p, data, T, K, **options).total):
            continue
        c = compare(p, data, T, K, options)
        assert c.statement == ("theorem-7" if scheme.startswith("heun") else "theorem-3")
        assert c.bound is not None and c.bound.relative < 1e-15
        seen += 1
    stopped = wbound.Grid.from_t([2.0, 1.0, 0.3, 0.1], stop="early")
    c = compare(wbound.process("vp-linear"), LAW, 2.0, 3, {"scheme": scheme, "grid": stopped})
    assert verify(c.to_json()).bound is not None


@pytest.mark.parametrize("name", ["_first", "_second", "best"])
def test_a_formula_of_theorem_7_that_is_wrong_by_1e_8_is_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wbound.bounds import theorem_7

    p, options = wbound.process("vp-linear"), {"scheme": "heun-lambda", "start": "exact"}
    if name == "best":  # the certificate is of the θ that it names
        c = certify(p, LAW, 2.0, 5, **options, theta="1,3")
        assert c.bound is not None and c.bound.lower > wbound.w2_bound(p, LAW, 2.0, 5, **options).total
        return
    monkeypatch.setattr(theorem_7, name, times(1 + 10 * WRONG, getattr(theorem_7, name)))
    with pytest.raises(Inconsistent, match="double path"):
        compare(p, LAW, 2.0, 5, options)


def test_eq_9_against_mpmath() -> None:
    """An independent route: Eq. 9 with Ψ as an integral, in 40 digits."""
    mpmath.mp.dps = 40
    K, T, d, m0 = 4, mpmath.mpf(2), 3, mpmath.mpf(1) / 2
    lam = [mpmath.expm1((T * k / K) / 2 + (T * k / K) ** 2 / 2) for k in range(K, -1, -1)]
    total = mpmath.mpf(6) / (1 + m0 * lam[0]) ** 2
    for hi, lo in pairwise(lam):
        psi = mpmath.quad(lambda u, lo=lo: ((u - lo) * m0 / (1 + m0 * u)) ** 2, [lo, hi])
        total += d / (1 + m0 * lo) ** 2 * psi
    c = certify(wbound.process("vp-linear"), ISOTROPIC, 2, K, scheme="hf")
    assert c.bound is not None and c.bound.relative < certificate.TIGHT
    assert abs(mpmath.sqrt(total) - c.bound.mid) <= c.bound.radius


@pytest.mark.parametrize(
    ("f", "g"),
    [("0", "sqrt(1+sin(t)**2)"), ("(1+cos(t))/2", "sqrt(1+cos(t))"), ("1/(1+t)", "1+t"), ("0", "t**(1/4)")],
)
def test_processes_without_closed_forms(f: str, g: str) -> None:
    """Rigorous quadrature per step, for each family, nested where f is inside."""
    for scheme in ("em", "ei", "hf", "ddpm"):
        compare(wbound.Process(f=f, g=g), LAW, 2.0, 6, {"scheme": scheme, "theorem": "sharp"})
    if f != "1/(1+t)":  # three integrals inside one another: right, and slow
        options = {"scheme": "em", "theorem": "published", "M1": 0.1}
        c = compare(wbound.Process(f=f, g=g), LAW, 1.0, 40, options)
        assert c.statement == "theorem-1"


def test_a_process_of_ones_own_is_the_catalogue_s() -> None:
    """The quadrature's balls and the closed form's meet."""
    ours = wbound.Process(f="(b+a*t)/2", g="sqrt(b+a*t)", a=1, b=0.5)
    one = certify(ours, LAW, 2, 10, scheme="ei").bound
    two = certify(wbound.process("vp-linear"), LAW, 2, 10, scheme="ei").bound
    assert one is not None and two is not None
    assert abs(one.mid - two.mid) <= one.radius + two.radius < 1e-14


def test_explicit_grids_and_early_stops() -> None:
    p = wbound.process("sub-vp")
    for grid in (
        wbound.Grid.from_t([2.0, 1.0, 0.3, 0.0]),
        wbound.Grid.from_lam([9.0, 1.0, 0.1, 0.0]),
        wbound.Grid.from_t([2.0, 1.0, 0.3, 0.1], stop="early"),
        wbound.Grid.log_lam(delta=0.01),
    ):
        T, K = (None, None) if grid.explicit else (2.0, 7)
        for scheme in ("em", "hf", "ddpm"):
            compare(p, LAW, T, K, {"scheme": scheme, "theorem": "sharp", "grid": grid})


def test_proposition_1() -> None:
    p = wbound.process("vp-linear")
    lam = float(p.lam(4.0))
    c = certify(p, ISOTROPIC, 4, 100, scheme="hf", start="exact", eps="0.1")
    assert c.floor is not None and c.steps is not None and c.exact is not None
    from wbound.exact.floor import floor_w2

    c.check("floor", floor_w2(100, 3, math.sqrt(2.0), lam))
    c.check("steps", wbound.lower_bound(3, math.sqrt(2.0), 0.1, lam).K)
    assert c.floor.upper < c.exact.lower
    prior = certify(p, ISOTROPIC, 4, 100, scheme="hf", start="prior", eps="0.1")
    u = 0.1 / math.sqrt(6.0)
    theta = (2.0 / (2.0 + lam)) ** 2 / (2 * u + u * u)
    prior.check("steps", wbound.lower_bound(3, math.sqrt(2.0), 0.1, lam, "prior", theta * (1 + 1e-13)).K)
    assert prior.floor is None and "cancel" in prior.reasons["floor"]
    assert certify(p, ISOTROPIC, 4, 9, scheme="em").floor is None


def test_a_theorem_without_a_proof_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(totals.PROVED, "theorem-2")
    data = wbound.LogConcave(3, 1.0, 1.0, 3.0, 0.0)
    with pytest.raises(BadInput, match="Theorem 2: has no proof in ball arithmetic"):
        certify(wbound.process("ve-constant"), data, T=1.0, K=4, scheme="hf")


def test_step_sizes_are_proved_or_refused() -> None:
    p = wbound.process("ou")
    with pytest.raises(HypothesisFailed, match="step-size condition") as caught:
        certify(p, LAW, 8, 3, theorem="published", M1="0.1")
    assert caught.value.step is not None
    # the step may also hide the supremum of ν_k: α_k > 2 α_{k−1}
    c = certify(wbound.process("ou", theta=1.2), LAW, 2, 3, theorem="published", M1="0")
    assert c.slack and c.bound is not None and c.bound.relative < 1e-5


# ---------------------------------------------------------------------- exact inputs


def test_text_is_exact_and_doubles_are_binary() -> None:
    assert exact_text("x", "0.1") == "0.1" and exact_text("x", 0.1) == (0.1).hex()
    assert exact_text("x", Fraction(1, 3)) == "1/3" and exact_text("x", 3) == "3"
    assert exact_text("x", np.float64(0.5)) == (0.5).hex() and exact_text("x", sp.Rational(2, 7)) == "2/7"
    with precision(200):
        tenth = flint().fmpq(1, 10)
        assert exact_ball("x", "0.1").contains(tenth) and not exact_ball("x", (0.1).hex()).contains(tenth)
        assert exact_ball("x", "2*pi").overlaps(2 * flint().arb.pi())
    assert double_of("x", "-0x1.8p+1") == -3.0
    for bad in ("0x", "0xzz", "nan", "1/0", "t", "__import__('os')", "0x1p+99999"):
        with pytest.raises(BadInput):
            double_of("x", bad)
    with pytest.raises(BadInput):
        exact_text("x", True)
    one, two = (certify(wbound.process("ou"), LAW, T, 5, bits=256) for T in ("0.1", 0.1))
    assert one.inputs.T != two.inputs.T


def test_enclosures_are_outward() -> None:
    with precision(200):
        third = enclosure(flint().arb(1) / 3)
        assert Fraction(third.lower) < Fraction(1, 3) < Fraction(third.upper)
        assert third.contains(1 / 3) and 0 < third.radius < 2e-16
        huge = enclosure(flint().arb(10) ** 400, 0.0)
        assert huge.upper == math.inf and huge.lower < math.inf
        assert enclosure(flint().arb("nan"), 0.0).lower == 0.0
        assert (
            1.1e-15 > balls.root(flint().arb(0, 1e-30)).upper() > 0.9e-15 and balls.root(flint().arb(-1)) == 0
        )


EXPRESSIONS = [
    "sqrt(t)",
    "t**(5/3)",
    "log(1+t)*exp(-t)",
    "tanh(t)**3/(1+t)",
    "abs(t-1)",
    "atan(t)+sech(t)",
    "log1p(t)",
]


@pytest.mark.parametrize(
    "text", [*EXPRESSIONS, "expm1(t)-t", "sin(t)*cos(t)+tan(t/4)", "cosh(t)-sinh(t)", "pi*e**t"]
)
def test_balls_contain_what_mpmath_computes(text: str) -> None:
    """Values, and integrals that need the analytic flag."""
    mpmath.mp.dps = 50
    expr, t = parse(text), symbol("t")
    from sympy.codegen.cfunctions import expm1, log1p

    plain = expr.replace(expm1, lambda x: sp.exp(x) - 1).replace(log1p, lambda x: sp.log(1 + x))
    reference = sp.lambdify(t, plain, "mpmath")
    with precision(128):
        program = Program(expr, (t,), {})
        value = program(flint().arb(flint().fmpq(3, 4)))
        assert abs(mpmath.mpf(value.mid().str(40, radius=False)) - reference(mpmath.mpf(3) / 4)) < 1e-33
        got = flint().acb.integral(lambda x, a: program(x, analytic=a), 0, 2).real
        want = mpmath.quad(reference, [0, 0.01, 1, 2])
        assert abs(float(got.mid()) - float(want)) < 1e-7 and got.rad() < 1e-6
        assert got.overlaps(flint().arb(str(want), 1e-7 if text in ("sqrt(t)", "t**(5/3)") else 1e-25))


def test_no_ball_form_is_said() -> None:
    p = wbound.process("optimal", form="ve", m0=0.5, L0=2.0)
    with pytest.raises(BadInput, match="ball arithmetic"):
        certify(p, LAW, 0.5 * p.t_max, 5)
    compare(
        wbound.process("optimal", form="vp", m0=0.5, L0=0.5),
        LAW,
        1.0,
        5,
        {"scheme": "ei", "theorem": "sharp"},
    )


# ---------------------------------------------------------------------- certificates


def test_a_certificate_is_rechecked_at_another_precision() -> None:
    for p in (wbound.process("vp-linear"), wbound.Process(f="0", g="1+t*b", b=0.1)):
        for scheme in ("hf", "ddpm"):
            c = certify(p, LAW, "1.5", 6, scheme=scheme, grid="edm", start="exact")
            again = verify(c.to_json())
            assert again.bits > c.bits and again.holds is c.holds is True
            assert again.inputs == c.inputs
            assert verify(c.to_json(), bits=96).exact == c.exact


def test_bad_requests() -> None:
    p = wbound.process("ou")
    for message, call in {
        "certified mode": lambda: certify(
            p, wbound.CurvatureProfile("1/(1+lam)", "2/(1+2*lam)", 1, 1.0), 1, 2
        ),
        "em, ei, hf, ddpm, ode-hf": lambda: certify(p, LAW, 1, 2, scheme="em-point"),
        "a number >= 0": lambda: certify(p, LAW, 1, 2, scheme="ddim", theta="1,2"),
        "2 numbers >= 0": lambda: certify(p, LAW, 1, 2, scheme="heun", theta="2"),
        "bits": lambda: certify(p, LAW, 1, 2, bits=3),
        "theta": lambda: certify(p, LAW, 1, 2, scheme="ddpm", theta="-1"),
        "eps": lambda: certify(p, LAW, 1, 2, eps="0"),
        "M1": lambda: certify(p, LAW, 1, 200, theorem="published"),
        "process": lambda: certify("ou", LAW, 1, 2),  # type: ignore[arg-type]
        "T": lambda: certify(p, LAW, "-1", 2),
    }.items():
        with pytest.raises(WboundError, match=message):
            call()


def test_the_exact_law_alone_and_singular_covariances() -> None:
    flat = Gaussian([1.0, 0.0], [1.0, 0.0])
    c = certify(wbound.process("vp-linear"), flat, 2, 9, theorem=None)
    c.check("exact", exact_w2(wbound.process("vp-linear"), flat, 2, 9))
    assert c.bound is None and c.holds is None
    with pytest.raises(HypothesisFailed, match="singular"):
        certify(wbound.process("vp-linear"), flat, 2, 9)


def test_inputs_survive_their_file() -> None:
    p = wbound.Process(f="0", g="exp(a*t)/3+abs(t-1)*t**(1/2)", a=0.7)
    c = certify(p, wbound.LogConcave(2, 1.0, 3.0, 1.5, 0.1), 1.5, 4, scheme="hf", score_bias="0.01")
    back = Inputs.from_dict(json.loads(c.to_json())["inputs"])
    assert back == c.inputs and back.made_process == p
    assert prove(back).bound == c.bound


def test_another_thread_s_precision_is_its_own() -> None:
    from concurrent.futures import ThreadPoolExecutor

    p = wbound.process("vp-linear")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda bits: certify(p, LAW, 2, 30, bits=bits).bound, [96, 160, 300, 500] * 3))
    assert len({e.mid for e in found if e is not None}) == 1


def test_without_the_library_one_line_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['flint'] = None\n"
        "import wbound\n"
        "try: wbound.certify(wbound.process('ou'), wbound.LogConcave(1, 1.0, 1.0, 1.0), 1, 2)\n"
        "except wbound.WboundError as e: print(e)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install" in run.stdout and run.stdout.count("\n") == 1


def test_hf_at_many_steps_needs_no_more_digits() -> None:
    """How long it takes is for benchmarks/; one pass at 160 bits is what makes it quick."""
    c = compare(wbound.process("vp-linear"), ISOTROPIC, 4.0, 5000, {"scheme": "hf", "theorem": "sharp"})
    assert c.bits == 160


@pytest.mark.parametrize("seed", range(24))
def test_facts_of_a_gaussian_are_used_as_given(seed: int) -> None:
    """Means from 1e-9 to 1 of the data's width, given or left to E|X_0|² − d/m_0, over schemes, grids and starts: both
    paths against the plain recursion in 30 digits. A mean taken as 0 was the fault."""
    rng = np.random.default_rng(seed)
    plain = referee.NAMED[str(rng.choice(["ve-constant", "ou", "vp-linear", "sub-vp"]))]()
    p, d, m0 = plain.made, int(rng.integers(1, 3)), between(rng, 0.1, 10)
    known, size = bool(rng.random() < 0.5), between(rng, 1e-9, 1.0)
    mean = size / math.sqrt(m0)
    second = d / m0 + mean**2
    if not known:  # what doubles leave of the mean
        left = Fraction(second) - d / Fraction(m0)
        mean = math.sqrt(left) if left > EQUAL * second else 0.0
    data = wbound.LogConcave(d, m0, m0, second, mean if known else None)
    T = 1.5
    grid = [wbound.Grid.uniform(), wbound.Grid.log_lam(), wbound.Grid.edm()][int(rng.integers(3))]
    options: dict[str, Any] = {
        "scheme": str(rng.choice(["em", "ei", "hf", "ddpm"])),
        "start": str(rng.choice(["prior", "exact", *["standard"] * p.standard_start])),
        "grid": grid,
    }
    c = certify(p, data, T, 3, **options)
    got = exact_w2(p, data, T, 3, **options)
    times = grid.nodes(p, data, T, 3).t.tolist()
    with mpmath.workdps(30):
        law = [1 / mpmath.mpf(m0)] * d
        want = referee.exact_w2(plain, times, law, (mean, 0.0)[:d], options["scheme"], options["start"])
    assert got == pytest.approx(want, rel=1e-9, abs=0.0)
    assert c.holds is not False
    if c.exact is None:
        assert not known and "give mean_norm" in c.reasons["exact"]
    else:
        c.check("exact", got)
        assert (
            abs(c.exact.mid - want) <= c.exact.radius + 1e-12 * want
        )  # the nodes are doubles, uniform ones too
