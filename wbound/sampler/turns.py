"""Where sums of Theorem 2's local terms have to be split: |c − a/L| in b_k and |q| in X_k have a kink where their
argument changes sign (Eq. 7), as both may for coefficients at a point, of which a part has the sign of f′ or (g²)′."""

from __future__ import annotations

import numpy as np

from wbound.data.curvature import Curvature
from wbound.forward.forward_process import Process
from wbound.sampler.scheme import Scheme
from wbound.sampler.steps import batch
from wbound.typing import Array

__all__ = ["turns_of"]


#: Relative width of the steps that are looked at, how many, how far below T, and halvings of each change of sign.
WIDTH, SAMPLES, DEPTH, HALVINGS = 1e-4, 200, 1e-8, 30
#: More changes of sign than this are rounding of something that is 0.
MOST = 12


def turns_of(process: Process, data: Curvature, scheme: Scheme, T: float) -> tuple[float, ...]:
    """log λ at which c − a/L or q of ``scheme``'s short steps changes sign on (0, T], ascending."""

    def terms(t: Array) -> Array:
        b = batch(process, t * (1.0 - WIDTH), t)
        steps = scheme.steps(b)
        with np.errstate(all="ignore"):  # beyond doubles: no sign there
            bias = steps.c - steps.a * b.sigma2_hi / data.lam_L(b.log_lam_hi)
            return np.stack([np.broadcast_to(row, t.shape) for row in (bias, steps.q)])

    t = T * np.geomspace(DEPTH, 1.0, SAMPLES)
    out = []
    for row, signs in enumerate(np.sign(terms(t))):
        turns = np.flatnonzero(signs[1:] * signs[:-1] < 0.0)
        if not 0 < turns.size <= MOST:
            continue
        lo, hi, left = t[turns], t[turns + 1], signs[turns]
        for _ in range(HALVINGS):
            mid = 0.5 * (lo + hi)
            same = np.sign(terms(mid)[row]) == left
            lo, hi = np.where(same, mid, lo), np.where(same, hi, mid)
        out += process.log_lam(hi).tolist()
    return tuple(sorted(out))
