"""wbound bound: a theorem's bound at given T and K, beside the exact value where the data are Gaussian."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.option_groups import SettingOptions, grouped
from numerics.cli.output import aligned, emit

if TYPE_CHECKING:
    import wbound


def exact_beside(setting: wbound.Setting) -> tuple[float | None, str]:
    """The exact W2 of Gaussian data in the same setting, or None and the reason."""
    from wbound.errors import HypothesisFailed
    from wbound.exact.gaussian_law import EXACT_LAW

    try:
        return float(EXACT_LAW(setting)), ""
    except HypothesisFailed as failed:
        return None, str(failed)


@grouped
def bound(
    *,
    given: SettingOptions,
    on: s.DataOptions,
    certify: Annotated[
        bool, typer.Option("--certify", help="Prove the numbers in ball arithmetic (extra certify).")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="The formula with its numbers, term by term.")
    ] = False,
    json: o.Json = False,
) -> None:
    """Bound the W2 error after K steps.

    The bound comes with its parts and, where m0 = L0 (Gaussian data), the exact value and the ratio.
    --data takes samples or a spectrum in place of --d, --m0, --L0 and the moments: the Gaussian with their mean and
    covariance. --explain prints the statement's formula, the numbers in it, and terms that add up to the bound.

    \b
    Examples:
      wbound bound --process vp-linear -p a=1 -p b=0.5 --T 4 --K 100 --d 3 --m0 0.5 --L0 0.5 \\
        --second-moment 6 --scheme em --theorem sharp
      wbound bound --process ou --T 4 --K 1000 --d 3 --m0 1 --L0 2 --mean-norm 0 --scheme ddpm --explain
      wbound bound --process vp-linear --T 4 --K 100 --data 4,1,0.25 --scheme em-point
    """
    from wbound.errors import BadInput

    if (loaded := on.made) is None:
        where = given.described.setting
    else:
        o.refuse(asdict(given.facts), "is known from --data: give one of them")
        if certify:
            raise BadInput("certify", "with --data", "proves a bound from --d, --m0, --L0 and the moments")
        where = given.run.about(loaded.gaussian)
    chosen, known = where.process, where.data
    theorem = given.sampler.statement
    b: wbound.Bound = theorem(where)
    exact, why_not = exact_beside(where)
    ratio = None if exact is None or exact == 0.0 else b.total / exact
    scale = o.scale_of(known)
    payload: dict[str, Any] = {
        "process": chosen.name,
        "parameters": chosen.parameters,
        "T": where.nodes.T,
        "K": where.nodes.K,
        "d": known.d,
        "scheme": where.scheme.name,
        "start": where.start,
        "theorem": given.sampler.theorem,
        **vars(b),
        "vacuous": b.vacuous,
        "exact": exact,
        "ratio": ratio,
        "M1": where.M1,
        "lam_T": math.exp(where.nodes.first[1]) if where.nodes.first[1] < 709.0 else math.inf,
        "scale": scale,
    }
    certificate = None
    if certify:
        from numerics.cli.commands.certify import payload_of
        from wbound.certified.certificate import prove

        certificate = prove(given.described)
        certificate.check("bound", b.total)  # or the doubles are wrong
        if exact is not None and certificate.exact is not None:
            certificate.check("exact", exact)
        payload["certified"] = payload_of(certificate)[0]
    explanation = None
    if explain:
        from numerics.cli import explained_terms
        from wbound.theory import explanation as explained

        explanation = explained.taken_apart(theorem, where, b)
        payload["explanation"] = explained_terms.as_data(explanation)
    reasons = {
        "exact": why_not,
        "ratio": why_not or "the exact value is 0",
        "M1": "Theorem 2 needs no M1",
        "scale": "the mean is not known: give --mean-norm",
        "lam_T": "beyond double precision",
        **({} if certificate is None else {f"certified.{k}": why for k, why in certificate.reasons.items()}),
    }

    def text() -> str:
        values = "".join(f", {k} = {v:g}" for k, v in chosen.parameters.items())
        lines = [
            f"{chosen.name}{values}; {where.scheme.name}, start {where.start}, "
            f"T = {where.nodes.T:g}, K = {where.nodes.K}",
            f"d = {known.d}, m0 = {known.m0:g}, L0 = {known.L0:g}, E|X_0|² = {known.second_moment:g}; "
            + o.scale_text(known),
            "",
        ]
        note = "vacuous: sending everything to the origin would do as well" if b.vacuous else ""
        rows: list[tuple[str, Any, str]] = [
            ("bound", b.total, f"W2, {b.statement}" + (f"; {note}" if note else "")),
            ("  initialisation", b.initialisation, "part"),
            ("  discretisation", b.discretisation, "part"),
            ("  score error", b.score, "part"),
            ("exact", exact, "W2, Gaussian data" if exact is not None else why_not),
            ("ratio", ratio, "bound/exact"),
            ("trivial", b.trivial, "‖X_0‖"),
        ]
        if certificate is not None:
            found = certificate.enclosures()
            rows += [(f"certified {k}", repr(e.mid), f"± {e.radius:.2g}") for k, e in found.items()]
            if exact is not None and certificate.exact is None:
                rows.append(("certified exact", None, certificate.reasons["exact"]))
            proved = {True: "proved", False: "REFUTED", None: "not decided"}[certificate.holds]
            rows.append(("bound >= exact", proved, f"{certificate.bits} bits"))
        lines.append(aligned(rows))
        if explanation is not None:
            lines += ["", explained_terms.as_text(explanation)]
        return "\n".join(lines)

    emit(payload, json, text, reasons)
