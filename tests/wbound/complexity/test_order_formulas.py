"""Orders derived from (f, g) alone: against the published cells, quadrature and disguises."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sympy as sp
from sums_by_quadrature import integrals

import wbound
from numerics.tables.orders import as_markdown
from wbound.bounds import theorem_1, theorem_2
from wbound.calculus.asymptotics import Scale, U
from wbound.calculus.parser import symbol
from wbound.complexity.order_formulas import EPS, D, X, derive
from wbound.complexity.orders_measured import TOLERANCE, cache_path, measured_orders, orders
from wbound.complexity.orders_published import _cell, compare, published_orders
from wbound.complexity.orders_table import ROWS, order_rows
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, Unreachable
from wbound.forward.clock_at_infinity import Clock
from wbound.forward.forward_process import Process

PUBLISHED = wbound.PUBLISHED
c, rho = symbol("c"), symbol("rho")


def user(f: str, g: str, **parameters: float) -> Process:
    return Process(f=f, g=g, **parameters)


def same(a: sp.Expr | None, b: sp.Expr) -> bool:
    assert a is not None
    ratio = sp.powsimp(a / b, force=True)
    return ratio == 1 or sp.simplify(ratio) == 1  # most are alike without `simplify`, which takes its time


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_path() == tmp_path / "wbound" / "measured.json"
    return cache_path()


# ---------------------------------------------------------------------- the eight rows


@pytest.mark.parametrize("name", PUBLISHED)
def test_theorem_1_has_the_published_powers_of_d_and_epsilon(name: str) -> None:
    cell = next(x for x in compare(wbound.process(name)) if x.column == "K")
    assert cell.powers_agree
    if not cell.logs_agree:
        assert cell.verdict == "sufficient" and "integrand" in cell.footnote and "bounded" in cell.footnote


def test_its_logarithms_agree_in_at_least_seven_rows() -> None:
    agree = [
        name
        for name in PUBLISHED
        if next(x for x in compare(wbound.process(name)) if x.column == "K").logs_agree
    ]
    assert len(agree) >= 7 and set(PUBLISHED) - set(agree) <= {"ve-constant"}


@pytest.mark.parametrize("scheme", ["em", "ei", "hf"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_theorem_2_is_x_times_T(name: str, scheme: str) -> None:
    p = wbound.process(name)
    found = derive(p, "sharp", scheme=scheme)
    assert same(found.K, X * found.T) and same(found.T, derive(p, "published").T)


TIMES = {
    "ve-exponential": sp.log(X),
    "ve-constant": X,
    "ve-sqrt": sp.sqrt(X),
    "ve-polynomial": X ** (1 / (2 * c + 1)),
    "ou": sp.log(X),
    "vp-linear": sp.sqrt(sp.log(X)),
    "vp-polynomial": sp.log(X) ** (1 / (rho + 1)),
    "vp-exponential": sp.log(sp.log(X)),
    "sub-vp": sp.sqrt(sp.log(X)),
}


@pytest.mark.parametrize("name", TIMES)
def test_T_inverts_the_clock(name: str) -> None:
    assert same(derive(wbound.process(name)).T, TIMES[name])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ve-constant", X ** sp.Rational(2, 3)), ("ve-sqrt", X ** sp.Rational(1, 3)), ("ou", sp.log(X))],
)
def test_a_centred_start_needs_a_shorter_clock(name: str, expected: sp.Expr) -> None:
    assert same(derive(wbound.process(name), "sharp", start="centred").T, expected)


def test_the_score_of_the_exploding_rows() -> None:
    for name in PUBLISHED:
        p = wbound.process(name)
        for theorem in ("published", "sharp"):
            assert same(derive(p, theorem).M, EPS / sp.log(X) if p.family == "ve" else EPS), name
    verdicts = {
        name: next(x for x in compare(wbound.process(name)) if x.column == "M").verdict for name in PUBLISHED
    }
    assert verdicts.pop("ve-constant") == "insufficient"
    assert [verdicts.pop(n) for n in ("ve-sqrt", "ve-polynomial")] == ["sufficient", "sufficient"]
    assert set(verdicts.values()) == {"agrees"}


def test_published_cells_pass_the_whitelist_parser() -> None:
    cell = published_orders()["ve-polynomial"]["K"]
    assert same(cell.expr, D ** (1 + 1 / (2 * (2 * c + 1))) * EPS ** -(2 + 1 / (2 * c + 1)))
    assert same(published_orders()["vp-exponential"]["K"].expr, D * EPS**-2 * sp.log(sp.log(D / EPS)))
    with pytest.raises(BadInput):
        _cell({"d": "__import__('os').system('true')"})


# ---------------------------------------------------------------------- the expression alone decides

DISGUISES = [
    ("ve-exponential", "0", "exp(q*t + log(p))", {"p": 1.0, "q": 0.5}),
    ("ve-constant", "0", "exp(log(p))*cosh(t)/sqrt(1 + sinh(t)**2)", {"p": 1.0}),
    ("ve-sqrt", "0", "exp(log(2*p*t)/2)", {"p": 1.0}),
    ("ve-polynomial", "0", "exp(c*log(q + p*t))", {"p": 1.0, "q": 0.5, "c": 1.0}),
    ("ou", "p*tanh(t) + p*(1 - tanh(t))", "q*exp(t)/(sinh(t) + cosh(t))", {"p": 0.5, "q": 1.0}),
    (
        "vp-linear",
        "((q + p*t)**2 - q**2 + 2*q*t*(1-p) + q**2 + p*t)/(2*p*t + 2*q + 2)",
        "sqrt(q + p*t)",
        {"p": 1.0, "q": 0.5},
    ),
    ("vp-polynomial", "exp(rho*log(q + p*t))/2", "exp(rho*log(q + p*t)/2)", {"p": 1.0, "q": 0.5, "rho": 2.0}),
    ("vp-exponential", "p*exp(q*t)/2", "exp((log(p) + q*t)/2)", {"p": 1.0, "q": 0.5}),
]


@pytest.mark.parametrize(("name", "f", "g", "parameters"), DISGUISES, ids=[d[0] for d in DISGUISES])
def test_a_row_renamed_and_disguised_gets_the_same_answer(
    name: str, f: str, g: str, parameters: dict[str, float]
) -> None:
    row, other = wbound.process(name), user(f, g, **parameters)
    for theorem in ("published", "sharp"):
        a, b = derive(row, theorem), derive(other, theorem)
        assert b.recognised, b.text
        for quantity in ("K", "eta", "M", "T"):
            assert same(getattr(a, quantity), getattr(b, quantity)), (quantity, a.text, b.text)


def test_a_square_in_disguise() -> None:
    for g in ("(1+t)**2", "exp(2*log(1+t))", "(t**2 + 2*t + 1)"):
        assert same(derive(user("0", g)).T, X ** sp.Rational(1, 5))


def test_unseen_cubic_noise() -> None:
    p = user("0", "(1+t)**3")
    one, two = derive(p, "published"), derive(p, "sharp")
    assert one.K.as_powers_dict()[EPS] == -(2 + sp.Rational(1, 7))
    assert two.K.as_powers_dict()[EPS] == -(1 + sp.Rational(1, 7))


L, LL = sp.log(X), sp.log(sp.log(X))
UNSEEN = [
    ("(1+t)**4/2", "(1+t)**2", X**2 * L ** sp.Rational(1, 5), X * L ** sp.Rational(1, 5)),
    ("0", "exp((t+exp(t))/2)", X**2 * LL, X * LL),
    ("0", "exp(exp(exp(t)))", X**2 * sp.log(LL), X * sp.log(LL)),
    ("1/(1+exp(-t))/2", "sqrt(1/(1+exp(-t)))", X**2 * L, X * L),
    ("tanh(t)", "sqrt(2*tanh(t))", X**2 * L, X * L),
    # a polynomial times an exponential of a polynomial
    ("0", "exp(t**2/2+t)*sqrt(t+1)", X**2 * sp.sqrt(L), X * sp.sqrt(L)),
    ("0", "sqrt(log(2+t))", X**3 / L, X**2 / L),
    # neither VE nor stationary
    ("t", "exp(t)", X**2 * sp.sqrt(L), X * sp.sqrt(L)),
    ("1/(1+t)", "1", X ** (2 + sp.Rational(1, 3)), X ** (1 + sp.Rational(1, 3))),
    # oscillations that average out
    ("0", "sqrt(2+cos(t))", X**3, X**2),
    ("(2+cos(t))/2", "sqrt(2+cos(t))", X**2 * L, X * L),
    # clocks that reach infinity: sums that grow like a power of the logarithm, or of x
    ("0", "(1-t/3)**(-2)", X**2, X),
    ("0", "1/(1-t)", X**2 * L**2, X ** sp.Rational(3, 2)),
    ("0", "(1-t)**(-3/4)", X**3, X ** sp.Rational(5, 2)),
    ("pi/2*tan(pi*t/2)", "sqrt(pi*tan(pi*t/2))", X**2, X * L),
    # T beyond every power
    ("0", "1/sqrt(1+t)", X**2 * sp.exp(X), X * sp.exp(X)),
]


@pytest.mark.parametrize(("f", "g", "K1", "K2"), UNSEEN, ids=[f"{row[0]}|{row[1]}" for row in UNSEEN])
def test_unseen_processes(f: str, g: str, K1: sp.Expr, K2: sp.Expr) -> None:
    p = user(f, g)
    one, two = derive(p, "published"), derive(p, "sharp")
    assert one.recognised and two.recognised, (one.text, two.text)
    assert same(one.K, K1) and same(two.K, K2), (one.text, two.text)


def test_the_scheme_tells_where_the_bias_diverges() -> None:
    p = user("pi/2*tan(pi*t/2)", "sqrt(pi*tan(pi*t/2))")
    assert same(derive(p, "sharp", scheme="hf").K, X * sp.sqrt(L))  # I is logarithmic
    assert same(derive(p, "sharp", scheme="em").K, X * L)  # the drift's bias is


@pytest.mark.parametrize("kind", ["optimal", "optimal-vp"])
@pytest.mark.parametrize("facts", [{}, {"m0": 0.5, "L0": 2.0}])
def test_the_optimal_clock_has_no_logarithm(kind: str, facts: dict[str, float]) -> None:
    p = wbound.process(kind, **facts)
    assert same(derive(p, "sharp").K, X) and same(derive(p, "published").K, X**2)


def test_parameters_stay_symbolic_and_open_signs_are_noted() -> None:
    theta = symbol("theta")
    found = derive(user("theta/(1+t)", "1", theta=0.75))
    assert same(found.T, X ** (1 / (2 * theta + 1))) and not found.notes
    fast, slow = derive(user("(1+t)**(-q)", "1", q=0.5)), derive(user("(1+t)**(-q)", "1", q=2.0))
    q = symbol("q")
    assert same(fast.T, L ** (1 / (1 - q))) and same(slow.T, X)
    assert any("q" in note for note in fast.notes) and any("q" in note for note in slow.notes)


@pytest.mark.parametrize(
    ("f", "g"),
    [("0", "exp(-t/2)/(1+exp(-t))"), ("0", "1/(1+t)"), ("0", "sqrt(1-t)"), ("0", "sin(t)"), ("0", "exp(-t)")],
)
def test_a_bounded_clock_is_unreachable(f: str, g: str) -> None:
    for theorem in ("published", "sharp"):
        found = derive(user(f, g), theorem)
        assert found.recognised and sp.oo == found.K and "bounded" in found.text


def test_what_is_not_recognised_says_so_and_is_measured_instead(fresh_cache: Path) -> None:
    # g² comes back to zero again and again; measured where λ grows fast, and is integrated in a moment
    for found in (
        derive(user("0", "1+sin(t)"), "sharp"),
        swings := orders(user("0", "(1+t)*(1+sin(t))"), "sharp"),
    ):
        assert not found.recognised and found.K is None and "not recognised" in found.text
        assert "oscillation" in found.text
    assert -2.0 < swings.slopes["K_eps"] < -1.0 and -1.0 < swings.slopes["T_eps"] < 0.0
    between = orders(user("0", "exp(sqrt(log(1+t)))"), "sharp")  # λ lies between t and every power above it
    assert not between.recognised and "measured: K ~ ε^-" in between.text
    # T is below x, as for λ = t, and grows with x
    assert -2.0 < between.slopes["K_eps"] < -1.0 and -1.0 < between.slopes["T_eps"] < 0.0
    assert not orders(user("0", "exp(sqrt(log(1+t)))"), "sharp", measure=False).slopes
    assert not derive(user("0", "t**(-0.4)")).recognised  # ∫g³ diverges at 0
    assert derive(user("0", "t**(-0.2)"), "published").recognised
    assert not derive(user("0", "t**(-0.2)"), "sharp").recognised  # ∫λ'³ does


def test_bad_names() -> None:
    p = wbound.process("ou")
    for bad in (
        {"theorem": "x"},
        {"start": "x"},
        {"scheme": "ddpm"},
        {"theorem": "published", "scheme": "hf"},
    ):
        with pytest.raises(BadInput):
            derive(p, **bad)


# ---------------------------------------------------------------------- the sums, by quadrature


@pytest.mark.parametrize("name", [*PUBLISHED, "sub-vp"])
def test_sums_grow_as_claimed(name: str) -> None:
    p = wbound.process(name)
    near, far = integrals(p, 40.0), integrals(p, 80.0)
    claimed = {s.name: s for s in derive(p, "published").sums}
    claimed["sharp"] = derive(p, "sharp").sums[0]
    for key in ("discretisation", "score", "sharp"):
        s = claimed[key]
        ratio = far[key] / near[key]
        if s.kind == "convergent":
            assert ratio == pytest.approx(1.0, abs=0.01), (name, key)
        else:  # log x doubles from λ = e^40 to e^80
            assert s.kind == "logarithmic" and s.growth[1] == 1
            assert math.log2(ratio) == pytest.approx(1.0, abs=0.05), (name, key)


RATES: dict[str, Callable[[Clock], sp.Expr]] = {
    "published_rate": theorem_1.main_rate,
    "drift_rate": theorem_1.drift_rate,
    "score_rate": lambda clock: clock.score_rate(sp.S.One),
    "sharp_rate": theorem_2.main_rate,
    "lam_": lambda clock: clock.lam_,
    **{name: rate for name, (_, rate) in theorem_2.BIAS.items()},
}


@pytest.mark.parametrize("name", [*PUBLISHED, "sub-vp"])
def test_rates_are_the_logarithmic_derivatives_of_what_is_summed(name: str) -> None:
    """Up to what leaves a constant factor: t times the difference tends to 0."""
    p = wbound.process(name)
    at = {symbol(k): v for k, v in p.parameters.items()}
    clock = Clock(p, Scale({k: sp.Rational(repr(v)) for k, v in at.items()}), sp.S.One)

    def logs(t: np.ndarray) -> dict[str, np.ndarray]:
        log_alpha, log_lam = p.law(t)
        log_g, f = np.log(p.g(t)), p.f(t)
        log_speed = 2 * log_g - 2 * log_alpha - log_lam  # of λ'/λ
        out = {
            "published_rate": log_g + np.log(f + np.exp(log_speed)) - log_alpha - log_lam,
            "score_rate": log_speed + log_alpha,
            "sharp_rate": 3 * log_speed - log_lam,
            "lam_": log_lam,
        }
        if p.family != "ve":
            size = log_alpha + 0.5 * log_lam
            out["drift_rate"] = np.log(f) + size + np.log(f + np.exp(log_speed)) - log_alpha - log_lam
            out["em"] = 2 * np.log(f) + size - log_alpha - log_lam
            root = -log_alpha - 0.5 * log_lam  # of L*^{1/2}
            out["ei"] = np.log(f) + 2 * log_g + root - log_alpha - log_lam
        return out

    t = float(p.time_of(60.0)) if p.family != "ve" else float(p.time_of(200.0))
    h = 1e-5 * t
    lo, hi = logs(np.array([t - h])), logs(np.array([t + h]))
    for key in lo:
        rate = RATES[key](clock)
        claimed = float(rate.subs({**at, U: t}))
        measured = float((hi[key] - lo[key])[0]) / (2 * h)
        assert t * abs(claimed - measured) < 0.02 * max(1.0, abs(t * measured)), (key, claimed, measured)


def test_a_logarithm_of_theorem_1_by_quadrature() -> None:
    p = Process.named(
        "pole",
        {},
        sp.S.Zero,
        user("0", "1/(1-t)").expr.g,
        family="ve",
        increment=(symbol("hi") - symbol("lo")) / ((1 - symbol("hi")) * (1 - symbol("lo"))),
        t_max=1.0,
    )
    near, far = integrals(p, 10.0), integrals(p, 20.0)
    s = derive(p).sums[0]
    assert s.growth == (0, 1, 0, 0) and s.variable == "1/(1 - t)"
    # S ≈ log λ + constant: the increments tell
    assert (far["discretisation"] - near["discretisation"]) == pytest.approx(10.0, rel=0.01)


# ---------------------------------------------------------------------- the ODE

ODE_ORDERS = {  # powers of 1/ε in K and of log(√d/ε), prior and centred, by hand
    "ve-constant": ((3, 0), (2, 0)),
    "ve-sqrt": ((2, 0), (sp.Rational(3, 2), 0)),
    "ve-polynomial": ((1 + sp.Rational(2, 3), 0), (1 + sp.Rational(1, 3), 0)),
    "ve-exponential": ((1, 2), (1, 2)),
    "ou": ((1, 2), (1, 2)),
    "vp-linear": ((1, 2), (1, 2)),
    "optimal": ((sp.Rational(5, 3), 0), (sp.Rational(4, 3), 0)),
}


@pytest.mark.parametrize("name", ODE_ORDERS)
def test_orders_of_the_ode(name: str) -> None:
    """Theorem 3: λ(T) ≍ x² from the prior, x centred; K ≍ T x J^{1/2} with another logarithm where J has one."""
    p = wbound.process(name)
    for start, (power, log) in zip(("prior", "centred"), ODE_ORDERS[name], strict=True):
        found = derive(p, "sharp", start, "ode-hf")
        assert found.recognised and found.text.startswith("Theorem 3")
        powers = [e.subs(dict.fromkeys(e.free_symbols, 1)) for e in found.powers["K"]]  # c = 1
        assert powers[:2] == [power, log], found.K
        assert all(c.published is None for c in compare(p, "sharp", start, "ode-hf"))


@pytest.mark.parametrize(
    ("name", "eps", "tolerance"),
    [("ve-sqrt", 1e-4, 5e-3), ("ve-constant", 1e-4, 5e-3), ("optimal", 1e-4, 0.02)],
)
@pytest.mark.parametrize("start", ["prior", "centred"])
def test_orders_of_the_ode_measured(name: str, eps: float, tolerance: float, start: str) -> None:
    """K(ε) of Theorem 3 over a decade of ε: the derived power (those without a logarithm)."""
    p = wbound.process(name)
    data = LogConcave(10, 1.0, 1.0, 10.0, 0.0 if start == "centred" else None)
    few, many = (wbound.iterations(p, data, e, scheme="ode-hf").K for e in (eps, eps / 10.0))
    want = float(derive(p, "sharp", start, "ode-hf").powers["K"][0])
    assert math.log10(many / few) == pytest.approx(want, abs=tolerance)


# ---------------------------------------------------------------------- the table


def test_the_table_marks_agreement_and_explains_disagreement() -> None:
    rows = order_rows(theorems=("published",))
    assert [r.process for r in rows][:8] == list(PUBLISHED) and len(rows) == len(ROWS)
    text = as_markdown(rows)
    assert text.count("= published") >= 7 + 7 + 5 and "not certified" in text and "not tight" in text
    for row in rows:
        for cell in row.cells:
            assert cell.agree is not False or cell.footnote, (row.process, cell.column)


# ---------------------------------------------------------------------- derived against measured


@pytest.mark.parametrize("theorem", ["published", "sharp"])
@pytest.mark.parametrize("name", ROWS)
def test_measured_powers_agree_with_the_derived_ones(name: str, theorem: str, fresh_cache: Path) -> None:
    found = measured_orders(wbound.process(name), theorem)
    assert min(p.eps for p in found.points) == 1e-12 and max(p.d for p in found.points) == 1_000_000
    assert found.agree and found.gap is not None and found.gap < 0.03, found.text


def test_unseen_cubic_noise_is_measured_as_derived(fresh_cache: Path) -> None:
    found = measured_orders(user("0", "(1+t)**3"), "sharp")
    assert found.K_eps == pytest.approx(-(1 + 1 / 7), abs=0.02) and found.agree


def test_a_centred_start_is_measured_as_derived(fresh_cache: Path) -> None:
    found = measured_orders(wbound.process("ve-constant"), "sharp", start="centred")
    assert found.T_eps == pytest.approx(-2 / 3, abs=0.02) and found.agree


def test_a_wrong_derivation_would_be_noticed(fresh_cache: Path) -> None:
    """The rival orders lie further away than the tolerance."""
    found = measured_orders(wbound.process("vp-linear"), "sharp")
    assert abs(found.K_eps - (-2.0)) > TOLERANCE and abs(found.K_d - 1.0) > TOLERANCE


def test_measured_points_are_cached_and_a_broken_cache_is_ignored(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = wbound.process("ve-sqrt")
    first = measured_orders(p, "sharp")
    assert fresh_cache.exists()
    with monkeypatch.context() as without:
        without.delattr("wbound.complexity.orders_measured.iterations")  # nothing is evaluated again
        assert measured_orders(p, "sharp") == first
    held = fresh_cache.read_text("utf-8")
    for broken in ("", "[]", "{", held.replace("[", "{", 1), held.replace('"code": "', '"code": "0')):
        fresh_cache.write_text(broken, "utf-8")
        assert measured_orders(p, "sharp", epsilons=(1e-4, 1e-5), dimensions=(1, 10)).K_eps < -1.0
    assert measured_orders(p, "sharp", cached=False).K_eps == first.K_eps


def test_measured_orders_refuse() -> None:
    with pytest.raises(Unreachable, match="bounded"):
        measured_orders(user("0", "exp(-t)"))
    with pytest.raises(BadInput, match="two values"):
        measured_orders(wbound.process("ou"), epsilons=(0.1, 0.1))


# ---------------------------------------------------------------------- the gallery


def gallery() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "docs" / "gallery.py"
    spec = importlib.util.spec_from_file_location("gallery", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["gallery"] = module
    spec.loader.exec_module(module)
    return module


def test_the_gallery_page_is_what_the_code_derives() -> None:
    module = gallery()
    assert len(module.GALLERY) >= 6
    page = module.PAGE.read_text("utf-8")
    assert module.derived_table() in page, "run python docs/gallery.py"


def test_the_gallery_is_measured_from_the_processes_it_shows() -> None:
    for exhibit in gallery().GALLERY:
        typed, closed = exhibit.typed(), exhibit.closed()
        t = np.array([0.1, 0.3, 0.7])
        np.testing.assert_allclose(closed.log_lam(t), typed.log_lam(t), rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(closed.g(t), typed.g(t), rtol=1e-14)
