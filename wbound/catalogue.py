"""The named forward processes: one row each, as data (section 1 of docs/theory.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from wbound.errors import BadInput, one_of, positive
from wbound.expressions import parse
from wbound.forward import Process

__all__ = ["CATALOGUE", "PUBLISHED", "Row", "process"]

A, B, C, RHO = ("a", 1.0), ("b", 0.5), ("c", 1.0), ("rho", 2.0)


@dataclass(frozen=True)
class Row:
    """A named process. ``increment`` is ∫_lo^hi g² (family ve) or ∫_lo^hi f (the others), written so that
    nothing cancels when hi − lo is small and nothing overflows before the integral itself does."""

    name: str
    defaults: tuple[tuple[str, float], ...]
    f: str
    g: str
    family: str
    increment: str
    log_lam: str | None = None
    source: str = "Gao, Nguyen & Zhu, arXiv 2311.11003"
    published: bool = True
    #: whether samplers may start from N(0, I): the law tends to it as T grows
    standard_start: bool = False


def _polynomial(power: str) -> str:
    # ((b+a·hi)^p − (b+a·lo)^p)/(ap) from its larger end: no cancellation, and b = 0, lo = 0 is harmless
    return f"-(b+a*hi)**({power})*expm1(({power})*log1p(-a*(hi-lo)/(b+a*hi)))/(a*({power}))"


CATALOGUE: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            "ve-exponential",
            (A, B),
            "0",
            "a*exp(b*t)",
            "ve",
            "-a**2/(2*b)*exp(2*b*hi)*expm1(-2*b*(hi-lo))",
            log_lam="log(a**2/(2*b)) + 2*b*t + log(-expm1(-2*b*t))",
        ),
        Row("ve-constant", (A,), "0", "a", "ve", "a**2*(hi-lo)"),
        Row("ve-sqrt", (A,), "0", "sqrt(2*a*t)", "ve", "a*(hi-lo)*(hi+lo)"),
        Row("ve-polynomial", (A, B, C), "0", "(b+a*t)**c", "ve", _polynomial("2*c+1")),
        Row("ou", (("theta", 0.5), ("sigma", 1.0)), "theta", "sigma", "stationary", "theta*(hi-lo)"),
        Row(
            "vp-linear",
            (A, B),
            "(b+a*t)/2",
            "sqrt(b+a*t)",
            "stationary",
            "(hi-lo)*(b+a*(lo+hi)/2)/2",
            standard_start=True,
        ),
        Row(
            "vp-polynomial",
            (A, B, RHO),
            "(b+a*t)**rho/2",
            "(b+a*t)**(rho/2)",
            "stationary",
            _polynomial("rho+1") + "/2",
            standard_start=True,
        ),
        Row(
            "vp-exponential",
            (A, B),
            "a*exp(b*t)/2",
            "sqrt(a)*exp(b*t/2)",
            "stationary",
            "-a/(2*b)*exp(b*hi)*expm1(-b*(hi-lo))",
            standard_start=True,
        ),
        Row(
            "sub-vp",
            (A, B),
            "(b+a*t)/2",
            # g² = β(1 − e^{−2B}), B = bt + at²/2
            "sqrt(-(b+a*t)*expm1(-2*(b*t+a*t**2/2)))",
            "general",
            "(hi-lo)*(b+a*(lo+hi)/2)/2",
            log_lam="b*t+a*t**2/2 + 2*log(-expm1(-(b*t+a*t**2/2)))",
            source="Song et al., 2021",
            published=False,
            standard_start=True,
        ),
    )
}

#: The eight rows of the published table, in its order.
PUBLISHED = tuple(name for name, row in CATALOGUE.items() if row.published)


@cache
def _expressions(name: str) -> tuple[sp.Expr | None, ...]:
    row = CATALOGUE[name]
    names = tuple(p for p, _ in row.defaults)
    texts = (row.f, row.g, row.increment, row.log_lam)
    return tuple(None if text is None else parse(text, "t", (*names, "lo", "hi")) for text in texts)


def process(name: str, **parameters: float) -> Process:
    """The forward process called ``name`` (section 1), with its closed forms.

    Parameters are those of the row (`CATALOGUE`), positive; those left out take its defaults.
    Raises `BadInput` for an unknown name or parameter, or a value ≤ 0.
    """
    row = CATALOGUE[one_of("process", name, CATALOGUE)]
    defaults = dict(row.defaults)
    for key in parameters:
        if key not in defaults:
            raise BadInput(key, parameters[key], f"process {name} takes " + ", ".join(defaults))
    values = {key: positive(key, parameters.get(key, default)) for key, default in defaults.items()}
    f, g, increment, log_lam = _expressions(name)
    return Process.named(
        name,
        values,
        f,
        g,
        family=row.family,
        increment=increment,
        log_lam=log_lam,
        standard_start=row.standard_start,
    )
