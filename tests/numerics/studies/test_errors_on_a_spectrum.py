"""Pierret & Galerne's rows on the shipped spectra, each by a recursion of its own in mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import wbound
from numerics.studies.errors_on_a_spectrum import ROWS, error_table, output_variance, power_law, w2_to_data
from numerics.targets import datasets
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.exact.flow_in_time import flow_gain
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid

VP = wbound.process("vp-linear", a=19.9, b=0.1)
DIGITS = np.sort(datasets.load("digits").eigenvalues)
SPECTRA = {"digits": DIGITS, "power-law": power_law()}


def beta(t: mp.mpf) -> mp.mpf:
    return mp.mpf(1) / 10 + mp.mpf(199) / 10 * t


def B(t: mp.mpf) -> mp.mpf:
    return t / 10 + mp.mpf(199) / 20 * t**2


def w(x: mp.mpf, t: mp.mpf) -> mp.mpf:
    return 1 + mp.exp(-B(t)) * (x - 1)


def em_point(x: mp.mpf, hi: mp.mpf, lo: mp.mpf, v: mp.mpf) -> mp.mpf:
    gap = beta(hi) * (hi - lo)
    return (1 + gap / 2 - gap / w(x, hi)) ** 2 * v + gap


def ei(x: mp.mpf, hi: mp.mpf, lo: mp.mpf, v: mp.mpf) -> mp.mpf:
    grow = mp.exp((B(hi) - B(lo)) / 2)
    return (grow - 2 * (grow - 1) / w(x, hi)) ** 2 * v + grow**2 - 1


def ddpm(x: mp.mpf, hi: mp.mpf, lo: mp.mpf, v: mp.mpf) -> mp.mpf:
    """Ho et al.'s step in their own notation."""
    bar, before = mp.exp(-B(hi)), mp.exp(-B(lo))
    alpha = bar / before
    noise = (1 - alpha) * (1 - before) / (1 - bar)
    return ((1 - (1 - alpha) / w(x, hi)) / mp.sqrt(alpha)) ** 2 * v + noise


def drift(x: mp.mpf, t: mp.mpf) -> mp.mpf:
    return beta(t) / 2 * (1 - 1 / w(x, t))


def euler(x: mp.mpf, hi: mp.mpf, lo: mp.mpf, v: mp.mpf) -> mp.mpf:
    return (1 + (hi - lo) * drift(x, hi)) ** 2 * v


def heun(x: mp.mpf, hi: mp.mpf, lo: mp.mpf, v: mp.mpf) -> mp.mpf:
    h = hi - lo
    first = drift(x, hi)
    return (1 + h / 2 * (first + drift(x, lo) * (1 + h * first))) ** 2 * v


def rk4(x: mp.mpf, hi: mp.mpf, lo: mp.mpf, v: mp.mpf) -> mp.mpf:
    h, mid = hi - lo, (hi + lo) / 2
    k1 = drift(x, hi)
    k2 = drift(x, mid) * (1 + h / 2 * k1)
    k3 = drift(x, mid) * (1 + h / 2 * k2)
    k4 = drift(x, lo) * (1 + h * k3)
    return (1 + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)) ** 2 * v


STEPS: dict[str, Callable[[mp.mpf, mp.mpf, mp.mpf, mp.mpf], mp.mpf]] = {
    "em-point": em_point,
    "ei": ei,
    "ddpm": ddpm,
    "euler-t": euler,
    "heun-t": heun,
    "rk4-t": rk4,
}


@cache
def plain(sampler: str, x: float, K: int, eps: str) -> float:
    """The output's variance from N(0, I), 25 digits."""
    with mp.workdps(25):
        stop, v, own = mp.mpf(eps), mp.mpf(1), mp.mpf(x)
        t = [1 - (1 - stop) * k / K for k in range(K + 1)]
        for hi, lo in zip(t, t[1:], strict=False):
            v = STEPS[sampler](own, hi, lo, v)
        return float(v)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("sampler", STEPS)
def test_every_row_by_a_recursion_of_its_own(sampler: str, name: str) -> None:
    spectrum = SPECTRA[name]
    some = spectrum[np.unique(np.geomspace(1, spectrum.size, 6).astype(int) - 1)]
    some = some[some > 0.0]
    for K, eps in ((49, "0"), (49, "1e-3"), (249, "0")):
        got = output_variance(VP, some, 1.0, K, sampler, eps=float(eps))
        want = [plain(sampler, float(x), K, eps) for x in some]
        assert got == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("name", SPECTRA)
def test_the_limits_are_their_formulas_and_many_steps(name: str) -> None:
    x = SPECTRA[name][SPECTRA[name] > 0.0]
    alpha2 = math.exp(-10.05)
    end = 1.0 + alpha2 * (x - 1.0)
    sde, ode = (output_variance(VP, x, 1.0, 1, row) for row in ("sde-limit", "ode-limit"))
    assert sde == pytest.approx(x + alpha2 * x**2 / end * (1.0 / end - 1.0), rel=1e-12)
    assert ode == pytest.approx(x / end, rel=1e-12)
    # with a truncation: by many steps, of second and of fourth order
    few = x[:: max(x.size // 5, 1)]
    steps = output_variance(VP, few, 1.0, 4000, "rk4-t", eps=1e-2)
    assert output_variance(VP, few, 1.0, 1, "ode-limit", eps=1e-2) == pytest.approx(steps, rel=1e-7)
    two, four = (output_variance(VP, few, 1.0, K, "ei", eps=1e-2) for K in (8000, 16000))
    assert output_variance(VP, few, 1.0, 1, "sde-limit", eps=1e-2) == pytest.approx(2 * four - two, rel=2e-4)


def test_w2_is_the_sum_over_the_spectrum_raw_or_divided() -> None:
    x = np.array([4.0, 1.0, 1.0, 0.01])
    for row in ("ei", "rk4-t", "sde-limit"):
        for eps in (0.0, 0.1):
            v = output_variance(VP, x, 1.0, 20, row, eps=eps)
            alpha = math.exp(-(eps / 10 + 199 / 20 * eps**2) / 2)
            for output, scale in (("raw", 1.0), ("divided", 1.0 / alpha)):
                want = math.sqrt(float(((scale * np.sqrt(v) - np.sqrt(x)) ** 2).sum()))
                assert w2_to_data(VP, x, 1.0, 20, row, eps=eps, output=output) == pytest.approx(
                    want, rel=1e-12
                )
    law = Gaussian(np.zeros(4), x)
    early = exact_w2(
        VP, law, 1.0, 20, scheme="ei", start="standard", grid=Grid.uniform(delta=float(VP.lam(0.1)))
    )
    assert w2_to_data(VP, x, 1.0, 20, "ei", eps=0.1, output="divided") == pytest.approx(early, rel=1e-11)
    whole = exact_w2(VP, law, 1.0, 20, scheme="ddim", start="prior")
    assert w2_to_data(VP, x, 1.0, 20, "ddim", start="prior") == pytest.approx(whole, rel=1e-11)


@pytest.mark.parametrize(("method", "order"), [("euler-t", 1), ("heun-t", 2), ("rk4-t", 4)])
def test_the_order_of_a_method_in_t(method: str, order: int) -> None:
    """On a smooth flow that is not stiff, OU from 2 to 0.1; the slope between K = 40 and 320."""
    ou, x = wbound.process("ou", theta=1.0, sigma=1.0), np.array([0.1, 0.25])
    exact = np.sqrt(output_variance(ou, x, 2.0, 1, "ode-limit", eps=0.1, start="exact"))
    errors = [
        np.abs(np.sqrt(output_variance(ou, x, 2.0, K, method, eps=0.1, start="exact")) - exact)
        for K in (40, 320)
    ]
    assert np.log(errors[0] / errors[1]) / math.log(8.0) == pytest.approx([order, order], abs=0.2)


def test_a_table_leaves_out_what_has_no_value() -> None:
    rows = error_table(VP, DIGITS, 1.0, [5], eps=[0.0, 1e-3])
    assert [r.sampler for r in rows] == [n for n in ROWS for _ in range(2)]
    none = {(r.sampler, r.eps) for r in rows if r.w2 is None}
    assert none == {("heun-t", 0.0), ("rk4-t", 0.0)}  # three pixels of the digits never change
    assert all("density" in r.why for r in rows if r.w2 is None)
    image = wbound.process("image-ve-v2")
    assert error_table(image, [1.0], 1.0, [5], samplers=["ei"], start="prior")[0].w2 is not None
    assert power_law()[[0, -1]] == pytest.approx([100.0, 1e-4], rel=0.01) and power_law().size == 3072


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"eps": 1.0}, "eps"),
        ({"eps": -1.0}, "eps"),
        ({"sampler": "rk5"}, "sampler"),
        ({"output": "scaled"}, "output"),
        ({"start": "centre"}, "start"),
        ({"K": 0}, "K"),
        ({"variances": [-1.0]}, "variances"),
        ({"variances": [[1.0]]}, "variances"),
    ],
)
def test_bad_input(change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"variances": [1.0], "T": 1.0, "K": 5, "sampler": "ei"} | change
    with pytest.raises(BadInput, match=said):
        w2_to_data(VP, **given)
    if "sampler" not in change and "K" not in change:
        given.pop("sampler"), given.pop("K")
        eps = [given.pop("eps")] if "eps" in given else [0.0]
        with pytest.raises(BadInput, match=said):
            error_table(
                VP, given.pop("variances"), 1.0, [5], eps=eps, **{k: v for k, v in given.items() if k != "T"}
            )


def test_times_are_checked() -> None:
    for times in ([1.0], [0.0, 1.0], [1.0, -0.5]):
        with pytest.raises(BadInput, match="times"):
            flow_gain(VP, [1.0], times, "euler-t")
    with pytest.raises(BadInput, match="f, g"):
        flow_gain(wbound.Process(f="0", g="t**-0.25"), [1.0], [1.0, 0.0], "heun-t")


def test_the_command(wb: Any, tmp_path: Path) -> None:
    csv = tmp_path / "rows.csv"
    got = wb.ask("gaussian-errors", "--data", "digits", "--K", "49,249", "-o", str(csv))
    rows = {(r["sampler"], r["K"], r["eps"]): r["w2"] for r in got["rows"]}
    assert got["d"] == 64 and got["output"] == "raw" and len(rows) == 2 * (2 + 6 * 2)
    assert rows["heun-t", 49, 0.001] == w2_to_data(VP, DIGITS, 1.0, 49, "heun-t", eps=1e-3)
    assert rows["heun-t", 49, 0.0] is None and "density" in next(iter(got["null_because"].values()))
    assert len(csv.read_text("utf-8").splitlines()) == 1 + len(rows)
    code, out, _ = wb("gaussian-errors", "--data", "4,1", "--K", "5", "--eps", "0", "--sampler", "em, heun")
    assert code == 0 and "heun" in out and "limit" not in out
    for words, said in (
        ("--data 4,1 --K 0", "K = 0"),
        ("--data 4,1 --eps 2", "eps = 2"),
        ("--data 4,1 --sampler rk5", "sampler = rk5"),
        ("--data 4,1 --output both", "output = both"),
        ("--data 4,1 --process ve-constant", "start = standard"),
        ("-p a=1", "process"),
    ):
        assert said in wb.refused("gaussian-errors", *words.split())
