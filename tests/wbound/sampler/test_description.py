"""A setting as exact text: the same setting back from its JSON, hashable, made once."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wbound
from wbound.calculus.balls import double_of
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, WboundError
from wbound.forward.catalogue import CATALOGUE, NAMED, row_name
from wbound.forward.forward_process import Process
from wbound.sampler.description import Description, Texts, data_of, describe, grid_of, process_of
from wbound.sampler.grid import GRIDS, OPTIONS, Grid
from wbound.sampler.make_setting import STARTS, Setting, setting
from wbound.sampler.multistep import MULTISTEP, ddim
from wbound.sampler.scheme import SCHEMES, scheme_named
from wbound.theory.statements import THEOREMS

OWN = Description(
    "user",
    {"a": "1/3"},
    {"d": 2, "m0": "0.1", "L0": "2", "second_moment": "20"},
    "3",
    4,
    "a*t",
    "sqrt(2*a*t)",
)
#: Numbers as people and doubles are written.
NUMBERS = st.one_of(
    st.sampled_from(["0.1", "1/3", "2", "1e-1", "sqrt(2)", " 0.5 "]).map(str.strip),
    st.floats(0.01, 50.0).map(float.hex),
)
SCHEME_NAMES = st.one_of(
    st.sampled_from([*SCHEMES, *MULTISTEP]), st.floats(0.0, 1.0).map(lambda eta: f"ddim(eta={eta!r})")
)


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([*GRIDS, *OPTIONS, "from_t", "from_lam", "from_sigma"]))
    if kind.startswith("from_"):
        values = sorted(
            {double_of("x", x): x for x in draw(st.lists(NUMBERS, min_size=1, max_size=6))}.items()
        )
        texts = (*(text for _, text in reversed(values)), *draw(st.sampled_from([("0",), ("0.001",)])))
        return {"grid": kind, "nodes" if kind == "from_t" else "levels": texts}
    allowed = OPTIONS[kind][1] if kind in OPTIONS else ()
    names = draw(st.sets(st.sampled_from(allowed))) if allowed else set()
    names |= {"exponent"} if kind == "power" else set()
    return {"grid": kind, "grid_options": {name: draw(NUMBERS) for name in names}}


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    name = draw(st.sampled_from([*NAMED, "user"]))
    data: dict[str, Any] = dict(OWN.data)
    if draw(st.booleans()):
        data = {"d": 2, "variances": [draw(NUMBERS), draw(NUMBERS)], "means": ["0", draw(NUMBERS)]}
    own = {"f": OWN.f, "g": OWN.g, "parameters": OWN.parameters}
    named = {"parameters": {k: draw(NUMBERS) for k, _ in NAMED[name].defaults}} if name != "user" else own
    return Description(
        process=name,
        data=data,
        T=draw(st.one_of(st.none(), NUMBERS)),
        K=draw(st.one_of(st.none(), st.integers(1, 5))),
        scheme=draw(SCHEME_NAMES),
        theorem=draw(st.sampled_from([None, *THEOREMS])),
        start=draw(st.sampled_from(STARTS)),
        score_bias=draw(NUMBERS),
        score_noise=draw(NUMBERS),
        M1=draw(st.one_of(st.none(), st.just("exact"), NUMBERS)),
        theta=draw(st.one_of(st.none(), NUMBERS)),
        eps=draw(st.one_of(st.none(), NUMBERS)),
        **named,
        **draw(grids()),
    )


def same(one: Setting, two: Setting) -> None:
    assert one.process == two.process and one.scheme.name == two.scheme.name and one.start == two.start
    assert (one.score_bias, one.score_noise, one.M1) == (two.score_bias, two.score_noise, two.M1)
    np.testing.assert_array_equal(one.nodes.t, two.nodes.t)
    np.testing.assert_array_equal(one.nodes.log_lam, two.nodes.log_lam)
    assert one.data.d == two.data.d and one.data.second_moment == two.data.second_moment


@settings(max_examples=2 * settings.default.max_examples)
@given(descriptions())
def test_it_survives_json_and_is_hashable(d: Description) -> None:
    back = Description.from_dict(json.loads(json.dumps(d.to_dict())))
    assert back == d and hash(back) == hash(d) and len({back, d}) == 1
    assert d.but(theta="7") != d and d.but(theta="7", K=7).but(theta=d.theta, K=d.K) == d
    assert {k: v for k, v in d.to_dict().items() if k not in ("levels", "grid_options")}.keys() == {
        *("process", "parameters", "data", "T", "K", "f", "g", "scheme", "theorem", "start", "grid", "nodes"),
        *("score_bias", "score_noise", "M1", "theta", "eps"),
    }


@given(descriptions())
def test_its_setting_is_that_of_the_objects(d: Description) -> None:
    """From the text or from the objects, one setting or one refusal."""

    def made() -> Setting:
        return d.setting

    def by_objects() -> Setting:
        process = process_of(d.process, d.parameters, d.f, d.g)
        numbers = {k: double_of(k, getattr(d, k)) for k in ("score_bias", "score_noise")}
        M1 = d.M1 if d.M1 in (None, "exact") else double_of("M1", str(d.M1))
        T = None if d.T is None else double_of("T", d.T)
        grid = grid_of(d.grid, d.nodes, d.levels, d.grid_options)
        return setting(
            process, data_of(d.data), T, d.K, scheme=d.scheme, start=d.start, grid=grid, M1=M1, **numbers
        )

    found = []
    for way in (made, by_objects):
        try:
            found.append(way())
        except WboundError as error:
            found.append(str(error))
    if isinstance(found[0], str) or isinstance(found[1], str):
        assert found[0] == found[1]
        return
    same(found[0], found[1])
    # and with nothing left to names and defaults
    whole = d.explicit
    assert whole.explicit == whole and whole.K == found[0].nodes.K
    assert whole.M1 is None or double_of("M1", whole.M1) == found[0].M1
    np.testing.assert_array_equal(whole.setting.nodes.t, found[0].nodes.t)
    kept = Description.from_dict(whole.to_dict())
    np.testing.assert_array_equal(kept.setting.nodes.t, found[0].nodes.t)
    assert not {"levels", "grid_options"} & whole.to_dict().keys()


LAW = wbound.LogConcave(2, 0.5, 2.0, 3.0, 0.0)
EVERY_GRID = [
    *GRIDS.values(),
    *(Grid.cosine(), Grid.optimal(), Grid.gaussian(), Grid.tangent(), Grid.sinh(), Grid.power(1.7)),
    *(Grid.uniform(0.01), Grid.log_lam(0.02), Grid.edm(5.0, delta=0.02), Grid.edm(sigma_min=0.1)),
    *(Grid.from_t([2.0, 0.1, 0.0]), Grid.from_lam([3.0, 0.1], "early"), Grid.from_sigma([3.0, 0.1, 0.0])),
    Grid("mine", "t", lambda r: np.array([r.T, r.T / 3, 0.0]), True, 2),
    Grid("edm", "t", lambda r: np.linspace(r.T, 0.0, r.K + 1) ** 2 / r.T),
]


@pytest.mark.parametrize("grid", EVERY_GRID, ids=lambda g: g.name)
def test_every_grid_is_text(grid: Grid) -> None:
    p = wbound.process("vp-linear")
    T, K = (None, None) if grid.explicit else (2.0, 5)
    d = describe(p, LAW, T, K, scheme="hf", grid=grid)
    back = Description.from_dict(json.loads(json.dumps(d.to_dict())))
    same(back.setting, setting(p, LAW, T, K, scheme="hf", grid=grid)) if grid.name not in (
        "mine",
        "edm",
    ) else None
    np.testing.assert_array_equal(back.setting.nodes.t, grid.nodes(p, LAW, T, K).t)


@pytest.mark.parametrize("scheme", [*SCHEMES, *MULTISTEP, ddim(0.1), ddim(1.0 / 3.0)])
def test_every_scheme_is_text(scheme: Any) -> None:
    d = describe(wbound.process("ou"), LAW, 2.0, 5, scheme=scheme, grid="edm")
    of, own = scheme_named(d.scheme), scheme_named(scheme)
    assert (of.name, of.memory) == (own.name, own.memory)


def test_objects_say_what_they_are_exactly() -> None:
    p = wbound.process("vp-linear", a=0.1)
    d = describe(p, LAW, Fraction(1, 10), 5, M1="exact", score_bias="0.1", eps=0.1, theta="1/3,2")
    assert (d.T, d.score_bias, d.eps, d.theta, d.M1) == ("1/10", "0.1", (0.1).hex(), "1/3,2", "exact")
    assert d.parameters == {"a": (0.1).hex(), "b": "0x1.0000000000000p-1"}
    law = Gaussian([1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]])
    of = describe(p, law, 1.0, 5).setting.data
    np.testing.assert_array_equal((of.eigenvalues, of.coordinates), (law.eigenvalues, law.coordinates))
    own = describe(Process(f="abs(t-1)*a", g="1", a=2.0), LAW, 1.0, 2)
    assert own.setting.process == Process(f="abs(t-1)*a", g="1", a=2.0)


def test_what_no_text_says_is_refused() -> None:
    p = wbound.process("ou")
    mine = wbound.Scheme("mine", "mine", "sde", SCHEMES["hf"].steps.of, "nowhere")  # type: ignore[attr-defined]
    profile = wbound.CurvatureProfile("1/(1+lam)", "2/(1+2*lam)", 1, 1.0)
    for message, call in {
        "one of your own": lambda: describe(p, LAW, 1.0, 2, scheme=mine),
        "has no text": lambda: describe(p, profile, 1.0, 2),
        "process": lambda: describe("ou", LAW, 1.0, 2),
        "does not take levels": lambda: grid_of("edm", levels=("1", "0")),
        "needs its nodes": lambda: grid_of("from_lam"),
        "grid_options": lambda: grid_of("edm", grid_options={"exponent": "2"}),
        "grid = cosine": lambda: grid_of("cosine", grid_options={"delta": "2"}),
        "exponent": lambda: grid_of("power", grid_options={"exponent": "0"}),
        "no text here says them": lambda: OWN._with((), {"data": {}}).setting,
        "data = modes": lambda: (
            Description.from_dict(OWN.to_dict() | {"data": {"target": "modes", "s": "1"}}).setting
        ),
        "is not known": lambda: Description.from_dict(OWN.to_dict() | {"extra": "1"}),
        "grid_options = ": lambda: Description.from_dict(OWN.to_dict() | {"grid_options": {"delta": 1}}),
        "levels": lambda: Description.from_dict(OWN.to_dict() | {"levels": ["1", 0]}),
    }.items():
        with pytest.raises(BadInput, match=message):
            call()


def test_everything_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, setup = [], Process._setup
    monkeypatch.setattr(Process, "_setup", lambda self, *a, **k: made.append(a[0]) or setup(self, *a, **k))
    d = OWN._with((), {"parameters": {"a": "0.7"}})
    first = d.setting
    assert d.setting is first and d.explicit.setting is first and d.explicit.but(theta="2").setting is first
    assert d.explicit.setting.process is d.made_process and made == ["user"]
    edm = d.but(grid="edm", M1="2", data={**OWN.data, "L0": "3"})
    assert vars(edm).keys() & {"setting", "made_data", "made_grid"} == set()
    assert edm.made_data.L0 == 3.0 and edm.setting.M1 == 2.0
    assert edm.explicit.setting.process is edm.setting.process and len(made) == 1
    assert edm.explicit.explicit is not edm and edm.explicit.explicit.setting.process is edm.made_process


def test_texts_are_a_mapping_that_stays() -> None:
    source = {"a": ["1", "2"], "b": "3"}
    texts = Texts(source)
    source["b"] = "4"
    assert texts == {"a": ("1", "2"), "b": "3"} and hash(texts) == hash(Texts({"b": "3", "a": ["1", "2"]}))
    assert texts.plain() == {"a": ["1", "2"], "b": "3"} and repr(texts) == "{'a': ('1', '2'), 'b': '3'}"


def test_a_family_and_its_form_are_a_row() -> None:
    assert row_name("optimal", "vp") == "optimal-vp" and row_name("optimal") == "optimal-ve"
    assert all(row_name(name) == name for name in CATALOGUE)
    for name, form in (("ou", "vp"), ("optimal", "nothing"), ("nothing", None)):
        with pytest.raises(BadInput):
            row_name(name, form)
