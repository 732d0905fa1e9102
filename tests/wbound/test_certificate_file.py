"""Certificate files: whatever is edited in them is noticed, and those of the first format are still read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import wbound
from wbound.certified.certificate import certify, prove, verify
from wbound.certified.certificate_file import OLD, digest, read
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, Inconsistent, WboundError

LAW = Gaussian([0.3, -1.0, 0.2], [0.5, 2.0, 1.0])
VP = wbound.process("vp-linear")


@cache
def files(former: bool = False) -> tuple[str, ...]:
    """Certificates of every kind of content: named and user processes, facts and laws, grids, all enclosures; ``former``:
    with the larger C_θ of the formats before."""
    user = wbound.Process(f="0", g="1+t*b", b=0.1)
    return tuple(
        (prove(c.inputs, former=True) if former else c).to_json()
        for c in (
            certify(VP, LogConcave(3, 0.5, 0.5, 6.0, 0.0), 2, 3, scheme="hf", start="exact", eps="0.1"),
            certify(user, LAW, "1.5", 3, scheme="ddpm", grid="edm"),
            certify(
                VP,
                LogConcave(2, 1.0, 3.0, 1.5, 0.1),
                1.5,
                60,
                theorem="published",
                M1="0.1",
                start="standard",
            ),
            certify(VP, Gaussian([1.0, 0.0], [1.0, 0.0]), 2, 3, theorem=None, score_noise="0.1"),
        )
    )


def signed(body: dict[str, Any]) -> str:
    """A file whose digest is that of its content, whoever wrote it."""
    return json.dumps(body | {"digest": digest(body)})


def old(body: dict[str, Any]) -> str:
    """The same in the first format."""
    return json.dumps({key: value for key, value in body.items() if key != "digest"} | {"format": OLD})


def paths(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield way
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(part, (*way, key))


#: What an edit may put somewhere.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "0",
            "1e-300",
            "exact",
            "uniform",
            "edm",
            "hf",
            "em",
            "theorem-2",
            "vp-linear",
            "ou",
            "user",
            OLD,
        ]
    ),
    st.text(max_size=3),
    st.builds(list),
    st.builds(dict),
)


def edited(draw: Any, body: dict[str, Any]) -> dict[str, Any]:
    """One edit: a value changed, changed in its last place, removed or added."""
    body = json.loads(json.dumps(body))
    way = draw(st.sampled_from([w for w in paths(body) if w]))
    at: Any = body
    for key in way[:-1]:
        at = at[key]
    last, kind = way[-1], draw(st.sampled_from(["change", "nudge", "remove", "add"]))
    if kind == "remove":
        del at[last]
    elif kind == "change" or (kind == "nudge" and at[last] is None):
        at[last] = draw(VALUES)
    elif kind == "nudge" and isinstance(at[last], str):
        text = at[last]
        i = draw(st.integers(0, len(text)))
        at[last] = (
            text[:i] + draw(st.sampled_from("0123456789ax.-+ \u0430")) + text[i + draw(st.integers(0, 1)) :]
        )
    elif kind == "nudge" and isinstance(at[last], bool | int):
        at[last] = not at[last] if isinstance(at[last], bool) else at[last] + draw(st.sampled_from([-1, 1]))
    elif isinstance(at, dict):
        at[draw(st.text(min_size=1, max_size=8))] = draw(VALUES)
    else:
        at.insert(draw(st.integers(0, len(at))), draw(VALUES))
    return body


@settings(max_examples=400)
@given(st.data())
def test_whatever_is_edited_is_noticed(data: st.DataObject) -> None:
    """Any key or value changed, added or removed anywhere; the digest says so before anything is computed."""
    body = json.loads(data.draw(st.sampled_from(files())))
    other = edited(data.draw, body)
    assume(json.dumps(other, sort_keys=True) != json.dumps(body, sort_keys=True))
    with pytest.raises((BadInput, Inconsistent)) as caught:
        read(json.dumps(other))
    assert "\n" not in str(caught.value)


@given(st.data())
def test_what_has_no_meaning_may_be_edited(data: st.DataObject) -> None:
    """Spaces, the order of keys, and how letters are escaped."""
    text = data.draw(st.sampled_from(files()))

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in data.draw(st.permutations(list(value)))}
        return value

    indent, ascii_ = data.draw(st.sampled_from([None, 0, 3])), data.draw(st.booleans())
    other = "  " + json.dumps(shuffled(json.loads(text)), indent=indent, ensure_ascii=ascii_) + "\n\t"
    assert read(other) == read(text)


def test_a_key_that_stands_twice_is_no_certificate() -> None:
    for text in files():
        for twice in ('"holds": null,', '"bits": 160,', '"format": "wbound-certificate-3",'):
            with pytest.raises(BadInput, match="stands twice"):
                verify(text.replace("{", "{" + twice, 1))
        with pytest.raises(BadInput, match="lower: stands twice"):
            verify(text.replace('"lower"', '"lower": "0.0", "lower"', 1))


# ---------------------------------------------------------------------- with a digest of the edited content


def meant(former: bool) -> list[tuple[str, Any]]:
    """Edits of meaning, each with the name of what is wrong, in files whose digest was made anew, or that have none."""
    out: list[tuple[str, Any]] = []
    for i, text in enumerate(files(former)):
        body = json.loads(text)

        def edit(said: str, *way: Any, to: Any, body: Any = body) -> None:
            changed = json.loads(json.dumps(body))
            at = changed
            for key in way[:-1]:
                at = at[key]
            if to is ...:
                del at[way[-1]]
            else:
                at[way[-1]] = to
            out.append((said, changed))

        edit("holds", "holds", to=False)
        edit("extra", "extra", to="1")
        for key in ("inputs", "statements", "enclosures", "versions"):
            edit("extra", key, "extra", to="1")
            edit(key, key, to=...)
        for name, ends in body["enclosures"].items():
            lower, upper = float(ends["lower"]), float(ends["upper"])
            wide = max(1e-15 * upper, 0.6 * (upper - lower))
            edit(name, "enclosures", name, "upper", to=repr(upper + 2 * wide))
            edit(name, "enclosures", name, "lower", to=repr(lower - 2 * wide))
            edit(name, "enclosures", name, "upper", to="inf")
            edit(name, "enclosures", name, to={k: repr(float(v) * (1 + 1e-5)) for k, v in ends.items()})
            edit("what there is", "enclosures", name, to=...)
            edit(name, "statements", name, to="theorem-3")
            edit(name, "statements", name, to=None)
            edit(name, "statements", name, to=...)
        edit("", "inputs", "process", to="vp-linear" if i == 1 else "user")
        if i != 1:
            edit("is for process user", "inputs", "f", to="(a*t + b)/2")
        edit("", "inputs", "K", to=body["inputs"]["K"] + 1)
        edit("", "inputs", "score_noise", to="0.3")
        if "variances" in body["inputs"]["data"]:
            edit("nothing else", "inputs", "data", "m0", to="0.5")
            edit("nothing else", "inputs", "data", "means", to=...)
        else:
            edit("", "inputs", "data", "second_moment", to="7")
        if body["inputs"]["nodes"] is not None:
            edit("T = 7", "inputs", "T", to="7")
    return out


@pytest.mark.parametrize("form", [signed, old])
def test_an_edit_of_meaning_is_noticed_by_computing(form: Any) -> None:
    """The digest can be made again by whoever edits: numbers, statements and verdicts are computed all the same."""
    for said, body in meant(form is old):
        with pytest.raises(WboundError) as caught:
            verify(form(body))
        assert said in str(caught.value) and "\n" not in str(caught.value), (said, str(caught.value))
    for text in files(form is old):
        assert verify(form(json.loads(text))).inputs == read(text).inputs


#: Two files as wbound wrote them before there was a digest.
FIRST = (
    """{"format": "wbound-certificate-1", "inputs": {"process": "vp-linear",
"parameters": {"a": "0x1.0000000000000p+0", "b": "0x1.0000000000000p-1"}, "data": {"d": 3,
"m0": "0x1.0000000000000p-1", "L0": "0x1.0000000000000p-1", "second_moment": "0x1.c000000000000p+2",
"mean_norm": "0x1.0000000000000p+0"}, "T": "2", "K": 3, "f": null, "g": null, "scheme": "hf",
"theorem": "sharp", "start": "exact", "grid": "uniform", "nodes": null, "score_bias": "0",
"score_noise": "0", "M1": null, "theta": null, "eps": "0.1"}, "statements": {"bound": "theorem-2",
"exact": "exact-law", "floor": null, "steps": null},
"enclosures": {"bound": {"lower": "1.5291711556214025", "upper": "1.529171155621403"},
"exact": {"lower": "1.1794056469416438", "upper": "1.1794056469416443"}}, "holds": true, "bits": 160,
"versions": {"wbound": "0.1.0", "python-flint": "0.9.0", "flint": "3.6.0", "python": "3.11.7"}}""",
    """{"format": "wbound-certificate-1", "inputs": {"process": "user",
"parameters": {"b": "0x1.999999999999ap-4"}, "data": {"d": 2, "variances": ["0x1.0000000000000p-1",
"0x1.0000000000000p+1"], "means": ["0x1.0000000000000p+0", "0x0.0p+0"]}, "T": "0x1.8000000000000p+0",
"K": 3, "f": "0", "g": "b*t + 1", "scheme": "ddpm", "theorem": "sharp", "start": "prior", "grid": "edm",
"nodes": ["0x1.8000000000000p+0", "0x1.28994a451e7b9p-6", "0x1.4f8b2c9340681p-16", "0x0.0p+0"],
"score_bias": "0", "score_noise": "0", "M1": null, "theta": "0x1.55af419fd44b6p+1", "eps": null},
"statements": {"bound": "theorem-2 (Eq. 9')", "exact": "exact-law", "floor": null, "steps": null},
"enclosures": {"bound": {"lower": "2.342012292647188", "upper": "2.3420122926471887"},
"exact": {"lower": "0.8267742462602349", "upper": "0.8267742462602351"}}, "holds": true, "bits": 160,
"versions": {"wbound": "0.1.0", "python-flint": "0.9.0", "flint": "3.6.0", "python": "3.11.7"}}""",
)

#: One as wbound wrote it when C_θ of Eqs. 9′ and 15 had θ in the place of ϑ.
SECOND = """{"format": "wbound-certificate-2", "inputs": {"process": "vp-linear", "parameters": {"a": "0x1.0000000000000p+0",
"b": "0x1.0000000000000p-1"}, "data": {"d": 2, "variances": ["0x1.0000000000000p-1", "0x1.0000000000000p+1"],
"means": ["0x1.0000000000000p+0", "0x0.0p+0"]}, "T": "2", "K": 3, "f": null, "g": null, "scheme": "ode-hf",
"theorem": "sharp", "start": "prior", "grid": "uniform", "nodes": null, "score_bias": "0", "score_noise": "0", "M1": null,
"theta": "0x1.355c0b1f858bfp+1", "eps": null}, "statements": {"bound": "theorem-3", "exact": "exact-law", "floor": null,
"steps": null}, "enclosures": {"bound": {"lower": "2.1231645327031394", "upper": "2.1231645327031403"}, "exact": {"lower":
"0.6738592779985202", "upper": "0.6738592779985204"}}, "holds": true, "bits": 160, "versions": {"wbound": "0.1.0",
"python-flint": "0.9.0", "flint": "3.6.0", "python": "3.11.7"}, "digest":
"sha256:3731234dba95d56c6b263d060a93b6e60c93210850bda5dd565dd7afb7fd7dcb"}"""


def test_files_without_a_digest_are_read_and_said_to_be_so() -> None:
    for text in FIRST:
        again = verify(text)
        assert again.holds is True and "no digest" in again.caveat and "versions, bits" in again.caveat
        assert "no digest" not in verify(again.to_json()).caveat
        body = json.loads(text)
        with pytest.raises(BadInput, match="digest: is missing"):
            verify(json.dumps(body | {"format": json.loads(again.to_json())["format"]}))
        with pytest.raises(BadInput, match="digest"):
            verify(json.dumps(body | {"digest": digest(body)}))


@pytest.mark.parametrize("text", [FIRST[1], SECOND])
def test_a_bound_of_the_larger_constant_is_checked_as_what_it_was(text: str) -> None:
    """It is a bound still; it is said that there is a smaller one, and what is written of it keeps its format."""
    again = verify(text)
    assert again.former and again.holds is True and "a smaller one today" in again.caveat
    assert json.loads(again.to_json())["format"] == "wbound-certificate-2"
    assert "a smaller one today" in verify(again.to_json()).caveat
    inputs = again.inputs
    new = prove(inputs)
    assert new.bound is not None and again.bound is not None and new.bound.upper < again.bound.lower
    assert (
        json.loads(new.to_json())["format"] == "wbound-certificate-3" and verify(new.to_json()).caveat == ""
    )
    # the number of the one constant under the format of the other
    body = json.loads(again.to_json()) | {"format": "wbound-certificate-3"}
    with pytest.raises(Inconsistent, match="bound is recorded"):
        verify(json.dumps(body | {"digest": digest(body)}))


def malformed() -> list[str]:
    good = json.loads(certify(wbound.process("ou"), LAW, 2, 3, scheme="ddpm").to_json())
    out = ["", "{", "[]", "null", "[" * 5000, json.dumps({"format": "other"})]

    def spoil(path: str, value: Any) -> None:
        body: Any = json.loads(json.dumps(good))
        *way, last = path.split(".")
        at = body
        for key in way:
            at = at[key]
        at[last] = value
        out.append(signed(body))

    for path, value in {
        "bits": 10**9,
        "holds": 1,
        "enclosures": [],
        "enclosures.bound": {"lower": "x", "upper": "1"},
        "enclosures.exact": {"lower": "2", "upper": "1"},
        "inputs": None,
        "inputs.K": "7",
        "inputs.T": 2.0,
        "inputs.scheme": "euler",
        "inputs.theorem": "best",
        "inputs.extra": "1",
        "inputs.parameters": {"theta": "__import__('os').system('true')"},
        "inputs.data": {"d": 3},
        "inputs.data.variances": ["1", "1"],
        "inputs.nodes": ["2", "1"],
        "inputs.theta": "-1",
        "inputs.grid": "edm",
        "inputs.process": "unknown",
        "inputs.start": "nowhere",
        "inputs.f": "t",
        "inputs.data.m0": "1",
        "statements.bound": 1,
        "versions.flint": None,
        "enclosures.bound.lower": 0.5,
        "enclosures.bound.upper": "nan",
    }.items():
        spoil(path, value)
    return out


def test_malformed_certificates_are_refused_in_one_line() -> None:
    for text in malformed():
        with pytest.raises(BadInput) as caught:
            verify(text)
        assert "\n" not in str(caught.value), text
