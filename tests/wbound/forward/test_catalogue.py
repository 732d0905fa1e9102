"""The named processes: the published rows as data, their parameters, and what is refused."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import wbound
from wbound.calculus.parser import parse
from wbound.errors import BadInput

DEFAULTS = {"a": 1.0, "b": 0.5, "c": 1.0, "rho": 2.0, "theta": 0.5, "sigma": 1.0}
PARAMETERS = {
    "ve-exponential": "a b",
    "ve-constant": "a",
    "ve-sqrt": "a",
    "ve-polynomial": "a b c",
    "ou": "theta sigma",
    "vp-linear": "a b",
    "vp-polynomial": "a b rho",
    "vp-exponential": "a b",
    "sub-vp": "a b",
}


def test_the_rows_and_their_parameters() -> None:
    assert list(wbound.CATALOGUE) == list(PARAMETERS)
    assert list(wbound.PUBLISHED) == list(PARAMETERS)[:8]
    for name, parameters in PARAMETERS.items():
        p = wbound.process(name)
        assert p.name == name and p.parameters == {k: DEFAULTS[k] for k in parameters.split()}


def test_the_published_table_has_these_rows() -> None:
    """The f and g of the reference's data file are the catalogue's."""
    text = resources.files("wbound").joinpath("reference/published_complexity.json").read_text("utf-8")
    rows = json.loads(text)["rows"]
    assert [row["process"] for row in rows] == list(wbound.PUBLISHED)
    for row in rows:
        own = wbound.CATALOGUE[row["process"]]
        names = [name for name, _ in own.defaults]
        for key in ("f", "g"):
            said = row[key]
            if row["process"] == "ou":  # the reference calls ϑ alpha
                said = said.replace("alpha", "theta")
            difference = parse(said, "t", names) - parse(getattr(own, key), "t", names)
            assert sp.simplify(difference) == 0


@given(st.data())
def test_every_parameter_in_the_range_of_the_searches(data: st.DataObject) -> None:
    """From 1e-2 to 1e2 each row can be made, its closed form against quadrature, and keeps what it was given."""
    name = data.draw(st.sampled_from(list(PARAMETERS)))
    exponents = {k: data.draw(st.floats(-2.0, 2.0), label=k) for k in PARAMETERS[name].split()}
    values = {k: 10.0**v for k, v in exponents.items()}
    p = wbound.process(name, **values)
    assert p.parameters == values
    t = np.geomspace(1e-4, 1e-1, 7)
    log_lam = p.log_lam(t)
    assert np.isfinite(log_lam).all() and (np.diff(log_lam) > 0).all()
    assert (p.f(t) >= 0).all() and (p.g(t) > 0).all() and (np.diff(p.log_alpha(t)) <= 0).all()


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("vp-cubic", {}, "process = vp-cubic: must be one of ve-exponential, ve-constant"),
        (3, {}, "process = 3"),
        (None, {}, "process = None"),
        ("vp-linear", {"beta": 1.0}, "beta = 1.0: process vp-linear takes a, b"),
        ("vp-linear", {"a": 0.0}, "a = 0.0: must be a finite number > 0"),
        ("vp-linear", {"a": -1}, "a = -1: must be a finite number > 0"),
        ("vp-linear", {"b": float("nan")}, "b = nan: must be a finite number > 0"),
        ("vp-linear", {"b": float("inf")}, "b = inf: must be a finite number > 0"),
        ("vp-linear", {"b": "1"}, "b = 1: must be a finite number > 0"),
        ("ou", {"theta": True}, "theta = True"),
    ],
)
def test_what_is_refused(name: object, parameters: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        wbound.process(name, **parameters)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)
