"""wbound certify, and its --check: bounds proved in ball arithmetic, and files of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import options as o
from numerics.cli import standard_input
from numerics.cli.option_groups import SettingOptions, grouped
from numerics.cli.output import aligned, emit, note

if TYPE_CHECKING:
    from wbound.certified.affine import AffineCertificate
    from wbound.certified.certificate import Certificate

#: The numbers of a certificate of sections 16 and 17.
NAMED = {
    "floor": "E_K, W2/√tr Σ of every affine sampler at its worst spectrum (Gaussian data) is at least this",
    "worst": "the same of the sampler with these levels, exactly",
    "w2": "its W2 on the spectrum given",
    "ddim": "W2 of ddim from the exact start is at least this (Eq. 17)",
}


def _listed(name: str, text: str) -> Any:
    """An option that takes numbers with commas between them."""
    return o.word(name, text, metavar="LIST")


@grouped
def certify(
    given: SettingOptions,
    eps: Annotated[str | None, o.numeric("--eps", "Also Eq. 12's least K for W2 ≤ ε.")] = None,
    theta: Annotated[
        str | None,
        o.numeric(
            "--theta", "Eq. 9′'s θ (ddpm) or Theorem 3's; Theorem 7's two: 2,2. Default: the best found."
        ),
    ] = None,
    kappa: Annotated[
        str | None,
        o.numeric(
            "--kappa", "Theorem 6 instead: E_K of spectra in [a, κa], and the sampler that reaches it."
        ),
    ] = None,
    spectrum: Annotated[
        str | None, _listed("--spectrum", "With --kappa: the sampler's W2 on these eigenvalues too.")
    ] = None,
    levels: Annotated[
        str | None, _listed("--levels", "With --kappa: a phase-law sampler's levels λ_j, K of them.")
    ] = None,
    zeros: Annotated[str | None, _listed("--zeros", "Its z_j = λ_j - c_j, with --levels.")] = None,
    nu: Annotated[str | None, o.numeric("--nu", "Its start's standard deviation, with --levels.")] = None,
    sigma0: Annotated[
        str | None,
        o.numeric(
            "--sigma0", "Eq. 17: ddim's least W2 on N(0, σ_0² I) in --d dimensions, any grid of K steps."
        ),
    ] = None,
    lam_max: Annotated[str | None, o.numeric("--lam-max", "λ(T) of Eq. 17 (default: infinite).")] = None,
    bits: Annotated[str, o.numeric("--bits", "Where the working precision starts.")] = "160",
    out: Annotated[str | None, o.out("Write the certificate (JSON).")] = None,
    json: o.Json = False,
) -> None:
    """Prove a bound's value in ball arithmetic.

    The theorem's total, the exact W2 of Gaussian data (m0 = L0) and Proposition 1, each within an interval
    that is certain; holds means that bound ≥ exact is proved for these numbers. Numbers as typed are exact:
    0.1 is 1/10. Needs the extra certify (python-flint).

    With --kappa and --K: the floor E_K of every affine sampler (Theorem 6), and the worst case over the whole class
    [1, κ] of the phase-law sampler whose levels are the doubles of the closed form, or of --levels, --zeros and --nu; its
    W2 on a --spectrum. With --sigma0 and --K: the floor of ddim (Eq. 17). Both are about Gaussian data.

    \b
    Examples:
      wbound certify --process vp-linear -p a=1 -p b=0.5 --T 4 --K 100 --d 3 --m0 0.5 --L0 0.5 \\
        --second-moment 6 --scheme hf -o certificate.json
      wbound certify --kappa 1e6 --K 5
      wbound certify --kappa 8 --K 1 --levels 3 --zeros 1/3 --nu 3 --spectrum 1,2,8
      wbound certify --sigma0 1 --d 3 --K 20
    """
    from numerics.io.writing import write
    from wbound.certified.certificate import prove
    from wbound.errors import BadInput, count

    about_affine = {"spectrum": spectrum, "levels": levels, "zeros": zeros, "nu": nu, "lam-max": lam_max}
    if kappa is not None or sigma0 is not None:
        others = {"process": given.process.process, "T": given.T, "m0": given.facts.m0, "L0": given.facts.L0}
        of_class = _affine(
            others | {"eps": eps},
            kappa,
            given.K,
            given.facts.d,
            bits,
            sigma0,
            about_affine,
        )
        if out is not None:
            note(write(out, of_class.to_json()))
        show_affine(of_class, json)
        return
    for option, value in about_affine.items():
        if value is not None:
            raise BadInput(
                option, value, "goes with --sigma0" if option == "lam-max" else "goes with --kappa"
            )
    certificate = prove(
        given.described.but(eps=o.typed("eps", eps), theta=theta), count("bits", o.required("bits", bits), 64)
    )
    if out is not None:
        note(write(out, certificate.to_json()))
    show(certificate, json)


def _affine(
    others: Mapping[str, str | None],
    kappa: str | None,
    K: str | None,
    d: str | None,
    bits: str,
    sigma0: str | None,
    more: Mapping[str, str | None],
) -> AffineCertificate:
    """What sections 16 and 17 certify, texts taken exactly. Raises `BadInput`."""
    from wbound.certified.affine import certify_affine
    from wbound.errors import BadInput, count

    asked = "--kappa" if kappa is not None else "--sigma0"
    for option, value in others.items():
        if value is not None:
            raise BadInput(option, value, f"is not for {asked}")
    if sigma0 is None and d is not None:
        raise BadInput("d", d, "is not for --kappa: E_K is relative")
    if sigma0 is None and more["lam-max"] is not None:
        raise BadInput("lam-max", more["lam-max"], "goes with --sigma0")
    parts = {
        name: None if (text := more[name]) is None else _texts(text)
        for name in ("spectrum", "levels", "zeros")
    }
    nu = more["nu"]
    given = [parts["levels"] is not None, parts["zeros"] is not None, nu is not None]
    if any(given) and not all(given):
        missing = ("levels", "zeros", "nu")[given.index(False)]
        raise BadInput(missing, "(not given)", "a sampler is --levels, --zeros and --nu together")
    if kappa is None:
        for name in ("spectrum", "levels"):
            if parts[name] is not None:
                raise BadInput(name, more[name], "goes with --kappa")
    return certify_affine(
        "1" if kappa is None else kappa,
        count("K", o.required("K", K)),
        sampler={"levels": parts["levels"], "z": parts["zeros"], "nu": nu} if all(given) else None,
        spectrum=parts["spectrum"],
        sigma0=sigma0,
        d=1 if d is None else count("d", o.required("d", d)),
        lam_max=more["lam-max"],
        bits=count("bits", o.required("bits", bits), 64),
    )


def _texts(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",")]


def show(certificate: Certificate, json: bool) -> None:
    """Print a certificate as one JSON object or text; exit code 3 if it refutes bound ≥ exact."""
    payload, reasons = payload_of(certificate)
    if certificate.caveat:
        payload["caveat"] = certificate.caveat

    def text() -> str:
        inputs = certificate.inputs
        values = "".join(f", {k} = {v}" for k, v in inputs.parameters.items())
        head = (
            f"{inputs.process}{values}; {inputs.scheme}, start {inputs.start}, T = {inputs.T}, K = {inputs.K}"
        )
        names = {
            "bound": f"W2, {certificate.statement}",
            "exact": "W2, Gaussian data",
            "floor": "W2 at least (Eq. 11)",
            "steps": "K at least (Eq. 12)",
        }
        rows: list[tuple[str, Any, str]] = []
        for name, what in names.items():
            e = certificate.enclosures().get(name)
            if e is None:
                rows.append((name, None, certificate.reasons.get(name, "")))
            else:
                rows.append((name, repr(e.mid), f"± {e.radius:.2g}; {what}"))
        verdict = {
            True: "bound >= exact: proved for these numbers",
            False: "bound < exact: REFUTED for these numbers",
            None: "bound >= exact: not decided",
        }[certificate.holds]
        lines = [head, "", aligned(rows), "", f"{verdict} ({certificate.bits} bits)"]
        return "\n".join([*lines, "", certificate.caveat] if certificate.caveat else lines)

    emit(payload, json, text, reasons)
    if certificate.holds is False:
        from wbound.errors import Inconsistent

        raise Inconsistent("refuted: the bound is certainly below the exact W2 for these inputs")


def show_affine(certificate: AffineCertificate, json: bool) -> None:
    """Print a certificate of sections 16 and 17."""
    found = certificate.enclosures()
    payload = {
        "kind": "affine-certificate",
        "inputs": dict(certificate.inputs),
        "bits": certificate.bits,
        "attained": certificate.attained,
        "versions": dict(certificate.versions),
        **{name: vars(found[name]) if name in found else None for name in NAMED},
    }

    def text() -> str:
        # κ = 1 stands where none was given
        told = {name: e for name, e in found.items() if name != "floor" or certificate.inputs["kappa"] != "1"}
        rows = [(name, e.mid, f"± {e.radius:.1e}: {NAMED[name]}") for name, e in told.items()]
        head = f"kappa = {certificate.inputs['kappa']}, K = {certificate.inputs['K']}"
        near = certificate.attained
        close = "" if near is None else f", worst/E_K - 1 <= {near:.1e}"
        return "\n".join([head, "", aligned(rows), "", f"proved ({certificate.bits} bits){close}"])

    emit(payload, json, text, {name: "was not asked for" for name in NAMED if name not in found})


def payload_of(certificate: Certificate) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The certificate as JSON types, and why some of it is missing."""
    found = certificate.enclosures()
    names = ("bound", "exact", "floor", "steps")
    payload: dict[str, Any] = {
        name: None
        if name not in found
        else {k: getattr(found[name], k) for k in ("lower", "upper", "mid", "radius")}
        for name in names
    }
    payload |= {
        "holds": certificate.holds,
        "statement": certificate.statement,
        "bits": certificate.bits,
        "inputs": certificate.inputs.to_dict(),
        "versions": dict(certificate.versions),
    }
    return payload, {**certificate.reasons, "holds": "there is nothing to compare, or the intervals overlap"}


def verify_certificate(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A certificate.", callback=standard_input.from_option),
    ],
    bits: Annotated[str | None, o.numeric("--bits", "Another precision; default: 64 bits more.")] = None,
    json: o.Json = False,
) -> None:
    """Re-check a certificate at another precision.

    Its digest says that nothing in it was edited, and everything is computed again. A file of the first format
    (wbound-certificate-1) has no digest: what that leaves unprotected is said.
    Exit code 3 if it was edited, or an interval, statement or verdict in it is not what is computed; 2 if it is no
    certificate.

    \b
    Example:
      wbound certify --check certificate.json
    """
    from numerics.io.reading import text_of
    from wbound.certified.affine import is_affine, verify_affine
    from wbound.certified.certificate import verify
    from wbound.errors import count

    precision = None if bits is None else count("bits", o.required("bits", bits), 64)
    text = text_of(Path(file), "JSON")
    if is_affine(text):
        show_affine(verify_affine(text, precision), json)
    else:
        show(verify(text, precision), json)
