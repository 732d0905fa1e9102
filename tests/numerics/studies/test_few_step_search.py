"""The search for a robust few-step sampler: its record says what it says, a part of it is computed again, and its tapes are
what their names say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from numerics.schedules import few_step_families as f
from numerics.studies.few_step_search import CALLS, DIGITS, LINE, RECORD, measured, search, table
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels
from wbound.sampler.multistep import multistep_named

RECORDED = json.loads(RECORD.read_text("utf-8"))
SPECTRUM: f.Spectrum = ((0.04, 0.5, 3.0), (2.0, 1.0, 3.0))
X, N = np.array(SPECTRUM[0]), np.array(SPECTRUM[1])


def test_the_record_is_of_these_families_and_its_winners_are_its_rows() -> None:
    cells = [[t, K] for t in (*LINE, *DIGITS) for K in CALLS]
    assert RECORDED["cells"] == cells and RECORDED["families"] == {x.name: x.words for x in f.FAMILIES}
    assert {(r["family"], r["theta"]) for r in RECORDED["rows"]} == {
        (x.name, t) for x in f.FAMILIES for t in x.thetas
    }
    better = np.min([RECORDED["parents"][name] for name in f.PARENTS], axis=0)
    winners = []
    for row in RECORDED["rows"]:
        if row["w2"] is None:  # of these the record holds the ratio alone: none is near
            assert row["worst"] > 1.3
            continue
        values = [v for v in row["w2"] if v is not None]
        assert row["everywhere"] == (len(values) == len(cells))
        worst = float((np.array(values) / better[: len(values)]).max())
        assert row["worst"] == pytest.approx(worst, rel=1e-4)
        if row["everywhere"] and worst <= 1.0 + RECORDED["leeway"]:
            winners.append([row["family"], row["theta"]])
    assert RECORDED["winners"] == winners
    page = Path(__file__).parents[3] / "docs" / "howto" / "few-steps.md"
    assert table(RECORDED) in page.read_text("utf-8")


def test_a_part_of_it_again() -> None:
    """Parents and the sampler of the page on the line at 5 calls, and a small search that finds what it is to find."""
    at = {tuple(cell): i for i, cell in enumerate(RECORDED["cells"])}
    for target in LINE:
        for name in f.PARENTS:
            assert measured(target, 5, name) == pytest.approx(
                RECORDED["parents"][name][at[target, 5]], rel=1e-3
            )
        (row,) = [r for r in RECORDED["rows"] if (r["family"], r["theta"]) == ("refitted", 8.0)]
        assert measured(target, 5, "refitted", 8.0) == pytest.approx(row["w2"][at[target, 5]], rel=0.02)
    some = [x for x in f.FAMILIES if x.name in ("look-back", "refitted")]
    found = search(LINE[3:], (), (5,), some, say=lambda line: None)
    assert found["winners"] and all(name == "refitted" for name, _ in found["winners"])
    assert all(row["everywhere"] and row["worst"] is not None for row in found["rows"])


def same(a: f.Tape, b: f.Tape) -> None:
    """One sampler: the gains from their starts on many eigenvalues, signs too."""
    x = np.geomspace(1e-3, 1e3, 40)
    one, two = tape_law(a, x), tape_law(b, x)
    assert one.gain * a.start_std == pytest.approx(two.gain * b.start_std, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("K", [2, 5])
def test_families_lie_between_their_parents(K: int) -> None:
    by = {x.name: x.make for x in f.FAMILIES}
    phase, two_m = f.phase_parent(SPECTRUM, K), f.tuned("dpmpp-2m", SPECTRUM, K)
    same(by["shrunk"](SPECTRUM, K, 0.0), phase)
    same(by["look-back"](SPECTRUM, K, 0.0), phase)
    same(by["clipped"](SPECTRUM, K, 0.0), phase)
    same(by["inflated"](SPECTRUM, K, 1.0), phase)
    same(by["damped-2m"](SPECTRUM, K, 0.0), two_m)
    same(by["levels"](SPECTRUM, K, 1.0), two_m)
    same(by["wide-2m"](SPECTRUM, K, 1.0), two_m)
    levels = np.append(f.fitted(SPECTRUM, K).levels, 0.0)
    own = multistep_named("dpmpp-2m").tape(
        levels, start_std=f.fitted(SPECTRUM, K).nu / math.sqrt(1.0 + levels[0])
    )
    same(by["shrunk"](SPECTRUM, K, 1.0), own)


@pytest.mark.parametrize("K", [1, 2, 5, 8])
@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_the_fast_twin_is_the_tapes_law(K: int, share: float) -> None:
    rng = np.random.default_rng(K)
    q = rng.normal(0.0, 0.5, (3, 2 * K + 1)) + 1.0
    x = np.geomspace(0.01, 50.0, 7)
    gains = f._gains(q, K, share, x)
    for row, got in zip(q, gains, strict=True):
        nu, lam, keep = (part[0] for part in f._parts(row[None], K))
        law = tape_law(f.walked(lam, keep, float(nu), share, "test"), x)
        assert got == pytest.approx(np.sqrt(law.variance), rel=1e-11)
    slope = f._gains(q[:1] + 1e-30j * np.eye(2 * K + 1)[:1], K, share, x).imag / 1e-30
    moved = f._gains(q[:1] + 1e-6 * np.eye(2 * K + 1)[:1], K, share, x)
    before = f._gains(q[:1] - 1e-6 * np.eye(2 * K + 1)[:1], K, share, x)
    assert slope == pytest.approx((moved - before) / 2e-6, rel=1e-5, abs=1e-8)


def test_fits_lower_what_they_fit() -> None:
    """On the spectrum and its copies: below where they began, and the phase sampler's own spectrum is still nearly exact."""
    wide = f.inflated(SPECTRUM, 8.0)
    x, n = np.array(wide[0]), np.array(wide[1])

    def off(tape: f.Tape) -> float:
        return math.sqrt(float(n @ (np.sqrt(tape_law(tape, x).variance) - np.sqrt(x)) ** 2) / float(n @ x))

    made = f.refitted(SPECTRUM, 5)
    assert off(made) < 0.2 * off(f._look_back(f.fitted(SPECTRUM, 5), 0.7)) and off(made) < 1e-2
    assert off(f.fitted_2m(wide, 5)) <= off(f.tuned("dpmpp-2m", wide, 5))
    assert sum(wide[1]) == pytest.approx(6.0) and min(wide[0]) == pytest.approx(0.005)
    assert phase_levels(f.fitted(SPECTRUM, 1).nodes).levels == pytest.approx(f.fitted(SPECTRUM, 1).levels)
