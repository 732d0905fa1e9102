"""The short memory of a tape: found where it is, not where it is not, and the law by it is the law by rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wbound
from numerics import Gaussian
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.make_setting import setting
from wbound.sampler.multistep import multistep_named
from wbound.sampler.scheme import SCHEMES
from wbound.sampler.tape import Tape
from wbound.sampler.tape_of_scheme import tape_of
from wbound.sampler.tape_recurrence import MEMORY, recurrence

#: How many rows look at a new answer in their own way: Heun's second stage, the answers a step looks at, …
MEMORIES = {
    **dict.fromkeys(SCHEMES, 1),
    "heun-lambda": 2,
    "heun": 2,
    "heun-lam": 2,
    "dpmpp-2m": 2,
    "dpmpp-3m": 3,
    "unipc": 3,
    "unipc-3": 4,
    "ddim(eta=0.5)": 1,
}
SPECTRUM = np.geomspace(1e-6, 1e3, 19)


def tape_named(name: str, K: int = 40) -> Tape:
    if name in SCHEMES:
        s = setting(wbound.process("vp-linear"), Gaussian([0.0], [[1.0]]), 6.0, K, scheme=name, grid="edm")
        return tape_of(s)
    return multistep_named(name).tape(np.append(np.geomspace(1e4, 1e-4, K), 0.0))


def by_rows(t: Tape) -> Tape:
    """The same tape, its recurrence not looked for."""
    plain = replace(t)
    plain.__dict__["recurrence"] = None
    return plain


@pytest.mark.parametrize("name", MEMORIES)
def test_the_law_by_recurrence_is_the_law_by_rows(name: str) -> None:
    t = tape_named(name)
    assert t.recurrence is not None and t.recurrence.memory == MEMORIES[name]
    for start in ("own", "exact"):
        quick, slow = tape_law(t, SPECTRUM, start=start), tape_law(by_rows(t), SPECTRUM, start=start)
        scale = np.abs(slow.gain).max()
        assert quick.gain == pytest.approx(slow.gain, rel=1e-12, abs=1e-14 * scale)
        assert quick.noise == pytest.approx(slow.noise, rel=1e-12)
        assert quick.mean_gain == pytest.approx(slow.mean_gain, rel=1e-12)
        assert quick.mean_offset == pytest.approx(slow.mean_offset, rel=1e-12, abs=1e-15)


PARTS = ("gain", "noise", "mean_gain", "mean_offset", "start_variance")


@pytest.mark.parametrize("name", [*MEMORIES, "ab3", "deis3"])
def test_the_compiled_pass_is_the_law(name: str) -> None:
    """Blocks of it that are not full, an eigenvalue of 0, and one that is no divisor."""
    t, x = tape_named(name), np.concatenate(([0.0, 1e-310], np.geomspace(1e-6, 1e3, 131)))
    if not t.levels.all():  # no score at level 0 where x = 0, and none in doubles where it is 1e-310
        x = x[2:]
    for start, output in (("own", "divided"), ("exact", "raw")):
        slow = tape_law(t, x, start=start, output=output)
        quick = tape_law(t, x, start=start, output=output, compiled=True)
        for part in PARTS:
            a, b = getattr(quick, part), getattr(slow, part)
            assert a == pytest.approx(b, rel=1e-12, abs=1e-14 * np.abs(b).max())


@pytest.mark.parametrize("name", ["ab2", "ab4", "deis2", "deis3"])
def test_sums_of_slopes_have_a_longer_memory(name: str) -> None:
    """Each slope holds the state it was taken at: two states and more."""
    assert tape_named(name).recurrence is None


@given(st.integers(1, MEMORY), st.integers(2, 9), st.integers(0, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=settings.default.max_examples // 2)
def test_one_made_to_have_it(memory: int, K: int, J: int, seed: int) -> None:
    """Random own rows, random ratios (0 too), noises that enter anywhere, offsets and a level of infinity."""
    rng = np.random.default_rng(seed)
    births = np.concatenate((np.arange(1, K + 1), rng.integers(0, K + 1, J)))
    ratio = rng.normal(size=K + 1) * (rng.random(K + 1) < 0.8)
    table = np.zeros((K + 1, K + J))
    for i in range(K + 1):
        for j, birth in enumerate(births):
            if birth <= i < birth + memory:
                table[i, j] = rng.normal()
            elif i >= birth + memory:
                table[i, j] = ratio[i] * table[i - 1, j]
    levels = np.exp(rng.normal(size=K))
    levels[0] = np.inf if rng.random() < 0.3 else levels[0]
    t = Tape(
        levels=levels,
        start=rng.normal(size=K + 1),
        answers=table[:, :K],
        noises=table[:, K:],
        offsets=rng.normal(size=K + 1),
        start_level=1.0,
        start_std=0.7,
        start_mean=0.2,
    )
    found = t.recurrence
    assert found is not None and found.memory <= memory
    slow = tape_law(by_rows(t), SPECTRUM)
    size = 1.0 + np.abs(table).max() ** min(K, 4)
    for quick in (tape_law(t, SPECTRUM), tape_law(t, SPECTRUM, compiled=True)):
        for name in PARTS:
            a, b = getattr(quick, name), getattr(slow, name)
            assert a == pytest.approx(b, rel=1e-11, abs=1e-12 * size * (1.0 + np.abs(b).max()))


@pytest.mark.parametrize("name", MEMORIES)
def test_an_entry_that_is_off_by_little_is_seen(name: str) -> None:
    t = tape_named(name, 12)
    answers = t.answers.copy()
    row, column = 11, int(np.argmax(np.abs(answers[11, :4])))
    answers[row, column] += 1e-13 * np.abs(answers[:, column]).max()
    assert recurrence(answers, t.noises) is None
    # and the law by rows knows it
    off = replace(t, answers=answers)
    assert off.recurrence is None and tape_law(off, [1.0]).gain.shape == (1,)
