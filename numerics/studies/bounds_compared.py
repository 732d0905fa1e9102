"""Peers beside ours: every bound that can be evaluated in one setting, each beside the exact value of the sampler that
it is about; and which schedule of a family each of them calls best, beside the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wbound.bounds.modified_score import MODIFIED_EI, MODIFIED_SCORE
from wbound.bounds.theorem import Theorem
from wbound.bounds.theorem_6 import affine_floor
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import gaussian_data
from wbound.errors import BadInput, HypothesisFailed, one_of, real
from wbound.exact.ddim_angles import ddim_floor
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.forward.forward_process import Process
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import SCHEMES, Scheme, scheme_named
from wbound.statement.statement_object import Bound, Statement
from wbound.theory.statements import BOUNDS

__all__ = ["LAWS", "Floor", "Peer", "Peers", "called_best", "law_named", "peers", "rising_beta"]

#: What two values of W2 must differ by, relatively, so that one schedule is better than another.
LEVEL = 1e-9
#: The laws of Strasman et al.'s public configuration, d = 10, mean 1: their covariances.
LAWS: dict[str, Any] = {
    "isotropic": np.full(10, 0.5),
    "heteroscedastic": np.array([1.0, 0.01, *[1.0] * 8]),
    "correlated": 1.0 / np.sqrt(np.abs(np.subtract.outer(np.arange(10), np.arange(10))) + 1.0),
}


def law_named(name: str) -> Gaussian:
    """One of `LAWS`. Raises `BadInput`."""
    return Gaussian(np.ones(10), LAWS[one_of("law", name, LAWS)])


def rising_beta(a: float, low: float = 0.1, high: float = 20.0, T: float = 1.0) -> Process:
    """VP with β(t) = low + (high − low)(e^{at} − 1)/(e^{aT} − 1), from ``low`` to ``high``; a < 0 is concave, a = 0
    linear, a > 0 convex. Raises `BadInput`.

    Source: the family of Strasman et al. (arXiv 2402.04650).
    """
    a = real("a", a)
    share = "t/T" if a == 0.0 else "(exp(a*t)-1)/(exp(a*T)-1)"
    values = {"b": low, "c": high - low, "T": T} | ({} if a == 0.0 else {"a": a})
    rate = f"b+c*{share}"
    return Process(f=f"({rate})/2", g=f"sqrt({rate})", **values)


@dataclass(frozen=True)
class Peer:
    """One bound: whose it is, the sampler and start it is about, its value, the exact W2 of that very sampler, and
    what of its own hypotheses fails ("" where they hold). bound: None where it has no value."""

    statement: str
    name: str
    source: str
    scheme: str
    start: str
    bound: float | None
    exact: float | None
    fails: str

    @property
    def ratio(self) -> float | None:
        """bound/exact."""
        return None if self.bound is None or not self.exact else self.bound / self.exact

    @property
    def short(self) -> str:
        """A word for a table's head: T1, T2, Strasman."""
        words = self.name.split()
        return f"T{words[1]}" if words[0] == "Theorem" else words[0]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        more = {"ratio": self.ratio, "holds": not self.fails, "fails": self.fails or None}
        return {**vars(self), **more}


@dataclass(frozen=True)
class Floor:
    """What no sampler of a kind goes below: W2 in x, for whom, and about which data it speaks."""

    name: str
    about: str
    value: float


@dataclass(frozen=True)
class Peers:
    """The bounds of one setting; ``exact`` is the W2 of the scheme asked for, ``trivial`` ‖X_0‖."""

    scheme: str
    start: str
    exact: float
    trivial: float
    rows: tuple[Peer, ...]
    floors: tuple[Floor, ...]

    def bound(self, statement: str) -> float | None:
        """The value of one of the rows, by the id of its statement."""
        return next(row.bound for row in self.rows if row.statement == statement)


#: What a theorem is about where it does not take the scheme asked for: the first that it takes.
ELSE = ("ei", "ddim", "heun-lambda", "em")


def _fitting(theorem: Theorem, scheme: str | Scheme) -> str | Scheme:
    own = scheme_named(scheme)
    if own.memory is None and not own.random and theorem.takes(own):
        return scheme
    return next(name for name in ELSE if theorem.takes(SCHEMES[name]))


def _tried(scheme: str | Scheme, start: str) -> list[tuple[Statement, str, str | Scheme, str]]:
    """Every bound with the sampler and start it is evaluated for: those asked for where it takes them, or else
    one that it is about. The published theorem starts from the prior."""
    return [
        *((by, by.name, _fitting(by, scheme), "prior" if by.needs_M1 else start) for by in BOUNDS),
        (MODIFIED_SCORE, "Strasman (after)", MODIFIED_EI, "standard"),
    ]


#: Hypotheses without which the bound after Strasman et al. still has a value (it is then no bound).
EVALUATED_WITHOUT = ("m_0 >= 1", "beta does not decrease", "the step size")


def _peer(
    process: Process,
    data: Gaussian,
    T: float,
    K: int,
    tried: tuple[Statement, str, str | Scheme, str],
) -> Peer:
    statement, name, scheme, start = tried
    bound: Bound | None = None
    exact: float | None = None
    label = scheme if isinstance(scheme, str) else scheme.name
    try:
        s = setting(process, data, T, K, scheme=scheme, start=start)
        if isinstance(statement, Theorem) and statement.needs_M1:
            s = setting(process, data, T, K, scheme=scheme, start=start, M1="exact")
        fails = ""
        try:
            statement.check(s)
        except HypothesisFailed as failed:
            fails = f"{failed.hypothesis}: {failed.detail}"
            if failed.hypothesis in EVALUATED_WITHOUT:
                statement.check(s, EVALUATED_WITHOUT)
                bound = statement.evaluate(s)
        else:
            bound = statement.evaluate(s)
        exact = float(EXACT_LAW(s))
    except (
        BadInput,
        HypothesisFailed,
    ) as refused:  # no such start, no density, coefficients infinite where they are read
        fails = str(refused)
    return Peer(
        statement.id,
        name,
        statement.source,
        label,
        start,
        None if bound is None else bound.total,
        exact,
        fails,
    )


def peers(
    process: Process, data: Any, T: float, K: int, *, scheme: str | Scheme = "ei", start: str = "standard"
) -> Peers:
    """Every bound that can be evaluated on Gaussian data, uniform steps, the exact score (W2, not squared, in x).

    process: the forward SDE; data: a `Gaussian`, or `LogConcave` facts with m_0 = L_0; T: forward time > 0; K: steps ≥ 1;
    scheme, start: for the bounds that take them (Theorem 1 is about em from the prior, the bound after Strasman et al.
    about a sampler of its own from N(0, I)): each row says which. Kinds: *upper*, *exact*, *lower*.
    Raises `BadInput` and `HypothesisFailed` (data that are no Gaussian).
    """
    law = gaussian_data(data)
    s = setting(process, law, T, K, scheme=scheme, start=start)
    values = law.eigenvalues
    floors = [Floor("Eq. 17", "ddim from p_T, any grid, these data", ddim_floor(K, values, process_end(s)))]
    if values.min() > 0.0:
        worst = affine_floor(float(values.max() / values.min()), K) * math.sqrt(float(values.sum()))
        about = f"affine, {K} evaluations, worst spectrum"
        floors.append(Floor("Theorem 6", about, worst))
    return Peers(
        s.scheme.name,
        s.start,
        float(EXACT_LAW(s)),
        math.sqrt(law.second_moment),
        tuple(_peer(process, law, T, K, tried) for tried in _tried(scheme, start)),
        tuple(floors),
    )


def process_end(s: Any) -> float:
    """λ(T), at most what doubles hold."""
    return math.exp(min(s.nodes.first[1], 700.0))


def called_best(tables: Mapping[Any, Peers], statements: Sequence[str]) -> dict[str, Any]:
    """Which of the schedules (the keys) each statement's bound, and the exact law ("exact"), calls best of those
    given: None where one has no value, or where two are level."""
    out: dict[str, Any] = {}
    for key in (*statements, "exact"):
        values = {name: t.exact if key == "exact" else t.bound(key) for name, t in tables.items()}
        if any(v is None for v in values.values()):
            out[key] = None
            continue
        ranked = sorted(values, key=lambda name: float(values[name]))  # type: ignore[arg-type]
        first, second = (float(values[n]) for n in (*ranked[:1], *ranked[:2][-1:]))  # type: ignore[arg-type]
        level = len(ranked) > 1 and second <= first * (1.0 + LEVEL)
        out[key] = None if level else ranked[0]
    return out
