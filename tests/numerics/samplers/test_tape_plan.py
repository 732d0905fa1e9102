"""Tapes and multistep schemes where a scheme goes: exact W2, samples with any target's score, rankings, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import numerics
import wbound
from numerics.samplers.sampling import sample
from numerics.samplers.tape_plan import TapePlan
from numerics.schedules.choice import choose
from numerics.targets.datasets import from_spectrum
from numerics.targets.mixtures import GaussianMixture
from numerics.transport.gaussians import gaussian_w2
from numerics.verification.verdict import Followed, follow, verify
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import setting
from wbound.sampler.multistep import MULTISTEP, ddim, multistep_named
from wbound.sampler.scheme import SCHEMES, Scheme, scheme_named
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of

VP = wbound.process("vp-linear", a=1.0, b=0.5)
COV = np.array([[2.0, 0.3], [0.3, 0.1]])
DATA = numerics.Gaussian([1.0, -0.5], COV)
NAMES = (*MULTISTEP, "ddim(eta=0.5)")


def levels_for(name: str) -> str:
    return "log-lam" if name == "ddim-inflated" else "edm"


def made(scheme: str, K: int = 10, **more: Any) -> Tape:
    more.setdefault("grid", "log-lam" if scheme == "ddim-inflated" else "uniform")
    return tape_of(setting(VP, DATA, 4.0, K, scheme=scheme, **more))


# ------------------------------------------------------------------------------------------- the exact law


@pytest.mark.parametrize("name", NAMES)
def test_exact_w2_by_name_is_the_tapes(name: str) -> None:
    """Starts, a grid that stops early, and the tape itself where a scheme goes."""
    grid = levels_for(name)
    for start in ("prior", "exact", "standard"):
        w2 = exact_w2(VP, DATA, T=4.0, K=10, scheme=name, start=start, grid=grid)
        t = made(name, start=start, grid=grid)
        own = "exact" if start == "exact" else "own"
        assert w2 == pytest.approx(tape_law(t, DATA.eigenvalues, start=own).w2(DATA.coordinates), rel=1e-12)
        assert exact_w2(None, DATA, scheme=t, start=own) == pytest.approx(w2, rel=1e-12)
    early = Grid.log_lam(delta=0.04)
    w2 = exact_w2(VP, DATA, T=4.0, K=10, scheme=name, grid=early)
    t = made(name, grid=early)
    assert exact_w2(None, DATA, scheme=t) == pytest.approx(w2, rel=1e-12)
    assert t.level_out == pytest.approx(0.04) and 0.0 < t.alpha_out < 1.0


def test_eta_at_its_ends_is_a_scheme_of_section_3() -> None:
    for eta, scheme in ((0.0, "ddim"), (1.0, "ddpm")):
        for grid in ("uniform", "edm", Grid.log_lam(delta=0.01)):
            a = exact_w2(VP, DATA, T=4.0, K=9, scheme=f"ddim(eta={eta})", grid=grid)
            assert a == pytest.approx(exact_w2(VP, DATA, T=4.0, K=9, scheme=scheme, grid=grid), rel=1e-11)
        assert exact_w2(VP, DATA, T=4.0, K=9, scheme=ddim(eta)) == pytest.approx(
            exact_w2(VP, DATA, T=4.0, K=9, scheme=scheme), rel=1e-11
        )


def test_collapsed_directions_and_singular_ones() -> None:
    """An eigenvalue of 0, and one of which the sampler leaves next to nothing."""
    data = numerics.Gaussian(np.zeros(3), np.diag([4.0, 1e-9, 0.0]))
    w2 = exact_w2(VP, data, T=4.0, K=6, scheme="dpmpp-2m")
    law = tape_law(tape_of(setting(VP, data, 4.0, 6, scheme="dpmpp-2m")), [4.0, 1e-9, 0.0])
    assert w2 == pytest.approx(law.w2(), rel=1e-12)


def test_what_a_tape_takes_not() -> None:
    t = made("dpmpp-2m")
    assert exact_w2(VP, DATA, K=10, scheme=t) > 0.0
    for more, named in (
        ({"T": 4.0}, "T = "),
        ({"K": 11}, "K = 11"),
        ({"grid": "edm"}, "grid = edm"),
        ({"score_noise": 0.1}, "score_noise"),
        ({"start": "no"}, "start"),
    ):
        with pytest.raises(BadInput, match=named):
            exact_w2(VP, DATA, scheme=t, **more)
        with pytest.raises(BadInput, match=named):
            sample(VP, DATA, n=4, scheme=t, **more)
    with pytest.raises(BadInput, match="score_bias"):
        sample(VP, DATA, n=4, scheme=t, score_bias=0.1)
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        exact_w2(VP, wbound.LogConcave(d=2, m0=0.5, L0=2.0, second_moment=2.0), scheme=t)
    for call in (exact_w2, sample):
        with pytest.raises(BadInput, match="process = None"):
            call(None, DATA, 4.0, 5, scheme="dpmpp-2m")


@pytest.mark.parametrize("name", ["dpmpp-2m", "ab3", "ddim(eta=0.5)", "ddim-inflated", "ddim-shifted"])
def test_what_has_no_bound_is_refused_by_name(name: str) -> None:
    for theorem in ("sharp", "published"):
        with pytest.raises((HypothesisFailed, BadInput), match="Theorem|scheme"):
            wbound.w2_bound(
                VP, DATA, T=4.0, K=10, scheme=name, theorem=theorem, M1="exact", grid=levels_for(name)
            )
        with pytest.raises((HypothesisFailed, BadInput), match="Theorem|scheme"):
            verify(VP, DATA, 4.0, 10, scheme=name, theorem=theorem, n=0)
    with pytest.raises(HypothesisFailed, match="tape"):
        verify(VP, DATA, scheme=made(name), theorem="sharp", n=0)
    with pytest.raises(HypothesisFailed, match="exact score"):
        exact_w2(VP, DATA, T=4.0, K=10, scheme=name, score_noise=0.1, grid=levels_for(name))
    with pytest.raises(HypothesisFailed, match="known by its tape"):
        scheme_named(name).steps(setting(VP, DATA, 4.0, 3).nodes.batch)


def test_a_scheme_of_ones_own_is_not_called_like_one_of_these() -> None:
    own = Scheme("dpmpp-2m", "mine", "ode", SCHEMES["ddim"].steps, "here")
    with pytest.raises(BadInput, match="name of another scheme"):
        scheme_named(own)
    assert scheme_named(MULTISTEP["unipc"]).memory is MULTISTEP["unipc"]
    assert scheme_named(scheme_named("unipc")).name == "unipc"
    with pytest.raises(BadInput, match=r"scheme = nothing: must be one of em.*ddim.*dpmpp-2m.*ddim\(eta"):
        scheme_named("nothing")


def test_a_level_beyond_doubles() -> None:
    p = wbound.process("vp-linear", a=1.0, b=0.5)
    with pytest.raises(BadInput, match="too large for a tape"):
        exact_w2(p, DATA, T=60.0, K=10, scheme="dpmpp-2m")


# ------------------------------------------------------------------------------------------- samples


def same_moments(x: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> None:
    """Within 5 standard errors."""
    n = len(x)
    assert (np.abs(x.mean(axis=0) - mean) < 5.0 * np.sqrt(np.diag(cov) / n)).all()
    spread = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / n)
    assert (np.abs(np.cov(x.T) - cov) < 5.0 * spread).all()


def _constant(t: Tape, start: str) -> np.ndarray:
    """What the output's mean has on (1, …, 1), by coordinates: the offsets meet the covariance there."""
    law = tape_law(t, DATA.eigenvalues, start=start)
    vectors = np.eye(2) if DATA.vectors is None else DATA.vectors
    return np.asarray(vectors @ (law.mean_offset * (vectors.T @ np.ones(2))))


def output(t: Tape, start: str = "own") -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a tape's output on `DATA`."""
    law = tape_law(t, DATA.eigenvalues, start=start)
    vectors = np.eye(2) if DATA.vectors is None else DATA.vectors
    mean = vectors @ (law.mean_gain * DATA.coordinates) + _constant(t, start)
    return mean, vectors @ np.diag(law.variance) @ vectors.T


@pytest.mark.parametrize(
    "name",
    ["dpmpp-2m", "ab3", "unipc-3", "ddim(eta=0.5)", "heun", "ddpm", "ddim-inflated", "ddim-shifted"],
)
@pytest.mark.parametrize("start", ["prior", "exact"])
def test_samples_have_the_exact_law(name: str, start: str) -> None:
    grid = levels_for(name)
    t, own = made(name, start=start, grid=grid), "exact" if start == "exact" else "own"
    mean, cov = output(t, own)
    same_moments(sample(None, DATA, n=20_000, scheme=t, seed=3, start=own), mean, cov)
    if name not in SCHEMES:
        x = sample(VP, DATA, 4.0, 10, 20_000, name, 4, start=start, grid=grid)
        same_moments(x, mean, cov)


def test_offsets_an_own_mean_and_levels_at_both_ends() -> None:
    """A tape that begins at pure noise, asks at λ = 0 (where the answer is the score), and adds what it likes."""
    t = Tape(
        levels=[math.inf, 3.0, 0.0],
        start=[1.0, 0.4, 0.2, 0.1],
        answers=[[0, 0, 0], [0.3, 0, 0], [0.1, 0.6, 0], [0.05, 0.7, 0.02]],
        noises=[[0, 0], [0.5, 0], [0.1, 0.2], [0.1, 0.1]],
        offsets=[0.0, 0.1, -0.2, 0.3],
        start_level=math.inf,
        start_std=1.1,
        start_mean=0.4,
    )
    for start in ("own", "standard", "exact", "prior"):
        x = sample(None, DATA, n=20_000, scheme=t, seed=5, start=start)
        mean, cov = output(t, start)
        same_moments(x, mean, cov)
        w2 = gaussian_w2(mean, cov, DATA.mean, DATA.cov)  # the output's axes are the data's
        assert exact_w2(None, DATA, scheme=t, start=start) == pytest.approx(w2, rel=1e-9)
    with pytest.raises(HypothesisFailed, match="independent directions"):
        follow(None, DATA, scheme=t, n=300)


@pytest.mark.parametrize("name", ["dpmpp-2m", "ab3", "ddim(eta=0.5)"])
def test_by_recurrence_and_holding_everything(name: str) -> None:
    """The same bits where nothing is forgotten, up to rounding."""
    t = made(name, K=14, grid="edm")
    plain = Tape(
        **{k: getattr(t, k) for k in ("levels", "start", "answers", "noises", "offsets")},
        start_level=t.start_level,
        start_std=t.start_std,
    )
    plain.__dict__["recurrence"] = None
    a, b = (sample(None, DATA, n=200, scheme=one, seed=1) for one in (t, plain))
    assert a == pytest.approx(b, rel=1e-9, abs=1e-9)


def test_one_seed_one_array_and_chunks() -> None:
    t = made("ddim(eta=0.5)")
    a, b = (sample(None, DATA, n=500, scheme=t, seed=7, threads=k) for k in (1, 2))
    assert np.array_equal(a, b)


def test_any_targets_score() -> None:
    """Two clusters: ddim by its tape is ddim by its own plan from one start; on many steps all are the flow."""
    target = GaussianMixture([[-1.0, 0.5], [1.0, -0.5]], 0.3)
    s = setting(VP, target, 4.0, 12, scheme="ddim", grid="edm")
    x = sample(VP, target, 4.0, 12, 4000, "ddim", 2, grid="edm")
    y = sample(None, target, n=4000, scheme=tape_of(s), seed=2)
    assert x == pytest.approx(y, rel=1e-8, abs=1e-8)
    many = [
        sample(VP, target, 4.0, 160, 50, name, 2, grid="edm") for name in ("heun", "dpmpp-2m", "unipc", "ab3")
    ]
    for x in many[1:]:
        assert np.abs(x - many[0]).max() < 0.02


def test_a_target_that_does_not_know_its_mean() -> None:
    class Blind:
        d, mean_norm = 2, None

        def score(self, x: np.ndarray, alpha: float, sigma2: float) -> np.ndarray:
            return -x

    t = Tape([math.inf], [1.0, 0.0], [[0.0], [1.0]], np.zeros((2, 0)), [0.0, 0.0], math.inf, 1.0)
    with pytest.raises(BadInput, match="its mean"):
        TapePlan(t, Blind())


# ------------------------------------------------------------------------------------------- held against their law


@pytest.mark.parametrize("name", ["dpmpp-2m", "unipc", "ddim(eta=0.5)", "ddim-inflated"])
def test_follow(name: str) -> None:
    by_name = follow(VP, DATA, 4.0, 10, scheme=name, grid=levels_for(name), n=300)
    by_tape = follow(None, DATA, scheme=made(name, grid=levels_for(name)), n=300)
    for found in (by_name, by_tape):
        assert found.agreement.holds
    assert by_name.referee.w2 == pytest.approx(by_tape.referee.w2, rel=1e-12)
    with pytest.raises(HypothesisFailed, match="Gaussian data"):
        follow(None, GaussianMixture([[-1.0], [1.0]], 0.3), scheme=made(name))


def test_verify_takes_a_tape_where_it_takes_a_scheme() -> None:
    """It is `follow`: the same numbers from the same seed; and what a tape has not is refused."""
    t = made("dpmpp-2m", grid="edm")
    found, same = verify(None, DATA, scheme=t, n=300, seed=3), follow(None, DATA, scheme=t, n=300, seed=3)
    assert isinstance(found, Followed) and found.reason == same.reason and found.agreement.holds
    own = sample(None, DATA, n=5000, scheme=t, seed=8)
    assert verify(None, DATA, scheme=t, samples=own, n=300).agreement.holds
    assert not verify(None, DATA, scheme=t, samples=1.1 * own, n=300).agreement.holds
    options: list[tuple[dict[str, Any], str]] = [
        ({"theorem": "sharp"}, "Theorem 2 does not apply.*no bound is computed for a tape"),
        ({"theorem": "published"}, "Theorem 1 does not apply"),
        ({"n": 0}, "at least 16 for a tape"),
        ({"score_bias": 0.1}, "score_bias"),
        ({"score_noise": 0.1}, "score_noise"),
        ({"T": 2.0}, "T = 2"),
        ({"grid": "edm"}, "grid"),
        ({"samples": own[:5]}, "samples"),
    ]
    for option, words in options:
        with pytest.raises((BadInput, HypothesisFailed), match=words):
            verify(None, DATA, scheme=t, **option)
    with pytest.raises(BadInput, match="process = None"):
        verify(None, DATA, 4.0, 10)


def test_follow_sees_another_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ran has other levels than its law was computed for."""
    t = made("dpmpp-2m", grid="edm")
    other = made("dpmpp-2m", K=3, grid="edm")
    monkeypatch.setattr(
        "numerics.verification.outputs_and_law.sample",
        lambda *_, **__: sample(None, DATA, n=20_000, scheme=other),
    )
    assert not follow(None, DATA, scheme=t, n=300).agreement.holds


# ------------------------------------------------------------------------------------------- rankings


def test_ddims_variants_are_ranked() -> None:
    """On a spectrum of two decades the inflated start is nearer than ddim's, on geometric levels alone, and says so; where
    there are none it is refused."""
    data = from_spectrum(np.geomspace(0.1, 10.0, 12))
    names = ["ddim", "ddim-inflated", "ddim-shifted"]
    ranking = choose(data, 12, scheme=names, processes=["vp-linear"], numerical=False)
    best = {name: min(row.error for row in ranking.rows if row.scheme == name) for name in names}
    assert best["ddim-inflated"] < 0.1 * best["ddim"] and best["ddim-shifted"] < 0.5 * best["ddim"]
    assert {row.grid for row in ranking.rows if row.scheme == "ddim-inflated"} == {"log-lam"}
    assert any("made for Gaussian data" in line for line in ranking.limits)
    for steps, grids in ((1, None), (12, ["cosine", "edm"])):
        with pytest.raises(BadInput, match="grid = .*has no levels on which ddim-inflated runs at K"):
            choose(data, steps, scheme="ddim-inflated", processes=["vp-linear"], grids=grids)


def test_rows_at_equal_network_calls() -> None:
    """On a spectrum that falls like a power, at 15 calls: 2M is nearer than any ddim."""
    data = from_spectrum(100.0 * np.arange(1.0, 65.0) ** -1.72)
    names = ["ddim", "heun", "dpmpp-2m", "unipc", "ddim(eta=0.5)"]
    ranking = choose(
        data, 15, scheme=names, processes=["vp-linear"], grids=["log-lam", "edm"], numerical=False
    )
    assert {row.scheme for row in ranking.rows} == set(names)
    assert {(row.scheme, row.calls) for row in ranking.rows} == {(name, 15) for name in names}
    best = {name: min(row.error for row in ranking.rows if row.scheme == name) for name in names}
    assert max(best["unipc"], best["dpmpp-2m"]) < 0.7 * best["ddim"] and best["ddim"] < best["ddim(eta=0.5)"]
    assert any("15 network calls" in line for line in ranking.limits)
    row = next(row for row in ranking.rows if row.scheme == "dpmpp-2m")
    assert row.process == "any" and row.T is None
    tape = multistep_named("dpmpp-2m").tape(np.exp(row.log_lam))
    for start, value in (("prior", row.w2), ("exact", row.w2_exact_start)):
        law = tape_law(tape, data.gaussian.eigenvalues, start=start)
        assert law.w2(data.gaussian.coordinates) == pytest.approx(value, rel=1e-9)


def test_the_least_steps_of_a_multistep_scheme() -> None:
    data = from_spectrum([4.0, 1.0, 0.1])
    ranking = choose(data, eps_rel=0.01, scheme="dpmpp-2m", processes=["vp-linear"], grids=["log-lam"])
    (row,) = ranking.rows
    assert (
        row.error
        <= ranking.eps
        < choose(data, row.K - 1, scheme="dpmpp-2m", processes=["vp-linear"], grids=["log-lam"]).best.error
    )
    assert any("not optimised one by one for dpmpp-2m" in line for line in ranking.limits)
