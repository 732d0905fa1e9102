"""Theorems 3 and 3′ over random cells: processes and parameters, horizons, K, spectra and means, mixtures inside A1.

Every cell has an exact referee: the recursion for Gaussian data, the pushed quantiles for a mixture on the
line. A ratio bound/exact below 1 would refute the theorem or its code. Theorem 3′ gets what A1 says as a curvature profile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from numerics.io.interrupts import uninterrupted
from numerics.laws.ode_on_line import flow1d
from numerics.targets.products import SymmetricMixture
from wbound.bounds.theorem_3 import THEOREM_3
from wbound.bounds.theorem_3_profile import THEOREM_3_PRIME
from wbound.data.beyond_log_concave import CurvatureProfile
from wbound.data.gaussian import Gaussian
from wbound.errors import BadInput, count
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.extras import needing
from wbound.forward.catalogue import CATALOGUE
from wbound.forward.catalogue import process as named
from wbound.sampler.make_setting import Setting, setting

__all__ = ["Scatter", "as_profile", "draw", "ratio", "scatter"]

SCHEMES = ("ode-hf", "ddim", "ode-ei")
PROCESSES = tuple(name for name in CATALOGUE if not name.startswith("optimal"))
#: More cells than this are days of work.
MOST_CELLS = 10**8
#: The part of the cells that are mixtures: each costs ten times a Gaussian one.
MIXTURES = 0.05
#: Quadrature's relative error, which a ratio is held against.
RTOL = 1e-6
#: Cells that one job does.
BLOCK = 250


@dataclass(frozen=True)
class Scatter:
    """``cells`` compared (of them ``mixtures``), how many bounds were below the exact value (``violations``, of either
    theorem), the smallest finite ratio of each scheme on centred data and where, and of Theorem 3′ (``as_profile``; empty in
    files that are older than it); ``seed``, ``seconds``, ``date``."""

    cells: int
    mixtures: int
    violations: int
    smallest: dict[str, float]
    where: dict[str, str]
    seed: int
    seconds: float
    date: str
    as_profile: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        return asdict(self)


def draw(rng: np.random.Generator) -> Setting | None:
    """A random cell, or None where its clock leaves double precision."""
    name = str(rng.choice(PROCESSES))
    keys = list(named(name).parameters)
    values = dict(zip(keys, 10.0 ** rng.uniform(-2.0, 2.0, len(keys)), strict=True))
    scheme, start = str(rng.choice(SCHEMES)), str(rng.choice(("prior", "exact")))
    data: Any
    if rng.uniform() < MIXTURES:
        s = 10.0 ** rng.uniform(-1.0, 1.0)
        data = SymmetricMixture(rng.uniform(0.05, 0.999) * s, s)
        log_lam, K = rng.uniform(math.log(0.1), math.log(1e6)) + 2.0 * math.log(s), rng.uniform(0.0, 5.7)
    else:
        spectrum = 10.0 ** rng.uniform(-6.0, 6.0, rng.integers(1, 5))
        mean = 0.0 if rng.uniform() < 0.5 else 10.0 ** rng.uniform(-3.0, 3.0)
        data = Gaussian(np.full(spectrum.size, mean), spectrum)
        log_lam, K = rng.uniform(math.log(1e-2), math.log(1e80)), rng.uniform(0.0, 7.6)
    try:
        p = named(name, **values)
        T = float(p.time_of(log_lam))
        return setting(p, data, T, int(math.exp(K)), scheme=scheme, start=start)
    except BadInput:
        return None


def as_profile(s: Setting) -> Setting:
    """The setting with its data's m_0 and L_0 as a curvature profile, m = m_0/(1 + m_0λ) and L = L_0/(1 + L_0λ)."""
    m0, L0, data = s.data.m0, s.data.L0, s.data
    facts = data.d, data.second_moment, data.mean_norm
    profile = CurvatureProfile(lambda lam: m0 / (1.0 + m0 * lam), lambda lam: L0 / (1.0 + L0 * lam), *facts)
    return replace(s, data=profile)


def ratio(s: Setting) -> tuple[float, float]:
    """Bound over exact value, of Theorem 3 and of Theorem 3′; infinite where either is not finite, or the exact value is 0, or
    a profile cannot say the cell."""
    exact = float(EXACT_LAW(s)) if isinstance(s.data, Gaussian) else flow1d(s, RTOL).w2
    try:
        by_profile = THEOREM_3_PRIME(as_profile(s)).total
    except BadInput:  # its clock starts beyond what a function of λ can say
        by_profile = math.inf
    bounds = THEOREM_3(s).total, by_profile
    first, prime = (b / exact if 0.0 < exact < math.inf and b < math.inf else math.inf for b in bounds)
    return first, prime


#: The smallest of each scheme and theorem ("" and "′"), and where.
_Least = dict[tuple[str, str], tuple[float, str]]


def _block(seed: np.random.SeedSequence, cells: int) -> tuple[int, int, int, _Least]:
    rng = np.random.default_rng(seed)
    done = mixtures = violations = 0
    least: _Least = {}
    while done < cells:
        s = draw(rng)
        if s is None:
            continue
        gaussian = isinstance(s.data, Gaussian)
        done, mixtures = done + 1, mixtures + (not gaussian)
        of = "Gaussian" if gaussian else "mixture"
        where = f"{s.process.name}, {of}, d = {s.data.d}, K = {s.nodes.K}, {s.start}"
        for theorem, found in zip(("", "′"), ratio(s), strict=True):
            violations += found < 1.0 - (1e-9 if gaussian else RTOL)
            key = s.scheme.name, theorem
            if s.data.mean_norm == 0.0 and found < least.get(key, (math.inf, ""))[0]:
                least[key] = found, where
    return done, mixtures, violations, least


def scatter(
    cells: int,
    seed: int = 0,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scatter:
    """Compare Theorems 3 and 3′ with exact values in ``cells`` random cells (section 12; kinds *upper* and *exact*).

    seed: of all cells, whose values do not depend on ``jobs`` (processes; default every core); progress: how
    many are done, of how many. Raises `BadInput`.
    """
    with needing("sweep"):
        from joblib import Parallel, cpu_count, delayed

    total, begun = count("cells", cells), time.monotonic()
    if total > MOST_CELLS:
        raise BadInput("cells", total, f"must be at most {MOST_CELLS:.0e}")
    sizes = [min(BLOCK, total - i) for i in range(0, total, BLOCK)]
    seeds = np.random.SeedSequence(count("seed", seed, 0)).spawn(len(sizes))
    workers = min(cpu_count() if jobs is None else count("jobs", jobs), len(sizes))
    pool = Parallel(n_jobs=workers, return_as="generator")
    done = mixtures = violations = 0
    least: _Least = {}
    with uninterrupted(processes=True):
        blocks = pool(delayed(_block)(one, size) for one, size in zip(seeds, sizes, strict=True))
    for got in blocks:
        done, mixtures, violations = done + got[0], mixtures + got[1], violations + got[2]
        for key, found in got[3].items():
            least[key] = min(found, least.get(key, (math.inf, "")))
        progress(done, total)
    by = {theorem: [name for name in SCHEMES if (name, theorem) in least] for theorem in ("", "′")}
    return Scatter(
        cells=done,
        mixtures=mixtures,
        violations=violations,
        smallest={name: least[name, ""][0] for name in by[""]},
        where={name: least[name, ""][1] for name in by[""]},
        as_profile={name: least[name, "′"][0] for name in by["′"]},
        seed=seed,
        seconds=round(time.monotonic() - begun, 1),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )
