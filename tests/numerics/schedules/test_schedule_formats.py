"""Schedules in the forms of others: round trips, files, and arrays that are no schedule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from numerics.schedules import schedule_object
from numerics.schedules.schedule_formats import (
    FORMS,
    Schedule,
    export,
    from_array,
    nearest,
    read,
    schedule,
    to_array,
)
from wbound.errors import BadInput, IOFailure
from wbound.exact.gaussian_law import exact_w2

DATA = wbound.LogConcave(d=2, m0=0.5, L0=2.0, second_moment=3.0, mean_norm=0.0)

#: The forms that need nothing else: timesteps need the training that they are indices of.
OWN = tuple(form for form in FORMS if form != "timesteps")


def close(log_lam: np.ndarray, other: np.ndarray, form: str) -> None:
    """λ to 1e-12 relative; for ᾱ, whose doubles hold 1 + λ, of 1 + λ."""
    assert log_lam.size == other.size
    assert other[-1] == -np.inf
    lam, back = np.exp(log_lam[:-1]), np.exp(other[:-1])
    scale = 1.0 + lam if form == "alphas_cumprod" else lam
    assert float((np.abs(back - lam) / scale).max()) <= 1e-12


@given(
    name=st.sampled_from([*wbound.CATALOGUE, "optimal-vp", "image-ve-v3"]),
    grid=st.sampled_from(sorted(wbound.GRIDS)),
    log_lam_T=st.floats(-1.0, 9.0),
    K=st.integers(1, 60),
)
def test_reading_back_gives_the_same_lam(name: str, grid: str, log_lam_T: float, K: int) -> None:
    p = wbound.process(name) if name != "image-ve-v3" else wbound.process(name, sigma_max=100.0)
    s = schedule(p, DATA, float(p.time_of(log_lam_T)), K, grid=grid)
    for form in OWN:
        try:
            array = to_array(s, form)
        except BadInput as error:
            # only ᾱ, β and times of a process near its end may be unable to hold a schedule
            assert form != "sigmas" and "cannot hold this schedule" in str(error)
            continue
        close(s.log_lam, from_array(array, form, process=p).log_lam, form)


@given(
    name=st.sampled_from(["ve-constant", "vp-linear", "sub-vp"]),
    grid=st.sampled_from(["uniform", "edm", "log_lam"]),
    log_delta=st.floats(-9.0, 0.0),
    K=st.integers(1, 40),
)
def test_a_schedule_that_ends_above_zero_is_read_back_with_its_end(
    name: str, grid: str, log_delta: float, K: int
) -> None:
    p = wbound.process(name)
    s = schedule(p, DATA, float(p.time_of(4.0)), K, grid=getattr(wbound.Grid, grid)(delta=np.exp(log_delta)))
    assert s.stopped_early and s.K == K and s.grid.nodes(p, None, None, None).stopped_early
    for form in OWN:
        array = to_array(s, form)
        assert array.size == K + 1
        back = from_array(array, form, process=p, stop="early")
        assert back.K == K
        scale = s.lam / (1.0 + s.lam) if form == "alphas_cumprod" else 1.0
        assert float((np.abs(back.lam / s.lam - 1.0) * scale).max()) <= 1e-12
        if form != "times":  # and a step to 0 follows where nobody says that it ends
            down = from_array(array, form, process=p)
            assert down.K == K + 1 and down.lam[:-1] == pytest.approx(back.lam) and not down.stopped_early


@pytest.mark.parametrize("suffix", [".npz", ".json", ".npy", ".csv"])
def test_files_of_what_ends_above_zero(suffix: str, tmp_path: Path) -> None:
    s = from_array([4.0, 1.0, 0.2], "sigmas", stop="early")
    path = export(s, tmp_path / f"s{suffix}", "sigmas")
    said = suffix in (".npz", ".json")  # they hold lam beside, which says where it ends
    assert read(path, "sigmas").stopped_early == said
    assert read(path, "sigmas", stop="early").log_lam == pytest.approx(s.log_lam, rel=1e-15)


@pytest.mark.parametrize(
    ("form", "values", "said"),
    [
        ("sigmas", [2.0, 1.0, 0.0], "last value 0: must end above 0 where stop = early"),
        ("sigmas", [2.0], "at least two where stop = early"),
        ("alphas_cumprod", [1.0, 0.5], "1 at index 0: must be above 0 and below 1"),
        ("timesteps", [3.0, 1.0], "goes with levels"),
    ],
)
def test_what_cannot_end_above_zero(form: str, values: list[float], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        from_array(values, form, stop="early", training=np.arange(4.0))
    with pytest.raises(BadInput, match="stop = late: must be"):
        from_array(values, form, stop="late")


def test_timesteps_hold_no_end_above_zero() -> None:
    s = from_array([4.0, 1.0, 0.2], "sigmas", stop="early")
    for call in (lambda t: nearest(s, t), lambda t: to_array(s, "timesteps", training=t)):
        with pytest.raises(BadInput, match=r"an end at sigma = 0.2: is in no list of timesteps"):
            call(np.linspace(-8.0, 4.0, 50))


@pytest.mark.parametrize("form", OWN)
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".json", ".txt", ".csv"])
def test_files(form: str, suffix: str, tmp_path: Path) -> None:
    p = wbound.process("vp-linear")
    s = schedule(p, DATA, 3.0, 12, grid="optimal")
    path = export(s, tmp_path / f"s{suffix}", form)
    back = read(path, form, process=p)
    close(s.log_lam, back.log_lam, form)
    kw = {"scheme": "hf", "start": "prior"}
    law = wbound.LogConcave(d=2, m0=0.5, L0=0.5, second_moment=4.0, mean_norm=0.0)
    assert exact_w2(p, law, grid=back.grid, **kw) == pytest.approx(
        exact_w2(p, law, grid=s.grid, **kw), rel=1e-9
    )


def test_forms_mean_what_samplers_take() -> None:
    p = wbound.process("vp-linear")
    s = schedule(p, DATA, 3.0, 4)
    t = 3.0 * np.arange(5) / 4
    bar = p.alpha(t) ** 2
    assert to_array(s, "alphas_cumprod") == pytest.approx(bar[1:], rel=1e-12)
    assert to_array(s, "betas") == pytest.approx(1 - bar[1:] / bar[:-1], rel=1e-12)
    assert to_array(s, "sigmas") == pytest.approx(np.sqrt((1 - bar) / bar)[::-1], rel=1e-12)
    assert to_array(s, "times") == pytest.approx(t[::-1], rel=1e-12)


def test_ddpms_linear_betas() -> None:
    s = from_array(np.linspace(1e-4, 0.02, 1000), "betas")
    assert 1.0 / (1.0 + s.lam[0]) == pytest.approx(4.0358e-5, rel=1e-4)
    assert s.K == 1000
    assert s.lam[-2] == pytest.approx(1e-4 / (1 - 1e-4), rel=1e-12)


def test_orders_and_ends() -> None:
    up = from_array([0.5, 1.0, 2.0], "sigmas")
    down = from_array([2.0, 1.0, 0.5, 0.0], "sigmas")
    assert (up.log_lam == down.log_lam).all()
    assert up.notes and not down.notes
    one = from_array([0.1, 0.5, 0.9], "alphas_cumprod")
    assert (one.log_lam == from_array([1.0, 0.9, 0.5, 0.1], "alphas_cumprod").log_lam).all()


@pytest.mark.parametrize(
    ("form", "values", "said"),
    [
        ("sigmas", [3.0, 1.0, 2.0], r"1, 2 at indices 1, 2: must be strictly monotone"),
        ("sigmas", [1.0, 3.0, 2.0], "must be strictly monotone"),
        ("sigmas", [3.0, np.nan, 1.0], "nan at index 1: must be finite"),
        ("sigmas", [3.0, 0.0, 0.0], "must be strictly monotone"),
        ("sigmas", [0.0], "must be > 0"),
        ("sigmas", [2.0, 1.0, -1.0], "must be > 0"),
        ("sigmas", [], "at least one value"),
        ("sigmas", [[1.0, 2.0]], r"shape \(1, 2\)"),
        ("sigmas", ["a"], "must be real numbers"),
        ("betas", [0.1, 0.0, 0.2], "0 at index 1: must be above 0 and below 1"),
        ("betas", [0.1, 1.0], "1 at index 1: must be above 0 and below 1: lam is infinite there"),
        ("betas", [1e-300, 1e-320], "indices 0, 1: two levels coincide"),
        ("betas", [0.1, np.inf], "must be finite"),
        ("alphas_cumprod", [0.9, 0.5, 0.7], "must be strictly monotone"),
        (
            "alphas_cumprod",
            [0.9, 0.5, 0.0],
            "0 at index 2: must be above 0 and below 1: lam is infinite there",
        ),
        (
            "alphas_cumprod",
            [0.0, 0.5, 0.9],
            "0 at index 0: must be above 0 and below 1: lam is infinite there",
        ),
        ("alphas_cumprod", [0.5, 0.9, 0.7], "0.9, 0.7 at indices 1, 2: must be strictly monotone"),
        ("alphas_cumprod", [1.0], "1 is the data"),
        ("alphas_cumprod", [1.5, 0.5], "must be above 0 and below 1"),
        ("times", [2.0, 1.0], "must end at 0"),
        ("timesteps", [2.0, 1.0], "indices: are of steps of training: give the configuration or the betas"),
        ("lambdas", [1.0], "form = lambdas: must be one of sigmas"),
    ],
)
def test_arrays_that_are_no_schedule(form: str, values: list[float], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        from_array(values, form, process=wbound.process("ve-constant"))
    assert "\n" not in str(caught.value)


def test_what_a_form_cannot_hold_is_refused(tmp_path: Path) -> None:
    s = schedule(wbound.process("ve-constant"), DATA, 1e14, 3, grid="edm")
    with pytest.raises(BadInput, match=r"as = betas: cannot hold this schedule .* write sigmas instead"):
        to_array(s, "betas")
    assert to_array(s, "sigmas")[0] == pytest.approx(1e7)
    huge = schedule(wbound.process("vp-polynomial"), DATA, 40.0, 3)
    with pytest.raises(BadInput, match="overflows"):
        to_array(huge, "sigmas")
    close = Schedule("close", np.array([1e-17, 0.0, -np.inf]), wbound.process("ve-constant"))
    with pytest.raises(BadInput, match="levels coincide in this form; two of its levels are one number"):
        to_array(close, "sigmas")
    with pytest.raises(BadInput, match="nor can sigmas"):
        to_array(close, "betas")
    with pytest.raises(BadInput, match="suffix"):
        export(s, tmp_path / "x.pt", "sigmas")
    with pytest.raises(IOFailure):
        export(s, tmp_path / "no" / "x.npy", "sigmas")


def test_files_that_are_no_schedule(tmp_path: Path) -> None:
    pickled = tmp_path / "p.npy"
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    cases = {
        pickled: "is no file of numbers that can be read",
        _written(tmp_path / "empty.npy", b""): "is no file of numbers",
        _written(tmp_path / "junk.npz", b"PK\x03\x04junk"): "is no file of numbers",
        _written(tmp_path / "cut.npy", b"\x93NUMPY\x01\x00v\x00{'descr'"): "is no file of numbers",
        _written(tmp_path / "a.json", b"{"): "must be JSON",
        _written(tmp_path / "b.json", b'{"betas": [1]}'): "must hold a list",
        _written(tmp_path / "c.json", b'[1, "x"]'): "must be a list of numbers",
        _written(tmp_path / "d.txt", b"1 2 x"): "must hold numbers only, not 'x'",
        _written(tmp_path / "e.txt", b"\xff\xfe"): "must be text in UTF-8",
    }
    two = tmp_path / "two.npz"
    np.savez(two, a=np.ones(2), b=np.ones(2))
    cases[two] = "holds a, b: must hold one array, or sigmas"
    for path, said in cases.items():
        with pytest.raises(BadInput, match=said) as caught:
            read(path, "sigmas")
        assert "\n" not in str(caught.value)
    with pytest.raises(IOFailure, match="cannot read"):
        read(tmp_path / "absent.npy", "sigmas")


def test_a_schedule_as_plain_values() -> None:
    s = schedule(wbound.process("ve-constant"), None, 4.0, 2)
    record = json.loads(json.dumps(s.to_dict(), allow_nan=False))
    assert record["lam"] == [4.0, 2.0, 0.0]
    assert record["process"] == "ve-constant"
    assert s.sigma_max == 2.0
    assert schedule_object.vp().lam(1.0) == pytest.approx(np.expm1(1.0))


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
