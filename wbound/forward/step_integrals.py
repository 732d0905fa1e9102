"""The integrals of one step of a forward SDE, for the three families (section 0 of docs/theory.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wbound.calculus.quadrature import CHUNK, Mesh, mesh, nodes_for, rule
from wbound.calculus.stable import expm1_minus, sinh_minus
from wbound.typing import Array

__all__ = ["GeneralSteps", "Increments", "StationarySteps", "VeSteps"]

#: Three nodes and five are taken to agree on a step's integrals within this, of ∫f and ∫g²: the five's own error is
#: then far below a rounding.
AGREED = 1e-12


class Increments(Protocol):
    """The integrals over steps [lo, hi] of forward time, arrays (N,), in units of x² unless said.

    With A(s) = ∫_lo^s f, α_k = α(lo), α_{k−1} = α(hi). The three differences are integrated as such,
    never subtracted, so that they keep their digits when the step is small.
    """

    @property
    def F(self) -> Array:
        """∫ f (no unit): α_k/α_{k−1} = e^F."""

    @property
    def A_minus(self) -> Array:
        """e^F − 1 − F (no unit)."""

    @property
    def G(self) -> Array:
        """∫ g²."""

    @property
    def Q(self) -> Array:
        """∫ g² e^{2A} = α_k² (λ_{k−1} − λ_k): the exact conditional variance of a step."""

    @property
    def C(self) -> Array:
        """∫ g² e^{2A−F} = α_k α_{k−1} (λ_{k−1} − λ_k)."""

    @property
    def E(self) -> Array:
        """∫ g² e^A = ∫ (α_k/α) g²."""

    @property
    def C_minus_G(self) -> Array:
        """∫ g² (e^{2A−F} − 1)."""

    @property
    def C_minus_E(self) -> Array:
        """∫ g² e^A (e^{A−F} − 1)."""

    @property
    def C_minus_half_E(self) -> Array:
        """∫ g² e^A (e^{A−F} − ½)."""

    @property
    def Q_minus_G(self) -> Array:
        """∫ g² (e^{2A} − 1)."""


class VeSteps:
    """Steps of f = 0: every integral is ∫g² and the differences vanish."""

    def __init__(self, G: Array) -> None:
        self.G = self.Q = self.C = self.E = G

    @cached_property
    def F(self) -> Array:
        return np.zeros_like(self.G)

    @property
    def C_minus_G(self) -> Array:
        return self.F

    C_minus_E = Q_minus_G = A_minus = C_minus_G

    @cached_property
    def C_minus_half_E(self) -> Array:
        return 0.5 * self.G


class StationarySteps:
    """Steps of g² = 2κ f, all closed forms in F: overflow (F > 355) is a real infinity, left as inf."""

    def __init__(self, F: Array, kappa: float) -> None:
        self.F, self.kappa = F, kappa

    def _big(self, value: Callable[[], Array]) -> Array:
        with np.errstate(over="ignore"):  # a huge step: A_k = e^F itself is infinite
            out = value()
        if self.kappa != 1.0:
            out *= self.kappa
        return out

    @cached_property
    def largest(self) -> float:
        """The largest F."""
        return float(self.F.max()) if self.F.size else 0.0

    @cached_property
    def _expm1(self) -> Array:
        with np.errstate(over="ignore"):  # as above
            return np.expm1(self.F)

    @cached_property
    def G(self) -> Array:
        return 2.0 * self.kappa * self.F

    @cached_property
    def Q(self) -> Array:
        # e^{2F} − 1 = (e^F − 1)(e^F + 1)
        return self._big(lambda: (self._expm1 + 2.0) * self._expm1)

    @cached_property
    def C(self) -> Array:
        return self._big(lambda: 2.0 * np.sinh(self.F))

    @cached_property
    def E(self) -> Array:
        return self._big(lambda: 2.0 * self._expm1)

    @cached_property
    def C_minus_G(self) -> Array:
        return self._big(lambda: 2.0 * sinh_minus(self.F, self.largest))

    @cached_property
    def C_minus_half_E(self) -> Array:
        return -self.kappa * np.expm1(-self.F)  # 2 sinh F − (e^F − 1)

    @cached_property
    def C_minus_E(self) -> Array:
        # 2 sinh F − 2 (e^F − 1) = −4 sinh²(F/2)
        return self._big(lambda: -4.0 * np.sinh(0.5 * self.F) ** 2)

    @cached_property
    def A_minus(self) -> Array:
        """e^F − 1 − F, no unit."""
        with np.errstate(over="ignore"):  # as above
            return expm1_minus(self.F, self.largest)

    @cached_property
    def Q_minus_G(self) -> Array:
        # e^{2F} − 1 − 2F = (e^F − 1)² + 2(e^F − 1 − F)
        def value() -> Array:
            out = self._expm1 * self._expm1
            out += self.A_minus
            out += self.A_minus
            return out

        return self._big(value)


def _sums_within(values: Array, owner: NDArray[np.intp]) -> tuple[Array, Array]:
    """Of panels in order, sorted by owner: the sums over the owner's panels before each, and after each; never
    as a difference of sums that run over other owners' panels, which may be far larger."""
    before, after = np.zeros(values.size), np.zeros(values.size)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    ends = np.append(starts[1:], values.size)
    many = ends - starts > 1
    for lo, hi in zip(starts[many], ends[many], strict=True):  # few: most steps are one panel
        before[lo + 1 : hi] = np.cumsum(values[lo : hi - 1])
        after[lo : hi - 1] = np.cumsum(values[lo + 1 : hi][::-1])[::-1]
    return before, after


class GeneralSteps:
    """Steps of any (f, g) by Gauss–Legendre panels."""

    F: Array
    G: Array
    Q: Array
    C: Array
    E: Array
    C_minus_G: Array
    C_minus_E: Array
    Q_minus_G: Array

    def __init__(
        self,
        f: Callable[[Array], Array],
        g: Callable[[Array], Array],
        lo: Array,
        hi: Array,
        breaks: Sequence[float] = (),
    ) -> None:
        names = ("F", "G", "Q", "C", "E", "C_minus_G", "C_minus_E", "Q_minus_G")
        chunks = [
            self._integrals(f, g, lo[i : i + CHUNK], hi[i : i + CHUNK], nodes_for(lo.size), breaks)
            for i in range(0, max(lo.size, 1), CHUNK)
        ]
        for name, parts in zip(names, zip(*chunks, strict=True), strict=True):
            setattr(self, name, np.concatenate(parts))

    @cached_property
    def A_minus(self) -> Array:
        with np.errstate(over="ignore"):  # a huge step: infinite
            return expm1_minus(self.F)

    @property
    def C_minus_half_E(self) -> Array:
        return 0.5 * (self.C + self.C_minus_E)

    @classmethod
    def _integrals(
        cls,
        f: Callable[[Array], Array],
        g: Callable[[Array], Array],
        lo: Array,
        hi: Array,
        n: int,
        breaks: Sequence[float],
    ) -> Array:
        """(8, N): where three nodes and five agree, as on short steps, by the five; else by panels of ``n``."""
        alone = np.arange(lo.size)
        coarse, out = (cls._summed(f, g, lo, hi, alone, lo.size, few) for few in (3, 5))
        with np.errstate(invalid="ignore"):  # inf − inf: left to the panels
            gap = np.abs(out - coarse)
        agreed = (gap[0] <= AGREED * np.abs(out[0])) & (gap[1:] <= AGREED * np.abs(out[1])).all(axis=0)
        agreed &= np.isfinite(out).all(axis=0)
        for at in breaks:
            agreed &= (at <= lo) | (hi <= at)
        rest = np.flatnonzero(~agreed)
        if rest.size:
            m = cls._mesh(f, g, lo[rest], hi[rest], n, breaks)
            out[:, rest] = cls._summed(f, g, m.lo, m.hi, m.owner, rest.size, n)
        return out

    @staticmethod
    def _at_nodes(
        f: Callable[[Array], Array], g: Callable[[Array], Array], a: Array, b: Array, x: Array
    ) -> tuple[Array, Array, Array]:
        """f, g² and the widths at nodes x of panels [a, b]."""
        width = (b - a)[:, None]
        t = a[:, None] + width * x
        with np.errstate(over="ignore"):  # g² beyond doubles: infinite, as the step is
            return f(t), g(t) ** 2, width

    @classmethod
    def _mesh(
        cls,
        f: Callable[[Array], Array],
        g: Callable[[Array], Array],
        lo: Array,
        hi: Array,
        n: int,
        breaks: Sequence[float],
    ) -> Mesh:
        """Panels on which ``n`` nodes agree with themselves on the halves."""
        r = rule(n)

        def moments(a: Array, b: Array) -> Array:
            fs, g2, width = cls._at_nodes(f, g, a, b, r.x)
            with np.errstate(over="ignore", invalid="ignore"):  # a huge step is infinite, and said to be
                inner = width * (fs @ r.cumulative.T)
                e = np.exp(inner)
                return width[:, 0] * np.stack((fs @ r.w, g2 @ r.w, (g2 * e * e) @ r.w, (g2 * e) @ r.w))

        def combine(first: Array, second: Array) -> Array:
            with np.errstate(over="ignore", invalid="ignore"):  # inf · 0 where g vanishes on a panel
                e = np.exp(first[0])
                shifted = np.stack((second[0], second[1], e * e * second[2], e * second[3]))
            return first + np.where(second == 0.0, 0.0, shifted)

        # the last two grow by e^A from a panel's start to the step's end: their errors count against ∫g²
        return mesh(lo, hi, moments, combine, option="f, g", against=(0, 1, 1, 1), breaks=breaks)

    @classmethod
    def _summed(
        cls,
        f: Callable[[Array], Array],
        g: Callable[[Array], Array],
        lo: Array,
        hi: Array,
        owner: NDArray[np.intp],
        N: int,
        n: int,
    ) -> Array:
        """(8, N), from panels [lo, hi] in order and the step that each belongs to."""
        r = rule(n)
        fs, g2, width = cls._at_nodes(f, g, lo, hi, r.x)
        panel_F = width[:, 0] * (fs @ r.w)
        # from the step's start to a node, and from a node to the step's end: each on its own, for where f or g
        # decays one is far below the other
        before, after = _sums_within(panel_F, owner)
        A = before[:, None] + width * (fs @ r.cumulative.T)
        rest = -(after[:, None] + width * (fs @ (r.w - r.cumulative).T))  # A − F ≤ 0
        F: Array = np.bincount(owner, panel_F, minlength=N).astype(float)

        def total(weight: Array) -> Array:
            sums: Array = np.bincount(owner, width[:, 0] * ((g2 * weight) @ r.w), minlength=N).astype(float)
            return sums

        with np.errstate(over="ignore", invalid="ignore"):  # as above
            e = np.exp(A)
            return np.array(
                (
                    F,
                    total(np.ones_like(A)),
                    total(e * e),
                    total(np.exp(A + rest)),
                    total(e),
                    total(np.expm1(A + rest)),
                    total(e * np.expm1(rest)),
                    total(np.expm1(2.0 * A)),
                )
            )
