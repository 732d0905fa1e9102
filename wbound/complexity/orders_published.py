"""The published table's cells as sympy, and beside each the order derived from (f, g), with a verdict.

The cells are data (`reference/published_complexity.json`, after Gao, Nguyen & Zhu, arXiv 2311.11003); their
exponents pass the whitelist parser. A footnote proves each disagreement from the sums of `wbound.complexity.order_formulas`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import sympy as sp

from wbound.calculus.asymptotics import Scale
from wbound.calculus.parser import parse, symbol
from wbound.complexity.order_formulas import EPS, STEPS_OF_SDE, D, Orders, Sum, derive, tidy
from wbound.forward.forward_process import Process
from wbound.theory.statements import upper_bound

__all__ = ["Cell", "PublishedCell", "compare", "published_orders"]

#: Parameters that published exponents may name.
_PARAMETERS = ("c", "rho")


@dataclass(frozen=True)
class PublishedCell:
    """d^d · ε^eps · log(log_arg)^log · loglog(log_arg)^loglog, exponents in the row's parameters."""

    d: sp.Expr
    eps: sp.Expr
    log: sp.Expr
    loglog: sp.Expr
    log_arg: sp.Expr

    @property
    def expr(self) -> sp.Expr:
        """As sympy in d and epsilon."""
        inner = sp.log(self.log_arg)
        return D**self.d * EPS**self.eps * inner**self.log * sp.log(inner) ** self.loglog

    @property
    def exponents(self) -> tuple[sp.Expr, ...]:
        """Of d, ε, the logarithm and its logarithm."""
        return self.d, self.eps, self.log, self.loglog


@cache
def published_orders() -> Mapping[str, Mapping[str, PublishedCell]]:
    """The published cells by process name, then by column "K", "M", "eta". Data, not derived.

    Source: Gao, Nguyen & Zhu, arXiv 2311.11003, summary table.
    """
    text = resources.files("wbound").joinpath("reference/published_complexity.json").read_text("utf-8")
    rows = json.loads(text)["rows"]
    return {row["process"]: {column: _cell(row[column]) for column in ("K", "M", "eta")} for row in rows}


def _cell(fields: Mapping[str, str]) -> PublishedCell:
    def exponent(key: str) -> sp.Expr:
        return tidy(parse(fields.get(key, "0"), "", _PARAMETERS, option=key))

    # the file writes d and eps; here ε is `EPS`
    arg = parse(fields.get("log_arg", "1/eps"), "", ("d", "eps"), option="log_arg")
    arg = arg.subs({symbol("d"): D, symbol("eps"): EPS})
    return PublishedCell(exponent("d"), exponent("eps"), exponent("log"), exponent("loglog"), arg)


@dataclass(frozen=True)
class Cell:
    """One column of a row: the published order (None: there is none), the derived one, how they agree.

    verdict: "agrees"; "sufficient" (the published cell asks for more than the theorem needs); "insufficient"
    (it asks for less than the bound needs: shown, not certified); "derived" or "not recognised"
    where one of the two is missing. ``footnote`` proves a disagreement.
    """

    column: str
    published: sp.Expr | None
    derived: sp.Expr | None
    powers_agree: bool | None
    logs_agree: bool | None
    verdict: str
    footnote: str = ""

    @property
    def agree(self) -> bool | None:
        """Whether powers and logarithms both agree; None where nothing is compared."""
        return None if self.powers_agree is None else bool(self.powers_agree and self.logs_agree)


def compare(
    process: Process, theorem: str = "published", start: str = "prior", scheme: str = "em"
) -> tuple[Cell, ...]:
    """Published against derived, for the columns K, eta, M. Kind: *order*.

    The published row is found by the process's name; a user's process has none. ``theorem`` "sharp" puts
    Theorem 2 beside the same published cells; for ode-hf (Theorem 3) there are none. Raises as
    `wbound.complexity.order_formulas.derive`.
    """
    derived = derive(process, theorem, start, scheme)
    row = published_orders().get(process.name, {}) if scheme in STEPS_OF_SDE else {}
    scale = Scale({symbol(k): sp.Rational(repr(v)) for k, v in process.parameters.items()})
    return tuple(_compare(column, row.get(column), derived, scale) for column in ("K", "eta", "M"))


def _derived_exponents(column: str, derived: Orders) -> tuple[sp.Expr, ...]:
    p = derived.powers[column]
    own = 1 if column == "M" else 0  # M is ε times a power of x
    return tidy(p[0] / 2), tidy(own - p[0]), p[1], p[2]


def _compare(column: str, cell: PublishedCell | None, derived: Orders, scale: Scale) -> Cell:
    value = {"K": derived.K, "eta": derived.eta, "M": derived.M}[column]
    if cell is None or not derived.powers:
        verdict = "derived" if derived.recognised else "not recognised"
        note = "; ".join(derived.notes) if column == "K" else ""
        return Cell(column, None if cell is None else cell.expr, value, None, None, verdict, note)
    published, ours = cell.exponents, _derived_exponents(column, derived)
    gaps = [scale.sign(p - q) for p, q in zip(published, ours, strict=True)]
    powers, logs = (
        gaps[0] == 0 and gaps[1] == 0,
        gaps[2] == 0 and gaps[3] == 0 and derived.powers[column][3] == 0,
    )
    if powers and logs:
        note = ""
        if cell.log != 0 and not cell.log_arg.has(D):
            note = f"The published logarithm is of {cell.log_arg}: the two agree at fixed d."
        return Cell(column, cell.expr, value, True, True, "agrees", note)
    # larger as ε → 0 at fixed d: a smaller power of ε, then a larger one of the logarithms
    larger = next((s for s in (-gaps[1], gaps[2], gaps[3]) if s), 0) > 0
    sufficient = larger if column == "K" else not larger
    verdict = "sufficient" if sufficient else "insufficient"
    return Cell(column, cell.expr, value, powers, logs, verdict, _footnote(column, cell, derived, verdict))


_ENDS = {
    "sufficient": "The published cell asks for more: it is valid, and not tight.",
    "insufficient": "The published cell asks for less than the bound needs: it is shown, not certified.",
}


def _footnote(column: str, cell: PublishedCell, derived: Orders, verdict: str) -> str:
    """The reason, from the sums themselves."""
    main, score = derived.sums[0], derived.sums[-1]
    if column == "M":
        return (
            f"Σ P_k G_k → {score.formula}, with integrand {_size(score)}: it {_at_T(score)}, so the bound "
            f"allows M ≍ {derived.M}. {_ENDS[verdict]}"
        )
    by = upper_bound(derived.theorem, derived.scheme)
    why = by.why_K.format(formula=main.formula, integrand=_size(main), at_T=_at_T(main), K=derived.K)
    return f"{why} {_ENDS[verdict]}"


def _power(name: str, exponent: sp.Expr) -> str:
    return name if exponent == 1 else f"({name})^({exponent})"


def _at_T(s: Sum) -> str:
    names = ("x", "log x", "log log x", "log log log x")
    parts = [_power(n, e) for n, e in zip(names, s.growth, strict=True) if e != 0]
    return f"grows like {' '.join(parts)}, x = √d/ε" if parts else "stays bounded"


def _size(s: Sum) -> str:
    if sp.oo in s.integrand or -sp.oo in s.integrand:
        return f"{'above' if sp.oo in s.integrand else 'below'} every power of {s.variable}"
    v = s.variable
    names = (v, f"log {v}", f"log log {v}", f"log log log {v}")
    parts = [_power(n, e) for n, e in zip(names, s.integrand, strict=True) if e != 0]
    return "≍ " + (" ".join(parts) if parts else "1")
