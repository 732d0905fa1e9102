"""wbound lower-bound: for whom, and how many; Proposition 1 in numbers, and its check against the exact law."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from numerics.cli import data_options as s
from numerics.cli import options as o
from numerics.cli.option_groups import MaybeProcess, PictureOptions, grouped
from numerics.cli.output import aligned, emit, figures, grid_table, say

#: Schemes that have leading constants (Eq. 12′).
SCHEMES = ("hf", "ei", "em", "ddpm")
#: λ(T) over σ_0² where nothing is said: `numerics.studies.lower_bound.floor_check` takes the same.
FAR = 1e4
#: For whom there are floors.
SAMPLERS = ("hf", "ddim", "affine")


@grouped
def lower_bound(
    *,
    d: o.Dimension = "3",
    sigma0: o.Sigma0 = "1",
    eps: Annotated[str | None, o.usually("--eps", "0.1")] = None,
    eps_rel: o.EpsRel = None,
    lam_T: Annotated[
        str | None,
        typer.Option("--lam-T", "--lam-max", metavar="NUMBER", help="λ(T); without it λ(T) → ∞ in K."),
    ] = None,
    start: o.ExactOrPrior = "exact",
    theta: Annotated[str, o.numeric("--theta", "The proviso's θ, for the prior start.")] = "0",
    own: MaybeProcess,
    K_from: Annotated[str, o.numeric("--K-from", "First K of the check.")] = "10",
    K_to: Annotated[str, o.numeric("--K-to", "Last K of the check.")] = "1e5",
    K_tuned: Annotated[str, o.numeric("--K-tuned", "K of the cancellation point.")] = "50",
    scheme: Annotated[
        str,
        o.word("--scheme", "hf: the bound. em, ei, ddpm: leading constants only.", SCHEMES),
    ] = "hf",
    T: Annotated[
        str | None, o.numeric("--T", "Forward time of the leading constants, in place of --lam-T.")
    ] = None,
    variances: Annotated[
        str | None,
        o.numbers_in("--variances", "LIST|FILE", "Eigenvalues, for leading constants only."),
    ] = None,
    sampler: Annotated[
        str | None,
        o.word(
            "--sampler",
            "For whom: hf, ddim or affine (every affine sampler). Without it all that apply: affine with --kappa or --data.",
            SAMPLERS,
        ),
    ] = None,
    kappa: Annotated[
        str | None,
        o.numeric("--kappa", "Largest over smallest eigenvalue of the data's covariance (affine)."),
    ] = None,
    on: s.DataOptions,
    to: PictureOptions,
    json: o.Json = False,
) -> None:
    """How many steps W2 ≤ ε needs at least, and for whom.

    Proposition 1 (Eq. 12): on N(0, σ_0² I) and for the scheme hf, from p_T (from the prior under a proviso, --theta),
    whatever the process and the grid; other schemes may need fewer, since on one Gaussian their errors can
    cancel. And its check: for K over four decades the exact W2 from both starts above the floor (Eq. 11), with
    fitted slopes, and the tuned λ(T) at which the prior start's error cancels the discretisation.

    For whom: --sampler hf is the above; ddim is Eq. 17, any grid, from the exact start; affine is every sampler that
    scales, adds and draws noise (Theorem 6), with the data's mean known and levels that are not random, for covariances
    whose eigenvalues are within a factor --kappa (or as --data have it, with its uncertainty). All three are about
    Gaussian data with exact scores, and about the worst spectrum in the range.

    Beside it, for hf, ei, em and ddpm, the leading constant c of the exact law from p_T, W2 ≈ c/K (Eq. 12′):
    an order and not a bound, since em's W2 crosses zero even from p_T. With --scheme em, ei or ddpm, or
    --variances, that is all there is.

    \b
    Examples:
      wbound lower-bound --d 3 --sigma0 1 --eps 0.1
      wbound lower-bound --sampler affine --kappa 1e6 --eps-rel 0.01
      wbound lower-bound --data digits --eps-rel 0.01 --K-to 1e3
      wbound lower-bound --scheme em --process vp-linear --T 2.8418 --sigma0 "2**0.5" --K-to 1e4
      wbound lower-bound --variances 4,1,0.25 --process ou --T 4
    """
    import wbound
    from numerics.studies.lower_bound import cancellation, floor_check
    from numerics.studies.slopes import geometric
    from wbound.errors import BadInput, count, one_of, positive

    dimension, size = count("d", o.required("d", d)), positive("sigma0", o.required("sigma0", sigma0))
    far = None if lam_T is None else positive("lam_T", o.number("lam_T", lam_T))
    low, high = count("K_from", o.required("K_from", K_from)), count("K_to", o.required("K_to", K_to))
    if high < low or high > 10**7:
        raise BadInput("K_to", K_to, f"must be between K_from = {low} and 1e7")
    chosen = own.made if own.given else o.process_from("vp-linear", own.p, None, None)
    one_of("scheme", scheme, SCHEMES)
    size2 = size**2
    where = o.number("T", T)
    if where is not None and far is not None:
        raise BadInput("T", T, "give --T or --lam-T")
    if where is None:
        where = float(chosen.time_of(math.log(far if far is not None else FAR * size2))[()])
    if scheme != "hf" or variances is not None:
        unused: dict[str, Any] = {**to.files, "eps": eps, "theta": theta if theta != "0" else None}
        unused |= {"sampler": sampler, "eps_rel": eps_rel, "kappa": kappa, "data": on.data}
        o.refuse(unused, "is for hf and data N(0, sigma0^2 I): there is no bound here")
        spectrum = [size2] * dimension
        if variances is not None:
            given = {"d": d, "sigma0": sigma0}
            if d != "3" or sigma0 != "1":
                raise BadInput("variances", variances, f"stand in place of {' and '.join(given)}")
            read = o.array_from("variances", variances)
            if read.ndim != 1:
                raise BadInput("variances", variances, f"must be a vector, not of shape {read.shape}")
            spectrum = read.tolist()
        named = SCHEMES if scheme == "hf" else (scheme,)
        _leading(chosen, spectrum, where, named, start, low, high, json)
        return
    if sampler is not None:
        one_of("sampler", sampler, SAMPLERS)
    known, lines, spread = _conditioning(kappa, on)
    scale = size * math.sqrt(dimension) if spread is None else spread
    if eps_rel is not None:
        if eps is not None:
            raise BadInput("eps_rel", eps_rel, "give --eps or --eps-rel")
        relative = positive("eps_rel", o.required("eps_rel", eps_rel))
    else:
        relative = positive("eps", o.required("eps", eps or "0.1")) / scale
    target = relative * size * math.sqrt(dimension) if eps_rel is not None else relative * scale
    floor_rows = _floors(relative, known, sampler, None if far is None else far / size2)
    if sampler is not None and sampler != "hf":
        if sampler == "ddim":
            o.refuse(to.files, "draws hf's check or affine's floor: leave --sampler out, or say affine")
        to = to.placed
        if to.out is not None or to.figure is not None:
            _keep_floors(known.kappa, to)
        _only_floors(floor_rows, known, lines, sampler is None, json)
        return
    to = to.placed
    answer = wbound.lower_bound(
        dimension, size, target, far, start=start, theta=o.required("theta", theta)
    )  # fmt: skip
    points = 1 + 3 * max(1, round(math.log10(high / low)))
    say(f"exact laws for {points} values of K")
    check = floor_check(dimension, size, geometric(low, high, points), lam_T=far, process=chosen)
    tuned = cancellation(dimension, size, count("K_tuned", o.required("K_tuned", K_tuned)))
    payload: dict[str, Any] = {
        "kind": "lower",
        "statement": "Proposition 1 (Eq. 12)",
        **vars(answer),
        "steps": answer.steps,
        "d": dimension,
        "sigma0": size,
        "eps": target,
        "check": {
            "process": chosen.name,
            "lam_T": check.lam_T,
            "T": check.T,
            **check.columns(),
            "slopes": check.slopes,
            "closest": check.closest,
        },
        "cancellation": {k: v for k, v in vars(tuned).items() if k not in ("sigma0", "d", "curve")},
        "samplers": [row.to_dict() for row in floor_rows],
        "conditioning": None if known is None else known.to_dict(),
        "leading": leading_rows(chosen, [size2] * dimension, check.T, SCHEMES, [low, high]),
    }

    to.keep(check.columns(), lambda: figures.lower_bound.floor_figure(check, to.width))

    def text() -> str:
        limit = "λ(T) → ∞" if far is None else f"λ(T) = {far:g}"
        rows: list[tuple[str, Any, str]] = [
            (
                "K at least",
                answer.K,
                f"{answer.steps} steps: kind lower, Eq. 12, start {answer.start}, {limit}",
            ),
            ("u", answer.u, "ε/(σ_0 √d)"),
            ("ϱ", answer.varrho, "σ_0/√(σ_0² + λ(T))"),
        ]
        columns = check.columns()
        starts = ("from p_T", "prior")
        head = ("K", "floor", *(f"{grid}, {at}" for grid in ("gaussian grid", chosen.name) for at in starts))
        body = [[int(row[0]), *row[1:]] for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
        body.append(["slope", *(check.slopes[name] for name in list(columns)[1:])])
        return "\n".join(
            [
                *_floor_lines(floor_rows, known, lines, sampler is None),
                "",
                f"N(0, σ_0² I), σ_0 = {size:g}, d = {dimension}, ε = {target:g}; hf, any process and grid",
                "",
                aligned(rows),
                "",
                f"Check, λ(T) = {check.lam_T:g}, W2. Gaussian grid: uniform in w^(-1/2), w = σ_0² + λ; "
                f"{chosen.name}: uniform in t.",
                "",
                grid_table(head, body),
                "",
                f"Smallest exact/floor from p_T: {check.closest:.6f}",
                f"Cancellation at K = {tuned.K}, λ(T) = {tuned.lam_T:.10g}: "
                f"W2 from the prior {tuned.prior:.3g}, from p_T {tuned.exact:.6g}, floor {tuned.floor:.6g}",
                "",
                f"Leading constants from p_T, {chosen.name} uniform in t, T = {check.T:.6g}: kind order, "
                "no bounds",
                "",
                leading_table(payload["leading"]),
            ]
        )

    emit(payload, json, text, NO_CONDITIONING if known is None else {})


#: Why there is no κ.
NO_CONDITIONING = {"conditioning": "needs --kappa or --data"}


def _conditioning(kappa: str | None, on: s.DataOptions) -> tuple[Any, list[str], float | None]:
    """κ as given, or the data's with its uncertainty; what is said of it; and the data's √(tr Σ)."""
    from numerics.studies.floors_by_sampler import Conditioning, conditioning
    from wbound.errors import BadInput

    if kappa is not None:
        if on.data is not None:
            raise BadInput("kappa", kappa, "give --kappa or --data")
        value = o.required("kappa", kappa)
        if value < 1.0:
            raise BadInput("kappa", kappa, "must be >= 1: the largest eigenvalue over the smallest")
        return Conditioning(value, 0, 0), [f"κ = {value:g}, as given"], None
    if on.data is None:
        return None, [], None
    loaded, samples = on.read
    eigenvalues = loaded.gaussian.eigenvalues
    known = conditioning(eigenvalues, samples)
    out = [f"{loaded.name}: κ = {known.kappa:.6g} over {known.directions} directions"]
    if known.left_out:
        out[0] += f"; {known.left_out} in which nothing varies are left out"
    if known.low is not None:
        out.append(
            f"κ between {known.low:.6g} and {known.high:.6g} in 90 % of resamples of the {known.n} samples"
        )
    if known.alone is not None:
        out.append(
            f"small eigenvalues of few samples are the shaky part: {known.n} samples with true κ = 1 would show "
            f"about {known.alone:.3g}"
        )
    if known.vanished:
        out.append(
            f"in {known.vanished} of the resamples some direction had no spread at all: κ may be any larger"
        )
    return known, out, float(loaded.spread)


def _floors(relative: float, known: Any, sampler: str | None, far: float | None) -> list[Any]:
    from numerics.studies.floors_by_sampler import floors
    from wbound.errors import BadInput

    names: tuple[str, ...] = SAMPLERS if sampler is None else (sampler,)
    if known is None:
        if sampler == "affine":
            raise BadInput(
                "kappa", "(not given)", "is needed for affine: for one known variance its floor is 0"
            )
        names = tuple(name for name in names if name != "affine")
    return floors(relative, 1.0 if known is None else known.kappa, names, far)


def _floor_lines(rows: list[Any], known: Any, lines: list[str], every: bool) -> list[str]:
    """The floors side by side, for whom they are, and what κ's uncertainty makes of the last."""
    from numerics.studies.floors_by_sampler import floors

    body = [[row.sampler, row.evaluations, row.statement, row.whose] for row in rows]
    out = [
        f"Evaluations that W2 ≤ {rows[0].relative:.4g} √(tr Σ) needs at least, Gaussian data, exact scores:",
        "",
        grid_table(("sampler", "evaluations", "statement", "for whom"), body),
    ]
    if lines:
        out += ["", *lines]
    if known is None and every:
        out += ["", "affine: needs --kappa or --data; for one known variance an affine sampler has no floor"]
    elif known is not None and known.low is not None and rows[-1].sampler == "affine":
        ends = [
            floors(rows[0].relative, value, ("affine",))[0].evaluations for value in (known.low, known.high)
        ]
        out += [f"affine at those ends of κ: {ends[0]} and {ends[1]} evaluations"]
    return out


def _only_floors(rows: list[Any], known: Any, lines: list[str], every: bool, json: bool) -> None:
    from numerics.studies.floors_by_sampler import floor_values

    table = None if known is None or rows[-1].sampler != "affine" else floor_values(known.kappa)
    payload = {
        "kind": "lower",
        "statement": rows[0].statement,
        "K": rows[0].evaluations,
        "steps": rows[0].evaluations,
        "eps_rel": rows[0].relative,
        "samplers": [row.to_dict() for row in rows],
        "conditioning": None if known is None else known.to_dict(),
        "floor": table,
    }

    def text() -> str:
        out = _floor_lines(rows, known, lines, every)
        if table is not None:
            head = ("evaluations", *(str(K) for K in range(len(table))))
            out += ["", grid_table(head, [["W2/√(tr Σ) at least", *table]])]
        return "\n".join(out)

    reasons = NO_CONDITIONING if known is None else {}
    emit(payload, json, text, reasons | ({} if table is not None else {"floor": "is of affine"}))


def leading_rows(
    process: Any, spectrum: list[float], T: float, schemes: Any, Ks: list[int]
) -> list[dict[str, Any]]:
    """Eq. 12′ beside the exact law: the constant of each scheme, and W2·K at a few K, from p_T."""
    import numpy as np

    import wbound
    from wbound.data.gaussian import Gaussian
    from wbound.exact.gaussian_law import exact_w2

    law = Gaussian(np.zeros(len(spectrum)), np.array(spectrum))
    rows = []
    for name in schemes:
        leading = wbound.leading_constants(process, law, T, scheme=name)
        exact = [exact_w2(process, law, T=T, K=K, scheme=name, start="exact") for K in Ks]
        rows.append(
            {
                "scheme": name,
                "kind": leading.kind,
                "constant": None if leading.log_part.any() else leading.constant,
                "log_part": bool(leading.log_part.any()),
                "variances": leading.variances,
                "excess": leading.excess,
                "K": Ks,
                "w2": exact,
                "w2_times_K": [w * K for w, K in zip(exact, Ks, strict=True)],
                "predicted": [leading.w2(K) for K in Ks],
            }
        )
    return rows


def leading_table(rows: list[dict[str, Any]]) -> str:
    """The constants as text."""
    Ks = rows[0]["K"]
    heads = (
        "scheme",
        "c = lim W2·K",
        *(f"W2·K at K = {K:,}".replace(",", "\u202f") for K in Ks),
        "predicted/exact",
    )
    body = []
    for row in rows:
        limit = "K^-1 log K" if row["log_part"] else row["constant"]
        ratio = row["predicted"][-1] / row["w2"][-1] if row["w2"][-1] else None
        body.append((row["scheme"], limit, *row["w2_times_K"], ratio))
    return grid_table(heads, body)


def _leading(
    process: Any, spectrum: list[float], T: float, schemes: Any, start: str, low: int, high: int, json: bool
) -> None:
    """Leading constants alone, for the schemes and spectra that Proposition 1 is not about."""
    from wbound.errors import one_of

    one_of("start", start, ("exact",))  # the constants are of the exact start
    Ks = sorted({low, round(math.sqrt(low * high)), high})
    rows = leading_rows(process, spectrum, T, schemes, Ks)
    payload = {"kind": "order", "process": process.name, "T": T, "d": len(spectrum), "leading": rows}
    reasons = {f"leading.{i}.constant": "W2 falls as log K/K" for i in range(len(rows))}

    def text() -> str:
        lines = [
            f"{process.name}, uniform in t, T = {T:.6g}, d = {len(spectrum)}, from p_T",
            "kind order: the exact law's limit, not a lower bound (em's W2 crosses zero even from p_T)",
            "",
            leading_table(rows),
        ]
        if len(rows[0]["variances"]) > 1:
            for row in rows:
                parts = zip(row["variances"].tolist(), row["excess"].tolist(), strict=True)
                each = ", ".join(f"{v:.4g}: {e:.5g}" for v, e in parts)
                lines += ["", f"{row['scheme']}, K × excess variance for each eigenvalue: {each}"]
        return "\n".join(lines)

    emit(payload, json, text, reasons)


def _keep_floors(kappa: float, to: PictureOptions) -> None:
    from numerics.studies.floors_by_sampler import floor_columns

    columns = floor_columns(kappa)
    to.keep(columns, lambda: figures.lower_bound.affine_figure(columns, to.width, kappa=kappa))
