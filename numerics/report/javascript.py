"""The explorer's formulas: a forward process and a scheme's coefficients, printed from sympy as JavaScript.

What stands here is printed, never typed again: f, g², the clock and one step's increment come from the
catalogue's rows. One step [lo, lo + w] is printed in (lo, w), so that w may be far below the rounding of lo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sympy as sp
from sympy.codegen.cfunctions import expm1

from wbound.calculus.parser import parse, symbol
from wbound.forward.catalogue import CATALOGUE
from wbound.forward.row import Row

__all__ = ["SCHEMES", "coefficients", "constant", "processes", "scheme_code"]

#: The schemes of section 3 that the explorer knows.
SCHEMES = ("em", "em-point", "ei", "hf", "ddpm")

LO, W, T = sp.Symbol("lo", nonnegative=True), sp.Symbol("w", positive=True), symbol("t")
#: One step's ∫g² (family ve) or ∫f (stationary), κ of g² = 2κf, and σ² at the step's end nearer to the data.
STEP, KAPPA, SIGMA2 = sp.symbols("I kappa s2", positive=True)
#: e^x − 1 − x and sinh x − x, which the page's own code evaluates without cancellation.
expm1_minus, sinh_minus = sp.Function("expm1Minus"), sp.Function("sinhMinus")

_NAMES = {"expm1": "Math.expm1", "log1p": "Math.log1p", "expm1Minus": "expm1Minus", "sinhMinus": "sinhMinus"}


def _code(expr: sp.Expr) -> str:
    return str(sp.jscode(expr, user_functions=_NAMES))


def _body(exprs: Sequence[sp.Expr], last: str) -> str:
    """JavaScript that names common parts once, then ``last`` with the expressions put in."""
    parts, reduced = sp.cse(exprs, symbols=sp.numbered_symbols("x"))
    named = "".join(f"const {name} = {_code(part)}; " for name, part in parts)
    return named + last.format(*(_code(e) for e in reduced))


def _function(arguments: str, expr: sp.Expr) -> str:
    return f"({arguments}) => {{ {_body([expr], 'return {};')} }}"


def constant(name: str, value: str) -> str:
    """A JavaScript constant."""
    return f"const {name} = {value};"


# ---------------------------------------------------------------------- processes


def _expressions(row: Row) -> dict[str, tuple[str, sp.Expr]]:
    """JavaScript name → (its arguments, the expression) of a row of the families ve and stationary."""
    names = tuple(name for name, _ in row.defaults)
    f, g, increment = (parse(text, "t", (*names, "lo", "hi")) for text in (row.f, row.g, row.increment))
    step = increment.subs({symbol("lo"): LO, symbol("hi"): LO + W})
    whole = step.subs({LO: 0, W: T})
    g2 = sp.powsimp(g**2)
    kappa = sp.Integer(0) if row.family == "ve" else sp.simplify(g2 / (2 * f))
    if row.log_lam is not None:
        log_lam = parse(row.log_lam, "t", names)
    elif row.family == "ve":
        log_lam = sp.log(whole)
    else:  # λ = κ(e^{2A} − 1)
        log_lam = sp.log(kappa) + 2 * whole + sp.log(-expm1(-2 * whole))
    return {
        "f": ("t", f),
        "g2": ("t", g2),
        "df": ("t", sp.diff(f, T)),
        "dg2": ("t", sp.diff(g2, T)),
        "step": ("lo, w", step),
        "whole": ("t", whole),
        "logLam": ("t", log_lam),
        "kappa": ("", kappa),
    }


def processes(names: Iterable[str] | None = None) -> str:
    """The catalogue's closed processes (every published row) as one JavaScript object literal."""
    out = []
    for name in (
        names if names is not None else [n for n, row in CATALOGUE.items() if row.family != "general"]
    ):
        row = CATALOGUE[name]
        parameters = ", ".join(p for p, _ in row.defaults)
        defaults = ", ".join(f"{p}: {value!r}" for p, value in row.defaults)
        functions = ",\n      ".join(
            f"{key}: {_function(arguments, expr)}" for key, (arguments, expr) in _expressions(row).items()
        )
        out.append(
            f'  "{name}": {{ family: "{row.family}", defaults: {{ {defaults} }}, f_text: "{row.f}", g_text: "{row.g}",\n'
            f"    make: ({{ {parameters} }}) => ({{\n      {functions} }}) }}"
        )
    return "{\n" + ",\n".join(out) + "\n}"


# ---------------------------------------------------------------------- schemes


def _increments(family: str) -> Mapping[str, sp.Expr]:
    """Section 3's integrals over one step in its one integral, as `wbound.forward.step_integrals` has them."""
    zero, x = sp.Integer(0), STEP
    if family == "ve":
        same = dict.fromkeys(("G", "Q", "C", "E"), x)
        return {"F": zero, **same, **dict.fromkeys(("A_minus", "C_minus_G", "C_minus_E", "Q_minus_G"), zero)}
    k = KAPPA
    return {
        "F": x,
        "G": 2 * k * x,
        "Q": k * expm1(2 * x),
        "C": 2 * k * sp.sinh(x),
        "E": 2 * k * expm1(x),
        "A_minus": expm1_minus(x),
        "C_minus_G": 2 * k * sinh_minus(x),
        "C_minus_E": -4 * k * sp.sinh(x / 2) ** 2,
        "Q_minus_G": k * ((expm1_minus(x) + x) ** 2 + 2 * expm1_minus(x)),
    }


def coefficients(scheme: str, family: str) -> dict[str, sp.Expr]:
    """A, C, Q of a step, the exact step's minus these (a, c, q), and F, G, Q^hf (section 3).

    Of em-point those of em: what f and g² at the departure change, `pointwise` in the page adds.
    """
    i, zero = _increments(family), sp.Integer(0)
    common = {"F": i["F"], "G": i["G"], "Qhf": i["Q"]}
    grown = sp.exp(i["F"])
    share = i["Q"] + SIGMA2  # of ddpm: Q λ_k/λ_{k−1} = Qσ_k²/(Q + σ_k²)
    frozen = (1 + i["F"], i["G"], i["G"], i["A_minus"], i["C_minus_G"], i["Q_minus_G"])
    own = {
        "em": frozen,
        "em-point": frozen,
        "ei": (grown, i["E"], i["Q"], zero, i["C_minus_E"], zero),
        "hf": (grown, i["C"], i["Q"], zero, zero, zero),
        "ddpm": (grown, i["C"], i["Q"] * SIGMA2 / share, zero, zero, i["Q"] * i["Q"] / share),
    }[scheme]
    return {**common, **dict(zip(("A", "C", "Q", "a", "c", "q"), own, strict=True))}


def scheme_code() -> str:
    """Coefficients by family and scheme as one JavaScript object literal of functions (I, kappa, s2, o)."""
    out = []
    for family in ("ve", "stationary"):
        lines = []
        for scheme in SCHEMES:
            got = coefficients(scheme, family)
            body = _body(list(got.values()), " ".join(f"o.{name} = {{}};" for name in got))
            lines.append(f'    "{scheme}": (I, kappa, s2, o) => {{ {body} }}')
        out.append(f"  {family}: {{\n" + ",\n".join(lines) + " }")
    return "{\n" + ",\n".join(out) + "\n}"
