"""Bounds that rounding cannot break: enclosures in ball arithmetic, and certificates of them.

What is certified are the numbers of Theorem 1, Theorem 2 (with Eq. 9′), Theorems 3 and 7, the exact law and
Proposition 1 for given inputs; A1, A3 and Theorem 1's A2 remain hypotheses about the data and the score.

*Inputs are exact.* A number typed as text is what it says (``0.1`` is 1/10); a double is its binary value.
The nodes of any grid but the uniform one are the times that were typed, or the doubles at which the double path places
them in time, and a `Gaussian` with a full covariance is the law with the variances and means that it holds along its principal
axes.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any

import numpy as np

from wbound.bounds.theorem import Theorem
from wbound.bounds.theorem_7_integrals import UPWARD
from wbound.calculus.balls import (
    Ball,
    Enclosure,
    double_of,
    enclosure,
    exact_ball,
    exact_number,
    flint,
    precision,
)
from wbound.certified import flow_statements as flow
from wbound.certified import statements as terms
from wbound.certified.certificate_file import OLD, read, written
from wbound.certified.path import Path
from wbound.certified.totals import Work, proved
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import AGREE, EQUAL, LogConcave
from wbound.errors import BadInput, HypothesisFailed, Inconsistent, count, one_of
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.forward.forward_process import Process
from wbound.sampler.description import BETWEEN, Description, describe
from wbound.sampler.grid import Grid
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import HF, Scheme
from wbound.theory.statements import upper_bound

__all__ = ["BITS", "Certificate", "Inputs", "certify", "prove", "verify"]

#: What a certificate is of.
Inputs = Description

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
#: What is said of a file without a digest.
UNPROTECTED = (
    f"format {OLD} has no digest: every number, statement and verdict in it was computed again and agrees, but an edit "
    "that changes none of them would not be noticed (versions, bits, inputs that this scheme and theorem do not use, "
    "digits of the inputs below the intervals); write it again with wbound certify"
)
#: What is said of one whose bound has a smaller constant by now.
SMALLER = "its bound was computed with the larger constant of its format, and is one; wbound certify gives a smaller one today"


@dataclass(frozen=True)
class Certificate:
    """Rigorous enclosures for an exact `Description`, W2 in x (not squared).

    bound: the theorem's total (*upper*); exact: the exact W2 of Gaussian data; floor: Eq. 11's W2 (*lower*);
    steps: Eq. 12's K for eps (*lower*). None where it does not apply, and ``reasons`` says why. ``holds`` is
    True where bound ≥ exact is proved for these numbers, False where the contrary is, else None.
    """

    inputs: Description
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
    #: whether C_θ is that of formats 1 and 2
    former: bool = False
    #: of a file that was verified: what its format leaves unprotected, and what was larger then; or nothing
    caveat: str = ""

    def enclosures(self) -> dict[str, Enclosure]:
        """Those that there are, by name."""
        every = {"bound": self.bound, "exact": self.exact, "floor": self.floor, "steps": self.steps}
        return {name: e for name, e in every.items() if e is not None}

    def statements(self) -> dict[str, str | None]:
        """What each enclosure is of, by name; None where there is none."""
        return {
            "bound": self.statement,
            "exact": None if self.exact is None else EXACT_LAW.id,
            "floor": None if self.floor is None else "proposition-1 (Eq. 11)",
            "steps": None if self.steps is None else "proposition-1 (Eq. 12)",
        }

    def check(self, name: str, value: float) -> None:
        """Raise `Inconsistent` unless |value − mid| ≤ radius + 1e-11 |mid|, and what the double path's mean may be off
        where E|X_0|² − d/m_0 says it (of the exact law), or its quadrature errs upward (of a bound)."""
        e = self.enclosures()[name]
        allowed = ALLOWED + (_mean_rounding(self.inputs) if name == "exact" else UPWARD - 1.0)
        # an enclosure that knows nothing says nothing
        if np.isfinite(e.radius) and not abs(value - e.mid) <= e.radius + allowed * abs(e.mid):
            off = abs(value - e.mid) / abs(e.mid) if e.mid else abs(value)
            raise Inconsistent(
                f"the double path's {name} {value!r} is {off:.3g} (relative) off the certified {e.mid!r}"
            )

    def to_json(self) -> str:
        """The certificate file's text: the digest in it covers all the rest."""
        body = {
            "inputs": self.inputs.to_dict(),
            "statements": self.statements(),
            "enclosures": {
                name: {"lower": repr(e.lower), "upper": repr(e.upper)}
                for name, e in self.enclosures().items()
            },
            "holds": self.holds,
            "bits": self.bits,
            "versions": dict(self.versions),
        }
        return written(body, self.former)


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
    K. ``bits``: where the precision starts. W2, not squared, in x. Schemes: those of `wbound.SCHEMES` that see no f or g
    at a point; theta of Theorem 3 and of Theorem 7 (two, as text with a comma) likewise.

    Raises `BadInput`, `HypothesisFailed` (Theorem 1's step-size condition is proved, or fails here), and
    `MissingLibrary` without python-flint.
    """
    flint()
    if not isinstance(data, LogConcave | Gaussian):
        raise BadInput("data", type(data).__name__, "certified mode takes wbound.LogConcave or a Gaussian")
    inputs = describe(
        process,
        data,
        T,
        K,
        scheme=scheme,
        theorem=theorem,
        start=start,
        grid=grid,
        score_bias=score_bias,
        score_noise=score_noise,
        M1=M1,
        theta=theta,
        eps=eps,
    )
    return prove(inputs, bits)


# ---------------------------------------------------------------------- from inputs to enclosures


def prove(inputs: Description, bits: int = BITS, *, former: bool = False) -> Certificate:
    """The `Certificate` of exact inputs, the precision doubled until it is tight. Errors as `certify`.

    former: with the constant of Eqs. 9′ and 15 that files of formats 1 and 2 were written with."""
    flint()
    bits = count("bits", bits, 64)
    if bits > 1 << 14:
        raise BadInput("bits", bits, "must be at most 16384")
    one_of("scheme", inputs.scheme, (*terms.SCHEMES, *flow.STEPS))
    inputs = inputs.explicit
    where = inputs.setting
    by, thetas = _theorem(inputs.theorem, where), tuple[float, ...]()
    if by is not None:  # the hypotheses, in doubles; the step sizes are proved below
        by.check(where)
        thetas = by.thetas(where)
    if inputs.theta is None and thetas:
        inputs = inputs.but(theta=BETWEEN.join(theta.hex() for theta in thetas))
    if inputs.theta is not None:
        given = [double_of("theta", text) for text in inputs.theta.split(BETWEEN)]
        if len(given) != max(len(thetas), 1) or min(given) < 0.0:
            many = f"{len(thetas)} numbers >= 0, with commas" if len(thetas) > 1 else "a number >= 0"
            raise BadInput("theta", inputs.theta, f"must be {many}")
    if inputs.eps is not None and not double_of("eps", inputs.eps) > 0.0:
        raise BadInput("eps", inputs.eps, "must be a number > 0")
    out = _at(inputs, by, bits, former)
    for _ in range(DOUBLINGS):
        wide = {name: e.relative for name, e in out.enclosures().items() if e.upper > 0.0}
        if out.slack and wide.get("bound", 1.0) <= WIDE:  # wide by its nature
            del wide["bound"]
        undecided = out.bound is not None and out.exact is not None and out.holds is None
        if max(wide.values(), default=0.0) <= TIGHT and not undecided:
            break
        out = _at(inputs, by, 2 * out.bits, former)
    return out


def _theorem(name: str | None, where: Setting) -> Theorem | None:
    return None if name is None else upper_bound(name, where.scheme)


def _at(inputs: Description, by: Theorem | None, bits: int, former: bool = False) -> Certificate:
    with precision(bits):
        return _in_balls(inputs, by, bits, former)


def _in_balls(inputs: Description, by: Theorem | None, bits: int, former: bool) -> Certificate:
    where = inputs.setting
    arb = flint().arb
    values = {name: exact_ball(name, text) for name, text in inputs.parameters.items()}
    if inputs.nodes is None:
        K, T = where.nodes.K, exact_ball("T", str(inputs.T))
        t = [T * (K - k) / K for k in range(K + 1)]
        t[-1] = arb(0)
    else:
        t = [exact_ball("nodes", text) for text in inputs.nodes]
    M, V = exact_ball("score_bias", inputs.score_bias), exact_ball("score_noise", inputs.score_noise)
    w = Work(inputs, where, by, Path(where.process, values, t), _facts(inputs), M, V, [], former)
    reasons: dict[str, str] = {}

    def attempt(name: str, of: Callable[[], Ball]) -> Ball | None:
        try:
            return of()
        except HypothesisFailed as failed:
            reasons[name] = str(failed)
            return None

    statement, bound = proved(w)
    if bound is None:
        reasons["bound"] = "no theorem was asked for"
    exact = attempt("exact", lambda: _exact(w))
    floor = attempt("floor", lambda: _floor(w, with_eps=False))
    steps = attempt("steps", lambda: _floor(w, with_eps=True))
    holds = None
    if bound is not None and exact is not None:  # certainly, certainly not, or undecided
        holds = True if bound >= exact else False if bound < exact else None
    made = [None if x is None else enclosure(x, 0.0) for x in (bound, exact, floor, steps)]
    return Certificate(
        inputs,
        bits,
        statement,
        *(made[0], made[1], made[2], made[3]),
        holds=holds,
        reasons=reasons,
        versions=_versions(),
        slack=bool(w.slack),
        former=former,
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


def _facts(inputs: Description) -> terms.Facts:
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
    return _log_concave(d, {name: str(facts[name]) for name in facts if name != "d"})


def _mean_rounding(inputs: Description) -> float:
    """By how much, relatively, a mean that is known as √(E|X_0|² − d/m_0) moves with the last digits of these doubles."""
    data = inputs.made_data
    if isinstance(data, Gaussian) or data.m0 != data.L0 or data.mean_norm is not None:
        return 0.0
    left = data.second_moment - data.d / data.m0
    return EQUAL * data.second_moment / left if left > 0.0 else 0.0


def _log_concave(d: int, texts: Mapping[str, str]) -> terms.Facts:
    """A1's facts in balls, and the Gaussian that m_0 = L_0 leaves: as `LogConcave.gaussian` has it, but that a mean
    which E|X_0|² − d/m_0 would say with no digit of its own is unknown here. Raises `HypothesisFailed`."""
    m0, L0, moment = (exact_ball(name, texts[name]) for name in ("m0", "L0", "second_moment"))
    mean = exact_ball("mean_norm", texts["mean_norm"]) if "mean_norm" in texts else None
    mean2 = flint().arb(0) if mean is None else mean**2
    least, most = d / L0 + mean2, d / m0 + mean2
    slack = AGREE * moment
    if moment < least - slack or (mean is not None and moment > most + slack):
        given = ", ".join(f"{name} = {text}" for name, text in texts.items())
        raise HypothesisFailed(
            "A1",
            "d/L0 <= E|X0 - E X0|^2 <= d/m0",
            f"{given} leave a variance of {float(moment - mean2)!r}, outside [{float(d / L0)!r}, {float(d / m0)!r}]",
        )
    # facts that contradict each other by a rounding: the larger E|X_0|² is a bound for both
    facts = terms.Facts(d, moment.max(least), m0, L0, mean)
    numbers = {name: exact_number(name, texts[name]) for name in ("m0", "L0", "second_moment")}
    if numbers["m0"] != numbers["L0"]:
        return facts
    if mean is None:
        mean2 = moment - d / m0
        if numbers["second_moment"] == d / numbers["m0"]:
            mean2 = flint().arb(0)
        elif not mean2 > EQUAL * moment:
            return facts._replace(
                why=f"second_moment = {texts['second_moment']} and d/m0 for m0 = {texts['m0']} differ by a rounding, "
                "which says nothing about the mean: give mean_norm"
            )
    return facts._replace(spectrum=terms.Spectrum([1 / m0], [d], [mean2]))


def _exact(w: Work) -> Ball:
    law, scheme, start = w.data.spectrum, w.inputs.scheme, w.where.start
    if law is None:
        raise HypothesisFailed("the exact law", "Gaussian data", w.data.why)
    if not w.M.is_zero():
        raise HypothesisFailed(
            "the exact law", "an unbiased score", f"score_bias = {w.inputs.score_bias} has no one law"
        )
    if not w.where.scheme.flow:
        return terms.exact_law(w.path, law, w.data.d, scheme, start, w.V)
    if not w.V.is_zero():
        raise HypothesisFailed("the exact law", "an exact score", f"score_noise = {w.inputs.score_noise}")
    return flow.flow_law(w.path, law, scheme, start)


def _floor(w: Work, with_eps: bool) -> Ball:
    """Proposition 1: Eq. 12 with eps, else Eq. 11."""
    law, path, start, eps = w.data.spectrum, w.path, w.where.start, w.inputs.eps
    if with_eps and eps is None:
        raise HypothesisFailed("Eq. 12", "a target eps", "none was given")
    if w.where.scheme != HF:
        raise HypothesisFailed("Proposition 1", "scheme hf", f"scheme = {w.where.scheme.name}")
    if law is None or len(law.variance) > 1 or not law.mean2[0].is_zero():
        raise HypothesisFailed(
            "Proposition 1", "data N(0, sigma0^2 I)", "the data are not known to be centred and isotropic"
        )
    if not (w.M.is_zero() and w.V.is_zero()):
        raise HypothesisFailed("Proposition 1", "an exact score", "the score has errors")
    if not path.lam[-1].is_zero():
        raise HypothesisFailed("Proposition 1", "a grid that ends at lambda = 0", "the sampler stops early")
    sigma0 = law.variance[0].sqrt()
    if not with_eps:
        if start != "exact":
            raise HypothesisFailed("Proposition 1", "start exact", f"start = {start} can cancel (Eq. 10)")
        return terms.floor(path.K, w.data.d, sigma0, path.lam[0])
    one_of("start", start, ("exact", "prior"))
    return terms.eq_12(w.data.d, sigma0, exact_ball("eps", str(eps)), path.lam[0], start)


# ---------------------------------------------------------------------- the file


def verify(text: str, bits: int | None = None) -> Certificate:
    """Re-check a certificate file's text: its digest, and all of it computed again at another precision.

    Returns the new certificate; its ``caveat`` says what a file without a digest (`OLD`) leaves unprotected. Raises
    `BadInput` where the text is no certificate, and `Inconsistent` where the content is not what was written, a
    recorded enclosure does not contain the recomputed one or is wider than it is at its own precision, or a statement
    or the verdict differs.
    """
    flint()
    file = read(text)
    again = prove(file.inputs, bits or file.bits + 64, former=file.former)
    new = again.enclosures()
    if new.keys() != file.enclosures.keys():
        why = "".join(f"; {again.reasons[k]}" for k in file.enclosures if k not in new)
        raise Inconsistent(
            f"certificate: it has {', '.join(file.enclosures) or 'nothing'}, but {', '.join(new)} is what there is{why}"
        )
    by, own = _theorem(file.inputs.theorem, file.inputs.setting), dict[str, Enclosure]()
    for name, recorded in file.enclosures.items():
        slack = 1e-6 * abs(new[name].mid) if name == "bound" and again.slack else 0.0
        if not _within(new[name], recorded, slack):
            raise Inconsistent(
                f"certificate: {name} is recorded within {_said(*recorded)} but is within {_of(new[name])}"
            )
        if not _as_tight(new[name], recorded):  # then it may be so at its own precision only
            own = own or _at(file.inputs, by, file.bits, file.former).enclosures()
            if not _as_tight(own[name], recorded):
                raise Inconsistent(
                    f"certificate: {name} is recorded within {_said(*recorded)}, wider than {_of(own[name])}, which is "
                    f"what {file.bits} bits give"
                )
    for name, statement in again.statements().items():
        if file.statements[name] != statement:
            raise Inconsistent(
                f"certificate: {name} is recorded as {file.statements[name]} but is {statement}"
            )
    if file.holds is not again.holds:
        raise Inconsistent(f"certificate: holds is recorded as {file.holds} but is {again.holds}")
    said = [] if file.protected else [UNPROTECTED]
    if file.former and again.statement in ("theorem-3", "theorem-2 (Eq. 9')"):
        said.append(SMALLER)
    return replace(again, caveat="; ".join(said))


def _said(lower: float, upper: float) -> str:
    return f"[{lower!r}, {upper!r}]"


def _of(e: Enclosure) -> str:
    return _said(e.lower, e.upper)


def _within(e: Enclosure, recorded: tuple[float, float], slack: float) -> bool:
    lower, upper = recorded
    # what is recomputed is itself rounded outward: one double is granted on either side
    inside = np.nextafter(lower, -np.inf) <= e.lower and e.upper <= np.nextafter(upper, np.inf)
    return bool(inside or (lower - slack <= e.lower and e.upper <= upper + slack))


def _as_tight(e: Enclosure, recorded: tuple[float, float]) -> bool:
    """Whether an interval reaches beyond an enclosure by no more than roundings: two doubles, or a quarter of its
    width where that is more."""
    lower, upper = recorded
    more = 0.25 * (e.upper - e.lower) if np.isfinite(e.upper) else 0.0
    down, up = (np.nextafter(np.nextafter(x, way), way) for x, way in ((e.lower, -np.inf), (e.upper, np.inf)))
    return bool(lower >= min(down, e.lower - more) and upper <= max(up, e.upper + more))
