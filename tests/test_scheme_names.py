"""A scheme is a value: nothing asks for its name but what is listed here, each place with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from wbound.sampler.multistep import MULTISTEP
from wbound.sampler.scheme import SCHEMES

ROOT = Path(__file__).parents[1]
NAMES = {*SCHEMES, *MULTISTEP}
VALUES = {"EM", "HF", "DDPM", "DDIM"}

#: Folders whose words these are.
WORDS = ("numerics/cli/", "numerics/report/", "numerics/figures/")
#: Files that go by a scheme's name, and why.
BY_NAME = {
    "wbound/bounds/theorem_2.py": "the table of the two sums in f that have been derived by hand",
    "wbound/certified/affine.py": "names of statements in a certificate's file",
    "wbound/certified/statements.py": "the table of section 3 in ball arithmetic: other numbers than doubles",
    "wbound/certified/flow_statements.py": "the table of section 12 in ball arithmetic",
    "wbound/exact/clock_law.py": "the table of closed forms with derivatives, for the optimiser of nodes",
    "wbound/exact/leading_order.py": "the table of the constants of Eq. 12' that are known",
    "numerics/schedules/few_call_samplers.py": "the samplers of few calls, by which one stands first",
    "numerics/schedules/few_step_families.py": "the samplers that a hybrid is held to",
    "numerics/studies/floors_by_sampler.py": "samplers, as the user names them, and the floor of each",
    "numerics/studies/worst_by_calls.py": "the curves of one picture",
    "numerics/cifar10/few_calls.py": "the curves of one picture",
}


def asked(tree: ast.AST) -> Iterator[int]:
    """Lines that compare with a scheme's name, look up by it, or key a table with it."""

    def named(node: ast.AST | None) -> bool:
        return (
            any(isinstance(n, ast.Constant) and n.value in NAMES for n in ast.walk(node)) if node else False
        )

    def of_value(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "name" and ast.unparse(node.value) in VALUES

    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            if named(node) or any(of_value(side) for side in (node.left, *node.comparators)):
                yield node.lineno
        elif isinstance(node, ast.Subscript):
            if named(node.slice):
                yield node.lineno
        elif isinstance(node, ast.Dict):
            if any(isinstance(key, ast.Constant) and key.value in NAMES for key in node.keys):
                yield node.lineno
        elif isinstance(node, ast.MatchValue) and named(node.value):
            yield node.lineno


def test_what_counts_as_asking() -> None:
    for text, lines in {
        "if scheme == 'hf': pass": [1],
        "x = name in ('em', 'ei')": [1],
        "LAWS = {'ddim': 1}": [1],
        "y = SCHEMES['em']": [1],
        "z = scheme.name == HF.name": [1],
        "match s:\n case 'heun': pass": [2],
        "def f(scheme='em'): return scheme == HF": [],
        "hypotheses = (c.scheme('hf'),)": [],
    }.items():
        assert list(asked(ast.parse(text))) == lines, text


def test_nothing_else_asks_for_a_schemes_name() -> None:
    found = {}
    for file in (*ROOT.glob("wbound/**/*.py"), *ROOT.glob("numerics/**/*.py")):
        path = file.relative_to(ROOT).as_posix()
        if not path.startswith(WORDS) and (lines := list(asked(ast.parse(file.read_text("utf-8"))))):
            found[path] = lines
    assert {path: lines for path, lines in found.items() if path not in BY_NAME} == {}
    assert set(BY_NAME) - set(found) == set(), "these ask no more: take them off the list"
