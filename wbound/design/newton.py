"""Damped Newton in log λ for sums over adjacent nodes, whose Hessians are tridiagonal (plus one rank an eigenvalue)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from wbound.design.objectives import Objective
from wbound.typing import Array

__all__ = ["Found", "minimise"]


@dataclass(frozen=True)
class Found:
    """Nodes λ (K+1,) at which a search ended, F there, its steps, and Newton's relative decrement."""

    lam: Array
    value: float
    iterations: int
    decrement: float


def minimise(objective: Objective, lam: Array, first: int, most: int = 300) -> Found:
    """Damped Newton in log λ_first … log λ_{K−1}: every accepted step lowers F, and keeps the nodes in
    order."""
    lam = lam.copy()
    value = objective.value(lam)
    K = lam.size - 1
    if first >= K:
        return Found(lam, value, 0, 0.0)
    damping, decrement = 0.0, math.inf
    for iteration in range(most):
        if value == 0.0:  # heun is exact on one variance at some nodes
            return Found(lam, value, iteration, 0.0)
        d = objective.derivatives(lam)
        at = lam[first:K]
        gradient = at * d.gradient[first:]
        if not gradient.any():  # a plateau, where nothing is left of any coordinate
            return Found(lam, value, iteration, 0.0)
        diagonal = at**2 * d.diagonal[first:] + gradient
        beside = at[1:] * at[:-1] * d.beside[first:]
        low = None if d.low_rank is None else d.low_rank[:, first:] * at
        step, damping = _direction(gradient, diagonal, beside, low, damping)
        decrement = float(-gradient @ step) / abs(value) if value else 0.0
        if decrement < 1e-13:
            return Found(lam, value, iteration, decrement)
        size = _room(np.log(lam[:K]), step, first)
        for _ in range(40):
            new = lam.copy()
            new[first:K] = at * np.exp(size * step)
            trial = objective.value(new)
            if trial <= value - 1e-4 * size * float(-gradient @ step):
                break
            size *= 0.5
        else:
            return Found(lam, value, iteration, decrement)
        damping = 0.0 if size > 0.3 else max(4.0 * damping, 1e-3)
        lam, value = new, trial
    return Found(lam, value, most, decrement)


def _direction(
    gradient: Array, diagonal: Array, beside: Array, low: Array | None, damping: float
) -> tuple[Array, float]:
    """−M⁻¹∇F, with M the metric made positive definite by adding to its diagonal."""
    floor = np.abs(diagonal) + (0.0 if low is None else (low**2).sum(axis=0))
    floor = np.maximum(floor, 1e-12 * float(floor.max()))
    for _ in range(40):
        try:
            if diagonal.size == 1 and low is None:
                slope = float(diagonal[0]) + damping * float(floor[0])
                if slope <= 0.0:
                    raise np.linalg.LinAlgError
                return -gradient / slope, damping
            if low is None:
                return -_banded(diagonal + damping * floor, beside, gradient), damping
            return -_solve(diagonal + damping * floor, beside, low, gradient), damping
        except np.linalg.LinAlgError:
            damping = max(4.0 * damping, 1e-4)
    return -gradient / floor, damping


def _banded(diagonal: Array, beside: Array, right: Array) -> Array:
    band = np.zeros((2, diagonal.size))
    band[0, 1:], band[1] = beside, diagonal
    return np.asarray(scipy.linalg.solveh_banded(band, right, check_finite=False))


def _solve(diagonal: Array, beside: Array, low: Array, gradient: Array) -> Array:
    """(Tridiagonal + JᵀJ)⁻¹∇F; Woodbury's identity where J has few rows and the tridiagonal part is
    definite by itself, else in full. Raises LinAlgError where the whole is not positive definite."""
    if 4 * low.shape[0] < diagonal.size:
        try:
            both = _banded(diagonal, beside, np.column_stack((gradient, low.T)))
        except np.linalg.LinAlgError:
            pass
        else:
            inner = np.eye(low.shape[0]) + low @ both[:, 1:]
            return np.asarray(both[:, 0] - both[:, 1:] @ np.linalg.solve(inner, low @ both[:, 0]))
    full = low.T @ low
    index = np.arange(diagonal.size)
    full[index, index] += diagonal
    full[index[1:], index[:-1]] += beside
    full[index[:-1], index[1:]] += beside
    return np.asarray(
        scipy.linalg.cho_solve(
            scipy.linalg.cho_factor(full, check_finite=False), gradient, check_finite=False
        )
    )


def _room(log_lam: Array, step: Array, first: int) -> float:
    """The largest share ≤ 1 of the step that keeps the nodes decreasing (and not past a node that is
    fixed)."""
    moves = np.concatenate((np.zeros(first), step))
    gap, change = -np.diff(log_lam), -np.diff(moves)
    closing = change < 0.0
    limit = float((gap[closing] / -change[closing]).min()) * 0.9 if closing.any() else 1.0
    return min(1.0, limit, 3.0 / max(float(np.abs(step).max()), 1e-300))
