"""The chooser: its numbers are the exact law's, its order is right, and its limits are said."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.schedules import choice
from numerics.schedules.candidates import candidates_of, makers_of
from numerics.schedules.choice import choose
from numerics.schedules.ranking import Choice, Ranking
from numerics.schedules.row_levels import Task
from numerics.schedules.schedule_formats import from_array
from numerics.targets.datasets import Dataset, digits, from_samples, from_spectrum
from wbound.errors import BadInput
from wbound.exact.clock_law import Spectrum
from wbound.exact.gaussian_law import exact_w2


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits()


@pytest.fixture(scope="module")
def ranking(data: Dataset) -> Ranking:
    return choose(data, 20, scheme="hf")


def recomputed(row: Choice, data: Dataset, scheme: str, start: str) -> float:
    """The row's W2 by the general recursion, through its own nodes."""
    p = row.made_by or wbound.process("ve-constant")
    return exact_w2(p, data.gaussian, scheme=scheme, start=start, grid=row.schedule.grid)


def test_every_named_grid_is_ranked_where_it_is_asked_for() -> None:
    """One list for all: and of a spectrum that is known, ddim's best named grid is the one that is made for it."""
    data = from_spectrum([0.02, 0.5, 1.0, 4.0])
    found = choose(data, 10, processes=["ve-constant"], grids=list(wbound.GRIDS), numerical=False)
    assert {row.grid for row in found.rows} == set(wbound.GRIDS)
    assert found.best.grid == "tangent" and found.rows[1].error > 1.02 * found.best.error
    for row in found.rows:
        if row.grid in ("tangent", "sinh"):
            assert row.w2 == pytest.approx(recomputed(row, data, "ddim", "prior"), rel=1e-9)


def test_on_digits_the_numerical_grid_is_at_least_as_good_as_every_named_one(ranking: Ranking) -> None:
    best = ranking.best
    assert best.kind == "numerical"
    assert best.factor == 1.0
    named = [row for row in ranking.rows if row.kind == "named"]
    assert len(named) >= 9 + 8 + 5
    assert all(row.error >= best.error and row.factor >= 1.0 for row in named)
    assert [row.error for row in ranking.rows] == sorted(row.error for row in ranking.rows)
    assert [row.rank for row in ranking.rows] == list(range(1, len(ranking.rows) + 1))
    assert ranking.best_named.factor == pytest.approx(ranking.best_named.error / best.error)


def test_every_number_is_the_exact_laws(ranking: Ranking, data: Dataset) -> None:
    for row in ranking.rows:
        assert row.w2 == pytest.approx(recomputed(row, data, "hf", "prior"), rel=1e-6), row
        assert row.w2_exact_start == pytest.approx(recomputed(row, data, "hf", "exact"), rel=1e-6), row
        assert row.error == pytest.approx(row.w2_exact_start + row.start_share)
        assert row.w2 <= row.error * (1 + 1e-12)


def test_each_row_is_at_its_best_T(ranking: Ranking, data: Dataset) -> None:
    row = next(r for r in ranking.rows if r.process == "vp-linear" and r.grid == "uniform")
    p, g = wbound.process("vp-linear"), data.gaussian
    assert row.T is not None

    def error(T: float) -> float:
        from wbound.exact.clock_law import Spectrum, clock_w2

        log_lam = wbound.setting(p, g, T, 20, scheme="hf").nodes.log_lam
        return clock_w2(Spectrum.of(g), log_lam).robust

    around = [error(row.T * s) for s in (0.8, 0.9, 1.1, 1.25)]
    assert row.error <= min(around)
    assert row.error == pytest.approx(error(row.T), rel=1e-9)


def test_images_are_tuned_by_their_largest_level(ranking: Ranking) -> None:
    ve = next(r for r in ranking.rows if r.process == "image-ve-v3")
    assert ve.T == 1.0
    assert ve.parameters["sigma_max"] == pytest.approx(math.hypot(ve.sigma_max, 0.01))
    vp = next(r for r in ranking.rows if r.process == "image-vp-original")
    assert float(wbound.process("image-vp-original", **vp.parameters).lam(1.0)) == pytest.approx(
        vp.sigma_max**2
    )


@pytest.mark.parametrize("scheme", ["em", "ddpm", "ode-hf", "ddim", "ode-ei", "heun"])
def test_other_schemes(scheme: str, data: Dataset) -> None:
    found = choose(data, 10, scheme=scheme, processes=["ve-exponential", "vp-linear", "ou", "sub-vp"])
    for row in found.rows:
        assert row.w2 == pytest.approx(recomputed(row, data, scheme, "prior"), rel=1e-5), row
    grids = {(row.process, row.grid) for row in found.rows}
    assert {row.scheme for row in found.rows} == {scheme}
    assert {row.calls for row in found.rows} == {19 if scheme == "heun" else 10}
    if scheme in ("em", "ode-ei"):  # α matters: one row a class of processes
        twin = "hf" if scheme == "em" else "ode-hf"
        assert {
            ("any VE", "edm"),
            ("any VP", "edm"),
            ("sub-vp", "edm"),
            ("any VP", f"numerical for {twin}"),
        } <= grids
        assert ("any", "edm") not in grids
    else:
        assert ("any", "edm") in grids
        assert found.best.kind == "numerical"


@pytest.mark.parametrize("scheme", ["ddim", "hf", "em", "dpmpp-2m"])
def test_levels_looked_at_together_have_the_errors_that_each_has(scheme: str) -> None:
    """Of every kind of row, and where a clock does not get there, or nodes coincide, infinite as alone."""
    data = from_spectrum([3.0, 1.0, 0.2])
    task = Task(Spectrum.of(data.gaussian), scheme, 0.0)
    facts, _ = choice._facts(data)
    own = wbound.Process(f="0", g="5/(1+t)")  # its lam stays below 25
    makers = makers_of(["vp-linear", own, "image-vp-original"], facts)
    rows = candidates_of(scheme, makers, ["uniform", "edm", "optimal"], data.gaussian, facts)
    levels, infinite = np.array([-3.0, -0.5, 2.0, 9.0, 12.0]), 0
    for row in rows:
        together = task.scan(row, levels, 6)
        assert together == pytest.approx([task.held(row, float(u), 6) for u in levels], rel=1e-12)
        infinite += together.count(math.inf)
    assert infinite >= 2


@pytest.mark.parametrize("scheme", ["em-point", "em-point-arrival"])
def test_coefficients_at_a_point_tell_every_process_apart(scheme: str) -> None:
    """No row stands for several processes, not even for VE, where `em` is `hf`; each is its own exact law."""
    few, names = from_spectrum([2.0, 1.0, 0.5, 0.5]), ["ve-constant", "ve-exponential", "vp-linear"]
    found = choose(few, 8, scheme=scheme, processes=names, grids=["uniform", "edm"])
    assert sorted((row.process, row.grid) for row in found.rows) == sorted(
        (name, grid) for name in names for grid in ("uniform", "edm", "numerical for hf")
    )
    for row in found.rows:
        assert row.w2 == pytest.approx(recomputed(row, few, scheme, "prior"), rel=1e-5), row
    errors = [row.error for row in found.rows if row.grid == "edm"]
    assert len(set(errors)) == 3


def test_ode_and_sde_in_one_ranking(data: Dataset) -> None:
    """Heun and DDIM beside hf at 15 network calls: rows are those of each scheme alone, and the order is over all."""
    names = ["hf", "ddim", "heun"]
    options = {"processes": ["vp-linear", "ve-exponential"], "grids": ["uniform", "edm"]}
    found = choose(data, 15, scheme=names, **options)  # type: ignore[arg-type]
    assert found.scheme == "hf, ddim, heun" and found.steps == 15
    for name in names:
        alone = choose(data, 8 if name == "heun" else 15, scheme=name, **options)  # type: ignore[arg-type]
        own = [row for row in found.rows if row.scheme == name]
        assert [(r.process, r.grid, r.error) for r in own] == [
            (r.process, r.grid, r.error) for r in alone.rows
        ]
    assert [row.error for row in found.rows] == sorted(row.error for row in found.rows)
    assert [row.rank for row in found.rows] == list(range(1, len(found.rows) + 1))
    assert {row.calls for row in found.rows} == {15}
    assert any("2K - 1 times" in line for line in found.limits)
    assert any("15 network calls" in line for line in found.limits)


@pytest.mark.parametrize("scheme", ["ode-hf", "heun"])
def test_steps_of_an_ode(scheme: str) -> None:
    data = from_spectrum([2.0] * 4 + [0.5] * 4)
    kw = {"scheme": scheme, "processes": ["vp-linear"], "grids": ["uniform", "cosine"]}
    found = choose(data, eps_rel=0.1, **kw)  # type: ignore[arg-type]
    for row in found.rows:
        if row.kind == "named" and row.steps is not None and row.steps > 1:
            at, below = (
                next(
                    r.error
                    for r in choose(data, K, numerical=False, **kw).rows  # type: ignore[arg-type]
                    if (r.process, r.grid) == (row.process, row.grid)
                )
                for K in (row.steps, row.steps - 1)
            )
            assert at <= found.eps * (1 + 1e-4) and below > found.eps * (1 - 1e-4)
    assert any(row.steps is not None for row in found.rows)


def test_steps_for_a_tolerance() -> None:
    data = from_spectrum([2.0] * 4 + [0.5] * 4)
    found = choose(data, eps_rel=0.1, processes=["vp-linear", "ve-exponential"], scheme="hf")
    assert found.eps == pytest.approx(0.1 * data.spread)
    needed = [row.steps for row in found.rows if row.steps is not None]
    assert found.steps == min(needed)  # of all rows, as is promised
    numerical = next(row for row in found.rows if row.kind == "numerical")
    assert numerical.steps == min(needed)
    for K, enough in ((numerical.steps, True), (numerical.steps - 1, False)):
        best = wbound.numerical_grid(data.gaussian, K, objective="exact", start="prior")
        assert (best.value <= found.eps) == enough
    for row in found.rows:
        if row.kind == "named" and row.steps is not None:
            kw: dict[str, Any] = {
                "processes": ["vp-linear", "ve-exponential"],
                "numerical": False,
                "scheme": "hf",
            }
            at = {r.grid + r.process: r for r in choose(data, row.steps, **kw).rows}
            below = {r.grid + r.process: r for r in choose(data, row.steps - 1, **kw).rows}
            assert at[row.grid + row.process].error <= found.eps * (1 + 1e-4)
            assert below[row.grid + row.process].error > found.eps * (1 - 1e-4)


def test_schedules_of_the_user(data: Dataset) -> None:
    mine = from_array(np.linspace(1e-4, 0.02, 1000), "betas", name="mine")
    found = choose(data, 20, scheme="hf", processes=["vp-linear"], grids=["uniform"], schedules=[mine])
    row = next(r for r in found.rows if r.kind == "given")
    assert (row.process, row.K, row.T) == ("mine", 1000, None)
    assert row.w2 == pytest.approx(
        exact_w2(mine.process, data.gaussian, scheme="hf", grid=mine.grid), rel=1e-7
    )


def test_processes_of_the_user_and_the_optimal_clock_of_the_data(data: Dataset) -> None:
    mine = wbound.Process(f="(b+a*t)/2", g="sqrt(b+a*t)", a=1, b=0.5)
    found = choose(data, 20, scheme="hf", processes=[mine, "optimal", "vp-linear"], numerical=False)
    rows = {(row.process, row.grid): row for row in found.rows}
    assert rows["user", "uniform"].error == pytest.approx(rows["vp-linear", "uniform"].error, rel=1e-6)
    # a uniform grid in the optimal clock's time is the optimal grid
    assert rows["optimal", "uniform"].error == pytest.approx(rows["any", "optimal"].error, rel=1e-3)


def test_limits_are_said(ranking: Ranking) -> None:
    said = " ".join(ranking.limits)
    assert "guarantees nothing about samples" in said
    assert "3 of 64 directions are constant" in said
    few = choose(
        from_samples(np.random.default_rng(0).standard_normal((10, 20))), 5, processes=["ou"], numerical=False
    )
    assert any("10 samples for 20 dimensions" in line for line in few.limits)
    em = choose(few.data, 5, scheme="em", processes=["ou"], grids=["edm"])
    assert any("optimised for hf" in line for line in em.limits)


def test_plain_values(ranking: Ranking) -> None:
    record = json.loads(json.dumps(ranking.to_dict(), allow_nan=False))
    assert record["data"]["scale"] == pytest.approx(4.3328, abs=1e-4)
    assert record["rows"][0]["grid"] == "numerical"
    assert record["eps"] is None


@pytest.mark.parametrize("scheme", ["hf", "ddim", "heun"])
def test_three_thousand_dimensions_and_a_thousand_steps(scheme: str) -> None:
    rng = np.random.default_rng(0)
    data = from_spectrum(np.exp(-np.arange(3072) / 300 + 0.1 * rng.standard_normal(3072)))
    # what makes it quick: laws are computed for a hundred eigenvalues, not for all
    assert Spectrum.of(data.gaussian).sampling.at.size < 120
    found = choose(data, 1000, scheme=scheme)
    row = found.best_named
    # the prior's part and the discretisation's are of one size, and their difference is W2
    assert row.w2 == pytest.approx(recomputed(row, data, scheme, "prior"), rel=1e-8, abs=1e-9 * row.error)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "steps = None: give steps, or eps, or eps_rel"),
        ({"steps": 0}, "steps = 0"),
        ({"steps": 2.5}, "steps = 2.5"),
        ({"steps": 10**6}, "at most 5000"),
        ({"steps": 5, "scheme": "rk4"}, "scheme = rk4"),
        ({"steps": 5, "scheme": ["hf", "rk4"]}, "scheme = rk4"),
        ({"steps": 5, "scheme": []}, "scheme = "),
        ({"eps": 1.0, "scheme": ["hf", "ddim"]}, "steps = None: give steps: several schemes"),
        ({"steps": 5, "grids": ["karras"]}, "grid = karras"),
        ({"steps": 5, "processes": ["vp"]}, "process = vp"),
        ({"eps": 0.0}, "eps = 0.0"),
        ({"eps": 1.0, "eps_rel": 0.1}, "not both"),
        (
            {"eps": 1e-9, "processes": ["ou"], "grids": ["uniform"]},
            "no schedule reaches it within 5000 steps",
        ),
    ],
)
def test_bad_input(options: dict[str, object], said: str, data: Dataset) -> None:
    with pytest.raises(BadInput, match=said):
        choose(data, **options)  # type: ignore[arg-type]


def test_a_scheme_that_needs_a_density_is_refused_without_one() -> None:
    flat = np.random.default_rng(0).normal(size=(50, 3)) * np.array([1.0, 2.0, 0.0])
    with pytest.raises(BadInput, match="heun-lambda: asks for the score at lam = 0"):
        choose(from_samples(flat), 5, scheme="heun-lambda")
    found = choose(from_samples(flat[:, :2]), 5, scheme="heun-lambda", grids=["uniform"], processes=["ou"])
    # it sees the clock alone: a grid is one row, whatever the process, and nodes are optimised for itself
    both = choose(
        from_samples(flat[:, :2]),
        5,
        scheme="heun-lambda",
        grids=["uniform", "edm"],
        processes=["ou", "vp-linear"],
    )
    assert [row.process for row in both.rows if row.grid == "edm"] == ["any"]
    assert both.best.kind == "numerical" and not any("are optimised for" in line for line in both.limits)
    assert found.rows[0].calls == 10 and any("2K times" in line for line in found.limits)


def test_levels_within_the_range_of_a_training() -> None:
    """Every level above 0 is between; a range that holds the free optimum changes nothing; a narrow one costs."""
    data = from_spectrum([4.0, 1.0, 0.25, 0.04])
    how: dict[str, Any] = {"processes": ["vp-linear", "ve-constant"], "grids": ["uniform", "log-lam"]}
    free, wide, narrow = (
        choose(data, 8, sigma_min=low, sigma_max=high, **how)
        for low, high in ((None, None), (1e-9, 1e9), (0.3, 5.0))
    )
    assert [r.error for r in wide.rows] == pytest.approx([r.error for r in free.rows], rel=1e-9)
    for row in narrow.rows:
        assert row.log_lam[-1] == -math.inf and (np.diff(row.log_lam) < 0.0).all()
        assert 0.3 * (1 - 1e-9) <= math.exp(0.5 * row.log_lam[-2]) and row.sigma_max <= 5.0 * (1 + 1e-9)
        grid = wbound.Grid.from_lam(row.schedule.lam)
        assert row.w2 == pytest.approx(
            exact_w2(row.schedule.process, data.gaussian, scheme="ddim", grid=grid), rel=1e-6
        )
    assert narrow.best.kind == "numerical" and narrow.best.error > free.best.error
    assert any("squeezed" in line for line in narrow.limits)
    for options, words in (
        ({"sigma_min": 5.0, "sigma_max": 1.0}, "must be below sigma_max"),
        ({"sigma_max": 5.0, "scheme": "em"}, "see the clock alone"),
        ({"sigma_max": -1.0}, "sigma_max = -1"),
    ):
        with pytest.raises(BadInput, match=words):
            choose(data, 8, **options)  # type: ignore[arg-type]
