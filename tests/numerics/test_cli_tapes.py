"""--tape on the command line: verify holds a tape's samples against its exact law, curve draws tapes over their calls."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.laws import tape_parts
from numerics.samplers.sampling import sample
from numerics.targets import datasets
from wbound.data.gaussian import Gaussian
from wbound.errors import HypothesisFailed
from wbound.exact.gaussian_law import exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.tape import Tape


def tape(K: int, offset: float = 0.0) -> Tape:
    data = Gaussian(np.zeros(1), 1.0)
    s = wbound.setting(wbound.process("ve-sqrt", a=1.0), data, 30.0, K, scheme="ddim", grid="edm")
    return replace(wbound.tape_of(s), offsets=np.full(K + 1, offset))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    out = []
    for K in (16, 4, 8):
        out.append(str(tmp_path / f"t{K}.npz"))
        tape(K).save(out[-1])
    return out


def test_verify_holds_a_tape_against_its_law(wb: Any, files: list[str]) -> None:
    line = ["verify", "--tape", files[1], "--target", "gaussian", "-q", "mean=1,0", "-q", "cov=2,0.5"]
    found = wb.ask(*line, "--n", "200")
    law = tape_law(tape(4), [2.0, 0.5])
    assert found["exact"] == pytest.approx(law.w2(np.array([1.0, 0.0])), rel=1e-12)
    assert found["consistent"] and found["calls"] == 4 and found["empirical"]["n"] == 200
    code, text, _ = wb(*line, "--n", "200")
    assert code == 0 and "no test tells the samples" in text
    assert "is not known" in wb.refused("verify", "--tape", files[1], "--target", "mixture")
    own = str(Path(files[0]).parent / "own.npy")
    x = sample(None, Gaussian([1.0, 0.0], np.array([2.0, 0.5])), n=4000, scheme=tape(4), seed=2)
    np.save(own, x)
    assert wb.ask(*line, "--n", "200", "--samples", own)["consistent"]
    np.save(own, x + 0.5)
    assert wb(*line, "--n", "200", "--samples", own)[0] == 3
    for more, words in (
        (["--K", "3"], "does not go with --tape"),
        (["--process", "ou"], "does not go with --tape"),
        (["--all"], "does not go with --all"),
        (["--n", "1.5"], "n = 1.5"),
    ):
        assert words in wb.refused("verify", "--tape", files[1], *more)


def test_curve_draws_tapes_over_their_calls(wb: Any, files: list[str], tmp_path: Path) -> None:
    numbers, picture = tmp_path / "c.csv", tmp_path / "c.svg"
    line = ["curve", "--data", "2,0.5"]
    for file in files:
        line += ["--tape", file]
    found = wb.ask(*line, "-o", str(numbers), "--figure", str(picture))
    assert found["tapes"] == ["t4.npz", "t8.npz", "t16.npz"] and found["calls"] == [4, 8, 16]
    data = datasets.from_spectrum([2.0, 0.5]).gaussian
    for K, w2 in zip(found["calls"], found["w2"], strict=True):
        assert w2 == pytest.approx(exact_w2(None, data, scheme=tape(int(K))), rel=1e-12)
    assert found["w2"] == sorted(found["w2"], reverse=True) and found["slope"] < -0.5
    assert numbers.read_text().startswith("calls,w2") and "<svg" in picture.read_text()
    code, text, _ = wb(*line)
    assert code == 0 and "slope" in text
    for more, words in (
        (["--process", "ou"], "does not go with --tape"),
        (["--to", "50"], "does not go with --tape"),
        (["--tape", str(numbers)], "neither JSON nor .npz"),
    ):
        assert words in wb.refused(*line, *more)
    assert "needs --data" in wb.refused("curve", "--tape", files[0])


def test_an_edited_tape_is_refused_everywhere(wb: Any, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    content = tape(4).to_dict()
    content["start_std"] = 3.0
    file.write_text(json.dumps(content))
    for line in (
        ["verify"],
        ["curve", "--data", "4,1"],
        ["choose", "--data", "4,1", "--steps", "3"],
        ["audit", "--data", "4,1"],
    ):
        assert "edited" in wb.refused(*line, "--tape", str(file))


def test_constants_along_other_axes_are_refused_and_not_misread() -> None:
    """A tape that adds 0.1 to each coordinate: right where directions are coordinates, refused where they are not."""
    moved = tape(4, offset=0.1)
    x = np.random.default_rng(0).standard_normal((50, 2)) @ np.array([[2.0, 0.0], [1.0, 0.3]])
    with pytest.raises(HypothesisFailed, match="adds constants to coordinates"):
        tape_parts.parts_on(moved, datasets.from_samples(x))
    cov = np.cov(x.T, bias=True)
    turned = exact_w2(None, Gaussian(np.zeros(2), cov), scheme=moved)
    along = tape_parts.parts_on(moved, datasets.from_spectrum(np.linalg.eigvalsh(cov))).w2
    assert abs(turned - along) > 1e-3 * along  # what would have been said of the samples is another number
    assert tape_parts.parts_on(tape(4), datasets.from_samples(x)).w2 > 0.0
