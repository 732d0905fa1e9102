"""The complexity table: its columns, its order, and numbers that others can reproduce."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import wbound
from wbound.complexity.tables import table_data
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput


@pytest.fixture(scope="module")
def table_of_the_readme() -> tuple[pd.DataFrame, list[str]]:
    """The table, and what it told of its progress."""
    seen: list[str] = []
    return wbound.complexity_table(d=10, eps=0.1, progress=seen.append), seen


def test_the_table_of_the_readme(table_of_the_readme: tuple[pd.DataFrame, list[str]]) -> None:
    table, seen = table_of_the_readme
    assert tuple(table["process"]) == wbound.PUBLISHED == tuple(seen)
    assert list(table.columns) == [
        "process",
        *("published_K", "published_M", "published_eta"),
        *("K_published", "T_published", "K_sharp", "T_sharp", "K_heun", "T_heun", "K_exact", "T_exact"),
    ]
    assert (table["K_exact"] <= table["K_sharp"]).all()
    assert (table["K_sharp"] < table["K_published"]).all()
    # Theorem 1 needs 10⁵ to 10⁷ steps here
    assert table["K_published"].between(4e5, 3e7).all()
    for row in table.itertuples():
        p = wbound.process(row.process)
        assert wbound.w2_bound(p, table_data(10, 0.25), row.T_sharp, row.K_sharp).total <= 0.1
        heun = {"scheme": "heun-lambda"}
        assert wbound.w2_bound(p, table_data(10, 0.25), row.T_heun, row.K_heun, **heun).total <= 0.1


def test_data_of_the_table() -> None:
    data = table_data(5, 0.5, 2.0)
    assert isinstance(data, Gaussian)
    assert (data.m0, data.L0) == (0.5, 2.0)
    assert sorted(data.eigenvalues) == [0.5, 0.5, 2.0, 2.0, 2.0]
    assert np.ptp(table_data(3).eigenvalues) == 0.0
    for bad in ({"d": 0}, {"d": 1.5}, {"d": 4, "m0": 2.0}, {"d": 4, "m0": -1.0}, {"d": 1, "m0": 0.5}):
        with pytest.raises(BadInput):
            table_data(**bad)


def test_published_cells_are_the_data(table_of_the_readme: tuple[pd.DataFrame, list[str]]) -> None:
    table = table_of_the_readme[0].set_index("process")
    assert str(table.loc["ve-sqrt", "published_K"]) == "d**(5/4)/epsilon**(5/2)"
    assert str(table.loc["vp-exponential", "published_K"]) == "d*log(log(d/epsilon))/epsilon**2"


# ---------------------------------------------------------------------- SDE or ODE


def test_sde_against_ode() -> None:
    seen: list[str] = []
    both = ["vp-linear", "ve-sqrt"]
    table = wbound.scheme_table(
        [2, 8], [0.5, 0.2], processes=both, schemes=["hf", "ode-hf"], progress=seen.append
    )
    assert len(table) == len(seen) == 8
    assert [(r.d, r.eps, r.process) for r in table.itertuples()][:3] == [
        (2, 0.5, "vp-linear"),
        (2, 0.5, "ve-sqrt"),
        (2, 0.2, "vp-linear"),
    ]
    whole = wbound.scheme_table(8, 0.2, processes=both)
    for name in (f"K_{how}_{scheme}" for how in ("bound", "exact") for scheme in ("hf", "ode-hf")):
        assert table[name].tolist()[-2:] == whole[name].tolist()
    one = whole.iloc[0]
    assert (one.d, one.eps, one.process) == (8, 0.2, "vp-linear")
    p, data = wbound.process("vp-linear"), table_data(8, 0.25, 1.0)
    facts = wbound.LogConcave(8, 0.25, 1.0, data.second_moment, 0.0)
    for scheme in wbound.SCHEMES:
        exact = wbound.exact_iterations(p, data, 0.2, scheme=scheme).K
        assert one[f"K_exact_{scheme}"] == exact
        assert one[f"K_bound_{scheme}"] == wbound.iterations(p, facts, 0.2, scheme=scheme).K >= exact
    sde, ode = ("em", "em-point", "em-point-arrival", "ei", "hf", "ddpm"), ("ode-hf", "ddim", "ode-ei")
    for how in ("bound", "exact"):
        best = [min(schemes, key=lambda s, how=how: one[f"K_{how}_{s}"]) for schemes in (sde, ode)]
        assert [one[f"{how}_sde"], one[f"{how}_ode"]] == best
        assert one[f"{how}_gain"] == one[f"K_{how}_{best[0]}"] / one[f"K_{how}_{best[1]}"]
        for name in ("heun", "heun-lam", "heun-lambda"):
            assert one[f"{how}_gain_{name}"] == min(one[f"K_{how}_{s}"] for s in sde) / (
                2 * one[f"K_{how}_{name}"] - (name != "heun-lambda")
            )


def test_fewer_schemes_leave_nothing_to_compare() -> None:
    row = wbound.scheme_table(2, 0.5, schemes=["hf", "heun"], processes=["ou"]).iloc[0]
    assert row["bound_gain"] is None and row["exact_gain"] is None and row["exact_gain_heun"] > 0.0
    assert row["exact_gain_heun-lam"] is None
    for bad in ({"schemes": ["rk4"]}, {"processes": ["brown"]}, {"d": 0}, {"eps": 0.0}, {"d": 1}):
        with pytest.raises(BadInput):
            wbound.scheme_table(**{"d": 2, "eps": 0.5, "processes": ["ou"], **bad})
