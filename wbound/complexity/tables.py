"""The complexity table: published orders beside K(ε) and T of Theorems 1, 2 and 7 and of the exact law; and SDE
against ODE: K(ε) of every scheme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from wbound.complexity.least_steps import Iterations, exact_iterations, iterations
from wbound.complexity.orders_published import published_orders
from wbound.complexity.worst_spectrum import worst_iterations
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, one_of, positive
from wbound.extras import needing
from wbound.forward.catalogue import PUBLISHED, process
from wbound.memory import dimension
from wbound.sampler.scheme import SCHEMES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["complexity_rows", "complexity_table", "scheme_row", "scheme_rows", "scheme_table", "table_data"]


def table_data(d: int, m0: float = 1.0, L0: float = 1.0) -> Gaussian:
    """The table's data: the centred Gaussian whose variances are 1/m_0 (the first ⌈d/2⌉) and 1/L_0.

    d: dimension; m0 ≤ L0 in 1/x². With m_0 = L_0 it is N(0, I/m_0). Raises `BadInput`.
    """
    d, m0, L0 = dimension(d), positive("m0", m0), positive("L0", L0)
    if m0 > L0:
        raise BadInput("m0", m0, f"must be at most L0 = {L0:g}")
    if m0 < L0 and d == 1:
        raise BadInput("d", d, "must be at least 2 for m0 < L0: a Gaussian needs a direction for each")
    variances = np.where(np.arange(d) < math.ceil(d / 2), 1.0 / m0, 1.0 / L0)
    return Gaussian(np.zeros(d), variances)


def complexity_table(
    d: int = 10,
    eps: float = 0.1,
    m0: float = 0.25,
    L0: float = 1.0,
    *,
    scheme: str = "em",
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """`complexity_rows` as a pandas DataFrame. Raises `BadInput`, and `MissingLibrary` without pandas (extra ``data``)."""
    with needing("data"):
        import pandas as pd

    return pd.DataFrame(complexity_rows(d, eps, m0, L0, scheme=scheme, progress=progress))


def complexity_rows(
    d: int = 10,
    eps: float = 0.1,
    m0: float = 0.25,
    L0: float = 1.0,
    *,
    scheme: str = "em",
    progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """The published table's eight rows with numbers beside the orders.

    d: dimension; eps: W2, not squared, in the data's units; m0, L0 in 1/x²: the facts are those of `table_data`,
    a centred Gaussian. Columns: process; published_K, published_M, published_eta (data of Gao, Nguyen & Zhu, arXiv
    2311.11003, as sympy); K_published, T_published: Theorem 1 (em, M_1 exact, of `table_data`); K_sharp, T_sharp:
    Theorem 2 in ``scheme``, from the facts; K_heun, T_heun: Theorem 7 for heun-lambda, from the facts, a step of which is
    two calls of the score; K_exact, T_exact: the exact law in ``scheme`` for the worst centred
    Gaussian with these facts, `worst_iterations`: W2(from p_T) + the difference that the prior start makes. With
    m_0 = L_0 the facts leave one law, N(0, I/m_0), on which em's errors may cancel. All from the prior start, T
    optimised. ``progress`` is called with each process's name. Raises `BadInput`.
    """
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
        heun = iterations(p, facts, eps, scheme="heun-lambda")
        exact = worst_iterations(p, facts, eps, scheme=scheme)
        rows.append(
            {
                "process": name,
                **{f"published_{column}": cells[name][column].expr for column in ("K", "M", "eta")},
                **_numbers("published", first),
                **_numbers("sharp", second),
                **_numbers("heun", heun),
                **_numbers("exact", exact),
            }
        )
    return rows


def _numbers(column: str, found: Iterations) -> dict[str, float | int]:
    return {f"K_{column}": found.K, f"T_{column}": found.T}


# ---------------------------------------------------------------------- SDE or ODE

#: The schemes that ask for the score twice a step.
TWICE = tuple(name for name, scheme in SCHEMES.items() if scheme.stages == 2)


def scheme_row(name: str, d: int, eps: float, m0: float, L0: float, schemes: Iterable[str]) -> dict[str, Any]:
    """One row of `scheme_rows`, for the process called ``name``."""
    p, target = process(name), table_data(d, m0, L0)
    facts = LogConcave(target.d, target.m0, target.L0, target.second_moment, 0.0)
    row: dict[str, Any] = {"process": name, "d": target.d, "eps": positive("eps", eps)}
    chosen = list(schemes)
    for scheme in chosen:
        one_of("scheme", scheme, SCHEMES)
        row[f"K_bound_{scheme}"] = iterations(p, facts, eps, scheme=scheme).K
        row[f"K_exact_{scheme}"] = exact_iterations(p, target, eps, scheme=scheme).K
    return row | gains(row, chosen)


def gains(row: dict[str, Any], schemes: list[str]) -> dict[str, Any]:
    """The columns of `scheme_rows` that compare the K of a row with each other."""
    out: dict[str, Any] = {}
    for how in ("bound", "exact"):
        K = {name: row[f"K_{how}_{name}"] for name in schemes}
        sde, ode = (
            min(
                (name for name in K if SCHEMES[name].flow is flow and name not in TWICE),
                key=K.__getitem__,
                default=None,
            )
            for flow in (False, True)
        )
        out |= {f"{how}_sde": sde, f"{how}_ode": ode}
        out[f"{how}_gain"] = None if sde is None or ode is None else K[sde] / K[ode]
        for name in TWICE:
            out[f"{how}_gain_{name}"] = (
                None if sde is None or name not in K else K[sde] / SCHEMES[name].calls(K[name])
            )
    return out


def scheme_table(
    d: int | Iterable[int] = 10,
    eps: float | Iterable[float] = 0.1,
    m0: float = 0.25,
    L0: float = 1.0,
    *,
    schemes: Iterable[str] = tuple(SCHEMES),
    processes: Iterable[str] = PUBLISHED,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """`scheme_rows` as a pandas DataFrame. Raises `BadInput`, and `MissingLibrary` without pandas (extra ``data``)."""
    with needing("data"):
        import pandas as pd

    rows = scheme_rows(d, eps, m0, L0, schemes=schemes, processes=processes, progress=progress)
    return pd.DataFrame(rows)


def scheme_rows(
    d: int | Iterable[int] = 10,
    eps: float | Iterable[float] = 0.1,
    m0: float = 0.25,
    L0: float = 1.0,
    *,
    schemes: Iterable[str] = tuple(SCHEMES),
    processes: Iterable[str] = PUBLISHED,
    progress: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """When is the ODE better? K(ε) of SDE and ODE schemes, by bound and by exact law.

    d: dimension, or several; eps: W2, not squared, in the data's units, or several; m0 ≤ L0 in 1/x²: the data
    are `table_data` (with m_0 = L_0 = 1 a VP process is stationary and frozen scores are exact: that flatters
    ei and ode-ei). A row for each process, d and ε: for every scheme ``K_bound_NAME`` (Theorem 2, or 3 for an
    ODE, 7 for one of two stages) and ``K_exact_NAME`` (`exact_iterations`, of `table_data`), prior start,
    uniform grid, T optimised; the best SDE and one-stage ODE scheme by bound (bound_sde, bound_ode) and by
    exact law (exact_sde, exact_ode), and how many times fewer steps the ODE needs (bound_gain, exact_gain:
    above 1 the ODE is better); bound_gain_NAME and exact_gain_NAME are the same for heun, heun-lam and
    heun-lambda, whose step counts as two calls of the score (in all 2K − 1; heun-lambda 2K). Raises `BadInput`.
    Kinds: *upper* and *exact*.
    """
    sizes = [d] if isinstance(d, int) else list(d)
    errors = [eps] if isinstance(eps, int | float) else list(eps)
    names, chosen = list(processes), list(schemes)
    rows = []
    for size in sizes:
        for error in errors:
            for name in names:
                if progress is not None:
                    progress(f"{name}, d = {size}, eps = {error:g}")
                rows.append(scheme_row(name, size, error, m0, L0, chosen))
    return rows
