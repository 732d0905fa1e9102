"""Section 9's image parametrisations."""

from __future__ import annotations

import numpy as np
import pytest

import wbound
from wbound.errors import BadInput
from wbound.forward.catalogue_images import IMAGES, marginal_std, mean_factor, reaching

STD = {
    ("original", None): 0.7071067812,
    ("v1", None): 35.35533977,
    ("v2", None): 25.0000015,
    ("v3", 2.0): 12.85605339,
    ("v3", 7.0): 2.401315441,
}


@pytest.mark.parametrize(("form", "rho"), STD)
def test_marginal_deviations_at_one_half(form: str, rho: float | None) -> None:
    extra = {} if rho is None else {"rho": rho}
    p = wbound.process("image-ve", form=form, sigma_min=0.01, sigma_max=50.0, **extra)
    assert float(marginal_std(p, 0.5)) == pytest.approx(STD[form, rho], rel=1e-9)
    assert float(marginal_std(p, 1.0)) == pytest.approx(50.0, rel=1e-12)
    assert float(marginal_std(p, 0.0)) == pytest.approx(0.01, rel=1e-12)
    assert float(p.lam(1.0)) == pytest.approx(50.0**2 - 0.01**2, rel=1e-12)


def test_linear_beta_at_one_half() -> None:
    p = wbound.process("image-vp", beta_min=0.1, beta_max=20.0)
    assert float(mean_factor(p, 0.5)) == pytest.approx(0.2811828808, rel=1e-9)
    assert float(marginal_std(p, 0.5)) == pytest.approx(0.9596542021, rel=1e-9)


@pytest.mark.parametrize("rho", [2.0, 5.0])
def test_beta_runs_between_its_ends(rho: float) -> None:
    for form in ("original", "v2", "v3"):
        p = wbound.process("image-vp", form=form, **({"rho": rho} if form == "v2" else {}))
        assert p.g(np.array([0.0, 1.0])) ** 2 == pytest.approx([0.1, 20.0], rel=1e-12)
    assert wbound.process("image-vp", form="v1").g(np.array([0.0, 1.0])) ** 2 == pytest.approx([10.05, 10.05])


@pytest.mark.parametrize("row", IMAGES, ids=[row.name for row in IMAGES])
def test_rows(row: object) -> None:
    p = wbound.process(row.name)  # type: ignore[attr-defined]
    # closed form against quadrature of the same f and g
    user = wbound.Process(f=p.expr.f, g=p.expr.g, **p.parameters)
    t = np.array([1e-3, 0.3, 1.0])
    assert p.log_lam(t) == pytest.approx(user.log_lam(t), rel=1e-10, abs=1e-10)
    assert p.standard_start == p.name.startswith("image-vp")
    for log_lam in (1.0, 9.0):
        found = wbound.process(p.name, **reaching(p.name, log_lam))
        assert float(found.log_lam(1.0)) == pytest.approx(log_lam, abs=1e-10)


def test_bad_input() -> None:
    with pytest.raises(BadInput, match=r"sigma_min = 50\.0: must be below sigma_max = 50"):
        wbound.process("image-ve", sigma_min=50.0)
    with pytest.raises(BadInput, match="process image-ve-v1 takes sigma_min, sigma_max"):
        wbound.process("image-ve-v1", rho=2.0)
    with pytest.raises(BadInput, match="is passed before t = 1"):
        reaching("image-vp-v1", -4.0)
