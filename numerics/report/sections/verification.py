"""Section: the verification matrix from its stored results, and both theorems on log-concave data."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from numerics.figures import curves
from numerics.report.blocks import Column, Context, Figure, Figures, Part, Prose, Table
from numerics.studies.curves import Curve, bound_curve, geometric, horizon
from numerics.targets.products import LogCosh, SymmetricMixture
from numerics.verification.matrix import N_LINE, REFUSED, TARGETS, Matrix
from wbound.forward.catalogue import process

__all__ = ["RESULTS", "build", "scattered", "stored"]

#: The stored results, within this package; `wbound verify --all --out FILE` makes them.
RESULTS, SCATTER = ("results", "verify.json"), ("results", "scatter.json")
#: Cells in which a sampler is compared with its exact law alone.
NO_BOUND = "none: its law"
#: What is drawn: a target by name, and processes of both kinds.
DRAWN = (
    ("mixture", "two modes on the line, |c| = 0.8, s = 1", "--target mixture"),
    ("logcosh", "log cosh in d = 3, m_0 = 1/2, L_0 = 2", "--target logcosh --d 3"),
)
PROCESSES = ("ve-sqrt", "vp-linear")


@cache
def stored() -> Matrix:
    """The results that come with the package. Raises `BadInput` where the file is not what it should be."""
    text = resources.files("numerics.report").joinpath(*RESULTS).read_text("utf-8")
    return Matrix.from_json(text, RESULTS[-1])


@cache
def scattered() -> dict[str, Any]:
    """Theorems 3 and 3′ over random cells, as stored with the package; `wbound search --view scatter --cells 1e5` makes it."""
    text = resources.files("numerics.report").joinpath(*SCATTER).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _kinds(found: Matrix) -> list[dict[str, Any]]:
    rows = found.summary()
    for row in rows:
        row["refused"] = row.pop(REFUSED.replace(" ", "_"))
        row["statement"] = row["statement"] or NO_BOUND
    return rows


def _targets(found: Matrix) -> list[dict[str, Any]]:
    rows = found.summary(("statement", "target", "M", "V", "delta", "evidence"))
    for row in rows:
        row["statement"] = row["statement"] or NO_BOUND
        row["target"] = TARGETS[row["target"]][0]
        row["score"] = (
            f"biased, M = {row['M']:g}" if row["M"] else f"noisy, V = {row['V']:g}" if row["V"] else "exact"
        )
    return rows


def _least(curve: Curve, upper: str, exact: str) -> float:
    above, below = curve.line(upper), curve.line(exact)
    assert above is not None and below is not None
    return float(np.nanmin(above.values / below.values))


def _curve(name: str, target: Any, quick: bool, n: int) -> Curve:
    chosen, at = process(name), geometric(10.0, 80.0 if quick else 320.0, 3 if quick else 6)
    T = horizon(chosen, target, 100.0)
    return bound_curve(chosen, target, at, T=T, scheme="hf", M1="exact", n=n)


def build(context: Context) -> Part:
    """The part of this section."""
    found = stored()
    kinds, targets = _kinds(found), _targets(found)
    laws = {"mixture": SymmetricMixture(0.8, 1.0), "logcosh": LogCosh(3, 0.5, 2.0)}
    drawn: list[Figure] = []
    ratios: list[dict[str, Any]] = []
    for key, title, options in DRAWN:
        n = N_LINE if key == "mixture" else 0
        for name in PROCESSES:
            curve = _curve(name, laws[key], context.quick, n)
            context.say(f"    {key}, {name}")
            em = "exact_em" if curve.line("exact_em") is not None else "exact"
            i = len(ratios)
            ratios.append(
                {
                    "target": title,
                    "process": name,
                    "T": curve.facts["T"],
                    "ratio_2": _least(curve, "theorem_2", "exact"),
                    "ratio_1": _least(curve, "theorem_1", em),
                    "K_first": int(curve.at[0]),
                    "K_last": int(curve.at[-1]),
                }
            )
            band = ", and the samples' bracket around the exact error as a band" if n else ""
            drawn.append(
                Figure(
                    f"log-concave-{key}-{name}",
                    curves.svg(curves.bound_figure(curve, title=f"{name}; {title.split(',')[0]}"), f"v{i}"),
                    f"{name}, {title}: W2 error against the number of steps, both axes logarithmic. From "
                    f"above: Theorem 1, Theorem 2, and the exact errors of hf and em by quadrature{band}.",
                    f"T = {{ratios.{i}.T:.4g}}. Theorem 2 is at least {{ratios.{i}.ratio_2:.4g}} times the "
                    f"exact error of hf, Theorem 1 at least {{ratios.{i}.ratio_1:.4g}} times that of em.",
                    curve.columns(),
                    f"wbound curve --process {name} {options} --T {curve.facts['T']:.6g} --to "
                    f"{curve.at[-1]:g} --points {curve.at.size} --n {n} --figure log-concave-{key}-{name}.svg",
                )
            )
    content: dict[str, Any] = {
        "date": found.date[:10],
        "seconds": round(found.seconds),
        "seed": found.seed,
        "versions": ", ".join(f"{name} {version}" for name, version in found.versions.items()),
        "cells": len(found.rows),
        "refuted": found.refuted,
        "undecided": found.count("undecided"),
        "inconsistent": found.inconsistent,
        "ratio": min(row["ratio"] for row in kinds if row["ratio"] is not None),
        "tested": sum(row["tested"] for row in kinds),
        "agree": sum(row["agree"] for row in kinds),
        "bracketed": sum(row["bracketed"] for row in kinds),
        "inside": sum(row["inside"] for row in kinds),
        "scatter": scattered()
        | {
            name: min(scattered()[of].values())
            for name, of in (("least", "smallest"), ("prime", "as_profile"))
        },
        "kinds": kinds,
        "targets": targets,
        "ratios": ratios,
    }
    text = (
        "Every bound was put beside the strongest evidence there is: the exact law for Gaussian data, "
        "quadrature on the line for products of one-dimensional laws, samples for a biased score, which "
        "leaves no exact law, and for data in the plane that are no product. Of {cells:int} cells, over eight "
        "processes, SDE and ODE schemes, targets inside A1 and beyond it (modes "
        "apart, data smoothed by noise, bounded data stopped early), {refuted:int} are refuted and "
        "{undecided:int} undecided; the smallest ratio of a bound to its referee is {ratio:.4f}. Theorem 2' "
        "is Theorem 2 with a curvature profile instead of A1; Theorem 3 is about the ODE, Theorem 7 about its schemes of "
        "two stages; Eq. 9' is ddpm's, where it is smaller. For ODE schemes beyond A1 the sampler "
        "is compared with its exact law alone. Samples of each cell were compared with the referee too: no "
        "test tells them from its law in {agree:int} of {tested:int} cells, and their bracket, at level 0.99, holds "
        "its value in {inside:int} of {bracketed:int}. The ratio for samples is to the upper end of their "
        "bracket.\n\n"
        "Theorem 3 was also compared with the exact value in {scatter.cells:int} random cells ({scatter.mixtures:int} "
        "of them mixtures, the others Gaussians of any spectrum): {scatter.violations:int} bounds are below it; the "
        "smallest ratio on centred data is {scatter.least:.4f}, and {scatter.prime:.4f} of Theorem 3', which is given the "
        "data's curvature as a profile (`wbound search --view scatter --cells 1e5`, {scatter.date}).\n\n"
        "These are stored results of {date} ({versions}; seed {seed:int}; {seconds:int} s). To renew them: "
        "`wbound verify --all --out numerics/report/results/verify.json` in the sources. The figures are "
        "made with the page."
    )
    verdicts = (
        Column("cells", "cells", "int"),
        Column("holds", "hold", "int"),
        Column("refuted", "refuted", "int"),
        Column("undecided", "undecided", "int"),
        Column(
            "ratio", "smallest ratio", ".4f", "bound over the referee's value; over the upper end for samples"
        ),
        Column("where", "where"),
    )
    by_kind = Table(
        "kinds",
        "Verdicts by kind of evidence",
        (Column("statement", "bound"), Column("evidence", "evidence"), *verdicts),
        command="wbound verify --all",
        csv="verification-by-evidence.csv",
    )
    by_target = Table(
        "targets",
        "Verdicts by target",
        (Column("statement", "bound"), Column("target", "target"), Column("score", "score"), *verdicts),
        command="wbound verify --all",
        csv="verification-by-target.csv",
    )
    return Part(content, (Prose(text), by_kind, by_target, Figures(drawn)))
