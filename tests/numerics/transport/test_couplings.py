"""Laws on the line by closed integrals, the panels' rules by polynomials, and covariances by LAPACK's other driver."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from numerics.transport import gaussians, quantiles
from numerics.transport.samples import gaussian_w2, one_dim_w2


def test_a_lopsided_sample_against_a_quantile_function() -> None:
    """A weighted sample and one of 5,000 points against Q(u) = u³, whose integrals between levels are closed."""
    for points, mass in (
        (np.array([5.0, 0.1, 0.9, -2.0]), np.array([1.0, 3.0, 2.0, 0.5])),
        (np.linspace(-0.2, 1.5, 5000) ** 2, np.ones(5000)),
    ):
        order = np.argsort(points)
        level = np.append(0.0, np.cumsum(mass[order]) / mass.sum())
        powers = [np.diff(level ** (k + 1)) / (k + 1) for k in (0, 3, 6)]
        want = float(points[order] ** 2 @ powers[0] - 2.0 * points[order] @ powers[1] + powers[2].sum())
        assert one_dim_w2(points, lambda u: u**3, x_weights=mass) == pytest.approx(math.sqrt(want), rel=1e-8)


def test_equal_samples_are_coupled_in_order() -> None:
    one, two = np.array([3.0, -1.0, 7.0]), np.array([0.5, 9.0, 2.0])
    assert one_dim_w2(one, two) == pytest.approx(math.sqrt((1.5**2 + 1.0**2 + 2.0**2) / 3.0), rel=1e-14)


def test_the_rules_of_a_panel_are_exact_for_polynomials() -> None:
    for n in (2, 8, 16):
        node, weight = quantiles._clenshaw_curtis(n)
        assert node[0] == -1.0 and node[-1] == 1.0 and (np.diff(node) > 0.0).all()
        for power in range(n + 1):
            assert weight @ node**power == pytest.approx(
                2.0 / (power + 1) if power % 2 == 0 else 0.0, abs=1e-14
            )


def test_singular_values_by_the_other_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where LAPACK's gesdd does not converge gesvd is asked, and gives the same."""
    rng = np.random.default_rng(2)
    C1, C2 = (of @ of.T for of in rng.standard_normal((2, 3, 3)))
    want, plain = gaussian_w2(np.zeros(3), C1, np.zeros(3), C2), gaussians.svd

    def stubborn(*args: Any, **options: Any) -> Any:
        if "lapack_driver" not in options:
            raise gaussians.LinAlgError
        return plain(*args, **options)

    monkeypatch.setattr(gaussians, "svd", stubborn)
    assert gaussian_w2(np.zeros(3), C1, np.zeros(3), C2) == pytest.approx(want, rel=1e-12)
    cross = np.linalg.eigvals(C1 @ C2).real  # of the product, whose square roots are the cross term's
    assert want == pytest.approx(math.sqrt(np.trace(C1 + C2) - 2.0 * np.sqrt(cross).sum()), rel=1e-9)
