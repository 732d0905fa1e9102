"""Grids and nodes: where the steps are, and what a step's batch says about itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import referee

import wbound
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput
from wbound.sampler import grid as grids
from wbound.sampler import placement
from wbound.sampler.grid import Grid, Placed, grid_named
from wbound.sampler.steps import batch

Make = Callable[..., referee.Plain]
EVERY = pytest.mark.parametrize("make", referee.ALL.values(), ids=referee.ALL)


def stopping(times: np.ndarray) -> Grid:
    """A grid that stops before t = 0."""
    return Grid("early", "t", lambda request: times, True, times.size - 1)


def test_the_uniform_grid() -> None:
    p = wbound.process("vp-linear")
    nodes = Grid.uniform().nodes(p, None, 3.0, 7)
    np.testing.assert_allclose(nodes.t, 3.0 * (1 - np.arange(8) / 7), rtol=1e-15)
    assert nodes.t[0] == 3.0 and nodes.t[-1] == 0.0 and nodes.K == 7 and nodes.T == 3.0 and nodes.uniform
    assert nodes.last == (0.0, -np.inf) and not nodes.stopped_early
    assert nodes.first == pytest.approx((float(p.log_alpha(3.0)), float(p.log_lam(3.0))), rel=1e-15)
    for T in (0.1, 1.7, 1e-8, 1e6):
        t = Grid.uniform().nodes(wbound.process("ve-sqrt"), None, T, 1001).t
        assert t[0] == T and t[-1] == 0.0 and (np.diff(t) < 0).all()


@EVERY
def test_nodes_know_the_law_there(make: Make) -> None:
    p = make().made
    nodes = Grid.uniform().nodes(p, None, 2.5, 9)
    np.testing.assert_allclose(nodes.log_alpha, p.log_alpha(nodes.t), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(nodes.log_lam, p.log_lam(nodes.t), rtol=1e-12, atol=1e-13)
    b = nodes.batch
    lam = p.lam(nodes.t)
    np.testing.assert_allclose(b.ratio[:-1], lam[:-2] / lam[1:-1] - 1, rtol=1e-11)
    assert b.ratio[-1] == np.inf and b.gap[-1] == np.inf
    np.testing.assert_allclose(b.gap[:-1], np.diff(-np.log(lam[:-1])), rtol=1e-11)
    np.testing.assert_allclose(b.sigma2_lo, p.sigma2(nodes.t[1:]), rtol=1e-12)
    np.testing.assert_allclose(b.sigma2_hi, p.sigma2(nodes.t[:-1]), rtol=1e-12)
    assert b.size == 9


@EVERY
def test_blocks_go_backward_and_cover_every_step(make: Make) -> None:
    p = make().made
    nodes = Grid.uniform().nodes(p, None, 2.0, 25)
    seen = []
    for where, block in nodes.blocks(7):
        seen.append(where)
        for name in ("t_lo", "t_hi", "log_lam_lo", "log_lam_hi", "log_alpha_lo", "log_alpha_hi", "ratio"):
            np.testing.assert_allclose(
                getattr(block, name), getattr(nodes.batch, name)[where], rtol=1e-12, atol=1e-13
            )
        for name in ("F", "G", "Q", "C", "E"):
            np.testing.assert_allclose(
                getattr(block.steps, name), getattr(nodes.batch.steps, name)[where], rtol=1e-12
            )
    assert [(s.start, s.stop) for s in seen] == [(18, 25), (11, 18), (4, 11), (0, 4)]


@EVERY
def test_steps_need_not_be_neighbours(make: Make) -> None:
    p = make().made
    one = batch(p, np.array([0.5, 0.0, 1.9]), np.array([0.9, 1e-3, 2.0]))
    for i, (lo, hi) in enumerate(((0.5, 0.9), (0.0, 1e-3), (1.9, 2.0))):
        alone = Grid.from_t([hi, lo] if lo == 0 else [hi, lo, 0.0]).nodes(p, None, None, None).batch
        assert one.log_lam_hi[i] == pytest.approx(alone.log_lam_hi[0], rel=1e-12, abs=1e-13)
        assert one.steps.Q[i] == pytest.approx(alone.steps.Q[0], rel=1e-12)
        assert one.ratio[i] == pytest.approx(alone.ratio[0], rel=1e-11)


@EVERY
def test_explicit_grids_in_three_coordinates(make: Make) -> None:
    """The same nodes as times, as λ and as σ = √λ."""
    p = make().made
    t = np.array([2.0, 1.5, 0.6, 0.1, 0.0])
    lam = p.lam(t)
    by_t = Grid.from_t(t).nodes(p, None, None, None)
    by_lam = Grid.from_lam(lam).nodes(p, None, None, None)
    by_sigma = Grid.from_sigma(np.sqrt(lam)).nodes(p, None, 2.0, 4)
    for nodes in (by_lam, by_sigma):
        np.testing.assert_allclose(nodes.t, by_t.t, rtol=1e-11)
        np.testing.assert_allclose(nodes.log_lam, by_t.log_lam, rtol=1e-12, atol=1e-13)
        assert nodes.K == 4 and not nodes.uniform
    assert by_t.T == 2.0


def test_a_grid_is_a_value_with_a_name() -> None:
    own = Grid.from_t([1.0, 0.0])
    assert grid_named(own) is own
    assert grid_named("uniform").name == "uniform"


def test_a_grid_that_stops_early() -> None:
    p = wbound.process("vp-linear")
    nodes = stopping(np.array([2.0, 1.0, 0.25])).nodes(p, None, None, None)
    assert nodes.stopped_early
    assert nodes.last == pytest.approx((float(p.log_alpha(0.25)), float(p.log_lam(0.25))), rel=1e-14)
    assert np.isfinite(nodes.batch.ratio).all()


@pytest.mark.parametrize(
    ("of", "values", "said"),
    [
        (Grid.from_t, [0.0, 1.0], "0, 1 at index 0: must be strictly decreasing"),
        (Grid.from_t, [2.0, 1.0, 1.0, 0.0], "1, 1 at index 1: must be strictly decreasing"),
        (Grid.from_t, [2.0, 1.0, 0.5], "last value 0.5: must end at 0 exactly"),
        (Grid.from_t, [2.0, 1.0, -0.5], "must end at 0 exactly"),
        (Grid.from_t, [2.0, float("nan"), 0.0], "nan at index 1: must be finite"),
        (Grid.from_lam, [float("inf"), 1.0, 0.0], "inf at index 0: must be finite"),
        (Grid.from_sigma, [0.0], "must be a vector (K+1,) with K >= 1"),
        (Grid.from_t, [[1.0, 0.0]], "must be a vector (K+1,)"),
        (Grid.from_t, "uniform", "must be numbers"),
        (Grid.from_t, None, "grid times"),
    ],
)
def test_arrays_that_are_no_grid(of: Callable[[object], Grid], values: object, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        of(values)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("grid", [np.linspace(1, 0, 5), [1.0, 0.0], None, 3])
def test_a_bare_array_is_refused(grid: object) -> None:
    with pytest.raises(BadInput, match=r"say Grid\.from_t, Grid\.from_lam or Grid\.from_sigma of an array"):
        grid_named(grid)


def test_a_grid_and_what_is_typed_beside_it() -> None:
    p = wbound.process("vp-linear")
    grid = Grid.from_t([2.0, 1.0, 0.0])
    grid.nodes(p, None, 2.0, 2)
    with pytest.raises(BadInput, match="K = 3: the grid given has 2 steps"):
        grid.nodes(p, None, None, 3)
    with pytest.raises(BadInput, match="T = 2.5: the grid given starts at T = 2"):
        grid.nodes(p, None, 2.5, None)
    with pytest.raises(BadInput, match="coincide in double precision"):
        Grid.from_t([2.0, 1.0, 1e-320, 0.0]).nodes(wbound.process("ve-constant"), None, None, None).batch  # noqa: B018
        Grid.from_lam([2.0, np.nextafter(2.0, 0), 0.0]).nodes(p, None, None, None)
    with pytest.raises(BadInput, match="never reached"):
        Grid.from_lam([2.0, 0.0]).nodes(wbound.Process(f="0", g="exp(-t)"), None, None, None)


@pytest.mark.parametrize(
    ("T", "K", "said"),
    [
        (0, 5, "T = 0: must be a finite number > 0"),
        (-1.0, 5, "T = -1.0: must be a finite number > 0"),
        (float("nan"), 5, "T = nan"),
        (float("inf"), 5, "T = inf"),
        (None, 5, "T = None"),
        ("4", 5, "T = 4"),
        (1.0, 0, "K = 0: must be an integer >= 1"),
        (1.0, -3, "K = -3: must be an integer >= 1"),
        (1.0, 2.5, "K = 2.5: must be an integer >= 1"),
        (1.0, float("nan"), "K = nan"),
        (1.0, None, "K = None"),
        (1.0, 10**400, "K = 1"),
        (1.0, 10**9, "use wbound.iterations"),
    ],
)
def test_T_and_K_out_of_range(T: object, K: object, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Grid.uniform().nodes(wbound.process("vp-linear"), None, T, K)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_K_may_be_an_integral_float() -> None:
    assert Grid.uniform().nodes(wbound.process("ou"), None, 1.0, 1e2).K == 100  # type: ignore[arg-type]
    assert Grid.uniform().nodes(wbound.process("ou"), None, np.float32(1), np.int64(3)).K == 3  # type: ignore[arg-type]


NOT_HELD = {
    "uniform": Grid.uniform(),
    "uniform, stopped": Grid.uniform(delta=0.01),
    "power": Grid.power(2.5),
    "log-lam": Grid.log_lam(sigma_min=0.01),
    "log-lam, stopped": Grid.log_lam(delta=0.01),
    "edm": Grid.edm(rho=5.0),
    "edm, stopped": Grid.edm(delta=0.01),
    **{name: grid_named(name) for name in ("optimal", "gaussian", "cosine", "tangent", "sinh")},
    "from_t": Grid.from_t(3.0 * np.linspace(1.0, 0.0, 1001) ** 2),
    "from_lam": Grid.from_lam(3.0 * np.linspace(1.0, 0.0, 1001) ** 2),
    "from_sigma": Grid.from_sigma(3.0 * np.linspace(1.0, 0.1, 1001) ** 2, stop="early"),
}


@pytest.mark.parametrize("name", NOT_HELD)
def test_nodes_that_are_not_held_are_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every grid but one of your own gives its nodes block by block; the same as all at once."""
    p, data, made = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 2.0, 4.0), NOT_HELD[name]
    T, K = (None, None) if made.explicit else (3.0, 1000)
    held = made.nodes(p, data, T, K)
    monkeypatch.setattr(grids, "HELD", 100)
    monkeypatch.setattr(grids, "BLOCK", 64)
    nodes = made.nodes(p, data, T, K)
    # the times of an explicit grid of times are the array that was given
    assert isinstance(held.t, np.ndarray) and isinstance(nodes.t, Placed) == (name != "from_t")
    assert (len(nodes.t), nodes.K) == (1001, 1000)
    np.testing.assert_allclose((nodes.first, nodes.last), (held.first, held.last), rtol=1e-13)
    np.testing.assert_allclose(np.asarray(nodes.t), held.t, rtol=1e-13)
    for part in (
        slice(0, 1),
        slice(-1, None),
        slice(300, 512),
        slice(None, None, 2),
        slice(900, 5000),
        np.array([0, 5, 1000]),
    ):
        np.testing.assert_allclose(nodes.t[part], held.t[part], rtol=1e-13)
    for at in (0, 17, -1):
        assert nodes.t[at] == pytest.approx(held.t[at], rel=1e-13)
    lam = np.concatenate([b.log_lam_lo for b in nodes.onward()])
    np.testing.assert_allclose(lam, held.log_lam[1:], rtol=1e-13, atol=1e-13)
    back = np.concatenate([b.log_lam_hi for _, b in nodes.blocks()][::-1])
    np.testing.assert_allclose(back, held.log_lam[:-1], rtol=1e-13, atol=1e-13)
    monkeypatch.setattr(grids, "SAMPLED", 80)
    few, counts = nodes.sampled()
    assert counts.size <= 81 and counts.sum() == 1000 and (counts[-10:] == 1.0).all()
    at = (np.cumsum(counts) - counts + counts // 2).astype(int)
    np.testing.assert_allclose(few.t_hi, held.t[at], rtol=1e-13)
    np.testing.assert_allclose(few.log_lam_lo, held.log_lam[at + 1], rtol=1e-13, atol=1e-13)


def test_a_spectrum_s_grid_is_the_same_in_blocks() -> None:
    data = Gaussian(np.zeros(3), np.diag([0.1, 1.0, 4.0]))
    whole = placement.tangent(3.0, 40, data)
    parts = [placement.tangent(3.0, 40, data, at=np.arange(a, a + 10)) for a in (0, 10, 20, 30)]
    np.testing.assert_allclose(np.concatenate(parts), whole[:-1], rtol=1e-13)


def test_nodes_that_are_not_held_may_coincide_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked at as they are made."""
    monkeypatch.setattr(grids, "HELD", 100)
    near = 1.0 - 1e-16 * np.arange(300)
    lam = np.append(np.unique(near)[::-1], np.linspace(0.5, 0.0, 200))
    nodes = Grid.from_lam(lam).nodes(wbound.process("vp-linear"), None, None, None)
    with pytest.raises(BadInput, match="coincide in double precision"):
        next(nodes.onward())


def test_a_grid_of_your_own_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbound.memory.available", lambda: 1e9)
    own = Grid("own", "t", lambda r: r.T * (1.0 - np.arange(r.K + 1) / r.K))
    with pytest.raises(BadInput, match="a grid of your own, whose nodes are held"):
        own.nodes(wbound.process("vp-linear"), None, 1.0, 10_000_000)
