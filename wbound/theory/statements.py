"""Every statement with code, by id, and `w2_bound`, which picks the theorem by name."""

from __future__ import annotations

from typing import Any

from wbound.bounds.theorem import Theorem
from wbound.bounds.theorem_1 import THEOREM_1
from wbound.bounds.theorem_2 import THEOREM_2
from wbound.bounds.theorem_3 import THEOREM_3
from wbound.bounds.theorem_3_profile import THEOREM_3_PRIME
from wbound.bounds.theorem_7 import THEOREM_7
from wbound.data.beyond_log_concave import Profile
from wbound.errors import one_of
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import Scheme, scheme_named
from wbound.statement.statement_object import Bound, Statement

__all__ = ["BOUNDS", "STATEMENTS", "THEOREMS", "upper_bound", "w2_bound"]

#: The upper bounds of W2.
BOUNDS: tuple[Theorem, ...] = (THEOREM_1, THEOREM_2, THEOREM_3, THEOREM_7)

#: Every statement of docs/theory.md that the code computes; gathered when first asked for, which a bound does not.
STATEMENTS: dict[str, Statement]

#: The upper bounds by the name a user gives; each says for which schemes it is meant, the first where none is.
THEOREMS: dict[str, tuple[Theorem, ...]] = {
    name: tuple(t for t in BOUNDS if t.called == name) for name in dict.fromkeys(t.called for t in BOUNDS)
}


def __getattr__(name: str) -> Any:
    if name != "STATEMENTS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wbound.bounds.modified_score import MODIFIED_SCORE
    from wbound.exact.floor import PROPOSITION_1
    from wbound.exact.gaussian_law import EXACT_LAW
    from wbound.theory.claims import CLAIMS

    gathered = (*BOUNDS, THEOREM_3_PRIME, MODIFIED_SCORE, EXACT_LAW, PROPOSITION_1, *CLAIMS)
    globals()[name] = {s.id: s for s in gathered}
    return globals()[name]


def upper_bound(theorem: str, scheme: str | Scheme, data: Any = None) -> Theorem:
    """The theorem that a name means for a scheme; of ``data`` with a curvature profile Theorem 3′ in Theorem 3's place."""
    named, chosen = THEOREMS[one_of("theorem", theorem, THEOREMS)], scheme_named(scheme)
    found = next((t for t in named if t.takes(chosen)), named[0])
    return THEOREM_3_PRIME if found is THEOREM_3 and isinstance(data, Profile) else found


def w2_bound(
    process: Process,
    data: Any,
    T: float | None = None,
    K: int | None = None,
    *,
    scheme: str | Scheme = "em",
    theorem: str = "sharp",
    score_bias: float = 0.0,
    score_noise: float = 0.0,
    start: str = "prior",
    grid: str | Grid = "uniform",
    M1: float | str | None = None,
) -> Bound:
    """An upper bound of W2 between the sampler's output and the data, with its parts. Kind: *upper*.

    process: the forward SDE; data: `LogConcave` facts, a `CurvatureProfile` or a target; T: forward time > 0
    and K ≥ 1 steps (both come from an explicit grid); scheme: em, ei, hf, ddpm, or ode-hf, ddim, ode-ei, heun,
    heun-lam, heun-lambda; theorem: "published" (Theorem 1, Eq. 5: em, uniform grid, needs ``M1``, A2's constant) or "sharp"
    (Theorem 2, Eq. 7; for ddpm the smaller of Eq. 7 and 9′; for profiles Theorem 2′; for the ODE schemes
    Theorem 3, Eq. 15 (for profiles Theorem 3′), or with two stages Theorem 7, Eq. 21); score_bias M and score_noise
    V in 1/x (A3, of Theorem 7 at both stages; section 11; V not for ODE schemes); start: "prior" N(0, σ²(T)I), "exact" p_T,
    "standard" N(0, I). Everything in the data's units: W2, not squared.

    Raises `BadInput` for a bad value and `HypothesisFailed` naming the statement, hypothesis and step.
    Source: Gao, Nguyen & Zhu, arXiv 2311.11003 (published); docs/theory.md, sections 5, 11, 12, 20 (sharp).
    """
    statement = upper_bound(theorem, scheme, data)
    s = setting(
        process,
        data,
        T,
        K,
        scheme=scheme,
        start=start,
        grid=grid,
        score_bias=score_bias,
        score_noise=score_noise,
        M1=M1,
    )
    result: Bound = statement(s)
    return result
