"""The named forward processes: one row each, as data (section 1 of docs/theory.md)."""

from __future__ import annotations

from wbound.errors import one_of
from wbound.forward.catalogue_flow import FLOW
from wbound.forward.catalogue_images import IMAGES
from wbound.forward.catalogue_optimal import OPTIMAL
from wbound.forward.forward_process import Process
from wbound.forward.row import Row

__all__ = ["CATALOGUE", "FORMS", "NAMED", "PUBLISHED", "Row", "process", "row_name"]

A, B, C, RHO = ("a", 1.0), ("b", 0.5), ("c", 1.0), ("rho", 2.0)


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
        ),
        Row(
            "vp-polynomial",
            (A, B, RHO),
            "(b+a*t)**rho/2",
            "(b+a*t)**(rho/2)",
            "stationary",
            _polynomial("rho+1") + "/2",
        ),
        Row(
            "vp-exponential",
            (A, B),
            "a*exp(b*t)/2",
            "sqrt(a)*exp(b*t/2)",
            "stationary",
            "-a/(2*b)*exp(b*hi)*expm1(-b*(hi-lo))",
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
            # σ = 1 − e^{−B}, α² = e^{−B}
            short="2-alpha**2",
        ),
    )
}

#: The eight rows of the published table, in its order.
PUBLISHED = tuple(name for name, row in CATALOGUE.items() if row.published)


#: Every name that `process` takes: the rows of section 1, the optimal clocks (7), the images' (9) and flow matching's (18).
NAMED: dict[str, Row] = {**CATALOGUE, **{row.name: row for row in (*OPTIMAL, *IMAGES, *FLOW)}}

#: Families whose members are told apart by ``form``, and the form that the bare name means.
FORMS = {"optimal": "ve", "image-ve": "original", "image-vp": "original"}


def row_name(name: str, form: str | None = None) -> str:
    """The key in `NAMED` of a process's name, or of a family's and its ``form``. Raises `BadInput`."""
    if form is None and name in FORMS:
        form = FORMS[name]
    if form is not None:
        one_of("process", name, FORMS)
        forms = [n.removeprefix(f"{name}-") for n in NAMED if n.startswith(f"{name}-")]
        name = f"{name}-{one_of('form', form, forms)}"
    return one_of("process", name, NAMED)


def process(name: str, *, form: str | None = None, **parameters: float) -> Process:
    """The forward process called ``name`` (sections 1, 7, 9 and 18), with its closed forms.

    Parameters are those of the row (`NAMED`), positive; those left out take its defaults. ``form`` picks a
    member of a family: ``process("optimal", form="vp", m0=…, L0=…)`` is ``process("optimal-vp", …)``.
    Raises `BadInput` for an unknown name, form or parameter, or a value ≤ 0.
    """
    return NAMED[row_name(name, form)].make(parameters)
