"""Tests that can fail: every mutant of the formulas is caught by some test.

Most mutants are made from the code (`mutation`): each term dropped, halved, with the other sign, or a step late. The
few by hand put one formula in another's place; each has its check beside it. (Where a bound has slack, an inequality
cannot see a halved term: then the check is the identity of that term.)
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checks
import equivalent
import mutated
import mutation
import numpy as np
import pytest

from wbound.bounds import ddpm, theorem_1, theorem_2
from wbound.data.curvature import StronglyLogConcave
from wbound.forward import step_integrals
from wbound.forward.forward_process import Process
from wbound.sampler import scheme as schemes
from wbound.sampler.scheme import SCHEMES

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


def m_elsewhere(patch: Patch) -> None:
    """m read at another λ than the step's start (log λ smaller by 0.1)."""
    original = theorem_2.local

    def local(b: Any, data: Any, chosen: Any, score: bool = True) -> Any:
        class Late(type(data)):  # type: ignore[misc]
            def lam_m(self, log_lam: Any) -> Any:
                return super().lam_m(log_lam - 0.1)

        late = object.__new__(Late)
        late.__dict__.update(data.__dict__)
        return original(b, late, chosen, score)

    patch.setattr(theorem_2, "local", local)


def square_start(patch: Patch) -> None:
    """Eq. 8 halved, in its squares."""
    original = StronglyLogConcave.start_error
    patch.setattr(StronglyLogConcave, "start_error", lambda self, at: original(self, at) / math.sqrt(2.0))


def louder_steps(patch: Patch) -> None:
    """The steps of f = 0 with g scaled by 1.05, on the true clock."""
    original = Process.steps

    def steps(self: Process, lo: Any, hi: Any) -> Any:
        got = original(self, lo, hi)
        return step_integrals.VeSteps(got.G * 1.1025) if self.family == "ve" else got

    patch.setattr(Process, "steps", steps)


def omega_at_zero(patch: Patch) -> None:
    """ω at t = 0 alone."""
    patch.setattr(theorem_1, "moment_supremum", lambda process, data, T: math.sqrt(data.second_moment))


def sharp_em() -> None:
    checks.sharp_is_the_plain_recursion("vp-linear", "em")


def sharp_hf() -> None:
    checks.sharp_is_the_plain_recursion("vp-linear", "hf")


def ancestral_total() -> None:
    checks.ancestral_total("ou")


def noise_ddpm() -> None:
    checks.local_noise_is_psi_and_the_mismatch("ddpm")


def omega() -> None:
    checks.omega_is_the_supremum("ve-constant")


def exact(name: str) -> Callable[[], None]:
    def check() -> None:
        checks.exact_is_the_plain_recursion("vp-linear", name)

    check.__name__ = f"exact_{name}"
    return check


BY_HAND: dict[str, tuple[Mutant, Callable[[], None]]] = {
    "n_k² 1 % smaller": (field(theorem_2, "local", n2=lambda v: 0.99 * v), sharp_hf),
    "γ_k 1 % smaller": (field(theorem_2, "local", log_gamma=lambda v: v + math.log(0.99)), sharp_em),
    "L in place of L*": (published_L, sharp_em),
    "m at another time": (m_elsewhere, sharp_em),
    "Eq. 8 halved": (square_start, checks.start_of_every_kind),
    "Ψ halved": (psi_times(0.5), checks.sharp_holds_where_it_is_tight),
    "Ψ 1e-6 larger": (psi_times(1.000001), noise_ddpm),
    "9′ with its θ-term 1.3 times": (after(ddpm, "_curved", lambda v: 1.3 * v), ancestral_total),
    "ω at t = 0": (omega_at_zero, omega),
    "em with hf's C": (scheme("em", C=lambda s: s.C + s.c, c=lambda s: 0.0), exact("em")),
    "em with A = 1": (scheme("em", A=lambda s: np.ones_like(s.A), a=lambda s: s.a + s.A - 1.0), exact("em")),
    "ei with hf's C": (scheme("ei", C=lambda s: s.C + s.c, c=lambda s: 0.0), exact("ei")),
    "ddpm with hf's Q": (scheme("ddpm", Q=lambda s: s.Q + s.q, q=lambda s: 0.0), exact("ddpm")),
    "the floor doubled": (after(checks, "floor_w2", lambda v: 2.0 * v), checks.proposition_1),
    "g scaled by 1.05": (louder_steps, lambda: checks.exact_is_the_plain_recursion("ve-constant", "hf")),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_mutant_by_hand_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant, check = BY_HAND[name]
    check()  # green as it is
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        check()


# ---------------------------------------------------------------------- from the code


def caught(*options: str) -> list[dict[str, Any]]:
    """Run mutants in a process of their own, which forks; those that were caught or left. Survivors fail, by name."""
    program = Path(__file__).with_name("mutation.py")
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    run = subprocess.run(
        [sys.executable, str(program), *options],
        capture_output=True,
        text=True,
        env={**os.environ, **threads},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    missed = [f"{row['outcome']}: {row['name']}" for row in rows if row["outcome"] in ("survived", "unmet")]
    assert not missed, f"{len(missed)} of {len(rows)}:\n" + "\n".join(missed)
    return [row for row in rows if row["outcome"] != "no term"]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fifteenth_of_the_mutants_is_caught() -> None:
    """By the short lists of tests alone; the few that these leave are make deep's."""
    rows = caught("--every", "15", "--quick")
    left = [row["name"] for row in rows if row["outcome"] == "left"]
    assert len(rows) - len(left) >= 400 and len(left) < 0.1 * len(rows), left


@pytest.mark.deep
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_every_mutant_is_caught(record_property: Callable[[str, object], None]) -> None:
    begun = time.monotonic()
    found = caught("--jobs", str(os.cpu_count() or 1))
    record_property("mutants", f"{len(found)} caught in {time.monotonic() - begun:.0f} s")
    functions = {f"{m}.{name}" for m in mutated.TARGETS for name in mutation.functions(m)}
    reached = {mutant.name.split(":")[0] for mutant in mutation.mutants()}
    assert len(found) >= 4000 and reached <= functions
    assert {row["name"].split(":")[0] for row in found} == reached


def test_exceptions_are_there_and_say_why() -> None:
    names = [mutant.name for mutant in mutation.mutants()]
    for prefix, why in equivalent.EQUIVALENT.items():
        assert why and any(name.startswith(prefix) for name in names), prefix
    for name, why in mutated.PASSED_OVER.items():
        parts = name.split(".")
        at = 3 if parts[0] == "numerics" else 2
        assert why and hasattr(mutation.module_of(".".join(parts[:at])), parts[at]), name
