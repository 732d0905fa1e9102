"""Samplers' outputs with the right joint law, and with wrong ones whose every coordinate is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from numerics import Gaussian, LogCosh, SymmetricMixture
from numerics.laws import sde_on_line
from numerics.laws.sde_on_line import LineLaw
from numerics.targets.mixtures import Bimodal
from numerics.transport.gaussians import gaussian_w2
from wbound.forward.catalogue import PUBLISHED
from wbound.forward.catalogue import process as named
from wbound.sampler.make_setting import Setting, setting

Array = NDArray[np.float64]

#: Ranks of coupled coordinates, and the columns that are coupled.
Coupled = tuple[Array, NDArray[np.intp]]

ROWS = 20_000
SCHEMES = ("em", "ei", "hf", "ddpm", "ode-hf", "ddim")


def random_setting(rng: np.random.Generator, most: int = 60) -> Setting:
    """A process, a scheme, T and K, and a target in d = 2 to 12, now and then up to ``most``."""
    d = int(rng.integers(2, min(12, most) + 1))
    if most > 12 and rng.uniform() < 0.1:
        d = int(rng.integers(13, most + 1))
    kind, scale = rng.integers(4), 10.0 ** rng.uniform(-1.0, 1.0)
    target: Any
    if kind == 0:
        turn = np.linalg.qr(rng.standard_normal((d, d)))[0] if rng.uniform() < 0.5 else np.eye(d)
        spectrum = scale**2 * 10.0 ** rng.uniform(-1.0, 1.0, d)
        target = Gaussian(scale * rng.standard_normal(d), (turn * spectrum) @ turn.T)
    elif kind == 1:
        target = LogCosh(d, 0.5 / scale**2, rng.uniform(0.6, 4.0) / scale**2)
    else:
        c = rng.standard_normal(d) if rng.uniform() < 0.5 else np.eye(d)[0]
        size = scale * rng.uniform(0.3, 0.95) / float(np.linalg.norm(c))
        target = SymmetricMixture(size * c, scale) if kind == 2 else Bimodal(2.0 * size * c, scale)
    p = named(str(rng.choice(list(PUBLISHED))))
    mean2 = (target.mean_norm or 0.0) ** 2
    log_lam = math.log(rng.uniform(3.0, 30.0) * (target.second_moment - mean2) / d)
    scheme = str(rng.choice(SCHEMES))
    return setting(p, target, float(p.time_of(log_lam)[()]), int(rng.integers(3, 12)), scheme=scheme)


def laws_of(s: Setting) -> tuple[LineLaw, ...]:
    return sde_on_line.law1d(s).factors


def axes_of(target: Any) -> Array:
    """The axes of a target's factors, as columns: along(x) is x @ axes."""
    return np.concatenate(target.along(np.eye(target.d)), axis=1)


# ---------------------------------------------------------------------- wrong joint laws
def _all(g: Array) -> NDArray[np.intp]:
    return np.arange(g.shape[1])


def _shared(g: Array, rng: np.random.Generator) -> Coupled:
    r = rng.uniform(0.05, 1.0)
    signs = rng.choice((-1.0, 1.0), g.shape[1])
    return math.sqrt(1.0 - r) * g + math.sqrt(r) * rng.standard_normal((len(g), 1)) * signs, _all(g)


def _gaussian(g: Array, rng: np.random.Generator) -> Coupled:
    d = g.shape[1]
    return g @ (np.eye(d) + rng.uniform(0.2, 2.0) * rng.standard_normal((d, d)) / math.sqrt(d)), _all(g)


def _student(g: Array, rng: np.random.Generator) -> Coupled:
    freedom = rng.uniform(1.0, 3.0)
    return g / np.sqrt(rng.chisquare(freedom, (len(g), 1))), _all(g)


def _repeated(g: Array, rng: np.random.Generator) -> Coupled:
    j, k = rng.permutation(g.shape[1])[:2]
    g[:, j] = rng.choice((-1.0, 1.0)) * g[:, k]
    return g, np.array([j, k])


def _random_sign(g: Array, rng: np.random.Generator) -> Coupled:
    """x and ±x: uncorrelated, and each projection has the right second moment."""
    j, k = rng.permutation(g.shape[1])[:2]
    g[:, j] = rng.choice((-1.0, 1.0), len(g)) * g[:, k]
    return g, np.array([j, k])


def _radius(g: Array, rng: np.random.Generator) -> Coupled:
    """All coordinates of one size, with signs of their own."""
    size = np.abs(rng.standard_normal((len(g), 1)))
    return size * rng.choice((-1.0, 1.0), g.shape) * np.exp(rng.uniform(0.0, 0.3) * g), _all(g)


def _checkerboard(g: Array, rng: np.random.Generator) -> Coupled:
    """Uniform on every other cell, in two coordinates or in three (any two of which are independent)."""
    some = rng.permutation(g.shape[1])[: rng.integers(2, 4)]
    m = int(rng.choice((2, 4)))
    cell = rng.integers(0, m, (len(g), some.size))
    cell[:, 0] += (cell.sum(axis=1) % 2) * np.where(cell[:, 0] % 2 == 0, 1, -1)
    g[:, some] = (cell + rng.uniform(size=cell.shape)) / m
    return g, some


def _clayton(g: Array, rng: np.random.Generator) -> Coupled:
    theta = rng.uniform(0.3, 6.0)
    frailty = rng.gamma(1.0 / theta, size=(len(g), 1))
    return (1.0 + rng.exponential(size=g.shape) / frailty) ** (-1.0 / theta), _all(g)


def _sum(g: Array, rng: np.random.Generator) -> Coupled:
    """u_k = u_i + u_j modulo 1: any two of the three are independent."""
    some = rng.permutation(g.shape[1])[:3]
    u = rng.uniform(size=(len(g), some.size))
    u[:, -1] = u[:, :-1].sum(axis=1) % 1.0  # in d = 2 one is repeated
    g[:, some] = u
    return g, some


COPULAS = (
    _shared,
    _gaussian,
    _student,
    _repeated,
    _random_sign,
    _radius,
    _checkerboard,
    _clayton,
    _sum,
)


def coupled(axes: Array, copula: Array) -> Array:
    """The same values in every column of ``axes``, in the ranks of ``copula``: marginals are left as they are."""
    order = np.argsort(np.argsort(copula, axis=0), axis=0)
    return np.asarray(np.take_along_axis(np.sort(axes, axis=0), order, axis=0))


def apart(wrong: Array, right: Array, some: NDArray[np.intp]) -> float:
    """A lower limit of W2 between the two laws, from samples (n, d) that differ in the columns ``some``: the
    largest of Gelbrich's (means and covariances), those of 1-Lipschitz functions, and that of the distance from
    the support (of three columns at most)."""
    a, b = (x[:, some] - right[:, some].mean(axis=0) for x in (wrong, right))
    centre = np.zeros(some.size)
    found = [float(gaussian_w2(centre, np.cov(a, rowvar=False), centre, np.diag(b.var(axis=0))))]
    functions = [(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))]
    for i in range(min(some.size, 4)):
        for j in range(i):
            p, q = ((np.abs(x[:, i]) - np.abs(x[:, j])) / math.sqrt(2.0) for x in (a, b))
            functions.append((p, q))
    found += [float(np.sqrt(np.mean((np.sort(p) - np.sort(q)) ** 2))) for p, q in functions]
    if some.size <= 3:
        tree = KDTree(a[2000:])
        off, own = (np.sqrt(np.mean(tree.query(x[:500])[0] ** 2)) for x in (b, a))
        found.append(float(off - own))
    return max(found)


def wrong_joint_law(
    s: Setting, x: Array, rng: np.random.Generator, least: float = 0.1
) -> tuple[Array, str, float]:
    """Outputs x (n, d) of the setting's sampler, coupled wrongly, with the copula's name and W2's lower limit in
    units of the data's scale √Σ variance, at least ``least``."""
    turn = axes_of(s.data)
    right = x @ turn
    scale = math.sqrt(s.data.second_moment - (s.data.mean_norm or 0.0) ** 2)
    while True:
        make = COPULAS[rng.integers(len(COPULAS))]
        copula, some = make(rng.standard_normal(right.shape), rng)
        wrong = coupled(right, copula)
        far = apart(wrong, right, some) / scale
        if far >= least:
            return wrong @ turn.T, make.__name__[1:], far
