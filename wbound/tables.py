"""The complexity table: published orders beside K(ε) and T of both theorems and of the exact law."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from wbound.catalogue import PUBLISHED, process
from wbound.cells import published_orders
from wbound.complexity import Iterations, exact_iterations, iterations
from wbound.data import Gaussian, LogConcave
from wbound.errors import BadInput, count, positive

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["complexity_table", "table_data"]


def table_data(d: int, m0: float = 1.0, L0: float = 1.0) -> Gaussian:
    """The table's data: the centred Gaussian whose variances are 1/m_0 (the first ⌈d/2⌉) and 1/L_0.

    d: dimension; m0 ≤ L0 in 1/x². With m_0 = L_0 it is N(0, I/m_0). Raises `BadInput`.
    """
    d, m0, L0 = count("d", d), positive("m0", m0), positive("L0", L0)
    if m0 > L0:
        raise BadInput("m0", m0, f"must be at most L0 = {L0:g}")
    if m0 < L0 and d == 1:
        raise BadInput("d", d, "must be at least 2 for m0 < L0: a Gaussian needs a direction for each")
    variances = np.where(np.arange(d) < math.ceil(d / 2), 1.0 / m0, 1.0 / L0)
    return Gaussian(np.zeros(d), variances)


def complexity_table(
    d: int = 10,
    eps: float = 0.1,
    m0: float = 1.0,
    L0: float = 1.0,
    *,
    scheme: str = "em",
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """The published table's eight rows with numbers beside the orders, as a pandas DataFrame.

    d: dimension; eps: W2, not squared, in the data's units; m0, L0 in 1/x²: the data are `table_data`,
    centred Gaussian, so that every bound's constants are known exactly. Columns: process; published_K, published_M,
    published_eta (data of Gao, Nguyen & Zhu, arXiv 2311.11003, as sympy); K_published, T_published: Theorem 1
    (em, M_1 exact); K_sharp, T_sharp: Theorem 2 in ``scheme``; K_exact, T_exact: the exact law in ``scheme``,
    W2(from p_T) + the difference that the prior start makes. All from the prior start, T optimised.
    ``progress`` is called with each process's name. Raises `BadInput`.
    """
    import pandas as pd

    target = table_data(d, m0, L0)
    facts = LogConcave(target.d, target.m0, target.L0, target.second_moment, 0.0)
    eps = positive("eps", eps)
    cells = published_orders()
    rows = []
    for name in PUBLISHED:
        if progress is not None:
            progress(name)
        p = process(name)
        first = iterations(p, target, eps, theorem="published", M1="exact")
        second = iterations(p, facts, eps, scheme=scheme)
        exact = exact_iterations(p, target, eps, scheme=scheme)
        rows.append(
            {
                "process": name,
                **{f"published_{column}": cells[name][column].expr for column in ("K", "M", "eta")},
                **_numbers("published", first),
                **_numbers("sharp", second),
                **_numbers("exact", exact),
            }
        )
    return pd.DataFrame(rows)


def _numbers(column: str, found: Iterations) -> dict[str, float | int]:
    return {f"K_{column}": found.K, f"T_{column}": found.T}
