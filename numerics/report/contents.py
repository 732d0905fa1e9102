"""The sections of the page, in their order: what is asked first, and then the evidence, folded. A new one is a line here
and a builder."""

from __future__ import annotations

from numerics.report import explorer
from numerics.report.blocks import Section
from numerics.report.sections import (
    answer,
    bounds,
    cancellation,
    clocks,
    complexity,
    digits,
    environment,
    few_calls,
    gap,
    lower_bound,
    orders,
    peers,
    scheduler_facts,
    schedules,
    score_error,
    sde_or_ode,
    search,
    smoothed,
    verification,
    words,
)

__all__ = ["SECTIONS"]

SECTIONS: tuple[Section, ...] = (
    Section("answer", "Which sampler and schedule, and what none can beat", answer.build, weight=9),
    Section("explorer", "Explorer: your data, your sampler", explorer.build, weight=0.24),
    Section("complexity", "How many steps: the eight processes", complexity.build, weight=2.3),
    Section("bounds", "Bound against exact value", bounds.build, weight=6.6),
    Section("few-calls", "What no affine sampler can beat", few_calls.build, weight=0.001, fold=True),
    Section("verification", "Verified: bounds against referees", verification.build, weight=8.4, fold=True),
    Section("peers", "Other bounds beside ours", peers.build, weight=2, fold=True),
    Section("search", "A search for counterexamples", search.build, weight=0.01, fold=True),
    Section("orders", "Orders: published, derived, measured", orders.build, weight=1.4, fold=True),
    Section("versus", "SDE or ODE: which needs fewer steps", sde_or_ode.build, weight=0.26, fold=True),
    Section("lower", "What hf cannot beat", lower_bound.build, weight=3.3, fold=True),
    Section("gap", "The gap closed", gap.build, weight=1.6, fold=True),
    Section(
        "cancellation", "The bound that survives a prior start", cancellation.build, weight=0.31, fold=True
    ),
    Section("clocks", "The clocks side by side", clocks.build, weight=0.76, fold=True),
    Section("score-error", "Bias stays, noise fades", score_error.build, weight=0.49, fold=True),
    Section("digits", "The same on real data: digits", digits.build, weight=6, fold=True),
    Section("smoothed", "Digits from their exact score, no network", smoothed.build, weight=3.9, fold=True),
    Section("chooser", "Every schedule of one sampler", schedules.build, weight=3.3, fold=True),
    Section("facts", "Samplers as shipped", scheduler_facts.build, weight=0.001, fold=True),
    Section("words", "The words of this page", words.build, weight=0.01, fold=True),
    Section(
        "environment",
        "How this page was made, and how old its stored results are",
        environment.build,
        weight=0.083,
        last=True,
        fold=True,
    ),
)
