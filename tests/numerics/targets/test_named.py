"""One table of targets by name: what it makes, from text, numbers and a description."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from numerics.targets.named import FACTS, TARGETS, law_of, target_named
from numerics.verification import matrix
from wbound.errors import BadInput
from wbound.sampler.description import Description

#: E|X_0|² of each with its default values, by hand.
MOMENTS = {
    "gaussian": 1.0,
    "mixture": 0.8**2 + 1.0,
    "modes": 1.5**2 + 1.0,
    "peaks": 1.0 + 0.25,
    "isotropic": 1.0,
    "power-law": 1.0,
    "geometric": 1.0,
    "facts": 1.0,
}


@pytest.mark.parametrize("name", MOMENTS)
def test_the_second_moment_is_that_of_the_parameters(name: str) -> None:
    assert target_named(name).second_moment == pytest.approx(MOMENTS[name], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "given", "d", "variances"),
    [
        ("power-law", {"exponent": "1/2", "variance": 3.0}, 4, [3.0 / math.sqrt(k) for k in (1, 2, 3, 4)]),
        ("geometric", {"condition": 8}, 4, [1.0, 0.5, 0.25, 0.125]),
        ("isotropic", {"variance": "0x1.0p+1"}, 2, [2.0, 2.0]),
    ],
)
def test_spectra(name: str, given: dict[str, Any], d: int, variances: list[float]) -> None:
    made = target_named(name, {**given, "mean": "3"}, d)
    assert np.sort(made.eigenvalues)[::-1] == pytest.approx(variances, rel=1e-14)
    assert made.mean_norm == pytest.approx(3.0 * math.sqrt(d), rel=1e-14)


def test_a_list_is_the_array_that_it_says() -> None:
    one, other = (
        target_named("peaks", {"means": means, "weights": w})
        for means, w in (("-1,1/2,2", "1,2,1"), (np.array([-1, 0.5, 2]), [1, 2, 1]))
    )
    assert one.second_moment == other.second_moment == pytest.approx((1 + 0.5 + 4) / 4 + 0.25, rel=1e-12)


def test_what_it_refuses() -> None:
    for name, given, d in (
        ("nothing", {}, None),
        ("gaussian", {"variance": "1"}, None),
        ("gaussian", {"mean": "1,2"}, 3),
        ("modes", {"c": "1,2"}, 3),
        ("modes", {"s": [1.0, 2.0]}, None),
        ("logcosh", {"m0": "-1"}, None),
        ("density=-x**2", {"a": "-1"}, None),
    ):
        with pytest.raises(BadInput):
            target_named(name, given, d)


def test_a_description_of_each_gives_the_target() -> None:
    for name, row in TARGETS.items():
        if name == "smoothed":
            continue  # its points are no text
        texts = {key: text for key, text in row.parameters.items() if text is not None}
        if name == FACTS:
            continue  # a description says them without a name
        of = Description("ou", {}, {"target": name, "d": "1", **texts}, "1", 10)
        assert Description.from_dict(of.to_dict()) == of and hash(of)
        assert law_of(of).second_moment == target_named(name).second_moment


@pytest.mark.parametrize("name", matrix.TARGETS)
def test_the_matrix_takes_its_targets_from_the_table(name: str) -> None:
    of = matrix._target(name)
    assert f"d = {of.d}" in matrix.TARGETS[name][0] or of.d <= 2
