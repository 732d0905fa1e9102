"""What a step does, as numbers: A, C and Q of y_k = A y_{k−1} + C s(y_{k−1}) + √Q ξ, and a user's own, completed and
checked (section 3 of docs/theory.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wbound.errors import BadInput
from wbound.sampler.steps import Batch
from wbound.typing import Array

__all__ = ["Corrector", "Flow", "Own", "Steps", "vanishes"]


def vanishes(x: Array | float) -> bool:
    """Whether x is 0 on every step; quick where its first entry is not."""
    return not x if isinstance(x, float) else not (x.size and x[0]) and not np.any(x)


class Flow(NamedTuple):
    """How far an ODE step's c_k (section 12) is from that of the heat flow's own Euler step, arrays (N,).

    half: ½C^hf − C (x²); keep: 1 − c_k/λ_{k−1}, what is left of pure noise (no unit); excess: keep² −
    λ_k/λ_{k−1} (no unit). None of them from a difference that cancels.
    """

    half: Array | float
    keep: Array
    excess: Array | float


class Corrector(NamedTuple):
    """A second stage, arrays (N,) in x²: y_k = A y_{k−1} + C s(y_{k−1}, τ_{k−1}) + D s(y′, τ_k), with y′
    what the first stage gives. Where D = 0 the score at τ_k is not needed; in a scheme of your own it has to be 0 at
    λ_k = 0."""

    C: Array
    D: Array


class Steps(NamedTuple):
    """Coefficients of N steps, arrays (N,): A (no unit), C and Q (x²).

    a, c, q are the exact step's (``hf``: A^hf, C^hf, Q^hf) minus these, computed without cancellation:
    they are what Theorem 2's b_k and X_k and the exact law's defect are made of (0.0 where they vanish
    identically). ODE schemes have Q = 0 and a ``flow``; ``corrector`` is None for one-stage schemes.
    A scheme of your own may leave a, c, q and flow out (`Own`).
    """

    A: Array
    C: Array
    Q: Array
    a: Array | float = math.nan
    c: Array | float = math.nan
    q: Array | float = math.nan
    corrector: Corrector | None = None
    flow: Flow | None = None


#: What a mismatch or a flow given with a user's coefficients may differ from them, relative to what it is made of.
AGREED = 1e-9


@dataclass(frozen=True)
class Own:
    """The steps of a user's scheme: A, C, Q and the corrector are what it does. What of a, c, q and the flow is
    left out is their plain difference from the exact step's (to about 1e-16 of A, C, Q), and what is given must
    agree with them. Raises `BadInput` where they do not, and where ``kind`` or ``stages`` says what they are not.
    """

    of: Callable[[Batch], Steps]
    name: str
    kind: str
    stages: int

    def __call__(self, b: Batch) -> Steps:
        given = self.of(b)
        if (given.corrector is not None) != (self.stages == 2):
            has = "two stages" if given.corrector is not None else "one stage, without a corrector"
            raise BadInput("scheme", self.name, f"has {has}, but says stages = {self.stages}")
        A, C, Q = (self._read(key, getattr(given, key), b) for key in ("A", "C", "Q"))
        if not (Q >= 0.0).all():
            raise BadInput("scheme", self.name, "has Q < 0, and Q is a variance")
        with np.errstate(over="ignore", invalid="ignore"):  # a huge step: infinite, and the bound says so
            exact = np.exp(b.steps.F), b.steps.C, b.steps.Q
            a, c, q = (
                self._mismatch(key, value, whole, own, b)
                for key, value, whole, own in zip("acq", given[3:6], exact, (A, C, Q), strict=True)
            )
            if self.kind == "sde":
                return Steps(A, C, Q, a, c, q)
            if Q.any() or (np.abs(A - exact[0]) > AGREED * exact[0]).any():
                raise BadInput(
                    "scheme", self.name, "is no ODE scheme: Q must be 0 and A = alpha_k/alpha_{k-1}"
                )
            return Steps(
                A, C, Q, 0.0, c, q, self._corrector(given.corrector, b), self._flow(given.flow, C, b)
            )

    def _read(self, key: str, value: Array | float, b: Batch) -> Array:
        try:
            return np.broadcast_to(np.asarray(value, float), b.t_lo.shape)
        except (TypeError, ValueError):
            raise BadInput("scheme", self.name, f"must give {key} as numbers of shape ({b.size},)") from None

    def _mismatch(self, key: str, given: Array | float, exact: Array, own: Array, b: Batch) -> Array:
        if isinstance(given, float) and math.isnan(given):
            return exact - own
        value = self._read(key, given, b)
        size = np.abs(exact) + np.abs(own)
        self._agree(value, exact - own, size, f"its {key} is not hf's {key.upper()} minus its own")
        return value

    def _agree(self, given: Array | float, own: Array, size: Array, said: str) -> None:
        if (np.abs(given - own) > AGREED * size).any():
            raise BadInput("scheme", self.name, said)

    def _corrector(self, given: Corrector | None, b: Batch) -> Corrector | None:
        if given is None:
            return None
        C, D = self._read("the corrector's C", given[0], b), self._read("the corrector's D", given[1], b)
        if (D[np.isneginf(b.log_lam_lo)] != 0.0).any():
            raise BadInput(
                "scheme", self.name, "asks for the score at lam = 0: its corrector's D must be 0 there"
            )
        return Corrector(C, D)

    def _flow(self, given: Flow | None, C: Array, b: Batch) -> Flow:
        keep = np.where(b.sigma2_hi > 0.0, 1.0 - C * np.exp(-b.steps.F) / b.sigma2_hi, 0.5)
        own = Flow(0.5 * b.steps.C - C, keep, keep**2 - np.exp(-b.gap))
        if given is None:
            return own
        sizes = b.steps.C + np.abs(C), 2.0 + np.abs(keep), 2.0 + keep**2
        for value, plain, size in zip(given, own, sizes, strict=True):
            self._agree(value, np.asarray(plain), size, "its flow does not belong to its C")
        return given
