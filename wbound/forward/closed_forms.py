"""A closed form of a user's own process, tried for a limited time in a child that can be killed.

sympy's integration has no time limit of its own, and a signal does not interrupt arithmetic on huge
integers; so a child process does it, and the parent waits for so long. The child checks what it finds
against quadrature before it says so, and sends text only.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from typing import Any

__all__ = ["closed_form"]

#: Processor seconds for sympy, counted from the moment the child has loaded it: a busy machine changes no answer.
LIMIT = 2.0
#: How many times as long by the clock.
PATIENCE = 15.0
#: Seconds between two looks at what the child has used.
POLL = 0.05
#: Seconds for loading it.
LOADING = 30.0
#: Agreement with quadrature that a closed form has to show, relative.
RTOL = 1e-9
#: Forward times at which it is checked.
CHECKS = 80


def closed_form(
    f: str, g: str, parameters: dict[str, float], T: float, limit: float = LIMIT
) -> tuple[dict[str, str], str | None]:
    """Those of α, σ² and λ of a process that sympy finds within ``limit`` processor seconds, as text; and why the
    others are missing (None where none is).

    f, g: texts that the whitelist parser takes; parameters: their values, at which the result is checked
    over forward times up to T.
    """
    found: dict[str, str] = {}
    lines: queue.Queue[str] = queue.Queue()
    with subprocess.Popen(
        [sys.executable, "-m", "wbound.forward.closed_forms"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        stdout = child.stdout

        def read() -> None:  # pipes have no timeout that works everywhere; queues have
            for line in stdout:
                lines.put(line)
            lines.put("")

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            child.stdin.write(json.dumps({"f": f, "g": g, "parameters": parameters, "T": T}))
            child.stdin.close()
            lines.get(timeout=LOADING)
            began, end = _processor_seconds(child.pid), time.monotonic() + PATIENCE * limit
            while True:
                try:
                    line = lines.get(timeout=POLL)
                except queue.Empty:
                    if _processor_seconds(child.pid) - began >= limit or time.monotonic() >= end:
                        raise
                    continue
                if not line:
                    return found, "sympy found none"
                message = json.loads(line)
                if "done" in message:
                    return found, message["done"]
                found.update(message)
        except (queue.Empty, BrokenPipeError):
            return found, f"sympy found none within {limit:g} s"
        finally:
            child.kill()
            reader.join()


def _processor_seconds(pid: int) -> float:
    """What a child has used so far; one that is gone has nothing more to say than the pipe holds."""
    import psutil

    try:
        used = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(used.user + used.system)


# ---------------------------------------------------------------------- the child


class _NotFound(Exception):
    """Why there is no closed form."""


def _find(f: str, g: str, parameters: dict[str, float], T: float) -> None:
    """Print what is found, one JSON object a line."""
    import sympy as sp

    from wbound.calculus.parser import symbol
    from wbound.calculus.to_numpy import function
    from wbound.forward.forward_process import Process

    process = Process(f=f, g=g, **parameters)
    t, u = symbol("t"), sp.Symbol("u", nonnegative=True)
    names = [symbol(name) for name in parameters]
    times = [T * (i + 1) / CHECKS for i in range(CHECKS)]
    e = process.expr

    def integral(expr: sp.Expr) -> sp.Expr:
        return sp.simplify(sp.integrate(sp.expand(expr).subs(t, u), (u, 0, t)))

    def say(key: str, expr: sp.Expr) -> None:
        if expr.has(sp.Integral, sp.Sum, sp.Piecewise, sp.I, sp.zoo, sp.nan):
            raise _NotFound("sympy found none")
        expected = getattr(process, key)(times)
        compiled = function(expr, t, *names)
        for at, value in zip(times, expected, strict=True):
            got = compiled(at, *parameters.values())
            if not abs(got - value) <= RTOL * abs(value):
                wrong = f"sympy's {key} is {got:.6g} at t = {at:g}, where quadrature gives {value:.6g}"
                raise _NotFound(wrong)
        print(json.dumps({key: str(expr)}), flush=True)

    if process.family == "ve":
        alpha, lam = sp.Integer(1), integral(e.g**2)
    else:
        F = integral(e.f)
        alpha = sp.simplify(sp.exp(-F))
        say("alpha", alpha)
        if process.family == "stationary":
            lam = sp.simplify(e.g**2 / (2 * e.f)) * (sp.exp(2 * F) - 1)
        else:
            lam = integral(sp.simplify(e.g**2 * sp.exp(2 * F)))
    say("lam", lam)
    say("sigma2", sp.simplify(alpha**2 * lam))


def _child() -> None:
    request: dict[str, Any] = json.loads(sys.stdin.read())
    import sympy

    from wbound.forward import forward_process  # noqa: F401  (loading is not part of the time limit)

    sympy.integrate(sympy.Symbol("x"), sympy.Symbol("x"))  # its first call loads half of sympy
    print("ready", flush=True)
    why = None
    try:
        _find(**request)
    except _NotFound as reason:
        why = str(reason)
    except Exception as error:  # whatever sympy stumbles over, there is no closed form to show
        why = f"sympy found none ({type(error).__name__})"
    print(json.dumps({"done": why}), flush=True)


if __name__ == "__main__":
    _child()
