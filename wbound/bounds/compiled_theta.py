"""The best θ of section 12's weight, compiled: the search of `wbound.bounds.theorem_3` and of Eq. 9′, step by step the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from wbound.typing import Array

__all__ = ["best_theta"]

#: Lengths Y of a step up to which ∫(e^y − 1)² e^{(1−θ)y} is a series to such a power, to 1e-17 of its first term.
SHORT = np.array([0.02, 0.1, 0.5, 1.0])
POWERS = np.array([10, 14, 22, 30])
#: 1.5 · 2^52, whose sum with a number is that number rounded, in its last bits; 1/j! from j = 12 down to 0.
MAGIC, MAGIC_BITS = 6755399441055744.0, 0x4338000000000000
INVERSE = tuple(1.0 / math.factorial(j) for j in range(12, -1, -1))


def best_theta(
    weights: Array, looks: Array, accuracy: float, log: bool, log_V: float, dL2: float
) -> tuple[float, float, float]:
    """The θ that SciPy's bounded minimisation finds of ¼√(C_θΣ_θ), or with ``log`` of ½log(C_θΣ_θ), between the
    neighbours of the best of ``looks``; its value; and the least Σ_θ seen.

    weights: (3, N), a step's factor, log v_0 and length Y in Σ_θ = Σ factor v_0^{−θ} ∫_0^Y (e^y−1)² e^{(1−θ)y} dy;
    C_θ = dL2 (1 + ϑ …) as in `wbound.bounds.shared.decay_constant`; accuracy: of θ, 0 for no search.
    """
    return _compiled()(weights, looks, accuracy, log, log_V, dL2, SHORT, POWERS)


@cache
def _compiled() -> Callable[..., tuple[float, float, float]]:
    import numba

    compiled: Callable[..., tuple[float, float, float]] = numba.njit(
        cache=True, nogil=True, error_model="numpy"
    )(_theta)
    return compiled


def _theta(
    weights: Array,
    looks: Array,
    accuracy: float,
    log: bool,
    log_V: float,
    dL2: float,
    short: Array,
    powers: Array,
) -> tuple[float, float, float]:
    """The least of the θ-terms of Eq. 9′ (¼√(C_θΣ)) or 15 (½log(C_θΣ)): a look at each of ``looks``, then SciPy's bounded
    minimisation between the neighbours of the best, step by step the same; its θ, its value, and the least Σ seen.

    weights: (factor, log v_0, Y) of the steps, (3, N).
    """
    N, tiers, most = weights.shape[1], short.size, powers[-1]
    values, poly, terms = np.empty(looks.size), np.empty(N), np.empty(most + 1)
    shifted = np.empty(N)
    bits = shifted.view(np.int64)
    # the steps in order of what their lengths ask for
    factor, log_v, length, ends = np.empty(N), np.empty(N), np.empty(N), np.zeros(tiers + 1, np.int64)
    n = 0
    for tier in range(tiers + 1):
        for k in range(N):
            Y = weights[2, k]
            if (tier == 0 or Y > short[tier - 1]) and (tier == tiers or Y <= short[tier]):
                length[n], log_v[n] = Y, weights[1, k]
                factor[n] = weights[0, k] * (Y * Y * Y if tier < tiers else 1.0)
                n += 1
        ends[tier] = n
    least, best, i = np.inf, 0, 0
    theta = value = 0.0
    lower = upper = tried = fu = 0.0
    nfc = xf = fulc = fx = ffulc = fnfc = rat = e = 0.0
    worst = 1e9 if log else 1e300
    while True:
        if i < looks.size:
            tried = looks[i]
        # Σ factor v_0^{−θ} ∫_0^Y (e^y−1)² e^{sy} dy, s = 1 − θ. The integral is e^{sY} Σ_m Y^{m+1}/(m+1)! Σ_n (2^n − 2)
        # (−s)^{m−n}, n ≥ 2, all positive for s < 0; for s ≥ 0 Σ_m Y^{m+1}/(m+1) Σ_n (2^n − 2)/n! s^{m−n}/(m−n)!
        s, total, size = 1.0 - tried, 0.0, 2.0
        back = min(s, 0.0)
        for m in range(2, most + 1):
            power, whole, two, weight = 1.0, 0.0, 4.0, 1.0
            if s < 0.0:
                for _ in range(2, m + 1):
                    whole = whole * -s + (two - 2.0)
                    two *= 2.0
                size *= m + 1.0
                terms[m] = whole / size
            else:
                for n in range(2, m + 1):  # n ↦ m − n below: both factorials grow with it
                    weight /= n
                power = 1.0
                two = 2.0**m
                for n in range(m, 1, -1):
                    whole += (two - 2.0) * weight * power
                    two *= 0.5
                    weight *= n
                    power *= s / (m - n + 1.0)
                terms[m] = whole / (m + 1.0)
        begin = 0
        for tier in range(tiers):
            end, top = ends[tier], powers[tier]
            for k in range(begin, end):
                poly[k] = terms[top]
            for m in range(top - 1, 1, -1):
                t = terms[m]
                for k in range(begin, end):
                    poly[k] = poly[k] * length[k] + t
            begin = end
        for k in range(
            begin
        ):  # poly · factor · e^x, the exponential as 2^n e^r so that a processor does several at once
            x = max(back * length[k] - tried * log_v[k], -700.0)
            shifted[k] = x * 1.4426950408889634 + MAGIC
            n_k = shifted[k] - MAGIC
            r = (x - n_k * 0.693147180369123816490) - n_k * 1.90821492927058770002e-10
            e_r = 1.0 / 6227020800.0
            for inverse in INVERSE:
                e_r = e_r * r + inverse
            poly[k] *= factor[k] * e_r
        for k in range(begin):
            bits[k] = (bits[k] - MAGIC_BITS + 1023) << 52
        sums = (0.0, 0.0, 0.0, 0.0)
        whole_4 = begin - begin % 4
        for k in range(0, whole_4, 4):
            sums = (
                sums[0] + poly[k] * shifted[k],
                sums[1] + poly[k + 1] * shifted[k + 1],
                sums[2] + poly[k + 2] * shifted[k + 2],
                sums[3] + poly[k + 3] * shifted[k + 3],
            )
        total = (sums[0] + sums[1]) + (sums[2] + sums[3])
        for k in range(whole_4, begin):
            total += poly[k] * shifted[k]
        for k in range(begin, N):  # the three exponentials: what cancels is less than two digits
            Y, whole = length[k], 0.0
            for j in range(3):
                a = s + 2.0 - j
                own = math.expm1(a * Y) / a if a != 0.0 else Y
                whole += own if j != 1 else -2.0 * own
            total += whole * factor[k] * math.exp(-tried * log_v[k])
        least = min(least, total)
        gap = (tried - 2.0) * log_V
        decay = np.inf
        if gap < 700.0:
            peak = tried - 1.0 if tried >= 1.5 else 4.0 * tried * tried * tried / 27.0
            decay = dL2 * (1.0 + peak * log_V * (math.expm1(gap) / gap if gap != 0.0 else 1.0))
        if log:
            fu = 0.5 * (math.log(decay) + math.log(total))
        else:
            fu = 0.25 * math.sqrt(decay) * math.sqrt(total)
        if i < looks.size:
            values[i] = fu
            i += 1
            if i < looks.size:
                continue
            best = 0
            for j in range(looks.size):
                if values[j] < values[best]:
                    best = j
            theta, value = looks[best], values[best]
            if accuracy == 0.0:
                return theta, value, least
            lower, upper = looks[max(best - 1, 0)], looks[min(best + 1, looks.size - 1)]
            fulc = lower + 0.5 * (3.0 - math.sqrt(5.0)) * (upper - lower)
            nfc = xf = tried = fulc
            i += 1
            continue
        fu = min(fu, worst)
        if i == looks.size + 1:
            fx = ffulc = fnfc = fu
        elif fu <= fx:
            if tried >= xf:
                lower = xf
            else:
                upper = xf
            fulc, ffulc = nfc, fnfc
            nfc, fnfc = xf, fx
            xf, fx = tried, fu
        else:
            if tried < xf:
                lower = tried
            else:
                upper = tried
            if fu <= fnfc or nfc == xf:
                fulc, ffulc = nfc, fnfc
                nfc, fnfc = tried, fu
            elif fu <= ffulc or fulc in (xf, nfc):
                fulc, ffulc = tried, fu
        i += 1
        middle = 0.5 * (lower + upper)
        near = math.sqrt(2.2e-16) * abs(xf) + accuracy / 3.0
        if abs(xf - middle) <= 2.0 * near - 0.5 * (upper - lower) or i > looks.size + 500:
            break
        golden = True
        if abs(e) > near:  # a parabola through the three best
            r = (xf - nfc) * (fx - ffulc)
            q = (xf - fulc) * (fx - fnfc)
            p = (xf - fulc) * q - (xf - nfc) * r
            q = 2.0 * (q - r)
            if q > 0.0:
                p = -p
            q, r, e = abs(q), e, rat
            if abs(p) < abs(0.5 * q * r) and p > q * (lower - xf) and p < q * (upper - xf):
                golden = False
                rat = p / q
                new = xf + rat
                if new - lower < 2.0 * near or upper - new < 2.0 * near:
                    rat = near if middle >= xf else -near
        if golden:
            e = lower - xf if xf >= middle else upper - xf
            rat = 0.5 * (3.0 - math.sqrt(5.0)) * e
        tried = xf + (1.0 if rat >= 0.0 else -1.0) * max(abs(rat), near)
    return (xf, fx, least) if fx < value else (theta, value, least)
