"""What lies beyond Theorem 6: every row of the record is a tape, or a mixture of tapes, and is what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from affine_search import alternation
from beyond_search import (
    HIGH,
    LOW,
    RECORD,
    best_deterministic,
    best_mixture,
    best_noisy,
    gains_and_slopes,
    mixed_tapes,
    mixture_table,
    schedules,
    tape,
    worst,
)

from wbound.bounds.theorem_6 import affine_floor
from wbound.exact.law_of_tape import tape_law

ROWS = json.loads(RECORD.read_text("utf-8"))


@pytest.mark.parametrize("row", ROWS["noise"], ids=lambda row: row["schedule"])
def test_noise_at_given_levels(row: dict) -> None:
    """Both tapes by their exact law: noise is no worse anywhere, and neither is below E_K."""
    levels = np.array(row["levels"])
    assert levels == pytest.approx(schedules()[row["schedule"]] ** 2, rel=1e-12)
    for name, key in (("deterministic", "without"), ("noisy", "with")):
        made = tape(levels, np.array(row[name]))
        assert made.K == levels.size and made.stochastic == (name == "noisy")
        off = worst(levels, np.array(row[name]))
        assert off == pytest.approx(row[key], rel=1e-4)
        assert off >= affine_floor(HIGH / LOW, levels.size)
    assert row["with"] <= row["without"] * (1 + 1e-9)


def test_where_noise_helps() -> None:
    """κ = 100, levels {10³, 10⁴}: .131 without, .0957 with."""
    x, levels = np.geomspace(1.0, 100.0, 240), np.array([1e4, 1e3])
    plain, without = best_deterministic(levels, x)
    _, noisy = min((best_noisy(levels, x, plain, seed) for seed in range(3)), key=lambda found: found[1])
    assert without == pytest.approx(0.131, abs=2e-3) and noisy == pytest.approx(0.0957, abs=2e-3)


def mixed_error(row: dict, x: np.ndarray) -> np.ndarray:
    total = sum(p * (np.sqrt(tape_law(t, x).variance / x) - 1.0) ** 2 for p, t in mixed_tapes(row))
    return np.sqrt(total)


@pytest.mark.parametrize("row", ROWS["mixtures"], ids=lambda r: f"{r['M']} at K = {r['K']}, {r['kappa']:g}")
def test_mixtures_of_samplers(row: dict) -> None:
    """Its bound on W2 in every dimension by the tapes' laws, beside E_K and the floor that survives."""
    kappa, K = row["kappa"], row["K"]
    x = np.append(np.geomspace(1.0, kappa, 4001), alternation(K, kappa))
    assert sum(row["p"]) == pytest.approx(1.0) and row["floor"] == pytest.approx(affine_floor(kappa, K))
    largest = float(mixed_error(row, x).max())
    assert largest == pytest.approx(row["worst"], rel=2e-3, abs=1e-14) and 2 <= len(row["p"]) <= row["M"]
    # whatever is drawn: E_K/√(2K+2) at one of the alternation points; and no level is outside a set of MK
    at = float(mixed_error(row, alternation(K, kappa)).max())
    assert at >= affine_floor(kappa, K) / math.sqrt(2 * K + 2)
    levels = {v for _, t in mixed_tapes(row) for v in t.levels.tolist()}
    L = len(levels)
    sizes = alternation(L, kappa)
    V = sum(p * tape_law(t, sizes).variance for p, t in mixed_tapes(row))
    assert float(np.abs(np.sqrt(V / sizes) - 1.0).max()) >= affine_floor(kappa, L) * (1 - 1e-9)


def test_random_levels_pass_below() -> None:
    """Two samplers mixed are below E_K where κ is large, and one of them alone never is."""
    below = {(r["K"], r["kappa"], r["M"]): r["worst"] / r["floor"] for r in ROWS["mixtures"]}
    assert set(below) == {(K, 10.0**i, M) for K in range(1, 7) for i in (1, 3, 6, 9, 12) for M in (2, 3)}
    assert all(below[K, kappa, 3] <= below[K, kappa, 2] for K, kappa, _ in below)
    assert below[1, 1e6, 2] < 0.925 and below[6, 1e12, 2] < 0.84 and min(below.values()) > 0.8
    again = best_mixture(1, 1e6, 2, 0)
    assert again["worst"] == pytest.approx(0.5565, abs=2e-4) and again["floor"] == pytest.approx(
        0.6025, abs=1e-4
    )
    theory = Path(__file__).parents[2] / "docs" / "theory.md"
    assert mixture_table(ROWS["mixtures"]) in theory.read_text("utf-8")


def test_the_searchs_slopes() -> None:
    """Analytic ones against differences."""
    log_nodes, s = np.log([[1.0, 2.0, 3.0], [2.0, 5.0, 7.0]]), np.array([0.5, 1.7, 4.0])
    slope = gains_and_slopes(log_nodes, s)[1]
    for m in range(2):
        for i in range(3):
            step = np.zeros((2, 3))
            step[m, i] = 1e-6
            moved = (
                gains_and_slopes(log_nodes + step, s)[0] - gains_and_slopes(log_nodes - step, s)[0]
            ) / 2e-6
            assert moved[m] == pytest.approx(slope[m, i], abs=1e-7)
