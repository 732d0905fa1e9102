"""wbound lower-bound: Proposition 1 in numbers, and its check against the exact law."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli.output import aligned, emit, grid_table, note, say

ORDER = 50


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("lower-bound")(lower_bound)


def lower_bound(
    d: Annotated[str, o.numeric("--d", "Dimension.")] = "3",
    sigma0: Annotated[str, o.numeric("--sigma0", "σ_0 of the data N(0, σ_0² I).")] = "1",
    eps: Annotated[str, o.numeric("--eps", "Target W2, in the data's units.")] = "0.1",
    lam_T: Annotated[str | None, o.numeric("--lam-T", "λ(T); without it λ(T) → ∞ in K.")] = None,
    start: Annotated[str, typer.Option("--start", metavar="NAME", help="exact or prior.")] = "exact",
    theta: Annotated[str, o.numeric("--theta", "The proviso's θ, for the prior start.")] = "0",
    process: o.ProcessName = None,
    p: o.Parameters = None,
    K_from: Annotated[str, o.numeric("--K-from", "First K of the check.")] = "10",
    K_to: Annotated[str, o.numeric("--K-to", "Last K of the check.")] = "1e5",
    K_tuned: Annotated[str, o.numeric("--K-tuned", "K of the cancellation point.")] = "50",
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="Draw the check: .svg .png .pdf .csv")
    ] = None,
    width: Annotated[str, typer.Option("--width", help="column, page, report, or inches.")] = "report",
    json: o.Json = False,
) -> None:
    """How many steps W2 ≤ ε needs at least.

    Proposition 1 (Eq. 12) for Gaussian data N(0, σ_0² I) and the scheme hf, whatever the process and the
    grid; and its check: for K over four decades the exact W2 from both starts above the floor (Eq. 11),
    with fitted slopes, and the tuned λ(T) at which the prior start's error cancels the discretisation.

    \b
    Example:
      wbound lower-bound --d 3 --sigma0 1 --eps 0.1
    """
    import wbound
    from numerics.curves import cancellation, floor_check, geometric
    from wbound.errors import BadInput, count, positive

    dimension, size = count("d", o.required("d", d)), positive("sigma0", o.required("sigma0", sigma0))
    target = positive("eps", o.required("eps", eps))
    far = o.number("lam_T", lam_T)
    low, high = count("K_from", o.required("K_from", K_from)), count("K_to", o.required("K_to", K_to))
    if high < low or high > 10**7:
        raise BadInput("K_to", K_to, f"must be between K_from = {low} and 1e7")
    chosen = o.process_from(process or "vp-linear", p, None, None)
    answer = wbound.lower_bound(
        dimension, size, target, far, start=start, theta=o.required("theta", theta)
    )  # fmt: skip
    points = 1 + 3 * max(1, round(math.log10(high / low)))
    say(f"exact laws for {points} values of K")
    check = floor_check(dimension, size, geometric(low, high, points), lam_T=far, process=chosen)
    tuned = cancellation(dimension, size, count("K_tuned", o.required("K_tuned", K_tuned)))
    payload: dict[str, Any] = {
        "K": answer.K,
        "steps": answer.steps,
        "d": dimension,
        "sigma0": size,
        "eps": target,
        "start": answer.start,
        "theta": answer.theta,
        "varrho": answer.varrho,
        "u": answer.u,
        "check": {
            "process": chosen.name,
            "lam_T": check.lam_T,
            "T": check.T,
            **check.columns(),
            "slopes": check.slopes,
            "closest": check.closest,
        },
        "cancellation": {
            "K": tuned.K,
            "lam_T": tuned.lam_T,
            "prior": tuned.prior,
            "exact": tuned.exact,
            "floor": tuned.floor,
        },
    }
    if out is not None:
        _draw(check, out, width)

    def text() -> str:
        where = "λ(T) → ∞" if far is None else f"λ(T) = {far:g}"
        rows: list[tuple[str, Any, str]] = [
            ("K at least", answer.K, f"{answer.steps} steps: Eq. 12, start {answer.start}, {where}"),
            ("u", answer.u, "ε/(σ_0 √d)"),
            ("ϱ", answer.varrho, "σ_0/√(σ_0² + λ(T))"),
        ]
        columns = check.columns()
        starts = ("from p_T", "prior")
        head = ("K", "floor", *(f"{grid}, {s}" for grid in ("gaussian grid", chosen.name) for s in starts))
        body = [[int(row[0]), *row[1:]] for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
        body.append(["slope", *(check.slopes[name] for name in list(columns)[1:])])
        return "\n".join(
            [
                f"N(0, σ_0² I), σ_0 = {size:g}, d = {dimension}, ε = {target:g}; hf, any process and grid",
                "",
                aligned(rows),
                "",
                f"Check, λ(T) = {check.lam_T:g}, W2. Gaussian grid: uniform in w^(-1/2), w = σ_0² + λ; "
                f"{chosen.name}: uniform in t.",
                "",
                grid_table(head, body),
                "",
                f"Smallest exact/floor from p_T: {check.closest:.6f}",
                f"Cancellation at K = {tuned.K}, λ(T) = {tuned.lam_T:.10g}: "
                f"W2 from the prior {tuned.prior:.3g}, from p_T {tuned.exact:.6g}, floor {tuned.floor:.6g}",
            ]
        )

    emit(payload, json, text)


def _draw(check: Any, out: str, width: str) -> None:
    from numerics import figures
    from numerics.files import write

    if out.endswith(".csv"):
        write(out, figures.csv_text(check.columns()))
    else:
        figures.save(figures.floor_figure(check, width), out)
    note(out)


__all__ = ["ORDER", "lower_bound", "register"]
