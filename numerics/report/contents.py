"""The sections of the page, in their order. A new one is a line here and a builder."""

from __future__ import annotations

from numerics.report.sections import bounds, cancellation, schedules, clocks, orders, digits, environment, score_error, gap, few_calls, lower_bound, verification, complexity, search, smoothed, summary, sde_or_ode
from numerics.report import explorer
from numerics.report.blocks import Section

__all__ = ["SECTIONS"]

SECTIONS: tuple[Section, ...] = (
    Section("summary", "In three sentences", summary.build, weight=0.1, last=True),
    Section("complexity", "How many steps: the eight processes", complexity.build, weight=6.0),
    Section("few-calls", "What no affine sampler can beat", few_calls.build, weight=4.0),
    Section("versus", "SDE or ODE: which needs fewer steps", sde_or_ode.build, weight=0.1),
    Section("orders", "Orders: published, derived, measured", orders.build, weight=4.0),
    Section("bounds", "Bound against exact value", bounds.build, weight=12.0),
    Section("lower", "What hf cannot beat", lower_bound.build, weight=2.5),
    Section("gap", "The gap closed", gap.build, weight=5.0),
    Section("cancellation", "The bound that survives a prior start", cancellation.build, weight=1.0),
    Section("clocks", "The clocks side by side", clocks.build, weight=1.0),
    Section("verification", "Verified: bounds against referees", verification.build, weight=8.0),
    Section("score-error", "Bias stays, noise fades", score_error.build, weight=2.0),
    Section("search", "A search for counterexamples", search.build, weight=0.1),
    Section("digits", "The same on real data: digits", digits.build, weight=6.0),
    Section("smoothed", "Digits from their exact score, no network", smoothed.build, weight=6.0),
    Section("chooser", "Which schedule for these data", schedules.build, weight=2.0),
    Section("explorer", "Explorer: turn a dial", explorer.build, weight=0.7),
    Section("environment", "How this page was made", environment.build, weight=0.1, last=True),
)
