"""Writes docs/gallery.md: forward processes that no table has, with their orders derived and measured.

Run as ``python docs/gallery.py`` (a minute); a test runs `derived_table` and holds the page to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import wbound
from numerics.tables.orders import as_markdown
from wbound.calculus.parser import parse
from wbound.complexity.orders_measured import DIMENSIONS, EPS_AT, EPSILONS, measured_orders
from wbound.complexity.orders_table import order_rows
from wbound.errors import Unreachable
from wbound.forward.forward_process import Process

PAGE = Path(__file__).with_name("gallery.md")


@dataclass(frozen=True)
class Exhibit:
    """A process as a user would type it, and the closed forms with which it is measured."""

    name: str
    f: str
    g: str
    say: str
    increment: str = ""
    family: str = "ve"
    log_lam: str = ""
    t_max: float = float("inf")
    #: where it is measured: ε at d = 10, then d at the last argument's ε
    epsilons: tuple[float, ...] = EPSILONS
    dimensions: tuple[int, ...] = DIMENSIONS
    eps_at: float = EPS_AT

    def typed(self) -> Process:
        """From f and g alone, as a user types it: what the derivation reads."""
        return wbound.Process(f=self.f, g=self.g)

    def closed(self) -> Process:
        """The same with closed forms, exact at any ε."""
        if not self.increment:
            return self.typed()
        return Process.named(
            self.name,
            {},
            parse(self.f),
            parse(self.g),
            family=self.family,
            increment=parse(self.increment, "t", ("lo", "hi")),
            log_lam=parse(self.log_lam) if self.log_lam else None,
            t_max=self.t_max,
        )


GALLERY = (
    Exhibit(
        "cubic noise",
        "0",
        "(1+t)**3",
        "VE; λ is a polynomial of degree 7.",
        "-(1+hi)**7*expm1(7*log1p(-(hi-lo)/(1+hi)))/7",
    ),
    Exhibit(
        "quartic β",
        "(1+t)**4/2",
        "(1+t)**2",
        "VP; λ = e^B − 1 with B of degree 5.",
        "-(1+hi)**5*expm1(5*log1p(-(hi-lo)/(1+hi)))/10",
        "stationary",
    ),
    Exhibit(
        "cosine",
        "pi/2*tan(pi*t/2)",
        "sqrt(pi*tan(pi*t/2))",
        "VP with α = cos(πt/2), λ = tan²(πt/2): the clock reaches infinity at t = 1, so T costs nothing, "
        "but the steps near t = 1 do: the sums of Theorem 2 grow like a logarithm.",
        # log(cos a/cos b) with cos a − cos b from a product: nothing cancels
        "log1p(2*sin(pi*(hi-lo)/4)*sin(pi*(hi+lo)/4)/sin(pi*(1-hi)/2))",
        "stationary",
        t_max=1.0,
    ),
    Exhibit(
        "sigmoid β",
        "1/(1+exp(-t))/2",
        "sqrt(1/(1+exp(-t)))",
        "VP; β rises from ½ to 1, so in the end it is Ornstein–Uhlenbeck.",
        # ½ log((1+e^hi)/(1+e^lo))
        "(hi-lo+log1p(expm1(-(hi-lo))/(1+exp(lo))))/2",
        "stationary",
    ),
    Exhibit(
        "double exponential",
        "0",
        "exp((t+exp(t))/2)",
        "VE with λ = e^{e^t} − e.",
        "-exp(exp(hi))*expm1(-exp(lo)*expm1(hi-lo))",
        log_lam="exp(t) + log(-expm1(-expm1(t)))",
    ),
    Exhibit(
        "logistic clock",
        "0",
        "exp(-t/2)/(1+exp(-t))",
        "VE with λ = 1/(1+e^{−t}) − ½: noise that dies out. λ never exceeds ½: no K reaches a small ε.",
        "(exp(-lo)-exp(-hi))/((1+exp(-lo))*(1+exp(-hi)))",
    ),
    Exhibit(
        "simple pole",
        "0",
        "1/(1-t)",
        "VE with λ = t/(1−t): a clock that reaches infinity, but too fast. Here Theorem 1 has a true "
        "logarithm squared (so its measured power is still rising), and Theorem 2 loses a power.",
        "(hi-lo)/((1-hi)*(1-lo))",
        t_max=1.0,
        # at 1e-12 double precision could not tell T from 1
        epsilons=(1e-2, 1e-3, 1e-4),
        dimensions=(1, 100, 10_000),
        eps_at=1e-2,
    ),
    Exhibit(
        "fading noise",
        "0",
        "1/sqrt(1+t)",
        "VE with λ = log(1+t): T is exponential in 1/ε. Nobody should use it.",
        "log1p((hi-lo)/(1+lo))",
    ),
)

HEAD = """# Gallery: processes that no table has

Each process below was typed as $f$ and $g$, and its orders were derived from these two expressions
([section 8 of the theory](#section-8)); nobody wrote an order down. $T$ solves
$\\lambda(T)\\asymp x$ with $x=\\sqrt d/\\varepsilon$; Theorem 1 then has $K\\asymp T\\,x^2$ and Theorem 2
$K\\asymp T\\,x$, unless their sums grow as well.
This page is written by `python docs/gallery.py`, and a test derives its orders again.

```python
import wbound
p = wbound.Process(f="0", g="(1+t)**3")
print(wbound.orders(p, theorem="published").text)
print(wbound.orders(p, theorem="sharp").text)
```
"""

MEASURED = """
## Measured

Powers of $d$ and $\\varepsilon$ in $K$ and $T$ by regression of `iterations`, with the powers of the
logarithms fixed at their derived values (scheme `em`, $m_0=L_0=1$, mean unknown).

"""


def derived_table() -> str:
    """What is derived, from f and g alone."""
    rows = order_rows([e.typed() for e in GALLERY])
    names = [e.name for e in GALLERY for _ in range(2)]
    parts = ["## The processes\n\n| name | $f$ | $g$ | what it is |\n|---|---|---|---|"]
    parts += [f"| {e.name} | `{e.f}` | `{e.g}` | {e.say} |" for e in GALLERY]
    return "\n".join(parts) + "\n\n## Derived orders\n\n" + as_markdown(rows, names)


def measured_table() -> str:
    """What `iterations` says, beside the derived powers."""
    lines = [
        "| process | Theorem | $\\varepsilon$ | measured | largest distance from the derived power |",
        "|---|---|---|---|---|",
    ]
    for e in GALLERY:
        for number, theorem in enumerate(("published", "sharp"), 1):
            span = f"{max(e.epsilons):g} to {min(e.epsilons):g}"
            try:
                m = measured_orders(
                    e.closed(), theorem, epsilons=e.epsilons, dimensions=e.dimensions, eps_at=e.eps_at
                )
            except Unreachable:
                lines.append(f"| {e.name} | {number} | {span} | out of reach: λ(T) stays too small | |")
                continue
            powers = (
                f"$K\\sim d^{{{m.K_d:.3f}}}\\varepsilon^{{{m.K_eps:.3f}}}$, "
                f"$T\\sim d^{{{m.T_d:.3f}}}\\varepsilon^{{{m.T_eps:.3f}}}$"
            )
            lines.append(f"| {e.name} | {number} | {span} | {powers} | {m.gap:.3f} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page."""
    return HEAD + "\n" + derived_table() + MEASURED + measured_table()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
