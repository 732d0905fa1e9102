"""docs/theory.md and the statement objects, both ways: what the page claims is an object, and what is an object is claimed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from wbound.statement.statement_object import Statement
from wbound.theory.statements import STATEMENTS

THEORY = (Path(__file__).resolve().parents[2] / "docs" / "theory.md").read_text("utf-8")

#: Numbered equations that claim nothing: (1) says what a forward process is.
DEFINITIONS = {"eq-1"}
#: What is numbered and must be an object: an equation, a theorem, a proposition, a lemma.
NUMBERED = re.compile(r"(eq|theorem|proposition|lemma)-")


class Claim(NamedTuple):
    """What one **Kind** line speaks of: its words, its line, and the anchors from its heading to the next one's."""

    kinds: frozenset[str]
    line: str
    anchors: tuple[str, ...]


def claims(markdown: str) -> Iterator[Claim]:
    """Every **Kind** line with the anchors it governs: those right before it and those up to the next."""
    words, said = frozenset[str](), ""
    own: list[str] = []
    waiting: list[str] = []
    for line in markdown.splitlines():
        anchor = re.fullmatch(r"\(([a-z0-9-]+)\)=", line)
        kind = re.search(r"\*\*Kind\*\* (.*?) · \*\*Source\*\*", line)
        if anchor:
            waiting.append(anchor[1])
        elif kind:
            if words:
                yield Claim(words, said, tuple(own))
            words, said = frozenset(re.findall(r"exact|upper|lower|order|assumption", kind[1])), kind[1]
            own, waiting = waiting, []
        elif line.strip() and not line.startswith("#"):
            own, waiting = own + waiting, []
    yield Claim(words, said, (*own, *waiting))


def places(statement: Statement) -> set[str]:
    """The anchors that a statement speaks for."""
    return {statement.anchor, *statement.covers}


def missing(markdown: str, statements: Collection[Statement]) -> list[str]:
    """What the page claims and no statement says."""
    said = set().union(*map(places, statements))
    anchors = set(re.findall(r"^\(([a-z0-9-]+)\)=$", markdown, re.M))
    out = sorted(a for a in anchors - said - DEFINITIONS if NUMBERED.match(a))
    for claim in claims(markdown):
        if "assumption" not in claim.kinds and not said & set(claim.anchors):
            out.append(f"{claim.line} at {claim.anchors}")
        here = [s for s in statements if places(s) & set(claim.anchors)]
        wanted = claim.kinds - {"assumption"} - {s.kind for s in here}
        out += [f"{kind} of {claim.line!r} at {claim.anchors}" for kind in sorted(wanted) if here]
    return out


def homeless(markdown: str, statements: Collection[Statement]) -> list[str]:
    """Statements that the page does not make, or not of their kind."""
    found = list(claims(markdown))
    return [
        s.id
        for s in statements
        if not any(s.anchor in c.anchors and s.kind in c.kinds for c in found)
        or not places(s) <= {a for c in found for a in c.anchors}
    ]


EVERY = tuple(STATEMENTS.values())


def test_what_the_theory_claims_is_an_object() -> None:
    assert len(list(claims(THEORY))) > 25
    assert not missing(THEORY, EVERY)


def test_what_is_an_object_the_theory_claims() -> None:
    assert not homeless(THEORY, EVERY)


@pytest.mark.parametrize("id", ["theorem-3", "eq-14", "lemma-2:J", "eq-9-prime", "flow-law"])
def test_a_statement_left_out_is_noticed(id: str) -> None:
    assert missing(THEORY, [s for s in EVERY if s.id != id])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(eq-14)=", "(eq-14)=\n(eq-16)="),
        ("(theorem-3)=", "(theorem-4)=\n### Theorem 4\n\n**Kind** upper · **Source** x\n\n(theorem-3)="),
        ("**Profiles.** **Kind** exact and,", "**Profiles.** **Kind** exact, lower and,"),
    ],
)
def test_a_claim_more_is_noticed(old: str, new: str) -> None:
    assert THEORY.count(old) == 1
    assert missing(THEORY.replace(old, new), EVERY)


def test_a_statement_more_is_noticed() -> None:
    right = STATEMENTS["eq-14"]
    for wrong in (
        dataclasses.replace(right, id="eq-99"),
        dataclasses.replace(right, kind="upper", id="eq-10"),
        dataclasses.replace(right, covers=("eq-99",)),
    ):
        assert homeless(THEORY, [wrong]) == [wrong.id]


def test_equations_are_said_by_their_numbers() -> None:
    assert STATEMENTS["eq-9-second"].equations == ("9″",)
    assert STATEMENTS["theorem-2"].equations == ("7",) and STATEMENTS["exact-law"].equations == ()
    numbers = {n for s in EVERY for n in s.equations}
    tagged = re.findall(r"\\qquad\s*(?:\\;)*\(([0-9]+)('{0,2})\)\s*$", THEORY, re.M)
    assert numbers == {n + {"": "", "'": "′", "''": "″"}[primes] for n, primes in tagged} - {"1"}


def test_the_section_is_where_it_stands() -> None:
    for s in EVERY:
        before = re.findall(r"^\(section-(\d+)\)=$", THEORY[: THEORY.index(f"({s.anchor})=") + 14], re.M)
        assert s.section == int(before[-1]), s.id


def test_names() -> None:
    names = {
        "theorem-2-prime": "Theorem 2′",
        "lemma-1:m": "Lemma 1 (m)",
        "eq-12-prime:em": "Eq. 12′ (em)",
        "exact-law": "the exact law",
        "profiles:early": "the profiles (early)",
        "section-1:vp": "section 1 (vp)",
        "assumption-a2:gaussian": "Assumption A2 (gaussian)",
    }
    assert {id: STATEMENTS[id].name for id in names} == names
