"""wbound bound --explain: the printed terms add up to the printed bound, and every line fits."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from numerics.cli.explained_terms import as_text

GAUSSIAN = "--d 3 --m0 0.5 --L0 0.5 --second-moment 6"
ROUGH = "--d 4 --m0 0.5 --L0 20 --mean-norm 0"
BASE = "bound --process vp-linear -p a=1 -p b=0.5"
CASES = {
    "1": f"{GAUSSIAN} --theorem published --M1 exact --T 4 --K 1000 --score-bias 0.05",
    "2": f"{GAUSSIAN} --scheme hf --T 4 --K 100",
    "2 em": f"{ROUGH} --scheme em --T 4 --K 400 --score-bias 0.1 --score-noise 0.2",
    "2 on a grid": f"{GAUSSIAN} --scheme em --grid-lam 4000,400,40,4,1,0",
    "9": f"{GAUSSIAN} --scheme ddpm --T 4 --K 1000 --score-bias 0.001",
    "7 of ddpm": f"{ROUGH} --scheme ddpm --T 4 --K 20",
    "3": f"{ROUGH} --scheme ddim --T 4 --K 200 --score-bias 0.01",
}
EQUATION = {"1": "Eq. 5", "9": "Eq. 9''", "3": "Eq. 15"}
#: A term: margin, sign, value, words.
LINE = re.compile(r"^( +)([ +=]) (\S+) {2,}\S")


def arguments(case: str) -> list[str]:
    return shlex.split(f"{BASE} {CASES[case]}")


def sums_of(text: str) -> list[tuple[list[float], float]]:
    """Every sum of the text as (its terms, its total), the inner ones first."""
    open_: dict[int, list[float]] = {}
    out = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None or not re.fullmatch(r"[\d.e+-]+", match[3]):
            continue
        margin, value = len(match[1]), float(match[3])
        if match[2] == "=":
            out.append((open_.pop(margin), value))
        elif match[2] == "+":
            open_[margin].append(value)
        else:
            open_.setdefault(margin, []).append(value)
    assert not open_
    return out


@pytest.mark.parametrize("case", CASES)
def test_the_printed_terms_add_up(case: str, wb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = wb(*arguments(case), "--explain")
    assert code == 0, err
    _, text = out.split(f"({EQUATION.get(case, 'Eq. 7')})\n")
    assert max(map(len, text.splitlines())) <= 80
    text = text[text.index("\n\n") :]
    text = text[text.rindex("\n\n", 0, text.index("W2\n")) :]
    found = sums_of(text)
    assert len(found) == (1 if case in ("1", "3") else 2)
    for terms, total in found:
        # six digits each: the printed terms add up to what is printed
        assert sum(terms) == pytest.approx(total, rel=5e-6 * len(terms))
    printed = re.search(r"^bound +(\S+)", out, re.M)
    assert printed is not None and float(printed[1]) == found[-1][1]


@pytest.mark.parametrize("case", CASES)
def test_json_gives_the_terms(case: str, wb: Any) -> None:
    got = wb.ask(*arguments(case), "--explain")
    explanation = got["explanation"]
    assert explanation["total"] == got["total"]
    assert sum(t["value"] for t in explanation["terms"]) == pytest.approx(got["total"], rel=1e-12)
    for term in explanation["terms"]:
        if "squares" in term:
            inner = sum(part["value"] for part in term["squares"])
            assert inner == pytest.approx(term["value"] ** 2, rel=1e-12)
    assert explanation["known"]["d"] == got["d"] and explanation["known"]["K"] == got["K"]
    assert "explanation" not in wb.ask(*arguments(case))


@pytest.mark.parametrize("width", [50, 80, 200])
def test_lines_of_any_terminal(width: int) -> None:
    import wbound
    from wbound.theory.explanation import explain

    data = wbound.LogConcave(3, 0.5, 4.0, 6.0)
    for scheme in ("em", "ddpm", "ode-hf"):
        s = wbound.setting(wbound.process("ou"), data, 4.0, 50, scheme=scheme, score_bias=0.1)
        assert max(map(len, as_text(explain(s), width).splitlines())) <= min(width, 100)
