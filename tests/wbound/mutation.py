"""Mutants made from the code itself: every term of the listed functions wrapped in an operation that makes it wrong.

A term is a summand, an argument of the tuple that a function returns, a named intermediate or a returned value.
Run as a program, this file is warm: it has imported everything, forks for each mutant, changes one function's code
in the child and lets the child run tests until one turns red. It prints a line of JSON a mutant.
"""

from __future__ import annotations
import __future__

import argparse
import ast
import copy
import functools
import gc
import importlib
import inspect
import itertools
import json
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from equivalent import EQUIVALENT
from hypothesis import HealthCheck, settings
from mutant_checks import Check, place, remember, tests_of
from mutated import CALLER, COMPILED, NO_STEPS, PASSED_OVER, REMEMBERED, TARGETS

#: How a term is made wrong. "late": each step has the value of the step before it.
OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "dropped": lambda x: x * 0.0 if np.all(np.isfinite(x)) else np.zeros_like(x),
    "halved": lambda x: 0.5 * x,
    "flipped": lambda x: -x,
    "late": lambda x: x[..., [0, *range(x.shape[-1] - 1)]] if np.ndim(x) and x.shape[-1] else x,
}
#: A check that takes so many CPU seconds, and so many times its own on the code as it is, has noticed.
PATIENCE, TIMES = 0.5, 10.0
#: A busy machine is no reason for a test to turn red.
SLOW = [HealthCheck.too_slow]
#: A child that needs more CPU seconds than this, deaf to the above, is ended.
MOST = 300


@dataclass(frozen=True)
class Mutant:
    """One wrapped term (the ``site``-th of its function) and one operation."""

    module: str
    function: str
    site: int
    text: str
    operation: str

    @property
    def name(self) -> str:
        return f"{self.module}.{self.function}: {self.text} {self.operation}"


# ---------------------------------------------------------------------- from code to mutants


def module_of(name: str) -> ModuleType:
    """A room's module, ``numerics`` named where it is one of its rooms'."""
    return importlib.import_module(name if name.startswith("numerics.") else f"wbound.{name}")


@functools.cache
def functions(module: str) -> dict[str, ast.FunctionDef]:
    """The module's functions with formulas by name, methods as ``Class.method``; a hypothesis returns None."""
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.parse(inspect.getsource(module_of(module))).body:
        for part in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(part, ast.FunctionDef):
                found[f"{node.name}.{part.name}" if part is not node else part.name] = part
    names = [n for n, f in found.items() if ast.unparse(f.returns or ast.Constant(0)) != "None" or "." in n]
    return {n: found[n] for n in names if f"{module}.{n}" not in PASSED_OVER and "__" not in n}


def _named(value: ast.expr) -> bool:
    """Whether an assigned value is a term: a formula, not a name or a number. Of a sum the summands are terms."""
    if isinstance(value, ast.BinOp):
        return not isinstance(value.op, ast.Add | ast.Sub)
    return isinstance(value, ast.Call | ast.UnaryOp | ast.IfExp)


def _makes_a_tuple(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.lstrip("_")[:1].isupper()
    )


def _no_number(node: ast.expr) -> bool:
    """What is seen to be no number, or to be zero, without running it."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.zeros_like", "np.zeros", "np.empty"):
        return True
    if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node).rpartition(".")[2] in (
        "steps",
        "data",
        "nodes",
    ):
        return True
    return isinstance(node, ast.Tuple | ast.List | ast.Lambda | ast.Compare | ast.BoolOp) or _makes_a_tuple(
        node
    )


class _Sites(ast.NodeTransformer):
    """Numbers the terms in source order and wraps the one that is asked for."""

    def __init__(self, function: str, wanted: int | None = None) -> None:
        self.function = function
        self.wanted, self.texts, self._seen = wanted, [], set()  # type: ignore[var-annotated]

    def term(self, node: ast.expr, *, plain: bool = False) -> ast.expr:
        if isinstance(node, ast.Tuple):
            node.elts = [self.term(part, plain=True) for part in node.elts]
            return node
        if isinstance(node, ast.Name) and f"{self.function}.{node.id}" in PASSED_OVER:
            return node
        if (plain and isinstance(node, ast.Constant)) or _no_number(node):
            return self.visit(node)  # type: ignore[no-any-return]
        if isinstance(node, ast.Constant) and not isinstance(node.value, float):
            return node
        if id(node) in self._seen:  # the summand of a sum that is itself a term: once
            return self.visit(node)  # type: ignore[no-any-return]
        self._seen.add(id(node))
        site = len(self.texts)
        self.texts.append(ast.unparse(node))
        inner = self.visit(node)
        if site != self.wanted:
            return inner  # type: ignore[no-any-return]
        return ast.Call(ast.Name("__operation__", ast.Load()), [inner], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.Add | ast.Sub):
            node.left, node.right = self.term(node.left), self.term(node.right)
            return node
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if _makes_a_tuple(node):
            node.args = [self.term(a, plain=True) for a in node.args]
            for keyword in node.keywords:
                keyword.value = self.term(keyword.value, plain=True)
            return node
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if f"{self.function}.{ast.unparse(node.targets[0])}" in PASSED_OVER:
            return node
        if isinstance(node.value, ast.Tuple):
            node.value.elts = [self.term(e) if _named(e) else self.visit(e) for e in node.value.elts]
            return node
        node.value = self.term(node.value) if _named(node.value) else self.visit(node.value)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is not None:
            node.value = self.term(node.value) if _named(node.value) else self.visit(node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        node.value = self.term(node.value)
        return node

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        if node.value is not None:
            term = _named(node.value) or isinstance(node.value, ast.Tuple)
            node.value = self.term(node.value, plain=True) if term else self.visit(node.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        node.value = self.visit(node.value)  # an index is no term
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return node


def mutants() -> list[Mutant]:
    """All of them, in the order of the code."""
    out = []
    for module in TARGETS:
        for function, tree in functions(module).items():
            sites = _Sites(f"{module}.{function}")
            sites.visit(copy.deepcopy(tree))
            shown: dict[str, int] = {}
            for site, text in enumerate(sites.texts):
                shown[text] = shown.get(text, 0) + 1
                label = f"`{text}`" + (f" (no. {shown[text]})" if shown[text] > 1 else "")
                # a number's name says it all: one mutant is enough
                operations = list(OPERATIONS)[: 1 if text.replace(".", "").isdigit() else None]
                if module in NO_STEPS or f"{module}.{function}" in NO_STEPS:
                    operations = [op for op in operations if op != "late"]
                out += [Mutant(module, function, site, label, op) for op in operations]
    return out


def function_of(module: str, name: str) -> Any:
    """The function itself, whatever decorates it."""
    owner: Any = module_of(module)
    for part in name.split("."):
        owner = inspect.getattr_static(owner, part)
    return (
        getattr(owner, "fget", None) or getattr(owner, "func", None) or getattr(owner, "__wrapped__", owner)
    )


#: The target functions that have run since it was last cleared.
MET: set[str] = set()


def watch(module: str) -> None:
    """Make the target functions say that they run."""
    for name, definition in functions(module).items():
        if name == COMPILED:
            continue
        tree = copy.deepcopy(definition)
        tree.decorator_list = []
        first = f"__met__.add('{module}.{name}')"
        docstring = isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant)
        tree.body.insert(int(docstring), ast.parse(first).body[0])
        vars(module_of(module))["__met__"] = MET
        function_of(module, name).__code__ = _code(tree, module)


def _code(tree: ast.FunctionDef, module: str) -> Any:
    """Its code as a function inside another, since a method that calls super() has its class in a closure."""
    space = dict(vars(module_of(module)))
    outer: Any = ast.parse("def __outer__(__class__=None): pass").body[0]
    outer.body = [ast.Global([tree.name]), tree]
    program = ast.fix_missing_locations(ast.Module([outer], []))
    flags = __future__.annotations.compiler_flag
    exec(compile(program, f"<{module}.{tree.name}>", "exec", flags, dont_inherit=True), space)
    space["__outer__"]()
    return space[tree.name].__code__


def forget(module: str) -> None:
    """Empty the module's caches: what the code as it is has computed is no answer of a mutant."""
    for value in vars(module_of(module)).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


class Endless(BaseException):
    """The mutant is too slow."""


class NoTerm(BaseException):
    """What was wrapped is no real number, or has no steps to be late by."""


def apply(mutant: Mutant) -> dict[str, int]:
    """Change the running code; how often the term was met, and how often the operation changed it."""
    module = module_of(mutant.module)
    forget(mutant.module)
    tree = functions(mutant.module)[mutant.function]  # the child's own
    tree.decorator_list = []
    changed = _Sites(f"{mutant.module}.{mutant.function}", mutant.site).visit(tree)
    owner = function_of(mutant.module, mutant.function)
    counts = {"met": 0, "changed": 0}
    operation = OPERATIONS[mutant.operation]

    def wrapped(x: Any) -> Any:
        kind = x.dtype.kind if isinstance(x, np.ndarray | np.generic) else "f" if isinstance(x, float) else ""
        if kind != "f" or (mutant.operation == "late" and np.ndim(x) == 0):
            raise NoTerm
        counts["met"] += 1
        with np.errstate(all="ignore"):
            y = operation(x)
        counts["changed"] += not np.array_equal(x, y, equal_nan=True)
        return y

    vars(module)["__operation__"] = wrapped
    owner.__code__ = _code(changed, mutant.module)
    return counts


# ---------------------------------------------------------------------- one mutant, one process


def _late(*_: object) -> None:
    raise Endless  # it has taken far longer than the code as it is


def _child(mutant: Mutant, checks: list[tuple[str, Check]], seconds: dict[str, float], pipe: int) -> None:
    """Mutate, run the checks until one is red, say so through the pipe, and end."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST, MOST))
    signal.signal(signal.SIGPROF, _late)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    counts, by = apply(mutant), ""
    for name, check in checks:
        limit = PATIENCE + TIMES * seconds[name]
        signal.setitimer(signal.ITIMER_PROF, limit, limit)
        try:
            check()
        except pytest.skip.Exception:
            pass
        except NoTerm:
            by = "none"
            break
        except Endless:
            by, counts["slow"] = name, 1
            break
        except BaseException:
            by = name
            break
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    os.write(pipe, json.dumps({**counts, "by": by}).encode())
    os._exit(0)


class Run(NamedTuple):
    """A child on its way: its process, the pipe it answers through and the checks that it and those before it have."""

    pid: int
    read: int
    tried: set[str]


class Runner:
    """Forks for each mutant, ``jobs`` at a time. A function's checks are those that run it: first the last that noticed
    a mutant of it, or one of its module, then the quickest. A check is run on the code as it is when a mutant has
    escaped all that were so far: those of the short list first, and, unless ``quick``, the others."""

    def __init__(self, jobs: int, quick: bool = False) -> None:
        self.jobs, self.quick = jobs, quick
        self.seconds: dict[str, float] = {}
        self.reach: dict[str, set[str]] = {}
        self.clock = itertools.count(1)
        #: When a check last noticed a mutant of a function, and of a module.
        self.noticed: dict[tuple[str, str], int] = {}
        self.pools: dict[str, dict[str, Check]] = {}

    def profile(self, name: str, check: Check) -> None:
        """Run a check on the code as it is: it is green, it takes so long, it runs these functions."""
        for target in TARGETS:
            forget(target)
        MET.clear()
        begun = time.process_time()
        check()
        self.seconds[name], self.reach[name] = time.process_time() - begun, set(MET)

    def pool(self, module: str) -> dict[str, Check]:
        """The module's checks in the order in which they are tried."""
        if module not in self.pools:
            target = TARGETS[module]
            listed = tests_of(target.files)
            at = {n: place(n, target.short.split()) for n in listed}
            names = [n for n in sorted(listed, key=at.__getitem__) if not (self.quick and at[n][0])]
            self.pools[module] = {n: listed[n] for n in names}
        return self.pools[module]

    def checks(self, mutant: Mutant, tried: set[str]) -> list[tuple[str, Check]]:
        """Those not yet tried that are known to run the function, or the next that turns out to; empty: no more."""
        function = f"{mutant.module}.{mutant.function}"
        reached = f"{mutant.module}.{CALLER if mutant.function == COMPILED else mutant.function}"
        pool = self.pool(mutant.module)
        known = [n for n in pool if n not in tried and reached in self.reach.get(n, ())]
        for name, check in pool.items():
            if known:
                break
            if name not in self.reach:
                self.profile(name, check)
                known = [name] if reached in self.reach[name] else []

        def key(name: str) -> tuple[float, ...]:
            last = (-self.noticed.get((of, name), 0) for of in (function, mutant.module))
            return *last, self.seconds[name]

        return [(name, pool[name]) for name in sorted(known, key=key)]

    def start(self, mutant: Mutant, tried: set[str]) -> Run | None:
        """A child on its way, or nothing where no check is left."""
        checks = self.checks(mutant, tried)
        if not checks:
            return None
        # what there is now is nothing that a child's collector has to look at, and so to copy
        gc.freeze()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _child(mutant, checks, self.seconds, write)
        os.close(write)
        return Run(pid, read, tried | {name for name, _ in checks})

    def finish(self, mutant: Mutant, running: Run | None) -> dict[str, Any]:
        """How it ends: caught, survived, left (by the short list), unmet, or no term."""
        spent, counts = 0.0, {"met": 0, "changed": 0}
        while running:
            with os.fdopen(running.read, "rb") as pipe:
                said = pipe.read()
            _, status, used = os.wait4(running.pid, 0)
            spent += used.ru_utime + used.ru_stime
            # without a word it ended by a signal: the clock's, or for want of memory
            answer = json.loads(said) if said else {"by": f"signal {status & 127}", "met": 1, "changed": 1}
            if answer["by"]:
                break
            counts = {key: answer[key] + counts[key] for key in counts}
            running = self.start(mutant, running.tried)
        out = {"name": mutant.name, "seconds": round(spent, 3), "by": ""}
        if not running:
            if counts["met"] and mutant.operation == "late" and not counts["changed"]:
                return {**out, "outcome": "no term"}  # one number for all steps is never late
            escaped = "survived" if counts["changed"] else "unmet"
            return {**out, "outcome": "left" if self.quick else escaped}
        if answer["by"] == "none":
            return {**out, "outcome": "no term"}
        for of in (f"{mutant.module}.{mutant.function}", mutant.module):
            self.noticed[of, answer["by"]] = next(self.clock)
        return {**out, "outcome": "caught", "by": answer["by"], "slow": bool(answer.get("slow"))}

    def run(self, chosen: list[Mutant]) -> Iterator[dict[str, Any]]:
        running: list[tuple[Mutant, Run | None]] = []
        for mutant in chosen:
            running.append((mutant, self.start(mutant, set())))
            if len(running) >= self.jobs:
                yield self.finish(*running.pop(0))
        for left in running:
            yield self.finish(*left)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[""], help="how their names begin")
    parser.add_argument("--quick", action="store_true", help="the short lists alone")
    parser.add_argument("--exceptions", action="store_true", help="those that are said to change nothing")
    options = parser.parse_args()
    warnings.simplefilter("error")
    # without pytest no conftest.py is read: a slow machine is no mutant, nor is a drawn example
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, suppress_health_check=SLOW
    )
    settings.load_profile("mutants")
    for name in REMEMBERED:
        module, _, function = name.partition(".")
        remember(importlib.import_module(module), function)
    for target in TARGETS:
        watch(target)
    chosen = [
        m
        for m in mutants()
        if m.name.startswith(tuple(options.only))
        and m.name.startswith(tuple(EQUIVALENT)) == options.exceptions
    ][:: options.every]
    for result in Runner(options.jobs, options.quick).run(chosen):
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
