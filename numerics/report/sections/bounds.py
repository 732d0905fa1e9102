"""Section: for each of the eight processes, both theorems, the exact W2 and the lower bound against K."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numerics.figures import curves
from numerics.report.blocks import Column, Context, Figure, Figures, Folded, Part, Prose, Table
from numerics.report.sections.search import stored
from numerics.studies.curves import Curve, bound_curve, geometric, horizon, tail_slope
from wbound.data.log_concave import LogConcave
from wbound.forward.catalogue import PUBLISHED, process

__all__ = ["build"]

#: The data: N(0, 2I) in three dimensions, what `wbound curve` takes when it is told nothing.
D, M0 = 3, 0.5
#: The processes whose figures stand open: one of each kind.
FIRST = ("ve-sqrt", "vp-linear")


def _least(upper: np.ndarray, exact: np.ndarray) -> float | None:
    """The smallest upper/exact."""
    good = np.isfinite(upper) & np.isfinite(exact) & (exact > 0.0)
    return float((upper[good] / exact[good]).min()) if good.any() else None


def _row(curve: Curve, data: LogConcave) -> dict[str, Any]:
    empty = np.full(curve.at.size, np.nan)

    def values(key: str) -> np.ndarray:
        line = curve.line(key)
        return empty if line is None else line.values

    def power(key: str) -> float | None:
        line = curve.line(key)
        return None if line is None else line.slope

    one, two, exact, lower = (values(key) for key in ("theorem_1", "theorem_2", "exact", "lower"))
    exact_em = values("exact_em") if curve.line("exact_em") is not None else exact
    useful = np.flatnonzero(one < curve.facts["trivial"])
    tail = tail_slope(curve.process, data.gaussian() or data, float(curve.facts["T"]))
    return {
        "process": curve.process.name,
        "T": curve.facts["T"],
        "ratio_2": _least(two, exact),
        "ratio_1": _least(one, exact_em),
        "useful_1": int(curve.at[useful[0]]) if useful.size else None,
        "slope_exact": power("exact"),
        "slope_2": power("theorem_2"),
        "slope_1": tail.slope if tail is not None else None,
        "slope_1_from": tail.K_low if tail is not None else None,
        "slope_lower": power("lower"),
        "violations": int((two < exact).sum() + (one < exact_em).sum()),
        "compared": int(
            (np.isfinite(two) & np.isfinite(exact)).sum() + (np.isfinite(one) & np.isfinite(exact_em)).sum()
        ),
        "above_floor": _least(exact, lower),
    }


def build(context: Context) -> Part:
    """The part of this section."""
    data = LogConcave(D, M0, M0, D / M0, 0.0)
    at = geometric(10.0, 1e3, 5) if context.quick else geometric(10.0, 1e5, 13)
    rows, drawn = [], []
    for name in PUBLISHED:
        chosen = process(name)
        curve = bound_curve(chosen, data, at, T=horizon(chosen, data), scheme="hf", M1="exact")
        rows.append(_row(curve, data))
        i = len(rows) - 1
        command = (
            f"wbound curve --process {name} --to {at[-1]:g} --points {at.size} --figure bound-{name}.svg"
        )
        drawn.append(
            Figure(
                f"bound-{name}",
                curves.svg(curves.bound_figure(curve), f"b{i}"),
                f"{name}: W2 error against the number of steps, both axes logarithmic. From above: Theorem "
                f"1, the trivial "
                "error, Theorem 2, the exact error, the lower bound. The caption and the table give the "
                "slopes.",
                f"T = {{rows.{i}.T:.4g}}. Theorem 2 is at least {{rows.{i}.ratio_2:.4g}} times the exact "
                f"error of hf, Theorem 1 at least {{rows.{i}.ratio_1:.4g}} times that of em.",
                curve.columns(),
                command,
            )
        )
    content = {
        "d": D,
        "variance": 1.0 / M0,
        "K_first": int(at[0]),
        "K_last": int(at[-1]),
        "trivial": math.sqrt(data.second_moment),
        "rows": rows,
        "compared": sum(row["compared"] for row in rows),
        "violations": sum(row["violations"] for row in rows),
        "smallest_2": min(row["ratio_2"] for row in rows),
        "largest_2": max(row["ratio_2"] for row in rows),
        "smallest_1": min(row["ratio_1"] for row in rows if row["ratio_1"] is not None),
    }
    searched = [row for row in stored()["search"] if row["ratio"] is not None]
    for number in (1, 2):
        close = min(
            (r for r in searched if r["statement"] == f"theorem-{number}"), key=lambda r: float(r["ratio"])
        )
        content[f"found_{number}"], content[f"found_scheme_{number}"] = close["ratio"], close["scheme"]
        content[f"found_start_{number}"] = {"exact": "p_T", "prior": "the prior"}[close["start"]]
    lead = (
        "No bound is below the exact W2: of the {compared:int} compared here {violations:int} are. The smallest ratio that a "
        "search over processes, T, K, grids and Gaussian spectra has found (stored results) is {found_2:.4f} for Theorem 2 "
        "({found_scheme_2} from {found_start_2}) and {found_1:.3f} for Theorem 1 ({found_scheme_1} from {found_start_1}).\n\n"
        "Here the data are N(0, {variance:g} I) in d = {d}, from the prior, on a uniform grid, with the [[clock]] at λ(T) = 1000 "
        "data variances, for hf, whose exact error lies between Theorem 2 and the lower bound (Eq. 11). A bound above ‖X_0‖ "
        "= {trivial:.4g} is vacuous."
    )
    text = (
        "Data N(0, {variance:g} I) in d = {d}, prior start, uniform grid, and T with λ(T) = 1000 data "
        "variances, so that the start hardly matters. The error of the scheme hf is computed exactly and "
        "lies between Theorem 2 and the lower bound (Eq. 11, from the exact start). Theorem 1 is about em; "
        "for variance-exploding processes em is hf, elsewhere the thin grey line is the exact error of em, "
        "which can be far below any bound: on data this symmetric its errors nearly cancel.\n\n"
        "A bound that is above the trivial error ‖X_0‖ = {trivial:.4g} says nothing; the table shows from which K on "
        "Theorem 1 says something."
    )
    columns = (
        Column("process", "process"),
        Column("T", "T", ".4g", "forward time with λ(T) = 1000 data variances"),
        Column("ratio_2", "Theorem 2 / exact", ".4f", "smallest ratio over K, scheme hf"),
        Column("ratio_1", "Theorem 1 / exact", ".4g", "smallest ratio over K, scheme em"),
        Column(
            "useful_1",
            "Theorem 1 < ‖X_0‖ from K",
            "int",
            "first K of the figure where Theorem 1 is not vacuous",
        ),
        Column("above_floor", "exact / lower bound", ".4f", "smallest ratio over K, scheme hf"),
        Column(
            "slope_exact",
            "slope: exact",
            ".3f",
            "power of K over the last decade in which the start is at most a tenth",
        ),
        Column("slope_2", "Theorem 2", ".3f"),
        Column(
            "slope_1", "Theorem 1", ".3f", "of its discretisation part, as K grows beyond what can be summed"
        ),
        Column("slope_1_from", "from K", "int", "where the slope of Theorem 1 was taken"),
    )
    short = (
        Column("process", "process"),
        Column("ratio_2", "Theorem 2 / exact", ".4g", "smallest ratio over K, scheme hf"),
        Column("ratio_1", "Theorem 1 / exact", ".4g", "smallest ratio over K, scheme em"),
        Column(
            "useful_1", "Theorem 1 not vacuous from K", "int", "first K of the figure where it is below ‖X_0‖"
        ),
    )
    shades = [curves.colour(name) for name in PUBLISHED]
    first = [figure for figure in drawn if figure.id.removeprefix("bound-") in FIRST]
    rest = [figure for figure in drawn if figure not in first]
    return Part(
        content,
        (
            Prose(lead),
            Figures(first),
            Table(
                "rows",
                f"Smallest ratios over K from {int(at[0])} to {int(at[-1])}",
                short,
                csv="ratios.csv",
                colours=shades,
            ),
            Folded(
                "The other six processes, and the slopes in K",
                (
                    Prose(text),
                    Figures(rest),
                    Table(
                        "rows",
                        "Ratios and slopes in K of the eight figures",
                        columns,
                        csv="bounds.csv",
                        colours=shades,
                    ),
                ),
            ),
        ),
    )
