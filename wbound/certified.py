"""Bounds that rounding cannot break: enclosures in ball arithmetic, and certificates of them.

What is certified are the numbers of Theorem 1, Theorem 2 (with Eq. 9′), the exact law and Proposition 1 for
given inputs; A1, A3 and Theorem 1's A2 remain hypotheses about the data and the score.

*Inputs are exact.* A number typed as text is what it says (``0.1`` is 1/10); a double is its binary value.
The nodes of any grid but the uniform one are the doubles at which the double path places them in time, and a
`Gaussian` with a full covariance is the law with the variances and means that it holds along its principal
axes.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import numpy as np

from wbound import certified_terms as terms
from wbound.balls import Ball, Enclosure, double_of, enclosure, exact_ball, flint, precision
from wbound.certified_inputs import Inputs, inputs_of, mapping
from wbound.certified_path import Path
from wbound.certified_published import Slack, theorem_1
from wbound.clock import Grid
from wbound.data import Gaussian, LogConcave
from wbound.errors import BadInput, HypothesisFailed, Inconsistent, count, one_of
from wbound.forward import Process
from wbound.gaussian import EXACT_LAW
from wbound.published import NU_RTOL
from wbound.schemes import Scheme
from wbound.setting import STARTS, Setting
from wbound.sharp import ancestral_sums, best_theta, has_ancestral
from wbound.statements import THEOREMS

__all__ = ["BITS", "Certificate", "Inputs", "certify", "prove", "verify"]

#: Where the precision starts; it is doubled until the enclosures are as tight as doubles can say.
BITS = 160
#: It is doubled at most this often.
DOUBLINGS = 4
#: Relative radius at which no more digits would be seen in doubles.
TIGHT = 4.5e-16
#: The same where the total holds a supremum that is bounded and not known (Theorem 1).
WIDE = 1e-5
#: What the double path may be off in relative terms, beyond the radius.
ALLOWED = 1e-11
#: By how much it lets ω² err upward in the general family (`wbound.published.moment_supremum`).
OMEGA_RTOL = 1e-6

FORMAT = "wbound-certificate-1"


@dataclass(frozen=True)
class Certificate:
    """Rigorous enclosures for exact `Inputs`, W2 in x (not squared).

    bound: the theorem's total (*upper*); exact: the exact W2 of Gaussian data; floor: Eq. 11's W2 (*lower*);
    steps: Eq. 12's K for eps (*lower*). None where it does not apply, and ``reasons`` says why. ``holds`` is
    True where bound ≥ exact is proved for these numbers, False where the contrary is, else None.
    """

    inputs: Inputs
    bits: int
    statement: str | None
    bound: Enclosure | None
    exact: Enclosure | None
    floor: Enclosure | None
    steps: Enclosure | None
    holds: bool | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    #: whether the bound holds a supremum that is bounded from above, not known to the last digit
    slack: bool = False

    def enclosures(self) -> dict[str, Enclosure]:
        """Those that there are, by name."""
        every = {"bound": self.bound, "exact": self.exact, "floor": self.floor, "steps": self.steps}
        return {name: e for name, e in every.items() if e is not None}

    def check(self, name: str, value: float) -> None:
        """Raise `Inconsistent` unless |value − mid| ≤ radius + 1e-11 |mid|."""
        e = self.enclosures()[name]
        # an enclosure that knows nothing says nothing
        if np.isfinite(e.radius) and not abs(value - e.mid) <= e.radius + ALLOWED * abs(e.mid):
            off = abs(value - e.mid) / abs(e.mid) if e.mid else abs(value)
            raise Inconsistent(
                f"the double path's {name} {value!r} is {off:.3g} (relative) off the certified {e.mid!r}"
            )

    def to_json(self) -> str:
        """The certificate file's text."""
        body = {
            "format": FORMAT,
            "inputs": self.inputs.to_dict(),
            "statements": {
                "bound": self.statement,
                "exact": None if self.exact is None else EXACT_LAW.id,
                "floor": None if self.floor is None else "proposition-1 (Eq. 11)",
                "steps": None if self.steps is None else "proposition-1 (Eq. 12)",
            },
            "enclosures": {
                name: {"lower": repr(e.lower), "upper": repr(e.upper)}
                for name, e in self.enclosures().items()
            },
            "holds": self.holds,
            "bits": self.bits,
            "versions": dict(self.versions),
        }
        return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


def certify(
    process: Process,
    data: LogConcave | Gaussian,
    T: Any = None,
    K: int | None = None,
    *,
    scheme: str | Scheme = "em",
    theorem: str | None = "sharp",
    start: str = "prior",
    grid: str | Grid = "uniform",
    score_bias: Any = "0",
    score_noise: Any = "0",
    M1: Any = None,
    theta: Any = None,
    eps: Any = None,
    bits: int = BITS,
) -> Certificate:
    """Enclosures of a theorem's total, the exact Gaussian W2 and Proposition 1, in ball arithmetic.

    Arguments as `wbound.w2_bound`; numbers may be text or fractions, which are exact, or doubles, which are
    their binary values. theorem None: the exact law alone. ddpm takes the smaller of Eq. 7 and Eq. 9′ at
    ``theta`` (default: the θ that the double path finds best; any θ ≥ 0 is a bound). ``eps``: also Eq. 12's
    K. ``bits``: where the precision starts. W2, not squared, in x. Schemes em, ei, hf, ddpm.

    Raises `BadInput`, `HypothesisFailed` (Theorem 1's step-size condition is proved, or fails here), and
    `MissingLibrary` without python-flint.
    """
    flint()
    inputs = inputs_of(
        process, data, T, K, scheme, theorem, start, grid, score_bias, score_noise, M1, theta, eps
    )
    return prove(inputs, bits)


# ---------------------------------------------------------------------- from inputs to enclosures


def prove(inputs: Inputs, bits: int = BITS) -> Certificate:
    """The `Certificate` of exact inputs, the precision doubled until it is tight. Errors as `certify`."""
    flint()
    bits = count("bits", bits, 64)
    if bits > 1 << 14:
        raise BadInput("bits", bits, "must be at most 16384")
    if inputs.theorem is not None:
        one_of("theorem", inputs.theorem, THEOREMS)
    one_of("scheme", inputs.scheme, ("em", "ei", "hf", "ddpm"))
    one_of("start", inputs.start, STARTS)
    where = inputs.setting
    if inputs.theorem == "published" and inputs.M1 is None:
        raise BadInput("M1", "None", "Theorem 1 needs A2's constant, a number >= 0")
    if inputs.theorem is not None:  # the hypotheses, in doubles; the step sizes are proved below
        for hypothesis in THEOREMS[inputs.theorem].hypotheses:
            hypothesis.check(where)
    if inputs.theta is None and inputs.theorem == "sharp" and has_ancestral(where):
        inputs = replace(inputs, theta=_theta_of(where).hex())
        where = inputs.setting
    if inputs.theta is not None and double_of("theta", inputs.theta) < 0.0:
        raise BadInput("theta", inputs.theta, "must be a number >= 0")
    if inputs.eps is not None and not double_of("eps", inputs.eps) > 0.0:
        raise BadInput("eps", inputs.eps, "must be a number > 0")
    out = _at(inputs, where, bits)
    for _ in range(DOUBLINGS):
        wide = {name: e.relative for name, e in out.enclosures().items() if e.upper > 0.0}
        if out.slack and wide.get("bound", 1.0) <= WIDE:  # wide by its nature
            del wide["bound"]
        undecided = out.bound is not None and out.exact is not None and out.holds is None
        if max(wide.values(), default=0.0) <= TIGHT and not undecided:
            break
        out = _at(inputs, where, 2 * out.bits)
    return out


def _theta_of(where: Setting) -> float:
    """The θ whose Eq. 9′ the double path takes: the best of those that its search tries."""
    seen: dict[float, float] = {}

    def value(theta: float) -> float:
        seen[theta] = sum(ancestral_sums(where, theta)[1:2])
        return seen[theta]

    best_theta(value)
    return float(min(seen, key=lambda theta: seen[theta]))


def _at(inputs: Inputs, where: Setting, bits: int) -> Certificate:
    with precision(bits):
        return _in_balls(inputs, where, bits)


def _in_balls(inputs: Inputs, where: Setting, bits: int) -> Certificate:
    arb = flint().arb
    values = {name: exact_ball(name, text) for name, text in inputs.parameters.items()}
    if inputs.nodes is None:
        T = exact_ball("T", inputs.T)
        t = [T * (inputs.K - k) / inputs.K for k in range(inputs.K + 1)]
        t[-1] = arb(0)
    else:
        t = [exact_ball("nodes", text) for text in inputs.nodes]
    path = Path(where.process, values, t)
    data = _facts(inputs, where)
    M, V = exact_ball("score_bias", inputs.score_bias), exact_ball("score_noise", inputs.score_noise)
    reasons: dict[str, str] = {}

    def attempt(name: str, of: Callable[[], Ball]) -> Ball | None:
        try:
            return of()
        except HypothesisFailed as failed:
            reasons[name] = str(failed)
            return None

    slack: list[bool] = []
    statement, bound = _bound(inputs, where, path, data, M, V, slack)
    if bound is None:
        reasons["bound"] = "no theorem was asked for"
    exact = attempt("exact", lambda: _exact(inputs, path, data, M, V))
    floor = attempt("floor", lambda: _floor(inputs, path, data, with_eps=False))
    steps = attempt("steps", lambda: _floor(inputs, path, data, with_eps=True))
    holds = None
    if bound is not None and exact is not None:  # certainly, certainly not, or undecided
        holds = True if bound >= exact else False if bound < exact else None
    known = {"bound": bound, "exact": exact, "floor": floor, "steps": steps}
    return Certificate(
        inputs,
        bits,
        statement,
        **{name: None if x is None else enclosure(x, 0.0) for name, x in known.items()},
        holds=holds,
        reasons=reasons,
        versions=_versions(),
        slack=bool(slack),
    )


def _versions() -> dict[str, str]:
    module = flint()
    try:
        own = metadata.version("wbound")
    except metadata.PackageNotFoundError:  # run from a checkout
        own = "unknown"
    return {
        "wbound": own,
        "python-flint": module.__version__,
        "flint": module.__FLINT_VERSION__,
        "python": platform.python_version(),
    }


def _facts(inputs: Inputs, where: Setting) -> terms.Facts:
    """The data in balls."""
    facts = inputs.data
    d = int(facts["d"])
    if "variances" in facts:
        law: dict[str, list[Any]] = {}
        for variance, mean in zip(facts["variances"], facts["means"], strict=True):
            entry = law.setdefault(variance, [exact_ball("variances", variance), 0, flint().arb(0)])
            entry[1] += 1
            entry[2] += exact_ball("means", mean) ** 2
        spectrum = terms.Spectrum(*(list(column) for column in zip(*law.values(), strict=True)))
        mean2 = sum(spectrum.mean2, flint().arb(0))
        moment = mean2 + sum(n * v for v, n in zip(spectrum.variance, spectrum.axes, strict=True))
        values = np.array([double_of("variances", text) for text in law])
        if values.min() <= 0.0:
            return terms.Facts(d, moment, spectrum=spectrum)
        largest, smallest = (spectrum.variance[int(i)] for i in (values.argmax(), values.argmin()))
        return terms.Facts(d, moment, 1 / largest, 1 / smallest, mean2.sqrt(), spectrum)
    m0, L0, moment = (exact_ball(name, facts[name]) for name in ("m0", "L0", "second_moment"))
    mean = exact_ball("mean_norm", facts["mean_norm"]) if "mean_norm" in facts else None
    spectrum_ = None
    if facts["m0"] == facts["L0"] or (m0 - L0).is_zero():
        # facts that leave no choice: |μ|² = E|X_0|² − d/m_0, and 0 where it is within rounding of that
        law_ = where.data.gaussian() if isinstance(where.data, LogConcave) else None
        centred = law_ is None or not law_.mean.any()
        mean2 = flint().arb(0) if centred else moment - d / m0
        spectrum_ = terms.Spectrum([1 / m0], [d], [mean2])
    return terms.Facts(d, moment, m0, L0, mean, spectrum_)


def _bound(
    inputs: Inputs, where: Setting, path: Path, data: terms.Facts, M: Ball, V: Ball, slack: list[bool]
) -> tuple[str | None, Ball | None]:
    if inputs.theorem is None:
        return None, None
    if inputs.theorem == "published":
        M1 = exact_ball("M1", str(inputs.M1))
        allowed = Slack(NU_RTOL, OMEGA_RTOL, slack)
        return "theorem-1", theorem_1(path, data, inputs.start, M, M1, allowed)
    total = terms.theorem_2(path, data, inputs.scheme, inputs.start, M, V)
    if not has_ancestral(where):
        return "theorem-2", total
    other = terms.ancestral(path, data, inputs.start, M, exact_ball("theta", str(inputs.theta)))
    name = "theorem-2 (Eq. 9')" if other < total else "theorem-2"
    # where one of them is beyond all balls the other is still a bound
    both = [x for x in (total, other) if x.is_finite()]
    return name, both[0].min(both[-1]) if both else total


def _exact(inputs: Inputs, path: Path, data: terms.Facts, M: Ball, V: Ball) -> Ball:
    if data.spectrum is None:
        raise HypothesisFailed("the exact law", "Gaussian data", "p_0 is not known to be Gaussian (m0 = L0)")
    if not M.is_zero():
        raise HypothesisFailed(
            "the exact law", "an unbiased score", f"score_bias = {inputs.score_bias} has no one law"
        )
    return terms.exact_law(path, data.spectrum, data.d, inputs.scheme, inputs.start, V)


def _floor(inputs: Inputs, path: Path, data: terms.Facts, with_eps: bool) -> Ball:
    """Proposition 1: Eq. 12 with eps, else Eq. 11."""
    if with_eps and inputs.eps is None:
        raise HypothesisFailed("Eq. 12", "a target eps", "none was given")
    if inputs.scheme != "hf":
        raise HypothesisFailed("Proposition 1", "scheme hf", f"scheme = {inputs.scheme}")
    law = data.spectrum
    if law is None or len(law.variance) > 1 or not law.mean2[0].is_zero():
        raise HypothesisFailed(
            "Proposition 1", "data N(0, sigma0^2 I)", "the data are not known to be centred and isotropic"
        )
    if inputs.score_bias.strip("0.") or inputs.score_noise.strip("0."):
        raise HypothesisFailed("Proposition 1", "an exact score", "the score has errors")
    if not path.lam[-1].is_zero():
        raise HypothesisFailed("Proposition 1", "a grid that ends at lambda = 0", "the sampler stops early")
    sigma0 = law.variance[0].sqrt()
    if not with_eps:
        if inputs.start != "exact":
            raise HypothesisFailed(
                "Proposition 1", "start exact", f"start = {inputs.start} can cancel (Eq. 10)"
            )
        return terms.floor(inputs.K, data.d, sigma0, path.lam[0])
    one_of("start", inputs.start, ("exact", "prior"))
    return terms.eq_12(data.d, sigma0, exact_ball("eps", str(inputs.eps)), path.lam[0], inputs.start)


# ---------------------------------------------------------------------- the file


def verify(text: str, bits: int | None = None) -> Certificate:
    """Re-check a certificate file's text: recompute at another precision, and compare.

    Returns the new certificate. Raises `BadInput` where the text is no certificate, and `Inconsistent` where
    a recorded enclosure does not contain the recomputed one, or the verdict differs.
    """
    flint()
    inputs, recorded, holds, before = _read(text)
    again = prove(inputs, bits or before + 64)
    new = again.enclosures()
    if new.keys() != recorded.keys():
        raise Inconsistent(
            f"certificate: it has {', '.join(recorded) or 'nothing'}, but {', '.join(new)} is what there is"
        )
    for name, (lower, upper) in recorded.items():
        e = new[name]
        # what is recomputed is itself rounded outward: one double is granted on either side
        inside = np.nextafter(lower, -np.inf) <= e.lower and e.upper <= np.nextafter(upper, np.inf)
        slack = 1e-6 * abs(e.mid) if name == "bound" and again.slack else 0.0
        if not inside and not (lower - slack <= e.lower and e.upper <= upper + slack):
            raise Inconsistent(
                f"certificate: {name} is recorded within [{lower!r}, {upper!r}] but is within "
                f"[{e.lower!r}, {e.upper!r}]"
            )
    if holds is not again.holds:
        raise Inconsistent(f"certificate: holds is recorded as {holds} but is {again.holds}")
    return again


def _read(text: str) -> tuple[Inputs, dict[str, tuple[float, float]], bool | None, int]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput("certificate", text[:40] or "(empty)", "is not JSON") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise BadInput("certificate", text[:40], f"must be an object of format {FORMAT}")
    bits, holds, given = body.get("bits"), body.get("holds"), body.get("enclosures")
    if isinstance(bits, bool) or not isinstance(bits, int) or not 64 <= bits <= 1 << 14:
        raise BadInput("certificate", bits, "bits must be an integer from 64 to 16384")
    if holds not in (True, False, None) or (isinstance(holds, int) and not isinstance(holds, bool)):
        raise BadInput("certificate", holds, "holds must be true, false or null")
    mapping("enclosures", given, ("bound", "exact", "floor", "steps"))
    assert isinstance(given, dict)
    recorded = {}
    for name, ends in given.items():
        mapping(name, ends, ("lower", "upper"))
        try:
            lower, upper = (float(ends[k]) for k in ("lower", "upper"))
        except (KeyError, TypeError, ValueError):
            raise BadInput("certificate", name, "needs lower and upper as numbers in text") from None
        if not lower <= upper:
            raise BadInput("certificate", name, "needs lower <= upper")
        recorded[name] = (lower, upper)
    return Inputs.from_dict(body.get("inputs")), recorded, holds, bits
