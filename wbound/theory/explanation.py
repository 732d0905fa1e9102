"""A bound taken apart: the formula of its statement, the numbers in it, and terms that add up to its total.

The sums over steps are summarised, each by its value. Eq. 7 is no sum: its square is one, since
e_k² = γ_k²e_{k−1}² + (b_k + C_kM)(2γ_ke_{k−1} + b_k + C_kM) + n_k², and the terms are those of e_K².
"""

from __future__ import annotations

import math

from wbound.bounds.theorem import Theorem
from wbound.sampler.make_setting import Setting
from wbound.statement.statement_object import Bound
from wbound.statement.terms import Explanation, Known, Term
from wbound.theory.statements import upper_bound

__all__ = ["Explanation", "Known", "Term", "explain", "taken_apart"]


def explain(s: Setting, theorem: str = "sharp") -> Explanation:
    """The bound of a theorem in a setting, term by term; ``total`` is that of `wbound.w2_bound`.

    theorem: "published" (Theorem 1, Eq. 5) or "sharp": Theorem 2 or 2′ (Eq. 7), the Eq. 9″ of ddpm where it
    is smaller, Theorem 3 (Eq. 15) or Theorem 7 (Eq. 21). Raises `BadInput` and `HypothesisFailed` as the statement does.
    """
    statement = upper_bound(theorem, s.scheme, s.data)
    return taken_apart(statement, s, statement(s))


def taken_apart(theorem: Theorem, s: Setting, bound: Bound) -> Explanation:
    """The same of a bound that is computed already."""
    if not math.isfinite(bound.total):
        parts = ("initialisation", "discretisation", "score")
        return Explanation(
            bound.statement,
            f"W2 ≤ {' + '.join(parts)}",
            (),
            tuple(Term(name, "", getattr(bound, name), name) for name in parts),
            bound.total,
            ("The bound is infinite: a step is too long for these data, or T too large for doubles.",),
        )
    return theorem.explain(s, bound)
