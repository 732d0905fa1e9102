"""wbound check: the schedule doctor, for expressions in t, arrays, and the image schedules as claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.output import emit, grid_table

#: What f and g alone cannot show.
ASKED = (
    "f and g alone may belong to another process than the one trained: give --marginal-std (and --mean-factor), the noise "
    "that your training code adds at t"
)


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
    process: o.ProcessOrClaim = None,
    sigmas: s.Sigmas = None,
    betas: s.Betas = None,
    alphas_cumprod: s.AlphasCumprod = None,
    stop: s.Stop = None,
    diffusers: s.Diffusers = None,
    steps: Annotated[
        str | None, o.numeric("--steps", "Steps at which --diffusers is read (those of its training).")
    ] = None,
    claim: Annotated[
        str | None,
        typer.Option(
            "--claim", metavar="NAME|all", help="An image schedule as a public implementation claims it."
        ),
    ] = None,
    data: s.Data = None,
    key: s.Key = None,
    json: o.Json = False,
) -> None:
    """Check a schedule for consistency.

    For f and g: the identities of section 0, α' = -fα and (std²)' = g² - 2f std², for what is claimed of
    α and std; the clock; the signal left at T; the start's error in W2. For arrays: the signal left at T, the
    start's error, the clock and the steps; two arrays of one schedule are compared with each other. Judged
    on data of variance 0.25, or on --data. Exit code 3 if something is inconsistent: the last line says what.
    Differences up to 1e-5 are taken for rounding and warned of. --claim all: the eight image schedules with
    g = std √(2 log(σ_max/σ_min)) in each VE case, which is right for one of them.

    \b
    Examples:
      wbound check --f "(b+a*t)/2" --g "sqrt(b+a*t)" -p a=1 -p b=0.5
      wbound check --f 0 --g "c*q" --marginal-std "c*exp(q*t)" -p c=0.01 -p q=8.5
      wbound check --sigmas sigmas.npy --data digits
      wbound check --claim all
    """
    from wbound.errors import BadInput, Inconsistent

    arrays = {"sigmas": sigmas, "betas": betas, "alphas_cumprod": alphas_cumprod}
    given = {name: text for name, text in arrays.items() if text is not None}
    own = f is not None or g is not None or process is not None
    if bool(given or diffusers) + own + (claim is not None) != 1:
        raise BadInput(
            "schedule",
            "(not given)",
            "give --f and --g, or --process, or --sigmas, --betas, --alphas-cumprod, --diffusers, or --claim",
        )
    loaded = None if data is None else s.dataset_from(data, key)
    law = None if loaded is None else loaded.gaussian
    if stop is not None and not given:
        raise BadInput("stop", stop, "goes with --sigmas, --betas or --alphas-cumprod")
    if key is not None and data is None and not given:
        raise BadInput("key", key, "goes with --data, --sigmas, --betas or --alphas-cumprod")
    claims = [c for c in (marginal_std, mean_factor) if c is not None]
    if not own and (claims or p):
        raise BadInput("check", claims[0] if claims else p, "goes with --f and --g")
    if claim is not None:
        _claims(claim, law, json)
        return
    if given or diffusers:
        diagnosis = _arrays(given, diffusers, law, None if data is not None else key, steps, stop)
    else:
        from numerics.schedules.doctor import check_expressions

        chosen = o.process_from(process, p, f, g)  # so that a wrong option is named as everywhere
        named = process is not None
        diagnosis = check_expressions(
            chosen.expr.f if named else f,
            chosen.expr.g if named else g,
            marginal_std=marginal_std,
            mean_factor=mean_factor,
            parameters=chosen.parameters if named else o.parameters_from(p),
            T=o.required("T", T),
            data=law,
            start=start,
            name=chosen.name,
        )
        if not named and marginal_std is None:
            diagnosis = replace(diagnosis, notes=(*diagnosis.notes, ASKED))

    def text_() -> str:
        head = [] if loaded is None else s.dataset_lines(loaded)
        return "\n".join([*head, *diagnosis.notes, "", _table(diagnosis), "", diagnosis.verdict])

    reasons = {
        f"findings.{i}.value": "no number" for i, x in enumerate(diagnosis.findings) if x.value is None
    }
    emit(diagnosis.to_dict(), json, text_, reasons)
    if not diagnosis.consistent:
        first = next(x for x in diagnosis.findings if not x.ok and x.level == "error")
        raise Inconsistent(f"inconsistent: {first.name}: {first.detail}")


def _table(diagnosis: Any) -> str:
    rows = []
    for finding in diagnosis.findings:
        verdict = "ok" if finding.ok else "FAILS" if finding.level == "error" else "warning"
        rows.append((finding.name, verdict, finding.detail))
    return grid_table(("check", "verdict", "detail"), rows)


def _arrays(
    given: dict[str, str],
    diffusers: str | None,
    law: Any,
    key: str | None,
    steps: str | None,
    stop: str | None,
) -> Any:
    """The diagnosis of arrays, or of a configuration. An array that is no schedule is a finding."""
    from numerics.schedules.doctor import check_schedule
    from wbound.errors import BadInput, count, one_of

    if stop is not None:
        one_of("stop", stop, ("early",))
    if diffusers is not None:
        if given:
            raise BadInput("diffusers", diffusers, "give a configuration or arrays")
        K = o.number("steps", steps)
        made = s.schedules_from(None, None, None, diffusers, steps=None if K is None else count("steps", K))
        return check_schedule(made[0], data=law)
    if steps is not None:
        raise BadInput("steps", steps, "goes with --diffusers: arrays have their own steps")
    read = {form: s.vector_from(form, text, key, stop) for form, text in given.items()}
    said = tuple(note for _, notes, _ in read.values() for note in notes)
    ends = next((end for _, _, end in read.values() if end is not None), None)
    arrays = {form: values for form, (values, _, _) in read.items()}
    return check_schedule(**arrays, data=law, notes=said, stop=ends)


def _claims(which: str, law: Any, json: bool) -> None:
    """Section 9's image schedules as claimed: a row each; exit code 3 if one is inconsistent."""
    from numerics.schedules.doctor import check_expressions
    from numerics.schedules.image_schedules import image_claims
    from wbound.errors import Inconsistent, one_of

    claims = image_claims()
    one_of("claim", which, (*claims, "all"))
    chosen = list(claims) if which == "all" else [which]
    found = {name: check_expressions(**claims[name], data=law, name=name) for name in chosen}
    wrong = {}
    rows = []
    for name, diagnosis in found.items():
        factor = diagnosis["g against the marginal"].value
        if not diagnosis.consistent:
            wrong[name] = factor
        rows.append(
            {
                "schedule": name,
                "consistent": diagnosis.consistent,
                "g_squared_factor": factor,
                "g": claims[name]["g"],
                "marginal_std": claims[name]["marginal_std"],
                "findings": diagnosis.to_dict()["findings"],
            }
        )

    def text() -> str:
        heads = ("schedule", "verdict", "claimed g² over the marginal's, t = 0.5")
        body = [
            (r["schedule"], "consistent" if r["consistent"] else "INCONSISTENT", r["g_squared_factor"])
            for r in rows
        ]
        lines = [grid_table(heads, body)]
        if len(found) == 1:
            lines = [*found[which].notes, "", _table(found[which])]
        return "\n".join([*lines, "", f"{len(rows) - len(wrong)} consistent, {len(wrong)} not"])

    reasons = {
        f"rows.{i}.findings.{j}.value": "no number"
        for i, row in enumerate(rows)
        for j, finding in enumerate(row["findings"])
        if finding["value"] is None
    }
    emit({"consistent": not wrong, "rows": rows}, json, text, reasons)
    if wrong:
        said = ", ".join(f"{name} by {factor:.4g}" for name, factor in wrong.items())
        raise Inconsistent(f"inconsistent: g² is too large at t = 0.5: {said}")


__all__ = ["check", "register"]
