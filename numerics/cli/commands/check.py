"""wbound check: the schedule doctor, for expressions in t, arrays, and the image schedules as claimed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.option_groups import ProcessOptions, grouped
from numerics.cli.output import emit, grid_table

#: What f and g alone cannot show.
ASKED = (
    "f and g alone may belong to another process than the one trained: give --marginal-std (and --mean-factor), the noise "
    "that your training code adds at t"
)


@dataclass(frozen=True)
class CheckedProcess(ProcessOptions):
    """A process, or a schedule, or what somebody claims of one."""

    process: o.ProcessOrClaim = None


@grouped
def check(
    *,
    own: CheckedProcess,
    marginal_std: Annotated[
        str | None,
        o.word("--marginal-std", "A claimed standard deviation of X_t's noise.", metavar="TEXT"),
    ] = None,
    mean_factor: Annotated[
        str | None, o.word("--mean-factor", "A claimed mean factor α(t).", metavar="TEXT")
    ] = None,
    T: Annotated[str, o.numeric("--T", "Check on (0, T].")] = "1",
    start: Annotated[str, o.word("--start", "prior or standard.")] = "prior",
    given: s.ScheduleOptions,
    K: Annotated[str | None, o.steps("Steps at which --diffusers is read (those of its training).")] = None,
    claim: Annotated[
        str | None,
        o.word("--claim", "An image schedule as a public implementation claims it.", metavar="NAME|all"),
    ] = None,
    on: s.DataOptions,
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

    arrays = bool(given.arrays)
    if (arrays or given.diffusers is not None) + own.given + (claim is not None) != 1:
        raise BadInput(
            "schedule",
            "(not given)",
            "give --f and --g, or --process, or --sigmas, --betas, --alphas-cumprod, --diffusers, or --claim",
        )
    loaded = None if on.data is None else s.dataset_from(on.data, on.key)
    law = None if loaded is None else loaded.gaussian
    if not arrays:
        o.refuse({"stop": given.stop}, "goes with --sigmas, --betas or --alphas-cumprod")
    if not arrays and on.data is None:
        o.refuse({"key": on.key}, "goes with --data, --sigmas, --betas or --alphas-cumprod")
    if not own.given:
        claims = {"marginal_std": marginal_std, "mean_factor": mean_factor, "-p": own.p}
        o.refuse(claims, "goes with --f and --g")
    if claim is not None:
        _claims(claim, law, json)
        return
    if claim is None and not own.given:
        diagnosis = _arrays(given, law, None if on.data is not None else on.key, K)
    else:
        from numerics.schedules.doctor import check_expressions

        chosen = own.made  # so that a wrong option is named as everywhere
        named = own.process is not None
        diagnosis = check_expressions(
            chosen.expr.f if named else own.f,
            chosen.expr.g if named else own.g,
            marginal_std=marginal_std,
            mean_factor=mean_factor,
            parameters=chosen.parameters if named else o.parameters_from(own.p),
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


def _arrays(given: s.ScheduleOptions, law: Any, key: str | None, K: str | None) -> Any:
    """The diagnosis of arrays, or of a configuration. An array that is no schedule is a finding."""
    from numerics.schedules.doctor import check_schedule
    from wbound.errors import BadInput, one_of

    if given.stop is not None:
        one_of("stop", given.stop, ("early",))
    if given.diffusers is not None:
        if given.arrays:
            raise BadInput("diffusers", given.diffusers, "give a configuration or arrays")
        return check_schedule(given.read(steps=o.steps_from(K))[0], data=law)
    o.refuse({"K": K}, "goes with --diffusers: arrays have their own steps")
    read = {form: s.vector_from(form, text, key, given.stop) for form, text in given.arrays.items()}
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
