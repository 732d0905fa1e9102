"""The schedule doctor: section 9's five consistent schedules pass, the three inconsistent ones do not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import wbound
from numerics.choose import choose
from numerics.datasets import Dataset, digits, from_samples, from_spectrum
from numerics.doctor import check_expressions, check_schedule, image_claims, start_w2
from numerics.schedules import schedule, to_array
from wbound.data import Gaussian
from wbound.errors import BadInput
from wbound.gaussian import exact_w2

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
    assert found["signal at T"].value == pytest.approx(2.0)
    far = check_expressions("0", "1", T=1e4)
    assert not far.warnings


def test_arrays() -> None:
    betas = np.linspace(1e-4, 0.02, 1000)
    bar = np.cumprod(1 - betas)
    found = check_schedule(betas=betas, alphas_cumprod=bar)
    assert found.consistent and not found.warnings
    assert found["signal at T"].value == pytest.approx(bar[-1] / (1 - bar[-1]), rel=1e-9)
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
    assert made["signal at T"].value == pytest.approx(0.25)
    with pytest.raises(BadInput, match="give a schedule"):
        check_schedule()


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
