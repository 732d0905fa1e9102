"""The schedule doctor: section 9's five consistent schedules pass, the three inconsistent ones do not."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

import wbound
from numerics.schedules.choice import choose
from numerics.schedules.doctor import check_expressions, check_schedule, finer, higher, start_w2
from numerics.schedules.image_schedules import image_claims
from numerics.schedules.schedule_formats import from_array, schedule, to_array
from numerics.targets.datasets import Dataset, digits, from_samples, from_spectrum
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2

FACTORS = {"image-ve-v1": 8.517, "image-ve-v2": 4.259, "image-ve-v3": 2.190}


@pytest.mark.parametrize("name", list(image_claims()))
def test_image_schedules_as_claimed(name: str) -> None:
    found = check_expressions(**image_claims()[name], name=name)
    assert found.consistent == (name not in FACTORS)
    if name in FACTORS:
        finding = found["g against the marginal"]
        assert not finding.ok
        assert finding.value == pytest.approx(FACTORS[name], abs=5e-4)
        assert f"too large by a factor {FACTORS[name]:.4g} at t = 0.5" in finding.detail


@pytest.mark.parametrize("name", list(FACTORS))
def test_with_the_g_of_section_9_the_three_are_consistent(name: str) -> None:
    claim = image_claims()[name]
    p = wbound.process(name)
    values = {k: v for k, v in claim["parameters"].items()}
    assert check_expressions("0", p.expr.g, marginal_std=claim["marginal_std"], parameters=values).consistent


def test_a_slip_of_one_percent_is_noticed() -> None:
    good = {"f": "(b+a*t)/2", "g": "sqrt(b+a*t)", "parameters": {"a": 1.0, "b": 0.5}, "T": 4.0}
    mean, std = "exp(-(b*t+a*t**2/2)/2)", "sqrt(-expm1(-(b*t+a*t**2/2)))"
    assert check_expressions(**good, mean_factor=mean, marginal_std=std).consistent
    assert not check_expressions(**(good | {"g": "1.005*sqrt(b+a*t)"}), marginal_std=std).consistent
    assert not check_expressions(**good, mean_factor="exp(-(b*t+1.01*a*t**2/2)/2)").consistent
    assert not check_expressions(**good, marginal_std=f"{std}*(1+t/1000)").consistent


def test_a_falling_clock_is_noticed() -> None:
    found = check_expressions("0", "1", marginal_std="sqrt(1+t-t**2)", T=2.0)
    assert not found["monotone clock"].ok


def test_coefficients_out_of_range_and_text_that_cannot_be_read() -> None:
    found = check_expressions("1-2*t", "1")
    assert not found.consistent
    assert "must be finite and >= 0" in found["coefficients"].detail
    with pytest.raises(BadInput, match="unknown name"):
        check_expressions("0", "q*t")
    with pytest.raises(BadInput, match="T = 0"):
        check_expressions("0", "1", T=0.0)


def test_start_error_is_the_exact_laws() -> None:
    data = Gaussian(np.array([0.1, 0.2]), np.array([2.0, 0.5]))
    p, T = wbound.process("vp-linear"), 2.0
    a, u = (float(v) for v in p.law(np.array(T)))
    at_T, left = start_w2(data, a, u, float(p.sigma2(T)))
    w = p.alpha(T) ** 2 * data.eigenvalues + p.sigma2(T)
    expected = ((np.sqrt(w) - np.sqrt(p.sigma2(T))) ** 2 + p.alpha(T) ** 2 * data.coordinates**2).sum()
    assert at_T == pytest.approx(math.sqrt(float(expected)))
    # what is left after a fine sampler from the prior, against the same from p_T
    fine = exact_w2(p, data, T, 200_000, scheme="hf", start="prior")
    assert left == pytest.approx(fine, rel=1e-3)
    _, standard = start_w2(data, a, u, 1.0)
    assert standard == pytest.approx(exact_w2(p, data, T, 200_000, scheme="hf", start="standard"), rel=1e-3)


def test_a_short_process_is_warned_about() -> None:
    found = check_expressions("0", "1", T=0.5)
    assert found.consistent
    assert {f.name for f in found.warnings} == {"signal at T", "start error"}
    assert found["signal at T"].value == pytest.approx(0.25 / 0.5)
    far = check_expressions("0", "1", T=1e4)
    assert not far.warnings


def test_arrays() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)
    bar = np.cumprod(1 - betas)
    found = check_schedule(betas=betas, alphas_cumprod=bar)
    assert found.consistent and not found.warnings
    assert found["signal at T"].value == pytest.approx(0.25 * bar[-1] / (1 - bar[-1]), rel=1e-9)
    assert not check_schedule(betas=betas, alphas_cumprod=bar**1.01).consistent
    assert not check_schedule(betas=betas, alphas_cumprod=bar[:-1]).consistent
    assert not check_schedule(sigmas=[3.0, 1.0, 2.0]).consistent
    assert not check_schedule(betas=[0.1, np.nan]).consistent
    rough = check_schedule(sigmas=[*np.geomspace(100.0, 50.0, 20), 0.01])
    assert [f.name for f in rough.warnings] == ["largest step"]
    assert rough["largest step"].value == pytest.approx(2.5e7)
    # as far apart, and not badly placed: DDIM crosses levels far above the data at no cost
    assert not check_schedule(sigmas=[1000.0, 1.7, 0.6]).warnings
    made = check_schedule(schedule(wbound.process("ve-constant"), None, 4.0, 10))
    assert made["signal at T"].value == pytest.approx(0.25 / 4.0)
    with pytest.raises(BadInput, match="give a schedule"):
        check_schedule()


def test_arrays_are_judged_on_a_stated_variance_and_the_signal_comes_first() -> None:
    """On N(0, 1) every VP array starts without an error: a third of the data left would get an "ok"."""
    found = check_schedule(alphas_cumprod=[0.99, 0.6, 0.36])
    assert found.findings[0].name == "signal at T" and "alpha(T)^2 = 0.36" in found.findings[0].detail
    assert found["signal at T"].value == pytest.approx(0.25 * 0.36 / 0.64)
    assert "start error" in {
        f.name for f in found.warnings
    }  # three steps could not afford a higher first level
    long = check_schedule(alphas_cumprod=np.linspace(0.999, 0.36, 1000))
    assert {f.name for f in long.warnings} == {"signal at T", "start error"}
    assert found.notes[0].startswith("judged on N(0, 0.25)")
    unit = check_schedule(alphas_cumprod=[0.99, 0.6, 0.36], data=Gaussian(np.zeros(3), 1.0))
    assert unit["start error"].ok and "d = 3, variance 1 a coordinate" in unit.notes[0]
    own = check_expressions("1/2", "1", T=1.0, start="standard")
    assert not own["start error"].ok and own.notes[0].startswith("judged on N(0, 0.25)")


def test_what_an_array_drops_is_said() -> None:
    found = check_schedule(alphas_cumprod=[1.0, 0.9, 0.5], betas=[0.1, 0.2, 0.3])
    assert "alphas_cumprod[0] = 1 is the data" in " ".join(found.notes)
    assert "betas has 3 steps and alphas_cumprod 2: alphas_cumprod[0] = 1" in found["agreement"].detail
    assert found.verdict == "INCONSISTENT: the arrays are not of one schedule"
    one_more = np.concatenate(([1.0], np.cumprod([0.9, 0.8, 0.7])))
    assert check_schedule(alphas_cumprod=one_more, betas=[0.1, 0.2, 0.3]).consistent


@pytest.mark.parametrize(
    ("arrays", "at"),
    [
        ({"alphas_cumprod": [1.0, 0.6, 0.0]}, "alphas_cumprod[2] = 0"),
        ({"alphas_cumprod": [0.0, 0.6, 0.9]}, "alphas_cumprod[0] = 0"),
        ({"betas": [0.1, 0.5, 1.0]}, "betas[2] = 1"),
        (
            {"betas": [0.1, 0.5, 1.0], "alphas_cumprod": [0.9, 0.45, 0.0]},
            "betas[2] = 1, alphas_cumprod[2] = 0",
        ),
    ],
)
def test_a_start_at_pure_noise_is_no_contradiction(arrays: dict[str, list[float]], at: str) -> None:
    found = check_schedule(**arrays)  # type: ignore[arg-type]
    assert found.consistent and found.verdict == "consistent"
    (warned,) = (f for f in found.warnings if f.name == "infinite start")
    assert warned.detail.startswith(f"{at}: lam(T) is infinite")
    # a start that both arrays must share is told apart from one that only one has
    lone = check_schedule(betas=[0.1, 0.5, 1.0], alphas_cumprod=[0.9, 0.45, 0.1])
    assert lone.verdict == "INCONSISTENT: the arrays are not of one schedule"


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ({"sigmas": [3.0, 1.0, 2.0]}, "no forward SDE has this schedule"),
        ({"betas": [0.1, -0.1]}, "no forward SDE has this schedule"),
        ({"betas": [0.1, np.nan]}, "this array is no schedule of its form"),
        ({"betas": [0.1, 1.1]}, "this array is no schedule of its form"),
        ({"alphas_cumprod": [0.9, 0.5], "betas": [0.1, 0.2]}, "the arrays are not of one schedule"),
    ],
)
def test_each_verdict_says_its_reason(arguments: dict[str, list[float]], verdict: str) -> None:
    assert check_schedule(**arguments).verdict == f"INCONSISTENT: {verdict}"  # type: ignore[arg-type]


def test_verdicts_of_expressions() -> None:
    assert check_expressions("1-2*t", "1").verdict.endswith(
        "not those of section 0's setting on all of (0, T]"
    )
    assert check_expressions("0", "1", marginal_std="t").verdict.endswith(
        "the std claimed is not that of this f and g"
    )
    assert check_expressions("0", "1", mean_factor="1+t").verdict.endswith("not that of this f")
    with pytest.raises(
        BadInput, match="T = 1.0: must be below 1, where process user ends .lam, f or g is infinite"
    ):
        check_expressions("1/(1-t)", "sqrt(2/(1-t))")
    for use in (lambda: wbound.Process(f="-1", g="1"), lambda: check_expressions("-1", "1")):
        with pytest.raises(BadInput, match="f = -1: is -1 at t = 1e-09: must be finite and >= 0"):
            use()


@pytest.mark.parametrize(
    ("slip", "level"), [(1e-9, None), (3e-7, "warning"), (9e-6, "warning"), (3e-5, "error")]
)
def test_rounding_is_a_warning_with_the_difference(slip: float, level: str | None) -> None:
    """g of a claimed std with q typed to few digits: the relative difference is printed, not "a factor 1"."""
    q = 8.5
    g = f"0.01*exp({q}*t)*sqrt({2 * q})*(1+{slip})^0.5"
    found = check_expressions("0", g, marginal_std=f"0.01*exp({q}*t)")["g against the marginal"]
    assert (found.ok, None if found.ok else found.level) == (level is None, level)
    if level == "warning":
        assert f"differ by {slip:.3g} relative at most" in found.detail
    if level == "error":
        assert "too large by a factor 1 + 3e-05 at t = 0.5" in found.detail


def test_single_precision_is_no_contradiction() -> None:
    betas = np.linspace(1e-4, 0.02, 1000, dtype=np.float32)
    bar = np.cumprod(1 - betas, dtype=np.float32)
    found = check_schedule(betas=betas, alphas_cumprod=bar)
    assert found.consistent and 1e-7 < found["agreement"].value < 1e-4
    assert "differ by" in found["agreement"].detail and "float32 may lose" in found["agreement"].detail
    assert not check_schedule(
        betas=betas, alphas_cumprod=(bar * np.linspace(1, 0.999, 1000)).astype("f4")
    ).consistent


def test_a_first_level_that_is_too_low_is_warned_of() -> None:
    """Also where N(0, I) happens to be p_T, for data of variance 1."""
    bar = np.linspace(0.999, 0.36, 1000)
    for data in (None, Gaussian(np.zeros(1), 0.25), Gaussian(np.full(2, 1.0), 0.5)):
        assert "signal at T" in {f.name for f in check_schedule(alphas_cumprod=bar, data=data).warnings}
    low = check_schedule(sigmas=np.geomspace(0.7, 0.01, 50))
    assert {f.name for f in low.warnings} == {"signal at T", "start error"}
    # few steps cannot afford a higher one
    assert not check_schedule(sigmas=[1.7, 0.6]).warnings


def several(seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    if seed == 0:
        return digits()
    if seed < 4:
        return from_spectrum([[1.0], [4.0, 1.0, 0.25], np.geomspace(1e-4, 1.0, 30)][seed - 1])
    d = int(rng.integers(1, 5))
    scale = np.exp(rng.uniform(-1.0, 1.5, d))
    return from_samples(rng.standard_normal((100, d)) * scale + rng.choice([0.0, 1.0, 10.0]))


SETTINGS = [
    (0, "hf", 20), (0, "ddim", 20), (0, "ddim", 3), (0, "hf", 1), (0, "heun", 6), (1, "hf", 2), (1, "ode-hf", 12),
    (2, "ddpm", 5), (2, "heun", 2), (2, "em", 4), (3, "ddpm", 20), (3, "ddim", 2), (4, "ei", 3), (4, "ode-hf", 1),
    (5, "ddim", 30), (5, "ode-ei", 2), (6, "hf", 5), (6, "heun", 1), (7, "ddpm", 2), (7, "ddim", 1),
]  # fmt: skip


@pytest.mark.parametrize(("seed", "scheme", "K"), SETTINGS)
def test_what_the_chooser_recommends_passes(seed: int, scheme: str, K: int) -> None:
    """The two judge alike: what no sampler's W2 would gain from is not warned of."""
    data = several(seed)
    best = choose(data, K, scheme=scheme, processes=["vp-linear"], grids=["uniform", "optimal"]).best
    written = 0
    for form in set(best.forms) & {"sigmas", "betas", "alphas_cumprod"}:
        try:
            array = to_array(best.schedule, form)
        except BadInput:  # a form that cannot hold these levels
            continue
        found = check_schedule(**{form: array}, data=data.gaussian)
        assert found.consistent and not found.warnings, (form, found.warnings)
        written += 1
    assert written >= 1


def test_plain_values() -> None:
    record = json.loads(json.dumps(check_expressions("0", "1").to_dict(), allow_nan=False))
    assert record["consistent"] is True


def test_the_standard_start_of_arrays_where_alpha2_is_lost() -> None:
    """W2(p_T, N(0, I)) with variance 4 is 1.5 ᾱ_T, and 12 ᾱ_T² is left of it, to the leading order: 0 was said."""
    for B in (30.0, 40.0, 100.0):
        found = check_schedule(alphas_cumprod=np.exp(-np.linspace(0.5, B, 60)), data=Gaussian([0.0], 4.0))
        (start,) = (f for f in found.findings if f.name == "start error")
        at_T, left = (float(v) for v in re.findall(r"= ([0-9.e+-]+);.* SDE ([0-9.e+-]+)", start.detail)[0])
        assert at_T == pytest.approx(1.5 * math.exp(-B), rel=1e-5, abs=0.0)
        # the variance is off by (4/λ)² (1 − 4), its root by that over 2·2
        assert left == pytest.approx(12.0 * math.exp(-2.0 * B), rel=1e-5, abs=0.0)


def test_an_end_above_zero_is_a_finding_with_what_it_leaves() -> None:
    sigmas = np.geomspace(80.0, 0.5, 30)
    found = check_schedule(sigmas=sigmas, stop="early")
    end = found["end above zero"]
    # of variance 0.25: √(0.25 + 0.25) − 0.5
    assert not end.ok and end.value == pytest.approx(math.sqrt(0.5) - 0.5, rel=1e-12)
    assert found["monotone clock"].detail == "lam falls strictly over 29 steps to 0.25"
    assert found.consistent and found["largest step"].ok
    quiet = check_schedule(sigmas=np.geomspace(80.0, 0.01, 30), stop="early")
    assert quiet["end above zero"].ok
    with pytest.raises(StopIteration):
        check_schedule(sigmas=sigmas)["end above zero"]
    both = check_schedule(sigmas=sigmas, alphas_cumprod=1.0 / (1.0 + sigmas**2), stop="early")
    assert both["agreement"].ok
    mixed = check_schedule(from_array(sigmas, "sigmas", name="mine"), sigmas=sigmas, stop="early")
    assert mixed["agreement"].detail == "sigmas ends above zero, mine at 0" and not mixed["agreement"].ok


def test_a_long_last_step_to_an_end_above_zero_is_seen() -> None:
    """The step to the end is one like the others."""
    found = check_schedule(sigmas=[80.0, 40.0, 20.0, 10.0, 5.0, 0.01], stop="early")["largest step"]
    assert found.value == pytest.approx(250000.0) and "one more node there leaves" in found.detail


def test_the_changes_that_are_tried_keep_the_end() -> None:
    log_lam = 2.0 * np.log([9.0, 3.0, 1.0, 0.5])
    for change, first in ((higher, 18.0), (finer, 9.0)):
        moved = change(log_lam, 0.25)
        assert moved[-1] == log_lam[-1] and (np.diff(moved) < 0.0).all()
        assert moved[0] == pytest.approx(2.0 * math.log(first))
