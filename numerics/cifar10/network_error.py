"""The loop from theory to network: M of A3 measured along a network's own sampler, on a law whose score is known,
and Theorem 2 with its three terms beside the W2 of the samples.

The law is `GaussianImages`: the data's mean and covariance + τ² I.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from numerics.cifar10.gaussian_images import GaussianImages
from numerics.cifar10.processes import ImageProcess
from numerics.cifar10.sampling import Score, plan, sample_images, theory_scheme, theory_setting
from numerics.transport.samples import EmpiricalW2, empirical_w2, gaussian_w2
from numerics.verification.verdict import HOLDS, REFUTED, UNDECIDED
from wbound.bounds.theorem_2 import THEOREM_2, local
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import SCHEMES
from wbound.statement.statement_object import Bound
from wbound.typing import Array

__all__ = ["ScoreError", "final_law", "score_error", "score_weights"]


#: How many standard errors M is raised by before it enters the bound, since it is measured from samples.
RAISED = 3.0


def final_law(process: ImageProcess, law: GaussianImages) -> Gaussian:
    """What an exact sampler of ``law`` ends with, in its principal axes: smoothed by std(0), which is sigma_min
    for VE rows and 0 for VP (section 9). The data of every theorem here."""
    return Gaussian(law.mean @ law.axes, law.eigenvalues + float(process.std(0.0)) ** 2)


def score_weights(s: Setting) -> Array:
    """w_k = P_k C_k of Eq. 7′, (K,), in x²: the score part of Theorem 2 is Σ w_k M_k, with M_k of A3 each step."""
    terms = local(s.nodes.batch, s.data, s.scheme)
    log_gamma = np.broadcast_to(terms.log_gamma, (s.nodes.K,))
    after = np.cumsum(log_gamma[::-1])[::-1] - log_gamma
    return np.asarray(terms.C * np.exp(after))


@dataclass(frozen=True, eq=False)
class ScoreError:
    """What was measured, in x and 1/x; W2, not squared. Kinds: M *estimate*, the bounds *upper* given M.

    ``M_k`` (K,): (E|s − s_θ|²)^{1/2} at y_{k−1} and ``t`` (K,), under the network's own sampler, from ``n``
    images; ``se_k`` their standard errors; ``M`` the largest. Both bounds take M_k + 3 se_k: ``bound`` their
    supremum, A3 as it stands; ``total`` each step its own, with parts ``initialisation``, ``discretisation``
    and ``score`` (Eq. 7″, so total ≤ their sum). ``exact``: the W2 of the same sampler with the exact score;
    ``bures``: of the samples' moments from the law's; ``sampled``: of the samples from as many draws of the law.
    """

    process: str
    scheme: str
    K: int
    n: int
    d: int
    t: Array
    M_k: Array
    se_k: Array
    bound: Bound
    initialisation: float
    discretisation: float
    score: float
    total: float
    trivial: float
    exact: float
    bures: float
    sampled: EmpiricalW2

    @property
    def M(self) -> float:
        return float(self.M_k.max())

    @property
    def verdict(self) -> str:
        """What the samples' bracket, at its level, says of the total: "holds", "refuted" or "undecided"."""
        if self.sampled.low > self.total:
            return REFUTED
        return HOLDS if self.sampled.high <= self.total else UNDECIDED

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        plain = {k: v for k, v in vars(self).items() if k not in ("bound", "sampled")}
        bound = {k: getattr(self.bound, k) for k in ("total", "initialisation", "discretisation", "score")}
        more = {"M": self.M, "verdict": self.verdict, "theorem_2": bound, "sampled": asdict(self.sampled)}
        return plain | more


def score_error(
    score: Score,
    process: ImageProcess,
    law: GaussianImages,
    K: int = 100,
    scheme: str = "em",
    seeds: Sequence[int] = range(500),
    *,
    batch: int = 256,
    level: float = 0.99,
) -> ScoreError:
    """Sample with ``score`` (a network trained on ``law``), measure its error on the way, and bound the result.

    Raises `BadInput`: "pc" and "ode-heun" have no Theorem 2.
    """
    named = theory_scheme(scheme)
    if named is None or not THEOREM_2.takes(SCHEMES[named]):
        raise BadInput(
            "scheme",
            scheme,
            "must be em, em-point, em-point-arrival, ei, hf or ddpm: Theorem 2 is about these",
        )
    K = plan(process, K, scheme).K  # refused before there are arrays of K
    exact = law.exact_score(process)
    square, fourth = np.zeros(K), np.zeros(K)
    times = np.zeros(K)

    def watch(k: int, t: float, x: torch.Tensor, s: torch.Tensor) -> None:
        off = (s.double() - exact(x, t).double()).flatten(1).square().sum(dim=1).cpu().numpy()
        square[k] += off.sum()
        fourth[k] += (off**2).sum()
        times[k] = t

    n = len(seeds)
    images = sample_images(score, process, law.shape, K, scheme, seeds, law.device, batch, watch=watch)
    x = images.double().flatten(1).cpu().numpy()
    if not np.isfinite(x).all():
        raise BadInput("score", "nan or infinity", "must be finite: the sampler diverged")
    mean2 = square / n
    M_k = np.sqrt(mean2)
    # of the root: the mean square's own error over twice the root
    spread = np.sqrt(np.maximum(fourth / n - mean2**2, 0.0) / n)
    se_k = np.divide(spread, 2.0 * M_k, out=np.zeros(K), where=M_k > 0.0)

    data = final_law(process, law)
    s = theory_setting(process, data, K, scheme)
    assert s is not None
    raised = M_k + RAISED * se_k
    bare = THEOREM_2(s)
    part = float(score_weights(s) @ raised)
    fresh = _draws(process, law, n, seed=max(seeds) + 1)
    return ScoreError(
        process=process.name,
        scheme=scheme,
        K=K,
        n=n,
        d=law.d,
        t=times,
        M_k=M_k,
        se_k=se_k,
        bound=THEOREM_2(replace(s, score_bias=float(raised.max()))),
        initialisation=bare.initialisation,
        discretisation=bare.discretisation,
        score=part,
        total=bare.additive + part,
        trivial=bare.trivial,
        exact=float(EXACT_LAW(s)),
        bures=gaussian_w2(
            x.mean(axis=0) @ law.axes,
            np.cov(x @ law.axes, rowvar=False, bias=True).reshape(law.d, law.d),
            data.mean,
            np.diag(data.eigenvalues),
        ),
        sampled=empirical_w2(x, fresh, level=level),
    )


def _draws(process: ImageProcess, law: GaussianImages, n: int, seed: int) -> Array:
    """n draws of what an exact sampler ends with, (n, d)."""
    generator = np.random.default_rng(seed)
    variances = law.eigenvalues + float(process.std(0.0)) ** 2
    return law.mean + (generator.standard_normal((n, law.d)) * np.sqrt(variances)) @ law.axes.T
