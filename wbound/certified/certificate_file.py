"""The file of a certificate: what may stand in it, and the digest that an edit breaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from wbound.errors import BadInput, Inconsistent
from wbound.sampler.description import LATER, Description, mapping

__all__ = ["FORMER", "NAMES", "OLD", "Recorded", "digest", "read", "written"]

FORMAT = "wbound-certificate-3"
#: As `FORMAT`, but Eqs. 9′ and 15 with their former, larger C_θ; still read.
FORMER = "wbound-certificate-2"
#: As `FORMER`, without a digest; still read.
OLD = "wbound-certificate-1"
#: What a certificate may enclose.
NAMES = ("bound", "exact", "floor", "steps")
KEYS = ("format", "inputs", "statements", "enclosures", "holds", "bits", "versions")
VERSIONS = ("wbound", "python-flint", "flint", "python")


class Recorded(NamedTuple):
    """A file's content, as it stands there; ``protected``: whether a digest covers it; ``former``: whether Eqs. 9′ and
    15 stand in it with the larger C_θ, which is a bound too."""

    inputs: Description
    statements: dict[str, str | None]
    enclosures: dict[str, tuple[float, float]]
    holds: bool | None
    bits: int
    protected: bool
    former: bool


def digest(body: Mapping[str, Any]) -> str:
    """SHA-256 of all but the digest, in one spelling: keys sorted, no spaces, ASCII."""
    content = {key: value for key, value in body.items() if key != "digest"}
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(plain.encode("ascii")).hexdigest()


def written(body: Mapping[str, Any], former: bool = False) -> str:
    """The file's text, of all `KEYS` but the format, which is `FORMER` where C_θ is."""
    out = {"format": FORMER if former else FORMAT, **body}
    return json.dumps(out | {"digest": digest(out)}, ensure_ascii=False, indent=1) + "\n"


def read(text: str) -> Recorded:
    """A file's content. Raises `BadInput` where it is no certificate, with the key that is wrong, missing or too
    many, and `Inconsistent` where its digest says that it is not what was written."""
    try:
        body = json.loads(text, object_pairs_hook=_once, parse_float=_whole, parse_constant=_whole)
    except BadInput:
        raise
    except (ValueError, RecursionError):
        raise BadInput("certificate", text[:40] or "(empty)", "is not JSON") from None
    if not isinstance(body, dict) or body.get("format") not in (FORMAT, FORMER, OLD):
        raise BadInput("certificate", text[:40], f"must be an object of format {FORMAT}, {FORMER} or {OLD}")
    protected = body["format"] != OLD
    exactly("certificate", body, (*KEYS, "digest") if protected else KEYS)
    if protected and body["digest"] != digest(body):
        raise Inconsistent(
            "certificate: it has been edited: the digest that it records is not that of its content "
            f"({digest(body)})"
        )
    bits, holds = body["bits"], body["holds"]
    if isinstance(bits, bool) or not isinstance(bits, int) or not 64 <= bits <= 1 << 14:
        raise BadInput("certificate", bits, "bits must be an integer from 64 to 16384")
    if holds is not None and not isinstance(holds, bool):
        raise BadInput("certificate", holds, "holds must be true, false or null")
    exactly("statements", body["statements"], NAMES)
    exactly("versions", body["versions"], VERSIONS)
    for option in ("statements", "versions"):
        for name, value in body[option].items():
            if not (isinstance(value, str) or (value is None and option == "statements")):
                raise BadInput(option, name, "must be text")
    mapping("enclosures", body["enclosures"], NAMES)
    enclosures = {name: _interval(name, ends) for name, ends in body["enclosures"].items()}
    exactly("inputs", body["inputs"], [f.name for f in fields(Description) if f.name not in LATER])
    inputs = Description.from_dict(body["inputs"])
    for name in inputs.made_process.parameters:
        if name not in inputs.parameters:  # none is left to a default
            raise BadInput("parameters", name, "has no value")
    if inputs.T is None or inputs.K is None or inputs.M1 == "exact":
        raise BadInput("inputs", "T, K or M1", "must be numbers in a certificate")
    if inputs.nodes is None and inputs.grid != "uniform":
        raise BadInput("grid", inputs.grid, "needs its nodes")
    return Recorded(inputs, body["statements"], enclosures, holds, bits, protected, body["format"] != FORMAT)


def exactly(option: str, value: Any, keys: Collection[str]) -> None:
    """Refuse anything but an object with these keys, all of them."""
    mapping(option, value, keys)
    for key in keys:
        if key not in value:
            raise BadInput(option, key, "is missing")


def _interval(name: str, ends: Any) -> tuple[float, float]:
    exactly(name, ends, ("lower", "upper"))
    try:
        lower, upper = (float(_text(ends[k])) for k in ("lower", "upper"))
    except ValueError:
        raise BadInput("certificate", name, "needs lower and upper as numbers in text") from None
    if not lower <= upper:
        raise BadInput("certificate", name, "needs lower <= upper")
    return lower, upper


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [key for key, _ in pairs]
        raise BadInput("certificate", max(names, key=names.count), "stands twice in one object")
    return out


def _whole(text: str) -> Any:
    raise BadInput("certificate", text, "must be a whole number, or a number in text")
