"""Certificates of sections 16 and 17: E_K (Eq. 20), `ddim`'s floor (Eq. 17) and a phase-law sampler's W2, in ball arithmetic.

Inputs are exact text as in `wbound.certified.certificate`. A sampler's levels, zeros and ν are what the text says: the
doubles of a closed form, say, whose sampler is then proved to be as good as it is and not as good as the formula.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wbound.calculus.balls import (
    Ball,
    Enclosure,
    double_of,
    enclosure,
    exact_ball,
    exact_text,
    flint,
    precision,
)
from wbound.certified.certificate_file import digest, exactly
from wbound.errors import BadInput, Inconsistent, count
from wbound.exact.phase import PhaseSampler, zolotarev_levels
from wbound.sampler.description import mapping

__all__ = ["AffineCertificate", "certify_affine", "is_affine", "verify_affine"]

FORMAT = "wbound-affine-certificate-1"
BITS = 192
#: By how much, relatively, the worst case over a class may be left open; a check leaves a quarter of it.
OPEN = 1e-8
#: By how many units in the last place another version of the library may round otherwise.
ULPS = 4
#: Parts of the class that are looked at.
MOST_PARTS = 1 << 18
#: What each enclosure is of.
STATEMENTS = {
    "floor": "theorem-6 (Eq. 20)",
    "worst": "theorem-6:attained",
    "w2": "theorem-4 (Eq. 19)",
    "ddim": "eq-17",
}
KEYS = ("kappa", "K", "a", "levels", "z", "nu", "spectrum", "sigma0", "d", "lam_max")


@dataclass(frozen=True)
class AffineCertificate:
    """Rigorous enclosures for exact ``inputs``.

    floor: E_K of κ (*lower* for every affine sampler, relative); worst: max |r(x)/√x − 1| of the sampler with these levels,
    zeros and ν over [a, κa]: its W2/√tr Σ at the worst spectrum; w2: its W2 (not squared, in x) on ``spectrum``; ddim:
    Eq. 17's W2 for σ_0, d and λ_max (None: ∞). None where it was not asked for.
    """

    inputs: Mapping[str, Any]
    bits: int
    floor: Enclosure
    worst: Enclosure | None = None
    w2: Enclosure | None = None
    ddim: Enclosure | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def enclosures(self) -> dict[str, Enclosure]:
        """Those that there are, by name."""
        every = {name: getattr(self, name) for name in STATEMENTS}
        return {name: e for name, e in every.items() if e is not None}

    @property
    def attained(self) -> float | None:
        """How far above the floor the sampler is at most, relatively: worst/E_K − 1 ≤ this."""
        return None if self.worst is None else self.worst.upper / self.floor.lower - 1.0

    def to_json(self) -> str:
        """The file's text, with a digest over the rest."""
        body = {
            "format": FORMAT,
            "inputs": dict(self.inputs),
            "statements": {name: STATEMENTS[name] for name in self.enclosures()},
            "enclosures": {
                n: {"lower": repr(e.lower), "upper": repr(e.upper)} for n, e in self.enclosures().items()
            },
            "bits": self.bits,
            "versions": dict(self.versions),
        }
        return json.dumps(body | {"digest": digest(body)}, ensure_ascii=False, indent=1) + "\n"


def certify_affine(
    kappa: Any,
    K: int,
    *,
    a: Any = "1",
    sampler: PhaseSampler | Mapping[str, Any] | None = None,
    spectrum: Sequence[Any] | None = None,
    sigma0: Any = None,
    d: int = 1,
    lam_max: Any = None,
    bits: int = BITS,
) -> AffineCertificate:
    """Enclosures of E_K, of a phase-law sampler's worst case over [a, κa] and its W2 on a spectrum, and of Eq. 17's floor.

    kappa, a, spectrum (x²), sigma0 (x), lam_max (x²): text or fractions, which are exact, or doubles, which are their
    binary values. sampler: a `PhaseSampler` of K levels, or ``levels``, ``z`` and ``nu`` as such numbers; without one the
    closed form of Theorem 6 in doubles. sigma0: also Eq. 17 for N(μ, σ_0²I) in d dimensions with K steps.

    Raises `BadInput` (κ < 1, a ≤ 0, K < 1, a zero or a level that is not > 0) and `MissingLibrary`.
    """
    flint()
    K, d = count("K", K), count("d", d)
    texts: dict[str, Any] = {"kappa": exact_text("kappa", kappa), "K": K, "a": exact_text("a", a)}
    if sampler is None and double_of("kappa", texts["kappa"]) > 1.0:
        low = double_of("a", texts["a"])
        if not low > 0.0:
            raise BadInput("a", a, "must be a number > 0")
        sampler = zolotarev_levels(K, low, low * double_of("kappa", texts["kappa"]))
    if isinstance(sampler, PhaseSampler):
        sampler = {"levels": sampler.levels.tolist(), "z": sampler.z.tolist(), "nu": sampler.nu}
    for name in ("levels", "z"):
        texts[name] = None if sampler is None else [exact_text(name, v) for v in sampler[name]]
    texts["nu"] = None if sampler is None else exact_text("nu", sampler["nu"])
    texts["spectrum"] = None if spectrum is None else [exact_text("spectrum", v) for v in spectrum]
    texts["sigma0"] = None if sigma0 is None else exact_text("sigma0", sigma0)
    texts["lam_max"] = None if lam_max is None else exact_text("lam_max", lam_max)
    return _prove(texts | {"d": d}, bits, OPEN)


def _prove(inputs: dict[str, Any], bits: int, left_open: float) -> AffineCertificate:
    bits = count("bits", bits, 64)
    if bits > 1 << 14:
        raise BadInput("bits", bits, "must be at most 16384")
    with precision(bits):
        K = inputs["K"]
        kappa, a = exact_ball("kappa", inputs["kappa"]), exact_ball("a", inputs["a"])
        if not kappa >= 1:
            raise BadInput("kappa", inputs["kappa"], "must be >= 1: the largest eigenvalue over the smallest")
        if not a > 0:
            raise BadInput("a", inputs["a"], "must be a number > 0")
        floor = enclosure(_floor(kappa, K), 0.0)
        worst = w2 = None
        if inputs["levels"] is not None:
            levels, z = ([exact_ball(n, t) for t in inputs[n]] for n in ("levels", "z"))
            nu = exact_ball("nu", inputs["nu"])
            if len(levels) != K or len(z) != K:
                raise BadInput("levels", len(levels), f"must be K = {K} levels and as many zeros")
            for name, values in (("levels", levels), ("z", z), ("nu", [nu])):
                if not all(v > 0 for v in values):
                    raise BadInput(name, inputs[name], "must be > 0")
            worst = _worst(levels, z, nu, a, kappa, left_open)
            if inputs["spectrum"] is not None:
                w2 = enclosure(_w2(levels, z, nu, inputs["spectrum"]), 0.0)
        elif inputs["spectrum"] is not None:
            raise BadInput("spectrum", "given", "needs a sampler: kappa > 1, or levels, z and nu")
        ddim = None if inputs["sigma0"] is None else enclosure(_ddim(inputs), 0.0)
        return AffineCertificate(inputs, bits, floor, worst, w2, ddim, _versions())


def _versions() -> dict[str, str]:
    return {"python-flint": flint().__version__, "flint": flint().__FLINT_VERSION__}


def _floor(kappa: Ball, K: int) -> Ball:
    """Eq. 20: 4Q Π ((1+Q^{4m})/(1+Q^{4m−2}))⁴, Q = e^{−nπ²/2μ}, μ = (π/2) agm(1, √(1−1/κ))/agm(1, κ^{−1/2})."""
    arb = flint().arb
    if kappa == 1:
        return arb(0)
    one, pi = arb(1), arb.pi()
    mu = pi / 2 * one.agm((1 - 1 / kappa).sqrt()) / one.agm(1 / kappa.sqrt())
    Q = (-(2 * K + 1) * pi**2 / (2 * mu)).exp()
    square, product, odd = Q**2, one, Q**2
    while not odd < arb(2) ** (-flint().ctx.prec - 8):
        product *= (1 + odd * square) / (1 + odd)
        odd *= square**2
    # a factor left out is 1 − q, 0 < q < Q^{4m−2}: together at least 1 − Q^{4M+2}/(1 − Q⁴)
    rest = 1 - odd / (1 - square**2)
    return 4 * Q * (product * rest.union(one)) ** 4


def _gain(levels: list[Ball], z: list[Ball], nu: Ball, x: Ball) -> Ball:
    out = nu
    for zero, level in zip(z, levels, strict=True):
        out = out * (x + zero) / (x + level)
    return out


def _w2(levels: list[Ball], z: list[Ball], nu: Ball, spectrum: list[str]) -> Ball:
    total = flint().arb(0)
    for text in spectrum:
        x = exact_ball("spectrum", text)
        if not x >= 0:
            raise BadInput("spectrum", text, "must be a number >= 0")
        total += (_gain(levels, z, nu, x) - x.sqrt()) ** 2
    # a sum of squares; where the sampler is exact its ball reaches below 0, and has no root
    low = total.abs_lower() if total > 0 else flint().arb(0)
    return low.sqrt().union(total.abs_upper().sqrt())


def _worst(levels: list[Ball], z: list[Ball], nu: Ball, a: Ball, kappa: Ball, left_open: float) -> Enclosure:
    """max |r(x)/√x − 1| over [a, κa]: f = log(r/√x) by its value, slope and curvature in u = log x on parts of the class.

    f′ = Σ (x/(x+z) − x/(x+λ)) − ½, f″ = Σ (xz/(x+z)² − xλ/(x+λ)²).
    """
    arb = flint().arb
    width = kappa.log()

    def at(t: Ball) -> tuple[Ball, Ball]:
        """r/√x and f′ at x = aκ^t."""
        x = a * (t * width).exp()
        slope = arb(-0.5)
        for zero, level in zip(z, levels, strict=True):
            slope += x / (x + zero) - x / (x + level)
        return _gain(levels, z, nu, x) / x.sqrt(), slope

    def part(lo: Any, depth: int) -> tuple[Any, Any, Any, int]:
        """(upper end, lower end, where, depth) of |r/√x − 1| on t in [lo, lo + 2^−depth]."""
        size = arb(2) ** -depth
        middle = lo + size / 2
        value, slope = at(middle)
        h = size / 2 * width
        x = a * ((middle + (size / 2) * arb(0, 1)) * width).exp()
        bend = arb(0)
        for zero, level in zip(z, levels, strict=True):
            bend += x * zero / (x + zero) ** 2 - x * level / (x + level) ** 2
        off = (slope.abs_upper() * h + bend.abs_upper() * h**2 / 2).abs_upper()
        over = (value * off.exp() - 1).abs_upper().max((value * (-off).exp() - 1).abs_upper())
        return over, (value - 1).abs_lower(), lo, depth

    depth = 4
    parts = [part(arb(i) * arb(2) ** -depth, depth) for i in range(1 << depth)]
    least = max((p[1] for p in parts), key=float)
    for t in (arb(0), arb(1)):
        end = (at(t)[0] - 1).abs_lower()
        least = least if float(least) >= float(end) else end
    done, looked, slack = arb(0), 0, arb(left_open) * arb(1e-5)
    while parts:
        over, _, lo, depth = parts.pop()
        if over <= least * (1 + arb(left_open)) + slack:
            done = done.max(over)
            continue
        looked += 1
        if looked > MOST_PARTS:
            raise BadInput("levels", "these", "leave the worst case open: the sampler is too near to exact")
        for child in (part(lo, depth + 1), part(lo + arb(2) ** -(depth + 1), depth + 1)):
            least = least.max(child[1])
            parts.append(child)
    return enclosure(least.union(done), 0.0)


def _ddim(inputs: Mapping[str, Any]) -> Ball:
    """Eq. 17."""
    arb = flint().arb
    sigma0 = exact_ball("sigma0", inputs["sigma0"])
    if not sigma0 > 0:
        raise BadInput("sigma0", inputs["sigma0"], "must be a number > 0")
    angle = arb.pi() / 2
    if inputs["lam_max"] is not None:
        lam = exact_ball("lam_max", inputs["lam_max"])
        if not lam > 0:
            raise BadInput("lam_max", inputs["lam_max"], "must be a number > 0")
        angle = (lam.sqrt() / sigma0).atan()
    K = inputs["K"]
    kept = arb(0) if K == 1 and inputs["lam_max"] is None else (angle / K).cos() ** K
    return sigma0 * arb(inputs["d"]).sqrt() * (1 - kept)


def is_affine(text: str) -> bool:
    """Whether a file says that it is one of these certificates."""
    return FORMAT in text


def verify_affine(text: str, bits: int | None = None) -> AffineCertificate:
    """Re-check a file's text: its digest, and every enclosure computed again, as it was and with other ``bits`` (64 more)
    and less left open.

    Raises `BadInput` where it is no such certificate, `Inconsistent` where it was edited, or an enclosure does not contain
    the new one or is wider than the old one.
    """
    flint()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput("certificate", text[:40] or "(empty)", "is not JSON") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise BadInput("certificate", text[:40], f"must be an object of format {FORMAT}")
    exactly(
        "certificate", body, ("format", "inputs", "statements", "enclosures", "bits", "versions", "digest")
    )
    if body["digest"] != digest(body):
        raise Inconsistent(
            "certificate: it has been edited: the digest that it records is not that of its content"
        )
    inputs = body["inputs"]
    exactly("inputs", inputs, KEYS)
    for name, value in inputs.items():
        several = name in ("levels", "z", "spectrum")
        fits = isinstance(value, int) and not isinstance(value, bool) if name in ("K", "d") else (
            isinstance(value, list) and all(isinstance(v, str) for v in value) if several else isinstance(value, str)
        )  # fmt: skip
        if not fits and not (
            value is None and name in ("levels", "z", "nu", "spectrum", "sigma0", "lam_max")
        ):
            raise BadInput("inputs", name, "must be text that says a number exactly")
    as_it_was = _prove(dict(inputs), count("bits", body["bits"], 64), OPEN).enclosures()
    again = _prove(dict(inputs), bits or count("bits", body["bits"], 64) + 64, OPEN / 4.0)
    mapping("enclosures", body["enclosures"], STATEMENTS)
    if body["enclosures"].keys() != again.enclosures().keys():
        raise Inconsistent(f"certificate: {', '.join(again.enclosures())} is what there is")
    if body["statements"] != {name: STATEMENTS[name] for name in body["enclosures"]}:
        raise Inconsistent("certificate: its statements are not those of its enclosures")
    for name, new in again.enclosures().items():
        exactly(name, body["enclosures"][name], ("lower", "upper"))
        lower, upper = (float(body["enclosures"][name][end]) for end in ("lower", "upper"))
        old = as_it_was[name]
        if lower < old.lower - ULPS * math.ulp(old.lower) or upper > old.upper + ULPS * math.ulp(old.upper):
            raise Inconsistent(
                f"certificate: its {name} [{lower!r}, {upper!r}] is wider than what is computed"
            )
        if not lower <= new.lower <= new.upper <= upper:
            raise Inconsistent(
                f"certificate: its {name} [{lower!r}, {upper!r}] does not contain [{new.lower!r}, {new.upper!r}]"
            )
    return again
