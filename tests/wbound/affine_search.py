"""Affine samplers by the thousand, and what their worst spectrum in [1, κ] costs: the search against Theorem 6.

``python tests/wbound/affine_search.py CELLS FILE`` writes the record of a long search; `test_theorem_6` runs a slice,
and computes the record's closest samplers again.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from wbound.bounds.theorem_6 import affine_floor
from wbound.calculus.elliptic import jacobi_dn
from wbound.exact.phase import phase_levels, zolotarev_levels
from wbound.sampler.tape import Tape

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Where the record of the long search is kept.
RECORD = Path(__file__).with_name("affine_search.json")
#: Samplers drawn at once.
BATCH = 50
KAPPA, MOST = (2.0, 1e6), 12


@dataclass(frozen=True)
class Tapes:
    """n tapes of K evaluations and J noises: arrays as `Tape`'s with one axis more in front; the start's std (n,)."""

    levels: Array
    start: Array
    answers: Array
    noises: Array
    std: Array

    def one(self, i: int) -> Tape:
        return Tape(
            levels=self.levels[i],
            start=self.start[i],
            answers=self.answers[i],
            noises=self.noises[i],
            offsets=np.zeros(self.start.shape[1]),
            start_level=0.0,
            start_std=float(self.std[i]),
        )

    def variance(self, x: Array) -> Array:
        """V (n, P) at eigenvalues x (P,) or (n, P): forward, where `tape_law` goes backward."""
        n, K = self.levels.shape
        x = np.broadcast_to(x, (n, x.shape[-1]))
        rho = x[:, None] * np.sqrt(1.0 + self.levels[:, :, None]) / (x[:, None] + self.levels[:, :, None])
        # what each input and the output hold of the start and of the noises (n, K+1, P, 1+J)
        own = np.concatenate((self.start[:, :, None], self.noises), axis=2)
        held = np.zeros((n, K, x.shape[1], own.shape[2]))
        for i in range(K):
            held[:, i] = own[:, i, None] + np.einsum("nj,njps->nps", self.answers[:, i, :i], held[:, :i])
            held[:, i] *= rho[:, i, :, None]
        out = own[:, K, None] + np.einsum("nj,njps->nps", self.answers[:, K], held)
        out[..., 0] *= self.std[:, None]
        return np.einsum("nps,nps->np", out, out)


def alternation(K: int, kappa: float) -> Array:
    """The 2K+2 eigenvalues (ascending) in [1, κ] at which Theorem 6's gain is off by E_K, with signs in turn."""
    n = 2 * K + 1
    inner = jacobi_dn(np.arange(1, n) / n, 1.0 / math.sqrt(kappa)) ** 2 * kappa
    return np.concatenate(([1.0], inner[::-1], [kappa]))


def worst(tapes: Tapes, K: int, kappa: float) -> Array:
    """max |√V − √x|/√x (n,) over the alternation points, where Theorem 5 says that it is at least E_K."""
    x = alternation(K, kappa)
    return np.abs(np.sqrt(tapes.variance(x) / x) - 1.0).max(axis=1)


def _levels(rng: np.random.Generator, n: int, K: int, kappa: float) -> Array:
    return np.exp(rng.uniform(math.log(1e-3), math.log(1e3 * kappa), (n, K)))


def anything(rng: np.random.Generator, n: int, K: int, kappa: float) -> Tapes:
    """Coefficients of all sizes, levels in no order, noises, and their output scaled to the class as well as it goes."""
    J = int(rng.integers(0, 4))
    answers = np.tril(rng.standard_normal((n, K + 1, K)), -1) * 10.0 ** rng.uniform(-1, 1)
    made = Tapes(
        _levels(rng, n, K, kappa),
        rng.standard_normal((n, K + 1)),
        answers,
        rng.standard_normal((n, K + 1, J)) * 10.0 ** rng.uniform(-3, 0),
        np.exp(rng.uniform(0.0, 0.5 * math.log(kappa), n)),
    )
    x = alternation(K, kappa)
    ratio = np.sqrt(made.variance(x) / x)
    size = 2.0 / (ratio.max(axis=1) + ratio.min(axis=1))
    scale = np.ones((n, K + 1))
    scale[:, K] = size
    return Tapes(
        made.levels,
        made.start * scale,
        made.answers * scale[:, :, None],
        made.noises * scale[:, :, None],
        made.std,
    )


def near_the_best(rng: np.random.Generator, n: int, K: int, kappa: float) -> Tapes:
    """Theorem 6's sampler with every coefficient and level moved by 1e-6 to 1 of itself, memory and noises added."""
    tape = zolotarev_levels(K, 1.0, kappa).tape()
    unit = math.sqrt(1.0 + tape.start_level)
    J = int(rng.integers(0, 3))
    away = 10.0 ** rng.uniform(-6, 0, (n, 1))
    shape = (n, K + 1, K)
    moved = tape.answers * (1.0 + away[..., None] * rng.standard_normal(shape))
    moved = moved + np.tril(rng.standard_normal(shape), -1) * away[..., None] * 10.0 ** rng.uniform(-6, 0)
    return Tapes(
        tape.levels * np.exp(away * rng.standard_normal((n, K))),
        tape.start / unit * (1.0 + away * rng.standard_normal((n, K + 1))),
        moved,
        rng.standard_normal((n, K + 1, J)) * away[..., None] * 10.0 ** rng.uniform(-6, 0),
        np.full(n, tape.start_std * unit),
    )


def multistep(rng: np.random.Generator, n: int, K: int, kappa: float) -> Tapes:
    """DPM-Solver++(2M) on log-uniform levels with some disorder, between itself and `ddim`, ancestral noise or none."""
    high, low = np.exp(rng.uniform(0.0, math.log(1e3), (2, n, 1)))
    t = np.sort(np.arange(K) / max(K - 1, 1) + rng.uniform(0, 0.3 / K, (n, K)), axis=1)
    lam = high * kappa * (1.0 / (low * high * kappa)) ** t
    lam = np.sort(lam, axis=1)[:, ::-1]
    sigma = np.concatenate((np.sqrt(lam), np.zeros((n, 1))), axis=1)
    order, churn = rng.uniform(0, 1, (n, 1)), rng.uniform(0, 1) * (rng.uniform() < 0.5)
    start, answers = np.zeros((n, K + 1)), np.zeros((n, K + 1, K))
    noises = np.zeros((n, K + 1, K if churn else 0))
    state = np.zeros((n, 1 + K + noises.shape[2]))
    state[:, 0] = 1.0
    for k in range(K):
        row = state / np.sqrt(1.0 + lam[:, k])[:, None]
        start[:, k], answers[:, k], noises[:, k] = row[:, 0], row[:, 1 : 1 + K], row[:, 1 + K :]
        down = sigma[:, k + 1] * (1.0 - 0.3 * churn)
        kept = (down / sigma[:, k])[:, None]
        seen = np.zeros_like(state)
        seen[:, 1 + k] = 1.0
        if 0 < k < K - 1:
            before, after = np.log(sigma[:, k - 1] / sigma[:, k]), np.log(sigma[:, k] / sigma[:, k + 1])
            r = np.maximum(before / after, 0.05)[:, None]
            seen[:, [1 + k]] += order / (2.0 * r)
            seen[:, [k]] -= order / (2.0 * r)
        state = kept * state + (1.0 - kept) * seen
        if churn:
            state[:, 1 + K + k] += np.sqrt(sigma[:, k + 1] ** 2 - down**2)
    start[:, K], answers[:, K], noises[:, K] = state[:, 0], state[:, 1 : 1 + K], state[:, 1 + K :]
    wider = np.exp(rng.uniform(-0.2, 0.5, n))
    return Tapes(lam, start, answers, noises, sigma[:, 0] * wider)


FAMILIES: dict[str, Callable[[np.random.Generator, int, int, float], Tapes]] = {
    "anything": anything,
    "near the best": near_the_best,
    "multistep": multistep,
}


@dataclass(frozen=True)
class Cell:
    """The sampler of one family that came closest to the floor in a batch, and how to draw it again."""

    family: str
    batch: int
    index: int
    K: int
    kappa: float
    ratio: float


def drawn(seed: int, batch: int, n: int = BATCH) -> tuple[str, int, float, Tapes]:
    """The batch's family, K, κ and tapes."""
    rng = np.random.default_rng([seed, batch])
    family = tuple(FAMILIES)[batch % len(FAMILIES)]
    K, kappa = int(rng.integers(1, MOST + 1)), float(np.exp(rng.uniform(*np.log(KAPPA))))
    return family, K, kappa, FAMILIES[family](rng, n, K, kappa)


def search(cells: int, seed: int, n: int = BATCH) -> Iterator[Cell]:
    """The closest sampler of each batch. Where E_K is below 1e-12 rounding hides it: such a batch is drawn anew."""
    done, batch = 0, 0
    while done < cells:
        family, K, kappa, tapes = drawn(seed, batch, n)
        floor = affine_floor(kappa, K)
        if floor >= 1e-12:
            ratios = worst(tapes, K, kappa) / floor
            i = int(np.argmin(ratios))
            yield Cell(family, batch, i, K, kappa, float(ratios[i]))
            done += n
        batch += 1


def directed(K: int, kappa: float, rng: np.random.Generator, J: int = 1) -> float:
    """The least worst case that an optimiser over whole tapes (levels, memory, noise) finds from one start, over E_K."""
    lower = np.tril_indices(K + 1, -1, K)
    sizes = (K, K + 1, len(lower[0]), (K + 1) * J)

    def tapes(p: Array) -> Tapes:
        p = np.atleast_2d(p)
        levels, start, coefficients, noises = np.split(p, np.cumsum(sizes)[:-1], axis=1)
        answers = np.zeros((len(p), K + 1, K))
        answers[:, lower[0], lower[1]] = coefficients
        shape = (len(p), K + 1, J)
        return Tapes(np.exp(levels), start, answers, noises.reshape(shape), np.full(len(p), math.sqrt(kappa)))

    x = np.unique(np.concatenate((alternation(K, kappa), np.geomspace(1.0, kappa, 8 * K + 1))))

    def off(p: Array) -> Array:
        return np.sqrt(tapes(p).variance(x) / x) - 1.0

    def sides(q: Array) -> Array:
        e = off(q[:-1])[0]
        return np.concatenate((q[-1] - e, q[-1] + e))

    def slopes(q: Array) -> Array:
        h = 1e-7
        steps = h * np.eye(q.size - 1)
        e = (off(q[:-1] + steps) - off(q[:-1] - steps)) / (2.0 * h)
        ones = np.ones((x.size, 1))
        return np.vstack((np.hstack((-e.T, ones)), np.hstack((e.T, ones))))

    # some other phase law's sampler, disturbed
    tape = phase_levels(np.exp(rng.uniform(0.0, 0.5 * math.log(kappa), 2 * K + 1))).tape()
    begin = np.concatenate(
        (
            np.log(tape.levels),
            tape.start * tape.start_std / math.sqrt(kappa),
            tape.answers[lower],
            np.zeros((K + 1) * J),
        )
    )
    begin = begin + 0.05 * rng.standard_normal(begin.size)
    found = minimize(
        lambda q: q[-1],
        np.append(begin, np.abs(off(begin)).max()),
        jac=lambda q: np.eye(q.size)[-1],
        constraints={"type": "ineq", "fun": sides, "jac": slopes},
        bounds=[(-30.0, 60.0)] * K + [(-1e6, 1e6)] * (begin.size - K) + [(0.0, 1e6)],
        method="SLSQP",
        options={"maxiter": 200, "ftol": 1e-9},
    )
    return float(np.abs(off(found.x[:-1])).max()) / affine_floor(kappa, K)


def main(cells: int, path: Path, seed: int = 20261129) -> None:
    best: dict[str, Cell] = {}
    count = 0
    for cell in search(cells, seed):
        count += BATCH
        if cell.ratio < best.get(cell.family, cell).ratio or cell.family not in best:
            best[cell.family] = cell
    rows = [vars(best[family]) for family in FAMILIES]
    record = {"seed": seed, "samplers": count, "K": [1, MOST], "kappa": list(KAPPA), "closest": rows}
    path.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(int(float(sys.argv[1])), Path(sys.argv[2]))
