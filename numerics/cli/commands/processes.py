"""wbound processes, show: the forward processes and their formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli.output import emit, grid_table

if TYPE_CHECKING:
    import wbound

#: Forward times at which `show` prints values, as shares of --T.
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)
FORMULAS = ("f", "g", "alpha", "sigma2", "lam")


def processes(json: o.Json = False) -> None:
    """List the named forward processes.

    \b
    Examples:
      wbound processes
      wbound processes --json
    """
    from wbound import CATALOGUE, NAMED

    rows = [
        {
            "process": row.name,
            "f": row.f,
            "g": row.g,
            "parameters": dict(row.defaults),
            "family": row.family,
            "published": row.published,
            "source": row.source,
        }
        for row in NAMED.values()
    ]

    def text() -> str:
        def defaults(row: Any) -> str:
            return ", ".join(f"{k}={v:g}" for k, v in row["parameters"].items())

        first = [r for r in rows if r["process"] in CATALOGUE]
        others = [r for r in rows if r["process"] not in CATALOGUE]
        return "\n".join(
            [
                grid_table(
                    ("process", "f(t)", "g(t)", "defaults", "published row"),
                    [(r["process"], r["f"], r["g"], defaults(r), bool(r["published"])) for r in first],
                ),
                "",
                grid_table(
                    ("also", "defaults", "source"), [(r["process"], defaults(r), r["source"]) for r in others]
                ),
                "",
                "wbound show NAME prints the formulas of one.",
            ]
        )

    emit({"processes": rows}, json, text)


def _formulas(process: wbound.Process, T: float) -> tuple[dict[str, str], str | None]:
    """f, g, α, σ², λ as text, and why α, σ², λ stay integrals (None where they do not)."""
    import sympy

    from wbound.forward.closed_forms import closed_form

    expr = process.expr
    formulas = {key: str(getattr(expr, key)) for key in FORMULAS}
    if process.name != "user" or not any(getattr(expr, key).has(sympy.Integral) for key in FORMULAS):
        return formulas, None
    found, why = closed_form(formulas["f"], formulas["g"], process.parameters, T)
    return formulas | found, why


def show(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A named process.", autocompletion=o.complete_process),
    ] = None,
    p: o.Parameters = None,
    f: o.F = None,
    g: o.G = None,
    T: Annotated[str | None, o.numeric("--T", "Show values up to this forward time (default 4).")] = None,
    json: o.Json = False,
) -> None:
    """Show a process: formulas and values.

    f, g, α, σ² and the clock λ = σ²/α², as formulas and at a few forward times. For your own f and g, a
    closed form is tried for two seconds.

    \b
    Examples:
      wbound show vp-linear -p a=2
      wbound show --f "(b+a*t)/2" --g "sqrt(b+a*t)" -p a=1 -p b=0.5
    """
    import numpy as np

    from wbound.errors import positive

    process = o.process_from(name, p, f, g)
    usual = min(1.0 if process.name.startswith("image-") else 4.0, 0.9 * getattr(process, "t_max", math.inf))
    end = positive("T", o.number("T", T, usual))
    process.check_domain(end)
    formulas, why = _formulas(process, end)
    t = end * np.array(SHARES)
    values: dict[str, Any] = {
        "t": t,
        "alpha": process.alpha(t),
        "sigma2": process.sigma2(t),
        "log_lam": process.log_lam(t),
    }
    if process.name.startswith("image-"):  # what the literature calls the marginal: section 9
        from wbound.forward import catalogue_images

        values["mean_factor"] = catalogue_images.mean_factor(process, t)
        values["marginal_std"] = catalogue_images.marginal_std(process, t)
    payload = {
        "process": process.name,
        "parameters": process.parameters,
        "family": process.family,
        "formulas": formulas,
        "closed_form": why is None,
        "values": values,
        "reason": why,
    }

    def text() -> str:
        title = process.name + "".join(f", {k} = {v:g}" for k, v in process.parameters.items())
        lines = [title, "", "dX = -f(t) X dt + g(t) dB", ""]
        names = {"f": "f", "g": "g", "alpha": "α", "sigma2": "σ²", "lam": "λ"}
        lines += [f"{label:<2} = {formulas[key]}" for key, label in names.items()]
        if why is not None:
            lines += ["", f"no closed form: {why}; the values come from quadrature, to about 1e-12"]
        rows = list(zip(*(v.tolist() for v in values.values()), strict=True))
        heads = ("t", "α", "σ²", "log λ", "mean factor", "marginal std")
        table = grid_table(heads[: len(values)], rows)
        return "\n".join([*lines, "", table])

    emit(payload, json, text, {"reason": "there is a closed form"} if why is None else None)
