"""What lies beyond Theorem 6's hypotheses: noise at given levels, and samplers that are mixed at random.

``python tests/wbound/beyond_search.py [noise] [mixtures]`` searches and writes the record; `test_beyond_affine` makes every
row of it a tape, or a mixture of tapes, and evaluates it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linprog, minimize

from wbound.bounds.theorem_6 import affine_floor
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels, zolotarev_levels
from wbound.sampler.tape import Tape

Array = np.ndarray[Any, np.dtype[np.float64]]

RECORD = Path(__file__).with_name("beyond_search.json")
#: Evaluations of the real schedules, and the class of spectra there (x²).
K, LOW, HIGH = 5, 1e-3, 1.0


def schedules() -> dict[str, Array]:
    """Noise levels σ (K,) in x of ten schedules in use, at 5 evaluations."""
    share = np.arange(K) / (K - 1)

    def discrete(betas: Array, steps: Array) -> Array:
        bar = np.cumprod(1.0 - betas)[steps]
        return np.sqrt(1.0 / bar - 1.0)

    n = 1000
    linear = np.linspace(1e-4, 0.02, n)
    scaled = np.linspace(0.00085**0.5, 0.012**0.5, n) ** 2
    u = np.arange(n + 1) / n
    bars = np.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    cosine = np.minimum(1.0 - bars[1:] / bars[:-1], 0.999)
    leading = (np.arange(K) * (n // K))[::-1]
    trailing = np.round(np.arange(n, 0, -n / K)).astype(int) - 1
    t = np.linspace(0.999, 0.2, K)
    vp = np.linspace(1.0, 1e-3, K)
    return {
        "Karras, rho 7, 80 to 0.002": (80.0 ** (1 / 7) + share * (0.002 ** (1 / 7) - 80.0 ** (1 / 7))) ** 7,
        "log-uniform, 80 to 0.002": np.geomspace(80.0, 0.002, K),
        "linear betas, leading": discrete(linear, leading),
        "linear betas, trailing": discrete(linear, trailing),
        "linear betas, linspace": discrete(linear, np.linspace(0, n - 1, K).round()[::-1].astype(int)),
        "scaled linear betas, leading": discrete(scaled, leading),
        "scaled linear betas, trailing": discrete(scaled, trailing),
        "cosine betas, trailing": discrete(cosine, trailing),
        "flow, shift 3": 3.0 * t / (1.0 - t),
        "continuous VP": np.sqrt(np.exp(0.5 * 19.9 * vp**2 + 0.1 * vp) - 1.0),
    }


def basis(levels: Array, x: Array) -> Array:
    """1 and λ_i/(x + λ_i) (P, K+1): every gain of type (K, K) with these levels is a combination."""
    return np.column_stack((np.ones_like(x), *(v / (x + v) for v in levels)))


def reduced(levels: Array, x: Array) -> tuple[Array, Array]:
    """(Q, back): orthonormal columns that span basis/√x up to a relative 1e-8, and weights = back @ coefficients. What is
    left out would need coefficients beyond 1e8, which cancel: no sampler for doubles, nor for a network."""
    U, size, V = np.linalg.svd(basis(levels, x) / np.sqrt(x)[:, None], full_matrices=False)
    kept = size > 1e-8 * size[0]
    return U[:, kept], V[kept].T / size[kept]


def tape(levels: Array, weights: Array) -> Tape:
    """The tape whose gains on its start and its noises are basis @ weights, weights (1+J, K+1): each evaluation looks at
    a combination of start and noises of its own, and the output adds up the scores."""
    L, J = levels.size, len(weights) - 1
    unit = np.sqrt(1.0 + levels)
    # an evaluation of y = w has (y − D)/λ·λ… : y − D = λ/(x+λ) y
    start, noises = np.append(weights[0, 1:] / unit, weights[0].sum()), np.zeros((L + 1, J))
    noises[:L], noises[L] = weights[1:, 1:].T / unit[:, None], weights[1:].sum(axis=1)
    answers = np.zeros((L + 1, L))
    answers[L] = -1.0
    return Tape(levels, start, answers, noises, np.zeros(L + 1), start_level=0.0, start_std=1.0)


def best_deterministic(levels: Array, x: Array) -> tuple[Array, float]:
    """min over combinations of max |r/√x − 1|: a linear programme."""
    B, back = reduced(levels, x)
    ones = np.ones((x.size, 1))
    rows = np.vstack((np.hstack((B, -ones)), np.hstack((-B, -ones))))
    right = np.concatenate((np.ones(x.size), -np.ones(x.size)))
    cost = np.append(np.zeros(B.shape[1]), 1.0)
    found = linprog(cost, rows, right, bounds=[(None, None)] * B.shape[1] + [(0, None)], method="highs")
    return (back @ found.x[:-1])[None], float(found.fun)


def best_noisy(levels: Array, x: Array, first: Array, seed: int) -> tuple[Array, float]:
    """The same for √(r_1² + r_2²): a start and one noise; every V ≥ 0 of Lemma 4 is a sum of two squares."""
    Q, back = reduced(levels, x)
    rng = np.random.default_rng(seed)
    m = Q.shape[1]

    def off(q: Array) -> Array:
        return np.hypot(Q @ q[:m], Q @ q[m : 2 * m]) - 1.0

    def sides(q: Array) -> Array:
        e = off(q)
        return np.concatenate((q[-1] - e, q[-1] + e))

    def slopes(q: Array) -> Array:
        r1, r2 = Q @ q[:m], Q @ q[m : 2 * m]
        size = np.hypot(r1, r2)[:, None]
        e = np.hstack((Q * r1[:, None] / size, Q * r2[:, None] / size))
        ones = np.ones((x.size, 1))
        return np.vstack((np.hstack((-e, ones)), np.hstack((e, ones))))

    plain = Q.T @ (basis(levels, x) @ first[0] / np.sqrt(x))
    begin = np.concatenate((plain, 0.3 * rng.standard_normal(m)))
    q0 = np.append(begin, np.abs(off(np.append(begin, 0.0))).max())
    found = minimize(
        lambda q: q[-1],
        q0,
        jac=lambda q: np.eye(q.size)[-1],
        constraints={"type": "ineq", "fun": sides, "jac": slopes},
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-9},
    )
    weights = (back @ found.x[:-1].reshape(2, m).T).T
    return weights, float(np.abs(off(found.x)).max())


def worst(levels: Array, weights: Array) -> float:
    """max |√V/√x − 1| of the tape over the class, by its exact law."""
    x = np.geomspace(LOW, HIGH, 4001)
    return float(np.abs(np.sqrt(tape_law(tape(levels, weights), x).variance / x) - 1.0).max())


def noise_rows() -> list[dict[str, Any]]:
    """Best deterministic and best noisy combination at the levels of each schedule."""
    x, rows = np.geomspace(LOW, HIGH, 240), []
    for name, sigma in schedules().items():
        levels = sigma**2
        plain, _ = best_deterministic(levels, x)
        found = [best_noisy(levels, x, plain, seed)[0] for seed in range(6)]
        noisy = min(found, key=lambda weights: worst(levels, weights))
        row = {
            "schedule": name,
            "levels": levels.tolist(),
            "deterministic": plain.tolist(),
            "noisy": noisy.tolist(),
        }
        rows.append(row | {"without": worst(levels, plain), "with": worst(levels, noisy)})
    return rows


def mixture_error(nodes: list[Array], scales: Array, weights: Array, x: Array) -> Array:
    """(Σ p(r/√x − 1)²)^{1/2} of samplers chosen with probabilities p: W2/√(dx) is at most this, in every dimension."""
    total = np.zeros_like(x)
    for s_i, scale, p in zip(nodes, scales, weights, strict=True):
        s = np.sqrt(x)
        B = np.prod((s_i[:, None] - s) / (s_i[:, None] + s), axis=0)
        total += p * (scale * (1.0 + B) / (1.0 - B) - 1.0) ** 2
    return np.sqrt(total)


def gains_and_slopes(log_nodes: Array, s: Array) -> tuple[Array, Array]:
    """r/s (M, P) of phase-law samplers with nodes (M, n), and its slopes by log node (M, n, P)."""
    s_i = np.exp(log_nodes)[:, :, None]
    factors = (s_i - s) / (s_i + s)
    ones = np.ones_like(factors[:, :1])
    before = np.concatenate((ones, np.cumprod(factors, axis=1)[:, :-1]), axis=1)
    after = np.concatenate((np.cumprod(factors[:, ::-1], axis=1)[:, -2::-1], ones), axis=1)
    B = np.prod(factors, axis=1)
    by_node = before * after * 2.0 * s_i * s / (s_i + s) ** 2
    return (1.0 + B) / (1.0 - B), 2.0 / (1.0 - B[:, None]) ** 2 * by_node


def _searched(q0: Array, K: int, kappa: float, M: int) -> Array:
    """(logits of p, log scales, log nodes) from q0, by SLSQP for the least largest mixture error over E_K."""
    m, floor = 2 * K + 1, affine_floor(kappa, K)
    s = np.sqrt(np.geomspace(1.0, kappa, 150 * K + 150))

    def off(q: Array) -> tuple[Array, Array]:
        """Σ p e²/E_K² (P,), and its slopes (P, q)."""
        p = np.exp(q[:M] - q[:M].max())
        p /= p.sum()
        scale = np.exp(q[M : 2 * M])[:, None]
        gain, slope = gains_and_slopes(q[2 * M :].reshape(M, m), s)
        e = (scale * gain - 1.0) / floor
        total = p @ e**2
        by_p = p[:, None] * (e**2 - total)
        by_scale = 2.0 * p[:, None] * e * scale * gain / floor
        by_node = (2.0 * p[:, None] * e * scale / floor)[:, None, :] * slope
        return total, np.vstack((by_p, by_scale, by_node.reshape(M * m, -1))).T

    def slopes(q: Array) -> Array:
        return np.column_stack((-off(q[:-1])[1], np.ones(s.size)))

    found = minimize(
        lambda q: q[-1],
        np.append(q0, off(q0)[0].max()),
        jac=lambda q: np.eye(q.size)[-1],
        constraints={"type": "ineq", "fun": lambda q: q[-1] - off(q[:-1])[0], "jac": slopes},
        method="SLSQP",
        options={"maxiter": 300, "ftol": 1e-9},
    )
    return np.asarray(found.x[:-1])


def best_mixture(
    K: int, kappa: float, M: int, seed: int, first: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Phase-law samplers, scaled, and their probabilities: a search from one start. ``first``: from a mixture of fewer, and
    more of what it has; else from Theorem 6's nodes, moved apart by up to a step of theirs, and at random."""
    rng, m = np.random.default_rng(seed), 2 * K + 1
    if first is None:
        base = np.log(zolotarev_levels(K, 1.0, kappa).nodes)
        apart = (np.arange(M) - 0.5 * (M - 1)) / M * math.log(kappa) / (2 * m)
        far = 10.0 ** rng.uniform(min(-3.0, math.log10(affine_floor(kappa, K))), 0.2)
        nodes = base + far * (apart[:, None] + 0.1 * rng.standard_normal((M, m)))
        q0 = np.concatenate((np.zeros(2 * M), nodes.ravel()))
    else:
        nodes, more = np.log(first["nodes"]), M - len(first["p"])
        mean = nodes.mean(axis=0) + 0.1 * math.log(kappa) / m * rng.standard_normal((more, m))
        logits = np.append(np.log(first["p"]), np.full(more, -2.0))
        scales = np.append(np.log(first["scales"]), np.zeros(more))
        q0 = np.concatenate((logits, scales, np.vstack((nodes, mean)).ravel()))
    with np.errstate(all="ignore"):  # a step too long: that start is lost
        q = _searched(q0, K, kappa, M)
        p = np.exp(q[:M] - q[:M].max())
        return _row(K, kappa, list(np.exp(q[2 * M :].reshape(M, m))), np.exp(q[M : 2 * M]), p / p.sum())


def _row(K: int, kappa: float, nodes: list[Array], scales: Array, p: Array) -> dict[str, Any]:
    dense = np.geomspace(1.0, kappa, 4001)
    return {
        "K": K, "kappa": kappa, "nodes": [s.tolist() for s in nodes], "scales": scales.tolist(), "p": p.tolist(),
        "worst": float(mixture_error(nodes, scales, p, dense).max()), "floor": affine_floor(kappa, K),
    }  # fmt: skip


def unmixed(K: int, kappa: float, M: int) -> dict[str, Any]:
    """Theorem 6's own sampler M times: what a search that finds nothing better is left with."""
    best = zolotarev_levels(K, 1.0, kappa)
    assert best.nodes is not None
    return _row(K, kappa, [best.nodes] * M, np.full(M, best.scale), np.full(M, 1.0 / M))


def best_found(K: int, kappa: float, M: int, fewer: dict[str, Any], starts: int) -> dict[str, Any]:
    """The least of the searches; of none below ``fewer`` (a mixture of fewer samplers), that one."""
    found = [best_mixture(K, kappa, M, seed) for seed in range(starts)]
    found += [best_mixture(K, kappa, M, seed, fewer) for seed in range(starts if M > 2 else 0)]
    best = min((f for f in found if math.isfinite(f["worst"])), key=lambda row: row["worst"], default=fewer)
    return best if best["worst"] < fewer["worst"] * (1.0 - 1e-6) else fewer


def mixed_tapes(row: dict[str, Any]) -> list[tuple[float, Tape]]:
    """A mixture's tapes with their probabilities."""
    out = []
    for s_i, scale, p in zip(row["nodes"], row["scales"], row["p"], strict=True):
        one = phase_levels(s_i).tape()
        wider = Tape(
            one.levels,
            one.start,
            one.answers,
            one.noises,
            one.offsets,
            one.start_level,
            one.start_std * scale,
        )
        out.append((p, wider))
    return out


def mixtures() -> list[dict[str, Any]]:
    """Two and three samplers for each K and κ; where none below fewer samplers were found, the row is theirs."""
    rows = []
    for K in range(1, 7):
        for kappa in (10.0, 1e3, 1e6, 1e9, 1e12):
            best = unmixed(K, kappa, 2)
            for M in (2, 3):
                best = best_found(K, kappa, M, best, 12)
                rows.append(best | {"M": M})
                print(K, kappa, M, len(best["p"]), best["worst"] / best["floor"], flush=True)
    return rows


def mixture_table(rows: list[dict[str, Any]]) -> str:
    """Over E_K, in Markdown; 1: nothing below it found, "as 2": nothing below the row above."""
    kappas = sorted({row["kappa"] for row in rows})
    powers = [f"10^{{{round(math.log10(kappa))}}}" for kappa in kappas]
    heads = ("$K$", "$M$", f"$\\kappa={powers[0]}$", *(f"${power}$" for power in powers[1:]))
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    by = {(row["K"], row["M"], row["kappa"]): row for row in rows}
    for K, M in sorted({key[:2] for key in by}):
        told = []
        for kappa in kappas:
            row = by[K, M, kappa]
            ratio = row["worst"] / row["floor"]
            told.append("1" if ratio > 1.0 - 1e-6 else f"{ratio:.4f}" if len(row["p"]) == M else "as 2")
        lines.append(f"| {K} | {M} | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"


def main(parts: list[str]) -> None:
    record = json.loads(RECORD.read_text("utf-8"))
    for name, made in (("noise", noise_rows), ("mixtures", mixtures)):
        if not parts or name in parts:
            record[name] = made()
            RECORD.write_text(json.dumps(record) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
