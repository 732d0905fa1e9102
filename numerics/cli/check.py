"""wbound check: the schedule doctor, for expressions in t and for arrays."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli.output import emit, grid_table

ORDER = 15


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("check")(check)


def check(
    f: o.F = None,
    g: o.G = None,
    p: o.Parameters = None,
    marginal_std: Annotated[
        str | None,
        typer.Option("--marginal-std", metavar="TEXT", help="A claimed standard deviation of X_t's noise."),
    ] = None,
    mean_factor: Annotated[
        str | None, typer.Option("--mean-factor", metavar="TEXT", help="A claimed mean factor α(t).")
    ] = None,
    T: Annotated[str, o.numeric("--T", "Check on (0, T].")] = "1",
    start: Annotated[str, typer.Option("--start", metavar="NAME", help="prior or standard.")] = "prior",
    sigmas: Annotated[
        str | None, typer.Option("--sigmas", metavar="LIST|FILE", help="An array of noise levels instead.")
    ] = None,
    betas: Annotated[str | None, typer.Option("--betas", metavar="LIST|FILE", help="Or of betas.")] = None,
    alphas_cumprod: Annotated[
        str | None, typer.Option("--alphas-cumprod", metavar="LIST|FILE", help="Or of products of 1 - beta.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="digits|FILE", help="Data for the start's error (default N(0, 1))."),
    ] = None,
    json: o.Json = False,
) -> None:
    """Check a schedule for consistency.

    For f and g: the identities of section 0, α' = -fα and (std²)' = g² - 2f std², for what is claimed of
    α and std; the clock; the signal left at T; the start's error in W2. For arrays: the clock, its end, the
    start's error and the steps. Exit code 3 if the schedule is no forward SDE's.

    \b
    Examples:
      wbound check --f "(b+a*t)/2" --g "sqrt(b+a*t)" -p a=1 -p b=0.5
      wbound check --f 0 --g "s*r" --marginal-std "s*exp(r*t)" -p s=0.01 -p r=8.5
      wbound check --sigmas sigmas.npy --data digits
    """
    from wbound.errors import BadInput, Inconsistent

    arrays = {"sigmas": sigmas, "betas": betas, "alphas_cumprod": alphas_cumprod}
    given = {name: text for name, text in arrays.items() if text is not None}
    if len(given) + (f is not None or g is not None) != 1:
        raise BadInput(
            "schedule", "(not given)", "give --f and --g, or one of --sigmas, --betas, --alphas-cumprod"
        )
    law = _law(data)
    if given:
        from numerics.doctor import check_schedule

        name, text = next(iter(given.items()))
        claims = [c for c in (marginal_std, mean_factor) if c is not None]
        if claims or p:
            raise BadInput("check", claims[0] if claims else p, "goes with --f and --g, not with an array")
        kind: dict[str, Any] = {name: o.array_from(name, text)}
        diagnosis = check_schedule(**kind, data=law)
    else:
        from numerics.doctor import check_expressions

        process = o.process_from(None, p, f, g)  # so that a wrong option is named as everywhere
        diagnosis = check_expressions(
            f,
            g,
            marginal_std=marginal_std,
            mean_factor=mean_factor,
            parameters=process.parameters,
            T=o.required("T", T),
            data=law,
            start=start,
        )

    def text_() -> str:
        rows = []
        for finding in diagnosis.findings:
            verdict = "ok" if finding.ok else "FAILS" if finding.level == "error" else "warning"
            rows.append((finding.name, verdict, finding.detail))
        verdict = "consistent" if diagnosis.consistent else "INCONSISTENT: no forward SDE has this schedule"
        return "\n".join([grid_table(("check", "verdict", "detail"), rows), "", verdict])

    reasons = {
        f"findings.{i}.value": "no number" for i, x in enumerate(diagnosis.findings) if x.value is None
    }
    emit(diagnosis.to_dict(), json, text_, reasons)
    if not diagnosis.consistent:
        first = next(x for x in diagnosis.findings if not x.ok and x.level == "error")
        raise Inconsistent(f"inconsistent: {first.name}: {first.detail}")


def _law(data: str | None) -> Any:
    if data is None:
        return None
    from numerics.datasets import load

    return load(data).gaussian


__all__ = ["ORDER", "check", "register"]
