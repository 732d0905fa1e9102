"""The audit of a sampler on one's own data: exact W2 over the number of steps, what is wrong, and what helps."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numerics.laws.tape_parts import Parts, parts_on
from numerics.recorders.diffusers_schedulers import Plan, record_plan, recorded
from numerics.recorders.landing_levels import APART, apart, levels_seen
from numerics.recorders.network_levels import is_flow
from numerics.recorders.recording import NotRecorded
from numerics.recorders.remedies import remedies_of
from numerics.recorders.scheduler_source import quiet
from numerics.targets.datasets import Dataset
from wbound.errors import WboundError, count, one_of
from wbound.exact.law_of_tape import TAPE_STARTS
from wbound.sampler.tape import Tape
from wbound.typing import Array

__all__ = ["SAYS", "Audit", "AuditRow", "Help", "audit_plan", "audit_tape"]


#: What every audit says of itself.
SAYS = (
    "Exact for the Gaussian with your data's mean and covariance and a perfect network; "
    "what a trained network adds, and what is not Gaussian in your data, is not in it."
)
#: All numbers of steps up to this one are looked at; beyond, those where the schedule jumps.
DENSE = 50
#: So many jumps of the schedule, the largest, are looked at.
JUMPS = 6
#: Numbers of steps at which convergence is looked for: they divide the thousand training steps of most schedules.
FAR = (50, 100, 200)
#: So many numbers of steps show whether the place where a schedule begins depends on them.
PROBES = 12
#: More steps are worse when W2 rises by this share.
WORSE = 0.005
#: It does not converge when four times the steps leave more than this share of W2.
STUCK = 0.8
#: A change helps when it leaves at most this share of W2.
HELPS = 0.98


@dataclass(frozen=True, eq=False)
class AuditRow:
    """One number of steps: network calls, W2 and its parts (`Parts`), or why there is none."""

    steps: int
    calls: int | None
    parts: Parts | None
    relative: float | None
    failed: str | None = None
    tape: Tape | None = None

    def to_dict(self) -> dict[str, Any]:
        p = self.parts
        return {
            "steps": self.steps,
            "calls": self.calls,
            "w2": None if p is None else p.w2,
            "w2_relative": self.relative,
            "w2_divided": None if p is None else p.divided,
            "start_share": None if p is None else p.start,
            "last_jump_share": None if p is None else p.last_jump,
            "steps_share": None if p is None else p.steps,
            "spreads": [] if p is None else p.spreads.tolist(),
            "failed": self.failed,
        }


@dataclass(frozen=True)
class Help:
    """A change that was tried at ``steps``: the line to paste, its W2 and the share of the W2 that it leaves."""

    line: str
    steps: int
    calls: int
    w2: float
    leaves: float
    cost: int

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "cost": ("a key or an argument", "other steps", "another class")[self.cost]}


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit_plan` found. ``curve``: (steps, W2 or None where it failed); ``findings``: sentences; ``helps``: what
    lowers W2 at ``steps_tried``, the cheapest kind first."""

    what: str
    start: str
    rows: tuple[AuditRow, ...]
    curve: tuple[tuple[int, float | None], ...] = ()
    findings: tuple[str, ...] = ()
    helps: tuple[Help, ...] = ()
    tried: int = 0
    steps_tried: int | None = None
    notes: tuple[str, ...] = ()
    scale: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "sampler": self.what,
            "start": self.start,
            "rows": [row.to_dict() for row in self.rows],
            "curve": [{"steps": k, "w2": w} for k, w in self.curve],
            "findings": list(self.findings),
            "helps": [one.to_dict() for one in self.helps],
            "tried": self.tried,
            "steps_tried": self.steps_tried,
            "notes": list(self.notes),
            "says": SAYS,
        }


@dataclass(eq=False)
class _Judge:
    """The data that every tape is judged on."""

    data: Dataset
    start: str

    def parts(self, tape: Tape) -> Parts:
        return parts_on(tape, self.data, self.start)

    def row(self, steps: int, make: Callable[[], Tape], scanning: bool = False) -> AuditRow:
        """The row of a tape that is to be made; ``scanning``: whatever goes wrong is what is found."""
        try:
            tape = make()
        except NotRecorded as error:
            if not scanning and error.kind not in (
                "nan",
                "exception",
            ):  # an error of the user's, not a finding
                raise
            return AuditRow(steps, None, None, None, str(error))
        parts = self.parts(tape)
        return AuditRow(steps, tape.K, parts, parts.w2 / self.data.spread, None, tape)


def audit_tape(tape: Tape, data: Dataset, start: str = "own") -> Audit:
    """The audit of one tape: its W2 and parts. Raises `BadInput`."""
    judge = _Judge(data, one_of("start", start, TAPE_STARTS))
    steps = tape.made.get("K")
    row = judge.row(steps if isinstance(steps, int) and steps > 0 else tape.K, lambda: tape)
    name = str(tape.made.get("sampler") or tape.made.get("scheme") or "tape")
    return Audit(name, start, (row,), notes=_notes(row, data), scale=data.scale)


def audit_plan(
    plan: Plan,
    data: Dataset,
    steps: Sequence[int] = (10, 20, 50),
    *,
    start: str = "own",
    watch: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Audit:
    """Run a diffusers scheduler at ``steps``, judge it on N(mean, covariance) of ``data``, look for what is wrong over
    all numbers of steps, and try changes one by one at the middle one of ``steps``.

    A plan with timesteps or sigmas of its own is judged as it is. Raises `BadInput`, `NotRecorded` (it is not affine: the
    option that makes it so is named).
    """
    judge = _Judge(data, one_of("start", start, TAPE_STARTS))
    numbers = sorted({count("steps", k) for k in steps}) if not _listed(plan) else []
    with quiet():
        if not numbers:
            tape = recorded(plan)
            numbers = [int(tape.made["K"])]
            rows: tuple[AuditRow, ...] = (judge.row(numbers[0], lambda: tape),)
            plans = {numbers[0]: plan}
        else:
            plans = {k: replace(plan, K=k) for k in numbers}
            rows = tuple(judge.row(k, lambda k=k: recorded(plans[k])) for k in numbers)  # type: ignore[misc]
        known = {row.steps: row for row in rows}
        curve: dict[int, float | None] = {k: _w2(row) for k, row in known.items()}
        findings = []
        if _listed(plan):
            findings += _apart({k: row.tape for k, row in known.items() if row.tape is not None})
        else:
            findings += _over_steps(plan, judge, known, curve, watch)
        findings += _about(plans, known, data)
        tried, helps, noise = _helps(plans, known, judge)
        findings += noise
    ordered = tuple(sorted(curve.items()))
    shown = next((row for row in rows if row.parts is not None), rows[0])
    notes = _notes(shown, data)
    if plan.source.ignored:
        notes = (f"{plan.source.name} ignores {', '.join(plan.source.ignored)}", *notes)
    return Audit(
        f"{plan.source.name} ({plan.source.version})",
        start,
        rows,
        ordered,
        tuple(findings),
        helps,
        tried,
        _middle(plans),
        notes,
        data.scale,
    )


def _listed(plan: Plan) -> bool:
    return "timesteps" in plan.placing or "sigmas" in plan.placing


def _w2(row: AuditRow) -> float | None:
    return None if row.parts is None else row.parts.w2


# ---------------------------------------------------------------------- findings


def _over_steps(
    plan: Plan,
    judge: _Judge,
    rows: Mapping[int, AuditRow],
    curve: dict[int, float | None],
    watch: Callable[[int, int, dict[str, float]], None] | None,
) -> list[str]:
    """Where the library fails, where more steps are worse, where steps do not join, and whether it converges."""
    N = _training_steps(plan)
    dense = range(1, min(max(*rows, 2), DENSE, N) + 1)
    jumps = _jumps(plan, max(dense), N)
    far = [k for k in FAR if k <= N]
    wanted = sorted({*dense, *far, *(k + i for k in jumps for i in (0, 1))} - set(curve))
    every = dict(rows)
    if watch is not None:
        watch(0, len(wanted), {"share": 0.0})  # what came before, imports among it, is no measure of the rest
    for done, k in enumerate(wanted):
        every[k] = judge.row(k, lambda k=k: record_plan(replace(plan, K=k), trials=False), True)  # type: ignore[misc]
        curve[k] = _w2(every[k])
        if watch is not None:
            # a run of k steps and its law: some of it once, some k times
            share = sum(5 + one for one in wanted[: done + 1]) / sum(5 + one for one in wanted)
            watch(done + 1, len(wanted), {"share": share})
    out = _failures(every, plan.source.version)
    worse = []
    for k in sorted(curve):
        before, after = curve.get(k), curve.get(k + 1)
        if before is not None and after is not None and after > before * (1.0 + WORSE):
            worse.append((after / before, k, before, after))
    if worse:
        worse.sort(reverse=True)
        said = "; ".join(f"{k} → {k + 1}: {a:.5g} → {b:.5g}" for _, k, a, b in worse[:6])
        more = (
            f" ({len(worse)} in all: {_ranges(sorted(k for _, k, _, _ in worse))})" if len(worse) > 6 else ""
        )
        out.append(f"one more step makes it worse at K = {said}{more}")
    out += _apart({k: row.tape for k, row in every.items() if row.tape is not None})
    return out + _convergence(curve, far)


def _failures(rows: Mapping[int, AuditRow], version: str) -> list[str]:
    """What the library said, once for all K at which it said the same but for numbers."""
    groups: dict[str, tuple[str, list[int]]] = {}
    for k, row in sorted(rows.items()):
        if row.failed is not None:
            words = re.sub(r": with .* it can be recorded$", "", row.failed.partition(": ")[2])
            groups.setdefault(re.sub(r"\d+", "", words), (words, []))[1].append(k)
    return [f"the library fails at K = {_ranges(ks)}: {words} ({version})" for words, ks in groups.values()]


def _convergence(curve: Mapping[int, float | None], far: Sequence[int]) -> list[str]:
    seen = [(k, w) for k in far if (w := curve.get(k)) is not None]
    later = [w for k, w in seen if k >= 4 * seen[0][0]]
    if not later or min(later) <= STUCK * seen[0][1]:
        return []
    said = ", ".join(f"{w:.5g} at {k}" for k, w in seen)
    return [f"it does not converge to your data, as far as {seen[-1][0]} steps: W2 is {said}"]


def _apart(tapes: Mapping[int, Tape]) -> list[str]:
    """Where the network's input is not at the level that the network is told."""
    wrong: dict[int, tuple[float, float, float]] = {}
    for k, tape in tapes.items():
        share = _share(tape)
        off = apart(tape.levels, share)
        i = int(np.argmax(off))
        if off[i] > APART:
            seen = float(levels_seen(share[i]))
            wrong[k] = (float(off[i]), math.sqrt(float(tape.levels[i])), math.sqrt(seen))
    if not wrong:
        return []
    worst = max(wrong, key=lambda k: wrong[k][0])
    _, told_there, seen_there = wrong[worst]
    every = "every K that was looked at" if len(wrong) == len(tapes) > 1 else f"K = {_ranges(sorted(wrong))}"
    return [
        f"the network's input is not at the level that it is told, at {every}; worst at K = {worst}: told σ/α = "
        f"{told_there:.4g} where its input is at {seen_there:.4g}"
    ]


def _share(tape: Tape) -> Array:
    """The share of the point in each input (K,) on data that are one point: a sum of the tape's row."""
    K = tape.K
    mean = 0.0 if math.isinf(tape.start_level) else 1.0 / math.sqrt(1.0 + tape.start_level)
    return np.asarray(tape.answers[:K].sum(axis=1) + tape.start[:K] * mean)


def _training_steps(plan: Plan) -> int:
    try:
        config = plan.source.make().config
    except WboundError:
        return 1000
    N = config.get("num_train_timesteps", 1000)
    return N if isinstance(N, int) and N > 0 else 1000


def _jumps(plan: Plan, first: int, N: int) -> list[int]:
    """The K > first after which the place where the schedule begins moves most: the steps are only laid out."""
    scheduler = plan.source.make()

    def begin(k: int) -> float | None:
        try:
            scheduler.set_timesteps(k, **plan.placing)
            return float(scheduler.timesteps.max())
        except Exception:  # the library refuses this K: said where it is run
            return None

    probes = [begin(k) for k in sorted({int(k) for k in np.geomspace(first, N, PROBES)})]
    seen = [b for b in probes if b is not None]
    if not seen or max(seen) - min(seen) <= 1e-3 * max(seen):  # it begins where it begins whatever K is
        return []
    begins = {k: b for k in range(first, N + 1) if (b := begin(k)) is not None}
    moved = [(begins[k] - begins[k + 1], k) for k in begins if k + 1 in begins]
    large = sorted((m for m in moved if m[0] > 0.05 * max(seen)), reverse=True)
    return sorted(k for _, k in large[:JUMPS])


def _ranges(numbers: Sequence[int]) -> str:
    """1–3, 7, 9–12"""
    out: list[str] = []
    for k in numbers:
        if out and int(out[-1].split("–")[-1]) == k - 1:
            out[-1] = f"{out[-1].split('–')[0]}–{k}"
        else:
            out.append(str(k))
    return ", ".join(out[:12]) + (", …" if len(out) > 12 else "")


def _about(plans: dict[int, Plan], rows: dict[int, AuditRow], data: Dataset) -> list[str]:
    """What the tapes themselves show: clashing indices, a shift applied twice; and the data's scale."""
    out = []
    for k, row in rows.items():
        if row.tape is None:
            continue
        made = row.tape.made
        listed = made.get("timesteps", [])
        first = made.get("first_index")
        if isinstance(first, int) and first > 0 and made.get("begin_index") is None:
            twice = len(listed) - len(set(listed))
            out.append(
                f"K = {k}: it begins at index {first}, not 0: {twice + 1} timesteps are equal, and the scheduler looks its "
                "index up by timestep"
            )
    last = max((k for k in rows if rows[k].tape is not None), default=None)
    if last is None:
        return out
    out += _shifted_twice(plans[last])
    if not 0.2 <= data.scale <= 2.5:
        out.append(
            f"the data's scale is {data.scale:.4g} a coordinate: schedules of this kind are made for data scaled to about 1"
        )
    return out


def _shifted_twice(plan: Plan) -> list[str]:
    """A flow schedule laid out at all its training steps should be the table that it was made with."""
    try:
        scheduler = plan.source.make()
    except WboundError:
        return []
    if not is_flow(scheduler) or hasattr(scheduler, "alphas_cumprod") or plan.placing:
        return []
    built = [float(s) for s in scheduler.sigmas if float(s) > 0.0]
    try:
        scheduler.set_timesteps(len(built))
    except Exception:  # it wants more than a number: nothing to compare
        return []
    again = [float(s) for s in scheduler.sigmas if float(s) > 0.0]
    if not built or not again or min(again) <= 1.05 * min(built):
        return []
    return [
        f"its shift is applied twice: the smallest sigma of its table is {min(built):.4g}, and set_timesteps lays out "
        f"{min(again):.4g}; sigmas of one's own are shifted once"
    ]


# ---------------------------------------------------------------------- what helps


def _middle(plans: Mapping[int, Plan]) -> int:
    numbers = sorted(plans)
    return numbers[len(numbers) // 2]


def _helps(
    plans: dict[int, Plan], rows: dict[int, AuditRow], judge: _Judge
) -> tuple[int, tuple[Help, ...], list[str]]:
    """(changes tried, those that help, what noise does), at the middle number of steps: the cheapest kind first."""
    k = _middle(plans)
    before = _w2(rows[k])
    found: list[Help] = []
    noisy: dict[float, float] = {}
    tried = 0
    for one in remedies_of(plans[k]):
        tried += 1
        try:
            tape = record_plan(one.plan)
        except WboundError:  # the library refuses it, or it is not affine: no help
            continue
        w2 = judge.parts(tape).w2
        leaves = w2 / before if before else math.inf if before == 0.0 else 0.0
        if before is None or leaves <= HELPS:
            found.append(
                Help(one.line, k if one.plan.K is None else one.plan.K, tape.K, w2, leaves, one.cost)
            )
        if (churn := one.plan.stepping.get("s_churn", 0.0)) > 0.0:
            noisy[churn] = w2
    said = []
    if noisy and before is not None and min(noisy.values()) > before:
        each = ", ".join(f"{w2:.5g} at s_churn={churn:g}" for churn, w2 in noisy.items())
        said = [
            f"its noise only hurts, at the amounts tried: W2 is {each}, and {before:.5g} without (K = {k})"
        ]
    return tried, tuple(sorted(found, key=lambda h: (h.cost, h.w2))), said


def _notes(row: AuditRow, data: Dataset) -> tuple[str, ...]:
    out = []
    tape = row.tape
    if tape is None:
        return ()
    if math.isinf(tape.start_level):
        out.append("it starts at pure noise, σ/α = ∞: the first answer is the mean of the data")
    if tape.level_out > 0.0:
        out.append(
            f"it ends above zero, at σ/α = {math.sqrt(tape.level_out):.4g}, α = {tape.alpha_out:.6g}: W2 is of what it "
            "returns, w2_divided of that divided by α"
        )
    return tuple(out)
