"""What docstrings cite ("Theorem 2", "Eq. 9′", "section 7") and the anchors of theory.md, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

THEORY = Path(__file__).with_name("theory.md")

_KINDS = {
    "Theorem": "theorem",
    "Proposition": "proposition",
    "Lemma": "lemma",
    "Eq.": "eq",
    "section": "section",
}
# A prime or two, as ′ ″ or as ' '', but not the ' of "Theorem 2's".
_CITED = re.compile(r"(Theorem|Proposition|Lemma|Eq\.|section)\s+(\d+)(″|''(?!s)|′|'(?!s))?")
_PRIMES = {"": "", "′": "-prime", "'": "-prime", "″": "-second", "''": "-second"}
_ANCHOR = re.compile(r"^\(([a-z0-9-]+)\)=$", re.MULTILINE)
# **Code** `wbound.bounds.theorem_2`, `wbound.data.log_concave` · **Tests** `tests/wbound/bounds/test_theorem_2.py`
_MADE = re.compile(r"^.*\*\*Kind\*\*.*$", re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")


def anchor(kind: str, number: str, primes: str | None) -> str:
    """The anchor of a citation: ("Eq.", "9", "′") is eq-9-prime."""
    return f"{_KINDS[kind]}-{number}{_PRIMES[primes or '']}"


def citations(text: str) -> Iterator[tuple[str, str]]:
    """(what is written, its anchor) of every citation in a docstring."""
    for found in _CITED.finditer(text):
        yield found.group(), anchor(*found.groups())


def linked(text: str, known: frozenset[str]) -> str:
    """A docstring whose citations are reST references to the anchors of theory.md."""

    def link(found: re.Match[str]) -> str:
        label = anchor(*found.groups())
        return f":ref:`{found.group()} <{label}>`" if label in known else found.group()

    return _CITED.sub(link, text)


def anchors(markdown: str) -> frozenset[str]:
    """Every anchor ``(name)=`` of a page."""
    return frozenset(_ANCHOR.findall(markdown))


def made_of(markdown: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(section's anchor, modules, test files) of every statement's line in theory.md."""
    for line in _MADE.finditer(markdown):
        if "· **Code**" not in line.group():
            continue  # the sentence that explains these lines
        before = [name for name in _ANCHOR.findall(markdown[: line.start()]) if name.startswith("section-")]
        code, tests = line.group().split("**Code**")[1].split("**Tests**")
        yield before[-1], _SPAN.findall(code), _SPAN.findall(tests)


def with_modules(markdown: str) -> str:
    """theory.md with the modules of its **Code** lines as links to the reference."""

    def line(found: re.Match[str]) -> str:
        head, code, rest = found.group().partition("**Code**")
        names, tests, files = rest.partition("**Tests**")
        return (
            head + code + re.sub(r"`((?:wbound|numerics)(?:\.\w+)+)`", r"{py:mod}`\1`", names) + tests + files
        )

    return _MADE.sub(line, markdown)
