"""The joint law of samples: each family of tests by an independent route, its level, and what it finds."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import joint_laws
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg, stats
from scipy.special import ndtri

from numerics import Gaussian, LogCosh
from numerics.cli.main import main
from numerics.samplers.sampling import samples
from numerics.verification import matrix, uniformity
from numerics.verification.law_test import RISK, levels
from numerics.verification.uniformity import Departure, departure
from numerics.verification.verdict import verify
from wbound.forward.catalogue import process
from wbound.sampler.make_setting import setting

Array = NDArray[np.float64]
VP = process("vp-linear")
#: A slice in `make test`, in low d; the issue's 200 in `make deep`.
CASES, MOST = (200, 60) if os.environ.get("WBOUND_DEEP", "") not in ("", "0") else (40, 5)
#: What half of the risk leaves: the other half is that of single factors.
LEAST_LOG_P = math.log(0.5 * RISK)


# ---------------------------------------------------------------------- right and wrong joint laws
def test_wrong_joint_laws_are_refuted_and_right_ones_are_not() -> None:
    """By the joint test alone, n = 20,000: copulas with right marginals, W2 at least 0.1 of the data's scale."""
    missed = []
    for case in range(CASES):
        rng = np.random.default_rng([15, case])
        s = joint_laws.random_setting(rng, MOST)
        laws = joint_laws.laws_of(s)
        x = samples(s, joint_laws.ROWS, rng, progress=False)
        right = departure(levels(s.data, x, laws))
        assert right.log_p >= LEAST_LOG_P, (case, s, right)
        wrong, copula, far = joint_laws.wrong_joint_law(s, x, rng)
        off = departure(levels(s.data, wrong, laws))
        if off.log_p >= LEAST_LOG_P:
            missed.append((case, copula, far, s.data.d, off))
    assert len(missed) <= 0.05 * CASES, missed


def _normal(n: int, d: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d))


def _sign(g: Array) -> Array:
    g[:, 1] = np.sign(g[:, 1]) * np.abs(g[:, 0])
    return g


def _parity(g: Array) -> Array:
    g[:, -1] = np.abs(g[:, -1]) * np.prod(np.sign(g[:, :-1]), axis=1)
    return g


def _factor(g: Array) -> Array:
    common = _normal(len(g), 1, 99)
    return math.sqrt(0.95) * g + math.sqrt(0.05) * common


def _block(g: Array) -> Array:
    """Weak correlations of each coordinate of one half with each of the other: no one pair is far off."""
    d = g.shape[1] // 2
    turn = np.linalg.qr(_normal(d, d, 5))[0]
    g[:, d:] = math.sqrt(1.0 - 0.09) * g[:, d:] + 0.3 * g[:, :d] @ turn
    return g


@pytest.mark.parametrize(
    ("make", "d", "said"),
    [
        (lambda g: g[:, [0, 0]], 2, "coordinates"),
        (lambda g: g[:, [0, 0]] * [1.0, -1.0], 2, "coordinates"),
        (_sign, 2, "coordinates 1 and 2"),  # uncorrelated
        (lambda g: g / np.sqrt(np.random.default_rng(1).chisquare(3, (len(g), 1)) / 3.0), 2, "median"),
        (_parity, 3, "coordinates 1, 2 and 3"),  # any two are independent
        (_parity, 6, "joint law of coordinates 1, 2, 3, 4, 5 and 6"),  # any five are
        (_factor, 40, "combination"),
        (_block, 40, "all pairs together"),
        (lambda g: np.concatenate((g[:, :-1], g[:, :1]), axis=1), 90, "rank correlation of coordinates 1 and 90"),
        (lambda g: g + 0.1, 1, "coordinate 1"),
    ],
)  # fmt: skip
def test_what_is_off_is_named(make: Any, d: int, said: str) -> None:
    n = 4000 if d > 20 else 20_000
    g = make(_normal(n, d, 3))
    u = (np.argsort(np.argsort(g, axis=0), axis=0) + 0.5) / n if d > 1 else stats.norm.cdf(g)
    off = departure(u)
    assert off.log_p < LEAST_LOG_P
    families = _families(u)
    assert any(said in one.statistic and one.log_p < LEAST_LOG_P for one in families), families


def _families(u: Array) -> list[Departure]:
    rng = np.random.default_rng(0)
    parts = (
        uniformity._cosines(u),
        uniformity._triples(u),
        uniformity._grids(u, rng),
        uniformity._projections(u, rng),
    )
    return [one for part in parts for one in part]


# ---------------------------------------------------------------------- levels
def test_right_points_are_rarely_refuted_at_five_per_cent() -> None:
    """Every family, and all of them together: the level is proved for any n, so a small one is the sharper test."""
    found: dict[int, list[float]] = {}
    n = 300
    for seed in range(150):
        u = np.random.default_rng([2, seed]).random((n, 3))
        for i, one in enumerate(_families(u)):
            found.setdefault(i, []).append(one.log_p)
    assert len(found) == 9
    for i, log_p in found.items():
        assert np.mean(np.array(log_p) < math.log(0.05)) <= 0.11, i  # 4 standard errors
    # and not for lack of power: the exact binomial law of a Walsh function is near Hoeffding's
    assert min(min(log_p) for log_p in found.values()) < math.log(0.5)


def test_bernstein_is_the_textbooks() -> None:
    t = np.array([0.1, 0.0, -0.3])
    given = uniformity._bernstein(t, 500, 0.7, 3.0)
    assert given == pytest.approx([-500 * 0.01 / (2.0 * (0.7 + 0.1)), 0.0, 0.0], rel=1e-12)
    # the exact tail of a binomial law is below it
    n, p = 400, 0.1
    for k in (50, 60, 80):
        bound = uniformity._bernstein(np.array(k / n - p), n, p * (1 - p), 1.0 - p)
        exact = stats.binom.logsf(k - 1, n, p)
        assert exact <= bound <= 0.4 * exact


def test_walsh_functions_are_hadamards() -> None:
    rows = _normal(3, 64, 0)
    np.testing.assert_allclose(uniformity._walsh(rows), rows @ linalg.hadamard(64), atol=1e-12)


# ---------------------------------------------------------------------- statistics by another route
def _cosine(u: Array, a: int) -> Array:
    return np.asarray(math.sqrt(2.0) * np.cos(math.pi * a * u))


def test_pairs_row_by_row() -> None:
    n, d = 5001, 3
    u = np.random.default_rng(4).random((n, d))
    u[:, 2] = 0.7 * u[:, 0] + 0.3 * u[:, 2]
    single, pair, learnt, _ = uniformity._cosines(u)
    orders = [(a, b) for a in range(1, 9) for b in range(a, 9)]
    assert sorted(uniformity._orders(n, d)) == sorted(orders)

    def log_p(mean: float, most: float, tests: int) -> float:
        return math.log(2 * tests) - n * mean**2 / (2.0 * (1.0 + most * mean / 3.0))

    means = [abs(_cosine(u[:, j], a).mean()) for j in range(d) for a in range(1, 9)]
    assert single.log_p == pytest.approx(log_p(max(means), math.sqrt(2.0), 8 * d), rel=1e-9)
    means = [
        abs((_cosine(u[:, j], a) * _cosine(u[:, k], b)).mean())
        for a, b in orders
        for j in range(d)
        for k in range(d)
        if j != k
    ]
    assert pair.z**2 == pytest.approx(n * max(means) ** 2, rel=1e-9)
    assert pair.log_p == pytest.approx(log_p(max(means), 2.0, 36 * d * d), rel=1e-9)
    assert pair.statistic == "rank correlation of coordinates 1 and 3"
    assert learnt.log_p == pytest.approx(_together(u, orders) + math.log(36), rel=1e-9)


def _together(u: Array, orders: list[tuple[int, int]]) -> float:
    """log of Bernstein's bound for the statistic of all pairs, the least over orders."""
    (n, d), found = u.shape, []
    half = n // 2
    for a, b in orders:
        left, right = _cosine(u, a), _cosine(u, b)
        M = left[:half].T @ right[:half] / half
        np.fill_diagonal(M, 0.0)
        h = ((left[half:] @ M) * right[half:]).sum(axis=1)
        size = float((M**2).sum()) * (2 if a == b else 1)
        most = min(2 * d * np.linalg.norm(M, 2), 2 * np.abs(M).sum())
        assert np.abs(h).max() <= most
        mean = max(h.mean(), 0.0)
        found.append(-(mean**2) * h.size / (2 * (size + most * mean / 3)))
    return float(min(found))


def test_all_pairs_together_in_higher_dimension() -> None:
    """There |M|_op, not the sum of all |M_jk|, bounds the statistic."""
    u = stats.norm.cdf(_block(_normal(3000, 24, 9)))
    learnt = list(uniformity._cosines(u))[2]
    orders = uniformity._orders(*u.shape)
    assert learnt.log_p == pytest.approx(_together(u, orders) + math.log(len(orders)), rel=1e-9)
    M = _cosine(u[:1500], 1).T @ _cosine(u[:1500], 1) / 1500
    np.fill_diagonal(M, 0.0)
    assert 2 * 24 * np.linalg.norm(M, 2) < 2 * np.abs(M).sum()


@pytest.mark.parametrize("d", [3, 5, 13])
def test_cells_by_hadamards_matrix(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniformity, "BITS", 8)
    monkeypatch.setattr(uniformity, "GROUPS", 3)
    n = 3001
    u = np.random.default_rng(13).random((n, d))
    u[:, 2] = (u[:, 2] + 0.1 * u[:, 0]) % 1.0
    alone, together = uniformity._grids(u, np.random.default_rng(14))
    groups = list(uniformity._groups(d, np.random.default_rng(14)))
    half, tests, largest, found = n // 2, 0, 0.0, []
    for group, bits in groups:
        cell = np.zeros(n, int)
        for j in group:
            cell = cell * 2**bits + (u[:, j] * 2**bits).astype(int)
        walsh = linalg.hadamard(2 ** (bits * len(group)), dtype=float)[1:]
        first, second = (
            walsh @ (np.bincount(c, minlength=walsh.shape[1]) / c.size) for c in (cell[:half], cell[half:])
        )
        largest = max(largest, float(np.abs(half * first + (n - half) * second).max()) / n)
        tests += len(walsh)
        h = first @ walsh  # the statistic in every cell
        assert h.mean() == pytest.approx(0.0, abs=1e-9)
        value = max(float(h[cell[half:]].mean()), 0.0)
        rate = 0.5 * (n - half) * value**2 / ((h**2).mean() + np.abs(h).max() * value / 3.0)
        found.append(math.log(len(groups)) - rate)
    assert alone.log_p == pytest.approx(math.log(2 * tests) - 0.5 * n * largest**2, rel=1e-9)
    assert together.log_p == pytest.approx(min(found), rel=1e-9)


def test_groups_are_all_coordinates_or_many_of_some() -> None:
    for d, bits in ((2, 6), (3, 4), (4, 3), (5, 2), (6, 2), (12, 1)):
        (group, each), *more = uniformity._groups(d, np.random.default_rng(0))
        assert (list(group), each, more) == (list(range(d)), bits, [])
    # all 13 groups of 12, then 16 of each size
    for d, many in ((13, 13 + 48), (40, 64)):
        groups = list(uniformity._groups(d, np.random.default_rng(0)))
        assert len(groups) == many and all(group.size * bits == 12 for group, bits in groups)


def test_the_families_share_the_risk() -> None:
    u = np.random.default_rng(15).random((2000, 2))
    u[:, 1] = np.where(u[:, 0] < 0.3, u[:, 0], 0.3 + 0.7 * u[:, 1])
    rng = np.random.default_rng(0)
    shuffled = u[rng.permutation(2000)]
    parts = (*uniformity._cosines(shuffled), *uniformity._grids(shuffled, rng))
    least = min(one.log_p for one in (*parts, *uniformity._projections(shuffled, rng)))
    assert departure(u).log_p == pytest.approx(least + math.log(8), rel=1e-12)  # no triples in the plane


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2)])
def test_the_variance_of_all_pairs_together(a: int, b: int) -> None:
    """E h² = |M|², twice that where the orders are one, by the midpoint rule (exact for cosines)."""
    grid = (np.arange(24) + 0.5) / 24
    u = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    M = _normal(3, 3, 8)
    M = M + M.T if a == b else M
    np.fill_diagonal(M, 0.0)
    h = np.einsum("ij,jk,ik->i", _cosine(u, a), M, _cosine(u, b))
    assert h.mean() == pytest.approx(0.0, abs=1e-12)
    assert (h**2).mean() == pytest.approx((2.0 if a == b else 1.0) * (M**2).sum(), rel=1e-12)


def test_triples_row_by_row() -> None:
    n = 4500
    u = np.random.default_rng(6).random((n, 4))
    (one,) = uniformity._triples(u)
    means = [
        (abs(np.prod([_cosine(u[:, j], a) for j, a in zip(some, orders, strict=True)], axis=0).mean()), some)
        for some in ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))
        for orders in np.ndindex(2, 2, 2)
        for orders in [np.array(orders) + 1]
    ]
    assert len(means) == 32
    mean, some = max(means)
    assert abs(one.z) == pytest.approx(math.sqrt(n) * mean, rel=1e-9)
    rate = n * mean**2 / (2.0 * (1.0 + math.sqrt(8.0) * mean / 3.0))
    assert one.log_p == pytest.approx(math.log(64) - rate, rel=1e-9)
    assert one.statistic == f"joint law of coordinates {some[0] + 1}, {some[1] + 1} and {some[2] + 1}"
    assert [len(list(uniformity._triples(np.full((n, d), 0.5)))) for d in (2, 3, 70, 300)] == [0, 1, 1, 0]


def test_projections_are_normal_and_their_norm_is_chis() -> None:
    u = np.random.default_rng(7).random((6000, 3))
    projected, norm = uniformity._projections(u, np.random.default_rng(11))
    v = np.random.default_rng(11).standard_normal((3, uniformity.DIRECTIONS))
    along = ndtri(u) @ (v / np.linalg.norm(v, axis=0))
    exact = math.sqrt(6000) * max(stats.kstest(one, "norm").statistic for one in along.T)
    assert exact - math.sqrt(6000) / 64 <= projected.z <= exact  # on 64 cells only
    assert projected.log_p == pytest.approx(math.log(2 * 24) - 2.0 * projected.z**2, rel=1e-9)
    exact = math.sqrt(6000) * stats.kstest((ndtri(u) ** 2).sum(axis=1), "chi2", args=(3,)).statistic
    assert 0.8 * exact <= norm.z <= exact and norm.log_p == pytest.approx(math.log(2) - 2.0 * norm.z**2)


def test_a_wide_direction_is_measured_in_the_other_half() -> None:
    g = _normal(8000, 2, 12) @ linalg.cholesky([[1.0, 0.4], [0.4, 1.0]])
    u = stats.norm.cdf(g)
    learnt = _cosine(u[:4000], 1).T @ _cosine(u[:4000], 1) / 4000
    np.fill_diagonal(learnt, 0.0)
    wide = uniformity._wide(u, learnt)
    sums = [((g[4000:] @ v) ** 2).sum() for v in ([math.sqrt(0.5)] * 2, [math.sqrt(0.5), -math.sqrt(0.5)])]
    assert wide.z == pytest.approx((min(sums) / 4000 - 1.0) * math.sqrt(2000), rel=1e-9)
    exact = stats.chi2.logcdf(min(sums), 4000)
    assert exact < wide.log_p - math.log(4) < 0.97 * exact
    r = min(sums) / 4000
    assert wide.log_p == pytest.approx(math.log(4) - 2000 * (r - 1.0 - math.log(r)), rel=1e-9)


# ---------------------------------------------------------------------- verdicts
def _shared(name: str) -> tuple[Any, Array]:
    target = Gaussian(np.zeros(2), [2.0, 2.0]) if name == "gaussian" else LogCosh(2, 0.5, 2.0)
    s = setting(VP, target, 4.0, 100, scheme="hf")
    return target, samples(s, 20_000, 0, progress=False)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["gaussian", "logcosh"])
def test_coordinates_that_share_their_noise_do_not_hold(name: str, sign: float) -> None:
    """Each coordinate is right, W2 is 1.5 and more, and the bound 0.07."""
    target, x = _shared(name)
    right = verify(VP, target, 4.0, 100, scheme="hf", samples=x, n=200)
    assert (right.verdict, right.consistent) == ("holds", True)
    both = np.stack((x[:, 0], sign * x[:, 0]), axis=1)
    wrong = verify(VP, target, 4.0, 100, scheme="hf", samples=both, n=200)
    assert (wrong.verdict, wrong.evidence, wrong.consistent) == ("refuted", "samples", False)
    assert wrong.empirical is not None and wrong.empirical.low > wrong.bound.total
    assert f"{wrong.bound.total:.6g}" in wrong.reason and f"{wrong.empirical.low:.6g}" in wrong.reason


def test_nothing_holds_against_a_bracket_of_the_same_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Too few rows for a test of laws: the referee stands, and the samples against it; both numbers are said."""
    _, x = _shared("gaussian")
    np.save(tmp_path / "few.npy", np.stack((x[:100, 0], x[:100, 0]), axis=1))
    given = ("verify", "--process", "vp-linear", "--T", "4", "--K", "100", "--scheme", "hf", "--n", "100")
    given += ("--target", "gaussian", "-q", "cov=2,2", "-q", "mean=0,0")
    code = main([*given, "--samples", str(tmp_path / "few.npy"), "--json"])
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (code, found["verdict"], found["consistent"], found["agreement"]) == (3, "undecided", False, None)
    assert found["empirical"]["low"] > found["bound"]["total"] > found["exact"]
    assert "inconsistent" in err and f"{found['empirical']['low']:.6g}" in err
    assert f"{found['exact']:.6g}" in err and f"{found['bound']['total']:.6g}" in err
    code = main([*given, "--samples", str(tmp_path / "few.npy")])
    out, _ = capsys.readouterr()
    assert code == 3 and "holds" not in out


def test_the_matrix_counts_a_bracket_above_a_bound() -> None:
    row = matrix.run_cell(matrix.Cell("sharp", "ou", "hf", "gaussian", 30.0, 50), n=16)
    odd = row | {"low": 1.1 * row["bound"], "high": 2.0 * row["bound"]}
    runs = [matrix.Matrix((one,), "", 0.0, 0, 16, {}) for one in (row, odd)]
    assert [run.inconsistent for run in runs] == [0, 1]
