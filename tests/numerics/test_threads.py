"""The public API from many threads at once: the numbers of one thread, to the bit, and no exception."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numerics
import wbound
from numerics import (
    Gaussian,
    LogCosh,
    ProductTarget,
    SymmetricMixture,
    coupled_exact,
    coupled_paths,
    exact_w2,
    law1d_w2,
    sample,
    verify,
)
from numerics.io import writing
from numerics.transport import samples

THREADS, ROUNDS = 12, 3
KINK = "1 + abs(t - 1)"


class Shared:
    """The objects that all threads use; made anew, so that nothing of theirs is computed yet."""

    def __init__(self) -> None:
        self.named = wbound.process("vp-linear", a=1.3, b=0.4)
        self.own = wbound.Process(f="0", g=KINK)
        self.general = wbound.Process(f="t/(1+t)", g="sqrt(1+t)")
        self.facts = wbound.LogConcave(3, 0.5, 2.0, 4.0, 0.0)
        self.law = Gaussian([1.0, 0.0], [[2.0, 0.3], [0.3, 1.0]])
        self.mixture = SymmetricMixture([0.6, 0.2], 1.0)
        self.cosh = LogCosh(2, 0.5, 2.0)
        self.density = ProductTarget("-x**2/2 - log(cosh(x))/4", 2)
        self.points = np.random.default_rng(0).standard_normal((60, 2))


#: What is asked of the shared objects: (name, call). Everything a cache stands behind is here.
CALLS: dict[str, Callable[[Shared], Any]] = {
    "expressions": lambda s: str(s.general.expr.alpha),
    "clock": lambda s: s.general.log_lam(np.linspace(0.1, 3.0, 7)).tolist(),
    "inverse": lambda s: [float(s.general.time_of(v)) for v in (-1.0, 0.0, 1.0)],
    "crossings": lambda s: [s.own.crossing(0.01 * k) for k in range(90)],  # more than are kept
    "bound, named": lambda s: wbound.w2_bound(s.named, s.facts, T=3.0, K=40, scheme="em").total,
    "bound, own": lambda s: wbound.w2_bound(s.own, s.facts, T=3.0, K=40, scheme="hf").total,
    "bound, ode": lambda s: wbound.w2_bound(s.named, s.facts, T=3.0, K=40, scheme="ddim").total,
    "bound, ancestral": lambda s: wbound.w2_bound(s.named, s.facts, T=3.0, K=40, scheme="ddpm").total,
    "bound, published": lambda s: (
        wbound.w2_bound(s.named, s.law, T=3.0, K=4000, theorem="published", M1=0.3).total
    ),
    "iterations": lambda s: wbound.iterations(s.own, s.facts, eps=0.3, scheme="hf").K,
    "orders": lambda s: wbound.orders(s.own).text,
    "exact": lambda s: exact_w2(s.named, s.law, T=3.0, K=30, scheme="em"),
    "optimal": lambda s: wbound.optimal_grid(s.facts, K=9, lam_max=1e3).tolist(),
    "levels": lambda s: wbound.sigmas([4.0, 1.0], K=5).tolist(),
    "lower": lambda s: wbound.lower_bound(d=3, sigma0=1.0, eps=0.1).K,
    "grid": lambda s: wbound.w2_bound(s.general, s.facts, T=3.0, K=20, scheme="hf", grid="edm").total,
    "early": lambda s: (
        wbound.w2_bound(
            s.named, s.facts, T=3.0, K=20, scheme="hf", grid=wbound.Grid.uniform(delta=1e-3)
        ).total
    ),
    "certified": lambda s: wbound.certify(
        wbound.process("ou"), wbound.LogConcave(2, 1.0, 1.0, 2.0, 0.0), T=2.0, K=2, scheme="hf", bits=128
    ).to_json(),
    "certified, other precision": lambda s: wbound.certify(
        wbound.process("ou"), wbound.LogConcave(2, 1.0, 1.0, 2.0, 0.0), T=2.0, K=2, scheme="hf", bits=256
    ).to_json(),
    "score, mixture": lambda s: s.mixture.score(s.points, 0.7, 0.9).tolist(),
    "samples, gaussian": lambda s: sample(s.named, s.law, T=3.0, K=8, n=50, seed=1).tolist(),
    "samples, cosh": lambda s: sample(s.named, s.cosh, T=3.0, K=6, n=50, scheme="hf", seed=2).tolist(),
    "samples, density": lambda s: sample(s.named, s.density, T=3.0, K=4, n=40, scheme="hf", seed=3).tolist(),
    "transport": lambda s: samples.empirical_w2(s.points, s.points + 0.5).w2,
    "paths": lambda s: coupled_paths(s.named, s.mixture, T=3.0, K=6, n=40, seed=4, progress=False).error,
    "paths, exact": lambda s: coupled_exact(s.named, s.law, T=3.0, K=6, n=40, seed=5, progress=False).error,
    "law": lambda s: law1d_w2(s.named, s.density, T=3.0, K=3, scheme="hf").w2,
    "bounded": lambda s: (
        wbound.w2_bound(s.named, wbound.bounded_data(1.0, 0.5, 3, 1.5), T=3.0, K=20, scheme="hf").total
    ),
    "stopped": lambda s: (
        wbound.w2_bound(
            s.named,
            wbound.early_stopped(1.0, 0.1, 3, 1.0),
            T=3.0,
            K=20,
            scheme="hf",
            grid=wbound.Grid.uniform(delta=0.1),
        ).total
    ),
    "compared": lambda s: [cell.derived for cell in wbound.compare(wbound.process("ou"))],
    "published": lambda s: {name: list(row) for name, row in wbound.published_orders().items()},
    "measured": lambda s: (
        wbound.measured_orders(wbound.process("ou"), "sharp", "prior", "hf", cached=False).K_eps
    ),
    "rows": lambda s: [row.process for row in wbound.order_rows([wbound.process("ou")])],
    # K and T of the worst spectrum come from matrix products, whose last bit is the linear algebra library's
    "table": lambda s: str(wbound.complexity_table(3, 0.5, scheme="hf").round(6).to_dict()),
    "worst": lambda s: (
        wbound.worst_iterations(s.named, wbound.LogConcave(3, 0.5, 2.0, 3.0, 0.0), 0.5, scheme="hf").K
    ),
    "schemes": lambda s: wbound.scheme_table(3, 0.5, schemes=("hf", "ddim"), processes=("ou",)).to_json(),
    "exact iterations": lambda s: wbound.exact_iterations(s.named, s.law, 0.2, scheme="hf").K,
    "tolerance": lambda s: wbound.score_tolerance(s.named, s.facts, 0.5, scheme="hf"),
    "leading": lambda s: wbound.leading_constants(s.named, s.law, 3.0).to_dict(),
    "numerical grid": lambda s: wbound.numerical_grid(s.facts, 5, 1e3).lam.tolist(),
    "gaps": lambda s: [gap.grid for gap in wbound.grid_gaps(s.named, s.law, 3.0, 5)[0]],
    "setting": lambda s: wbound.setting(s.named, s.facts, 3.0, 7).nodes.log_lam.tolist(),
    "affine floor": lambda s: [
        wbound.affine_floor(1e6, 5),
        wbound.affine_iterations(1e-2, 1e6),
        wbound.absolute_floor(3),
        wbound.ddim_floor(20, [1.0, 0.25], 1e4),
        wbound.ddim_iterations(3, 1.0, 0.1).steps,
    ],
    "affine samplers": lambda s: [
        wbound.tape_law(tape, [1.0, 0.25]).w2()
        for tape in (
            wbound.phase_sampler(K=3, a=0.1, b=1.0),
            wbound.MULTISTEP["ddim-inflated"].tape(np.append(np.geomspace(100.0, 0.01, 6), 0.0)),
            wbound.MULTISTEP["ddim-shifted"].tape(np.append(np.geomspace(100.0, 0.01, 6), 0.0)),
            wbound.tape_of(wbound.setting(s.named, s.law, 3.0, 7, scheme="ddim")),
        )
    ],
    "random midpoint": lambda s: (
        wbound.random_midpoint_law(
            s.named, Gaussian(np.zeros(2), np.array([1.0, 0.25])), 3.0, 7, start="exact"
        ).high
    ),
    "affine certificate": lambda s: wbound.certify_affine("100", 2).to_json(),
    "verdict": lambda s: verify(s.named, s.mixture, 3.0, 6, scheme="hf", n=40, seed=0).to_dict()["verdict"],
}


@pytest.fixture(autouse=True)
def _restless() -> Iterator[None]:
    """Threads take turns every few microseconds, so that they meet in the middle of things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(2e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What one thread says."""
    shared = Shared()
    return {name: call(shared) for name, call in CALLS.items()}


#: `record` runs another library, whose noise it replaces meanwhile: one thread at a time.
NOT_HERE = {"record"}


def test_every_public_function_is_called() -> None:
    """Of both packages: a new name needs a call here."""
    source = Path(__file__).read_text("utf-8")
    for package in (wbound, numerics):
        for name in package.__all__:
            value = getattr(package, name)
            if callable(value) and not isinstance(value, type) and name not in NOT_HERE:
                assert re.search(rf"\b{name}\(", source), name


def together(work: list[Callable[[], Any]]) -> list[Any]:
    """Each in its own thread, begun at once; the first exception is raised here."""
    gate = threading.Barrier(len(work))

    def begin(call: Callable[[], Any]) -> Any:
        gate.wait(60.0)
        return call()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result(300.0) for future in [pool.submit(begin, call) for call in work]]


def test_many_threads_on_the_same_objects(alone: dict[str, Any]) -> None:
    """Every call, each from several threads at once, on objects that nobody has used before."""
    for turn in range(ROUNDS):
        shared = Shared()
        names = list(CALLS)[turn::ROUNDS] * 2
        for name, value in zip(
            names, together([lambda n=name: CALLS[n](shared) for name in names]), strict=True
        ):
            assert value == alone[name], name


@pytest.mark.parametrize("name", ["expressions", "clock", "inverse", "crossings", "bound, own", "orders"])
def test_the_same_call_from_all_threads(name: str, alone: dict[str, Any]) -> None:
    shared = Shared()
    for value in together([lambda: CALLS[name](shared)] * THREADS):
        assert value == alone[name]


def test_tables_of_a_density_are_counted_once() -> None:
    """Several threads ask for the same table: its cells count once, or the cache would empty itself."""
    target = ProductTarget("-x**2/2 - log(cosh(x))/4", 1)
    smoothed = target.factors[0].line
    holder = getattr(smoothed, "smoothed", smoothed)
    if not hasattr(holder, "table"):
        holder = next(v for v in vars(smoothed).values() if hasattr(v, "table"))
    together([lambda: holder.table(0.5)] * THREADS)
    assert holder._cells == sum(len(table.coefficients) for _, table in holder._tables.values())


def test_files_written_at_once_have_the_permissions_of_any_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The umask is the process's: a writer that asks for it changes it, were it for a moment, for all threads."""
    umask = os.umask
    before = umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", lambda mask: pytest.fail("the umask of all threads is changed"))
            # several write each file
            together([lambda i=i: writing.write(tmp_path / f"{i % 4}", b"x" * 999) for i in range(THREADS)])
    finally:
        umask(before)
    found = {path.name: (path.stat().st_mode & 0o777, path.read_bytes()) for path in tmp_path.iterdir()}
    assert found == {f"{i}": (0o640, b"x" * 999) for i in range(4)}


def test_an_error_in_one_thread_stays_there(alone: dict[str, Any]) -> None:
    shared = Shared()

    def wrong() -> str:
        with pytest.raises(wbound.BadInput) as caught:
            wbound.w2_bound(shared.own, shared.facts, T=-1.0, K=4)
        return str(caught.value)

    values = together([wrong, lambda: CALLS["bound, own"](shared)] * 4)
    assert set(values[1::2]) == {alone["bound, own"]} and len(set(values[::2])) == 1
