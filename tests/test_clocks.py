"""No test asserts how long something takes: a busy machine would break it. Speed is for benchmarks/."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

#: Functions that read a clock, by their last name.
CLOCKS = frozenset(
    {
        "time",
        "perf_counter",
        "monotonic",
        "process_time",
        "thread_time",
        "clock_gettime",
        "default_timer",
        "getrusage",
    }
)
CLOCKS |= {f"{name}_ns" for name in CLOCKS}
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def _reads(node: ast.AST, late: frozenset[str] = frozenset()) -> bool:
    """Whether an expression reads a clock, or a name that holds such a reading."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            name = part.func
            # x.time(u) of an object of ours takes an argument; clocks of a module do not, save clock_gettime
            if isinstance(name, ast.Attribute) and name.attr in CLOCKS and isinstance(name.value, ast.Name):
                if name.value.id in ("time", "timeit", "resource", "os"):
                    return True
            elif isinstance(name, ast.Name) and name.id in CLOCKS - {"time"}:
                return True
        elif isinstance(part, ast.Name) and part.id in late:
            return True
    return False


def _held(scope: ast.AST) -> frozenset[str]:
    """Names of a scope that hold readings, or what is made of them."""
    late: frozenset[str] = frozenset()
    while True:
        found = set(late)
        for node in ast.walk(scope):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign) and _reads(node.value, late):
                targets = node.targets
            elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
                targets = [node.target] if node.value is not None and _reads(node.value, late) else []
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "append"
            ):
                targets = [node.func.value] if any(_reads(a, late) for a in node.args) else []
            found |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        if found == late:
            return late
        late = frozenset(found)


def _timed(test: ast.AST) -> bool:
    """Whether an assertion compares what a result says of its own seconds."""
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and any(isinstance(op, ORDER) for op in node.ops):
            for side in (node.left, *node.comparators):
                if isinstance(side, ast.Attribute) and side.attr == "seconds":
                    return True
                key = side.slice if isinstance(side, ast.Subscript) else None
                if isinstance(key, ast.Constant) and key.value == "seconds":
                    return True
    return False


def complaints(source: str) -> Iterator[int]:
    """Lines of assertions that depend on a clock."""
    tree = ast.parse(source)
    scopes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)] or [tree]
    for scope in scopes:
        late = _held(scope)
        for node in ast.walk(scope):
            if isinstance(node, ast.Assert) and (_reads(node.test, late) or _timed(node.test)):
                yield node.lineno


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda p: str(p.relative_to(TESTS)))
def test_no_assertion_reads_a_clock(path: Path) -> None:
    assert not list(complaints(path.read_text("utf-8"))), path


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    a = time.perf_counter()\n    g()\n    assert time.perf_counter() - a < 2",
        "def f():\n    a = time.monotonic()\n    b = 2.0 * (time.monotonic() - a)\n    assert b < 2",
        "def f():\n    all = []\n    all.append(time.process_time())\n    assert min(all) < 1",
        "def f():\n    end = monotonic() + 2\n    assert end",
        "def f():\n    assert got.seconds < 60.0",
        "def f():\n    assert stored['seconds'] <= 40.0",
    ],
)
def test_a_clock_in_an_assertion_is_found(source: str) -> None:
    assert list(complaints(source))


def test_what_is_no_clock_passes() -> None:
    source = "def f():\n    time.sleep(1)\n    x = horizons.time(2.0)\n    assert x < 1 and replace(a, seconds=0.0) == b"
    assert not list(complaints(source))
