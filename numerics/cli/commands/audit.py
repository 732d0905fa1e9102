"""wbound audit: what the sampler that you run costs on your data, what is wrong with it, and what helps."""

from __future__ import annotations

import json as text_json
from typing import Annotated, Any

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.output import drawable, emit, grid_table, note, say
from numerics.cli.progress import Progress


def audit(
    diffusers: Annotated[
        str | None,
        o.word(
            "--diffusers",
            "A scheduler_config.json, or the name of a scheduler's class.",
            metavar="FILE|CLASS",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        o.word(
            "--set",
            "Another value of its configuration, of step (s_churn=5) or of set_timesteps (mu=1.1); again for each.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    timesteps: Annotated[
        str | None, o.numbers_in("--timesteps", "LIST|FILE", "Timesteps of your own, for --K.")
    ] = None,
    sigmas: Annotated[
        str | None, o.numbers_in("--sigmas", "LIST|FILE", "Sigmas of your own, for --K.")
    ] = None,
    tape: Annotated[str | None, s.tape_in("for --diffusers.")] = None,
    data: s.Data = "digits",
    K: Annotated[str | None, o.steps("Numbers of steps (10,20,50).", "LIST")] = None,
    eta: Annotated[str | None, o.numeric("--eta", "The eta of a DDIM step.")] = None,
    start: Annotated[
        str,
        o.word("--start", "own: what its pipeline draws; prior: N(0, λ I); exact; standard."),
    ] = "own",
    figure: o.Figure = None,
    width: o.Width = "report",
    json: o.Json = False,
) -> None:
    """Audit the sampler that you really run, on your data.

    The library's own scheduler is run on unit vectors, which gives its exact W2 for the Gaussian with your data's
    mean and covariance and a perfect network; then what is wrong with it over many numbers of steps, and the
    changes of its configuration that help (by 2 % of W2 or more), each as the line to paste with its W2. W2 is of
    what the scheduler returns.

    \b
    Examples:
      wbound audit --diffusers DDIMScheduler --set clip_sample=false
      wbound audit --diffusers scheduler_config.json --data digits --K 10,20,50
      wbound audit --diffusers FlowMatchEulerDiscreteScheduler --set shift=3 --data 1,0.25 --K 28
      wbound audit --tape tape.json --data samples.npy --json
    """
    from wbound.errors import BadInput, one_of
    from wbound.exact.law_of_tape import TAPE_STARTS

    one_of("start", start, TAPE_STARTS)
    if (diffusers is None) == (tape is None):
        raise BadInput(
            "diffusers", diffusers or "(not given)", "give --diffusers FILE|CLASS or --tape FILE, one of them"
        )
    if figure is not None:
        drawable(figure, width, "figure")
    if tape is not None:
        given = {"set": set_, "timesteps": timesteps, "sigmas": sigmas, "K": K, "eta": eta}
        o.refuse(given, "goes with --diffusers: a tape is what was recorded")
        found = _of_tape(tape, data, start)
    else:
        if timesteps is not None or sigmas is not None:
            o.refuse({"K": K}, "give --K, or --timesteps or --sigmas")
        found = _of_scheduler(diffusers, set_ or [], timesteps, sigmas, data, K, eta, start)
    loaded, result = found
    if figure is not None:
        from numerics.figures.audits import audit_csv, audit_figure
        from numerics.figures.output import save
        from numerics.io.writing import write

        if figure.lower().endswith(".csv"):
            write(figure, audit_csv(result))
        else:
            save(audit_figure(result, width), figure)
        note(figure)
    payload = {**result.to_dict(), "data": loaded.to_dict(), "figure": figure}
    reasons = {"figure": "no --figure"}
    for i, row in enumerate(result.rows):
        if row.failed is not None:
            reasons |= {
                f"rows.{i}.{key}": row.failed for key in row.to_dict() if key not in ("steps", "failed")
            }
        else:
            reasons |= {f"rows.{i}.spreads.{j}": "the data have no spread there" for j in range(loaded.d)}
            reasons[f"rows.{i}.failed"] = "it did not"
    for i, (_, w2) in enumerate(result.curve):
        if w2 is None:
            reasons[f"curve.{i}.w2"] = "the library fails there"
    emit(payload, json, lambda: _text(loaded, result), reasons)


def _of_tape(path: str, data: str | None, start: str) -> tuple[Any, Any]:
    from numerics.recorders.audited import audit_tape
    from wbound.sampler.tape import Tape

    made = Tape.load(path)
    loaded = s.dataset_from(data)
    return loaded, audit_tape(made, loaded, start)


def _of_scheduler(
    given: str | None,
    changes: list[str],
    timesteps: str | None,
    sigmas: str | None,
    data: str | None,
    steps: str | None,
    eta: str | None,
    start: str,
) -> tuple[Any, Any]:
    from numerics.recorders.audited import audit_plan
    from numerics.recorders.diffusers_schedulers import plan_of

    numbers = _steps(steps) if timesteps is None and sigmas is None else []
    options = _values(changes)
    begin = options.pop("begin_index", None)
    if eta is not None:
        options["eta"] = o.number("eta", eta)
    loaded = s.dataset_from(data)
    plan = plan_of(
        given,
        numbers[0] if numbers else None,
        changes=options,
        timesteps=_list("timesteps", timesteps),
        sigmas=_list("sigmas", sigmas),
        begin_index=begin,
    )
    progress = Progress("numbers of steps")
    result = audit_plan(plan, loaded, numbers, start=start, watch=progress)
    say(f"{len(result.curve)} numbers of steps and {result.tried} changes run")
    return loaded, result


def _steps(text: str | None) -> list[int]:
    from wbound.errors import BadInput, count

    found = [count("K", o.number("steps", part)) for part in (text or "10,20,50").split(",")]
    if len(found) > 20 or max(found) > 1000:
        raise BadInput("K", text, "must be at most 20 numbers up to 1000")
    return found


def _list(option: str, text: str | None) -> list[float] | None:
    from wbound.errors import BadInput

    if text is None:
        return None
    values = [float(v) for v in s.vector_from(option, text)[0]]
    if not values or not all(abs(v) < 1e300 for v in values):
        raise BadInput(option, text, "must be a list of finite numbers")
    return values


def _values(pairs: list[str]) -> dict[str, Any]:
    """KEY=VALUE: JSON where it is that, Python's True, False and None, text otherwise."""
    from wbound.errors import BadInput

    out: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key.isidentifier() or not value:
            raise BadInput("set", pair, "must be KEY=VALUE")
        if key in out:
            raise BadInput("set", pair, f"{key} is given twice")
        spelled = {"True": "true", "False": "false", "None": "null"}.get(value, value)
        try:
            out[key] = text_json.loads(spelled)
        except (ValueError, RecursionError):
            out[key] = value
        if out[key] != out[key] or (isinstance(out[key], float) and abs(out[key]) == float("inf")):
            raise BadInput("set", pair, "must be a finite number")
    return out


def _text(data: Any, found: Any) -> str:
    import numpy as np

    from numerics.recorders.audited import SAYS

    names = (
        "K",
        "calls",
        "W2",
        "relative",
        "start",
        "steps",
        "last jump",
        "out/true spread: smallest, median, largest",
    )
    rows = []
    for row in found.rows:
        if row.parts is None:
            rows.append([row.steps, None, None, None, None, None, None, row.failed])
            continue
        p = row.parts
        seen = p.spreads[np.isfinite(p.spreads)]
        spread = ", ".join(f"{v:.4g}" for v in (seen.min(), np.median(seen), seen.max()))
        rows.append([row.steps, row.calls, p.w2, row.relative, p.start, p.steps, p.last_jump, spread])
    lines = [
        *s.dataset_lines(data),
        f"{found.what}, start {found.start}",
        "",
        grid_table(names, rows),
        "",
        "start: what the start that is drawn costs beside the exact one; last jump: what the last step leaves from exact",
        "states; steps: what the steps before it add. W2 is at most their sum.",
    ]
    if found.findings or found.curve:
        lines += [
            "",
            "Findings:",
            *(f"- {one}" for one in found.findings or ("nothing of what is looked for was found",)),
        ]
    if found.helps:
        best: dict[int, list[Any]] = {}
        for h in found.helps:
            best.setdefault(h.cost, []).append(h)
        lines += [
            "",
            f"What helps at K = {found.steps_tried} (W2 {_before(found)}), of {found.tried} changes tried:",
        ]
        for same in best.values():
            lines += [f"  {h.line}  # W2 {h.w2:.5g}, {h.calls} calls" for h in same[:4]]
    elif found.tried:
        lines += ["", f"None of {found.tried} changes of the configuration helps at K = {found.steps_tried}."]
    lines += ["", *(f"- {one}" for one in found.notes), SAYS]
    return "\n".join(lines)


def _before(found: Any) -> str:
    row = next((r for r in found.rows if r.steps == found.steps_tried and r.parts is not None), None)
    return "not a number" if row is None else f"{row.parts.w2:.5g}"
