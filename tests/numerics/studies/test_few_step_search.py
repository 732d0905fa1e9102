"""The search for a robust few-step sampler: its record says what it says, a part of it is computed again, and its tapes are
what their names say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from numerics.schedules import few_step_families as f
from numerics.studies.few_step_search import CALLS, LINE, OTHERS, RECORD, TARGETS, measured, search, table
from wbound.design.look_back import REACH
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.multistep import multistep_named

RECORDED = json.loads(RECORD.read_text("utf-8"))
SPECTRUM: f.Spectrum = ((0.04, 0.5, 3.0), (2.0, 1.0, 3.0))
X, N = np.array(SPECTRUM[0]), np.array(SPECTRUM[1])


def better(part: dict) -> np.ndarray:
    return np.min([part["parents"][name] for name in f.PARENTS], axis=0)


@pytest.mark.parametrize("part", [RECORDED, RECORDED["others"]], ids=["searched", "others"])
def test_the_record_says_what_it_holds(part: dict) -> None:
    for row in part["rows"]:
        assert len(row["w2"]) == len(part["cells"])
        ratios = np.array([math.inf if v is None else v for v in row["w2"]]) / better(part)
        whole = bool(np.isfinite(ratios).all())
        assert (row["worst"] is not None) == whole
        if whole:
            assert row["worst"] == pytest.approx(float(ratios.max()), rel=1e-4)
            assert row["mean"] == pytest.approx(float(np.exp(np.log(ratios).mean())), rel=1e-4)
        assert ([row["family"], row["theta"]] in part["winners"]) == (ratios.max() <= 1.0 + part["leeway"])
    page = Path(__file__).parents[3] / "docs" / "howto" / "few-steps.md"
    assert table(part) in page.read_text("utf-8")


def test_the_record_is_of_these_families_in_every_cell() -> None:
    assert RECORDED["cells"] == [[t, K] for t in TARGETS for K in CALLS]
    assert RECORDED["families"] == {x.name: x.words for x in f.FAMILIES}
    assert [(r["family"], r["theta"]) for r in RECORDED["rows"]] == [
        (x.name, t) for x in f.FAMILIES for t in x.thetas
    ]
    others = RECORDED["others"]
    assert others["cells"] == [[t, K] for t in OTHERS for K in CALLS] and not set(OTHERS) & set(TARGETS)
    assert (others["rows"][0]["family"], others["rows"][0]["theta"]) == ("spanning", 20.0)


def test_the_hybrid_wins_in_every_cell() -> None:
    """Which is what `refitted` and `wbound.phase_sampler(look_back=True)` make; and on all other laws."""
    (row,) = [r for r in RECORDED["rows"] if (r["family"], r["theta"]) == ("spanning", REACH)]
    assert row["worst"] < 0.95 and row["mean"] < 0.5
    ratios = np.array(RECORDED["others"]["rows"][0]["w2"]) / better(RECORDED["others"])
    assert ratios.max() < 0.95
    for spectrum in (((0.25,), (1.0,)), ((0.04, 0.5, 3.0), (2.0, 1.0, 3.0))):
        (spanning,) = [x for x in f.FAMILIES if x.name == "spanning"]
        same(spanning.make(spectrum, 4, REACH), f.refitted(spectrum, 4))


@pytest.mark.parametrize("K", [1, 2, 3, 9])
def test_what_is_known_of_many_ranges_at_once_is_the_tapes_law(K: int) -> None:
    """2M's outputs by its fast twin, and its tuned levels are those that its tapes would choose."""
    lam = np.array([np.append(np.geomspace(top, low, K), 0.0) for top, low in ((400.0, 0.01), (9.0, 0.3))])
    for name, twin in f.TOGETHER.items():
        for got, own in zip(twin(lam, X), f._outputs(name, lam, X), strict=True):
            assert got == pytest.approx(own, rel=1e-12)
        chosen = f.tuned_levels(SPECTRUM, K, name)
        with pytest.MonkeyPatch.context() as only:
            only.setattr(f, "TOGETHER", {})
            f.tuned_levels.cache_clear()
            assert f.tuned_levels(SPECTRUM, K, name) == chosen
    assert f.tuned_levels(SPECTRUM, K, most=0.0) == (0.0,)


def test_a_part_of_it_again() -> None:
    """Parents and the sampler of the page on the line at 5 calls, and a small search that finds what it is to find."""
    at = {tuple(cell): i for i, cell in enumerate(RECORDED["cells"])}
    (row,) = [r for r in RECORDED["rows"] if (r["family"], r["theta"]) == ("spanning", REACH)]
    for target in LINE:
        for name in f.PARENTS:
            assert measured(target, 5, name) == pytest.approx(
                RECORDED["parents"][name][at[target, 5]], rel=1e-3
            )
        assert measured(target, 5, "spanning", REACH) == pytest.approx(row["w2"][at[target, 5]], rel=0.02)
    some = [x for x in f.FAMILIES if x.name in ("look-back", "spanning")]
    found = search(LINE[3:], (5,), some, LINE[:1], say=lambda line: None)
    assert found["winners"] and all(name == "spanning" for name, _ in found["winners"])
    assert found["others"]["cells"] == [[LINE[0], 5]] and len(found["others"]["rows"]) == 1


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


def test_2ms_own_fit_lowers_what_it_fits() -> None:
    wide = f.inflated(SPECTRUM, 8.0)
    x, n = np.array(wide[0]), np.array(wide[1])

    def off(tape: f.Tape) -> float:
        return math.sqrt(float(n @ (np.sqrt(tape_law(tape, x).variance) - np.sqrt(x)) ** 2) / float(n @ x))

    assert off(f.fitted_2m(wide, 5)) < 0.9 * off(f.tuned("dpmpp-2m", wide, 5))
    assert sum(wide[1]) == pytest.approx(6.0) and min(wide[0]) == pytest.approx(0.005)
