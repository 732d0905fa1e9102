"""How a named process is written down: a row of text or of closed forms, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from wbound.calculus.parser import parse
from wbound.errors import BadInput, positive
from wbound.forward.forward_process import Process

__all__ = ["Row"]


@dataclass(frozen=True)
class Row:
    """A named process. ``increment`` is ∫_lo^hi g² (family ve) or ∫_lo^hi f (the others), written so that
    nothing cancels when hi − lo is small and nothing overflows before the integral itself does.

    A row whose closed forms no text can say brings ``closed``: from the parameters' values to the arguments
    f, g, family, … of `Process.named`; its texts are then for the reader.
    """

    name: str
    defaults: tuple[tuple[str, float], ...]
    f: str
    g: str
    family: str
    increment: str
    log_lam: str | None = None
    source: str = "Gao, Nguyen & Zhu, arXiv 2311.11003"
    published: bool = True
    #: (1 − σ²)/α² in alpha, of a law that tends to N(0, I) though it is not of the stationary family
    short: str | None = None
    #: pairs (small, large) of parameters that must be in this order
    ordered: tuple[tuple[str, str], ...] = ()
    closed: Callable[[Mapping[str, float]], dict[str, Any]] | None = None

    def make(self, parameters: Mapping[str, float], checked: bool = True) -> Process:
        """The process of this row; parameters left out take the defaults. ``checked``: its closed forms by quadrature
        too, which a search that makes hundreds leaves to the one that it ends at. Raises `BadInput`."""
        defaults = dict(self.defaults)
        for key in parameters:
            if key not in defaults:
                raise BadInput(key, parameters[key], f"process {self.name} takes " + ", ".join(defaults))
        values = {key: positive(key, parameters.get(key, default)) for key, default in defaults.items()}
        for small, large in self.ordered:
            if values[small] >= values[large]:
                raise BadInput(small, values[small], f"must be below {large} = {values[large]:g}")
        if self.closed is not None:
            return Process.named(self.name, values, **self.closed(values), checked=checked)
        f, g, increment, log_lam, short = _expressions(self)
        return Process.named(
            self.name,
            values,
            f,
            g,
            family=self.family,
            increment=increment,
            log_lam=log_lam,
            short=short,
            checked=checked,
        )


@cache
def _expressions(row: Row) -> tuple[sp.Expr | None, ...]:
    names = tuple(p for p, _ in row.defaults)
    texts = (row.f, row.g, row.increment, row.log_lam, row.short)
    return tuple(None if text is None else parse(text, "t", (*names, "lo", "hi", "alpha")) for text in texts)
