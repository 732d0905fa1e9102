"""Tests that can fail: each mutant of the spine is caught by the check that is named beside it.

A mutant changes one thing in the running code and lets its check run; the check must turn red. (Where a bound
has slack, an inequality cannot see a halved term: then the check is the identity of that term.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import checks
import numpy as np
import pytest

from wbound import gaussian, increments, published, schemes, sharp
from wbound.data import StronglyLogConcave
from wbound.forward import Process
from wbound.schemes import SCHEMES

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


def after(module: Any, name: str, change: Callable[[Any], Any]) -> Mutant:
    """``module.name`` with its result changed."""

    def apply(patch: Patch) -> None:
        original = getattr(module, name)
        patch.setattr(module, name, lambda *a, **k: change(original(*a, **k)))

    return apply


def field(module: Any, name: str, **changes: Callable[[Any], Any]) -> Mutant:
    """A named tuple's fields changed, in the result of ``module.name``."""
    return after(module, name, lambda t: t._replace(**{k: f(getattr(t, k)) for k, f in changes.items()}))


def scheme(name: str, **changes: Callable[[Any], Any]) -> Mutant:
    """A scheme whose coefficients differ from the table's."""

    def apply(patch: Patch) -> None:
        original = SCHEMES[name]

        def steps(b: Any) -> Any:
            got = original.steps(b)
            return got._replace(**{k: f(got) for k, f in changes.items()})

        patch.setitem(schemes.SCHEMES, name, dataclasses.replace(original, steps=steps))

    return apply


def argument(module: Any, name: str, position: int, change: Callable[[Any], Any]) -> Mutant:
    """``module.name`` with one positional argument changed."""

    def apply(patch: Patch) -> None:
        original = getattr(module, name)

        def mutant(*a: Any, **k: Any) -> Any:
            return original(*a[:position], change(a[position]), *a[position + 1 :], **k)

        patch.setattr(module, name, mutant)

    return apply


def half(x: Any) -> Any:
    return 0.5 * x


def none(x: Any) -> Any:
    return 0.0 * x


def published_L(patch: Patch) -> None:
    """Lemma 1's published L = min(1/λ, L_0) in place of the sharper L*."""
    patch.setattr(
        StronglyLogConcave,
        "lam_L",
        lambda self, log_lam: np.exp(np.minimum(0.0, math.log(self.L0) + log_lam)),
    )


def psi_times(factor: float) -> Mutant:
    """Ψ times a factor."""
    return after(StronglyLogConcave, "log_psi", lambda v: v + math.log(factor))


def no_mismatch(patch: Patch) -> None:
    """X_k dropped: Theorem 2's noise term as if every scheme injected the exact step's noise."""
    original = sharp.local

    def local(b: Any, data: Any, chosen: Any, score: bool = True) -> Any:
        calm = dataclasses.replace(chosen, steps=lambda batch: chosen.steps(batch)._replace(q=0.0))
        return original(b, data, calm, score)

    patch.setattr(sharp, "local", local)


def m_elsewhere(patch: Patch) -> None:
    """m read at another λ than the step's start (log λ smaller by 0.1)."""
    original = sharp.local

    def local(b: Any, data: Any, chosen: Any, score: bool = True) -> Any:
        class Late(type(data)):  # type: ignore[misc]
            def lam_m(self, log_lam: Any) -> Any:
                return super().lam_m(log_lam - 0.1)

        late = object.__new__(Late)
        late.__dict__.update(data.__dict__)
        return original(b, late, chosen, score)

    patch.setattr(sharp, "local", local)


def square_start(patch: Patch) -> None:
    """Eq. 8 halved, in its squares."""
    original = StronglyLogConcave.start_error
    patch.setattr(StronglyLogConcave, "start_error", lambda self, at: original(self, at) / math.sqrt(2.0))


def louder_steps(patch: Patch) -> None:
    """The steps of f = 0 with g scaled by 1.05, on the true clock."""
    original = Process.steps

    def steps(self: Process, lo: Any, hi: Any) -> Any:
        got = original(self, lo, hi)
        return increments.VeSteps(got.G * 1.1025) if self.family == "ve" else got

    patch.setattr(Process, "steps", steps)


def omega_at_zero(patch: Patch) -> None:
    """ω at t = 0 alone."""
    patch.setattr(published, "moment_supremum", lambda process, data, T: math.sqrt(data.second_moment))


def sharp_em() -> None:
    checks.sharp_is_the_plain_recursion("vp-linear", "em")


def sharp_ei() -> None:
    checks.sharp_is_the_plain_recursion("vp-linear", "ei")


def sharp_hf() -> None:
    checks.sharp_is_the_plain_recursion("vp-linear", "hf")


def sharp_ddpm() -> None:
    checks.sharp_is_the_plain_recursion("vp-linear", "ddpm")


def ancestral() -> None:
    checks.ancestral_is_equation_9("vp-linear", 1.0)


def ancestral_total() -> None:
    checks.ancestral_total("ou")


def noise_ddpm() -> None:
    checks.local_noise_is_psi_and_the_mismatch("ddpm")


def theorem_1() -> None:
    checks.published_is_the_plain_recursion("vp-linear")


def theorem_1_terms() -> None:
    checks.published_local_terms("vp-exponential")


def condition() -> None:
    checks.step_size_condition("vp-linear")


def omega() -> None:
    checks.omega_is_the_supremum("ve-constant")


def exact(name: str) -> Callable[[], None]:
    def check() -> None:
        checks.exact_is_the_plain_recursion("vp-linear", name)

    check.__name__ = f"exact_{name}"
    return check


MUTANTS: dict[str, tuple[Mutant, Callable[[], None]]] = {
    # Theorem 2
    "n_k² halved": (field(sharp, "local", n2=half), checks.sharp_holds_where_it_is_tight),
    "n_k² 1 % smaller": (field(sharp, "local", n2=lambda v: 0.99 * v), sharp_hf),
    "b_k dropped": (field(sharp, "local", b=none), sharp_em),
    "b_k halved": (field(sharp, "local", b=half), sharp_ei),
    "C_k halved": (field(sharp, "local", C=half), sharp_hf),
    "γ_k 1 % smaller": (field(sharp, "local", log_gamma=lambda v: v + math.log(0.99)), sharp_em),
    "L in place of L*": (published_L, sharp_em),
    "m at another time": (m_elsewhere, sharp_em),
    "the start dropped": (after(sharp, "start_term", none), checks.start_of_every_kind),
    "the start halved": (after(sharp, "start_term", half), checks.sharp_holds_where_it_is_tight),
    "Eq. 8 halved": (square_start, checks.start_of_every_kind),
    "X_k dropped": (no_mismatch, noise_ddpm),
    "Ψ halved": (psi_times(0.5), checks.sharp_holds_where_it_is_tight),
    "Ψ 1e-6 larger": (psi_times(1.000001), noise_ddpm),
    # Eq. 9′
    "C_θ halved": (after(sharp, "decay_constant", half), ancestral),
    "9′ without its drift": (field(sharp, "ancestral_terms", drift=none), ancestral),
    "9′ with half its noise": (field(sharp, "ancestral_terms", noise2=half), ancestral),
    "9′ with half its score": (field(sharp, "ancestral_terms", score=half), ancestral),
    "9′ with half its weight": (
        field(sharp, "ancestral_terms", weight=lambda w: lambda theta: 0.5 * w(theta)),
        ancestral,
    ),
    "9′ with its θ-term 1.3 times": (after(sharp, "best_theta", lambda v: 1.3 * v), ancestral_total),
    # Theorem 1
    "D_k halved": (field(published, "local", D=half), theorem_1),
    "D_k's integral halved": (after(published, "_roughness", half), theorem_1_terms),
    "ν_k halved": (after(published, "_displacement", half), theorem_1_terms),
    "the M_1 term dropped": (field(published, "local", eta_G=none), theorem_1),
    "M_1 left out of γ": (argument(published, "local", 3, none), theorem_1),
    "the score's term halved": (field(published, "local", G=half), theorem_1),
    "ω at t = 0": (omega_at_zero, omega),
    "Theorem 1's start dropped": (after(published, "start_at", none), theorem_1),
    "the condition's left side halved": (after(published, "step_sizes", half), condition),
    # schemes and the exact law
    "em with hf's C": (scheme("em", C=lambda s: s.C + s.c), exact("em")),
    "em with A = 1": (scheme("em", A=lambda s: np.ones_like(s.A), a=lambda s: s.a + s.A - 1.0), exact("em")),
    "ei with hf's C": (scheme("ei", C=lambda s: s.C + s.c, c=lambda s: 0.0), exact("ei")),
    "ddpm with hf's Q": (scheme("ddpm", Q=lambda s: s.Q + s.q, q=lambda s: 0.0), exact("ddpm")),
    "hf with half its noise": (scheme("hf", Q=lambda s: 0.5 * s.Q, q=lambda s: 0.5 * s.Q), exact("hf")),
    "the defect halved": (field(gaussian, "defects", rho=half), checks.equation_10),
    "the mean's shift dropped": (field(gaussian, "defects", shift=none), exact("em")),
    "a coordinate's factor 1 % smaller": (
        field(gaussian, "defects", log_r=lambda v: v + math.log(0.99)),
        checks.outside_figures,
    ),
    "the prior's missing α²ς² forgotten": (
        after(gaussian, "_missing", lambda v: (0.0 * v[0], v[1])),
        checks.equation_10,
    ),
    "the floor doubled": (after(checks, "floor_w2", lambda v: 2.0 * v), checks.proposition_1),
    "g scaled by 1.05": (louder_steps, lambda: checks.exact_is_the_plain_recursion("ve-constant", "hf")),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant, check = MUTANTS[name]
    check()  # green as it is
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        check()
