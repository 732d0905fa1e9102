"""A noisy score beside a biased one: the noise fades as K grows, the bias stays (A3, section 11).

On N(0, vI) everything is exact: noise V goes into the recursion of the variance, and a constant bias of size M
moves the mean by a recursion of its own (`shift`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.complexity.tolerance_search import score_weight
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, HypothesisFailed, count, nonnegative, positive
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.forward.forward_process import Process
from wbound.memory import dimension
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import Scheme
from wbound.statement.statement_object import Bound
from wbound.theory.statements import upper_bound
from wbound.typing import Array

__all__ = ["Fading", "fading", "shift"]


def shift(s: Setting) -> float:
    """How far a constant bias of size M moves the mean of the output, in x. Kind: *exact*

    For N(μ, vI), where the score is −(x − αμ)/(α²v + σ²) + bias in every direction alike. Raises
    `HypothesisFailed` for other data and for schemes of two stages.
    """
    data = s.data
    if not isinstance(data, Gaussian) or np.ptp(data.eigenvalues) > 0.0:
        raise HypothesisFailed("the biased law", "N(mu, v I)", "the direction of the bias would matter")
    if s.scheme.stages != 1:
        raise HypothesisFailed("the biased law", "a step of one stage", f"scheme = {s.scheme.name}")
    b = s.nodes.batch
    steps = s.scheme.steps(b)
    w = np.exp(2.0 * b.log_alpha_hi) * float(data.eigenvalues[0]) + b.sigma2_hi
    moved = 0.0
    for A, C, width in zip(steps.A, steps.C, w, strict=True):
        moved = float(A * moved + C * (s.score_bias - moved / width))
    return moved * float(np.exp(-s.nodes.last[0]))


@dataclass(frozen=True, eq=False)
class Fading:
    """W2 (x, not squared) along K (N,): the bound and the exact value with the exact score, with a constant
    bias M and with noise V (both 1/x); ``floor`` is M S(T) (`wbound.complexity.tolerance_search.score_weight`), what the bias
    leaves of the bound as K → ∞."""

    process: str
    scheme: str
    d: int
    variance: float
    T: float
    M: float
    V: float
    K: Array
    bound: Array
    bound_bias: Array
    bound_noise: Array
    exact: Array
    exact_bias: Array
    exact_noise: Array
    floor: float

    def columns(self) -> dict[str, Array]:
        """The numbers as columns."""
        names = ("K", "bound", "bound_bias", "bound_noise", "exact", "exact_bias", "exact_noise")
        return {name: getattr(self, name) for name in names}


def fading(
    process: Process,
    at: ArrayLike,
    *,
    T: float,
    d: int = 3,
    variance: float = 2.0,
    M: float = 0.1,
    V: float = 0.1,
    scheme: str | Scheme = "hf",
) -> Fading:
    """Bound and exact W2 with a biased and with a noisy score on N(0, variance·I), for K in ``at``.

    T: forward time; M, V ≥ 0 in 1/x (A3, section 11); variance in x²; scheme: em, ei, hf or ddpm, since noise
    is not derived for Theorem 3. Raises `BadInput`. Kinds: *upper* and *exact*.
    """
    data = Gaussian(np.zeros(dimension(d)), positive("variance", variance))
    M, V = nonnegative("score_bias", M), nonnegative("score_noise", V)
    K = np.atleast_1d(np.asarray(at, float))
    statement = upper_bound("sharp", scheme)
    rows: list[list[float]] = []
    for k in K:
        s = setting(process, data, T, count("K", float(k)), scheme=scheme)
        if s.scheme.flow:
            raise BadInput("scheme", s.scheme.name, "must be an SDE scheme: V with Theorem 3 is not derived")
        biased, noisy = replace(s, score_bias=M), replace(s, score_noise=V)
        bounds: list[Bound] = [statement(one) for one in (s, biased, noisy)]
        exact = float(EXACT_LAW(s))
        # a shift of the mean adds in squares to what the variances are apart
        rows.append(
            [
                *(b.total for b in bounds),
                exact,
                float(np.hypot(exact, shift(biased))),
                float(EXACT_LAW(noisy)),
            ]
        )
    names = ("bound", "bound_bias", "bound_noise", "exact", "exact_bias", "exact_noise")
    columns: dict[str, Any] = dict(zip(names, np.array(rows).T, strict=True))
    return Fading(
        process=process.name,
        scheme=scheme if isinstance(scheme, str) else scheme.name,
        d=data.d,
        variance=float(variance),
        T=T,
        M=M,
        V=V,
        K=K,
        floor=M * score_weight(process, data, T),
        **columns,
    )
