"""Options that several commands share, and what they mean: text → numbers, a process, data, a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from numerics.cli import standard_input, words

if TYPE_CHECKING:
    import wbound

Text = str | None
#: What a file of numbers may be.
SUFFIXES = (".npy", ".npz", ".json", ".txt", ".csv")


def completing(offered: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What the shell asks when Tab is pressed: the words that begin as typed."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in offered() if word.startswith(incomplete)]

    return complete


def _statements() -> Iterable[str]:
    from wbound.theory.statements import STATEMENTS

    return STATEMENTS


complete_process = completing(lambda: words.PROCESSES)
complete_statement = completing(_statements)


def numeric(name: str, text: str) -> Any:
    """An option that takes a number: 4, 1e6, 1/2, 2*pi."""
    return typer.Option(name, metavar="NUMBER", help=text)


def usually(name: str, usual: str) -> Any:
    """An option that takes a fact of the data, which is ``usual`` where it is not given."""
    return numeric(name, f"{FACTS[name]} [default: {usual}]")


def steps(text: str, metavar: str = "NUMBER") -> Any:
    """The option --K: the number of steps, which the packages of samplers call --steps."""
    return typer.Option("--steps", "--K", metavar=metavar, help=text)


def word(name: str, text: str, offered: Iterable[str] = (), metavar: str = "NAME") -> Any:
    """An option that takes a name; ``offered``: those that Tab offers."""
    words_of = tuple(offered)
    complete = completing(lambda: words_of) if words_of else None
    return typer.Option(name, metavar=metavar, help=text, autocompletion=complete)


Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def numbers_in(name: str, metavar: str, text: str, **more: Any) -> Any:
    """An option that takes a file of numbers, or - for standard input."""
    return typer.Option(name, metavar=metavar, help=text, callback=standard_input.from_option, **more)


def out(text: str, metavar: str = "FILE") -> Any:
    """The option -o: the result, as ``text`` says."""
    return typer.Option("-o", "--out", metavar=metavar, help=text)


Numbers = Annotated[Text, out("Write the numbers: .csv.")]
Kept = Annotated[Text, out("Write the result there too, as JSON.")]
Figure = Annotated[Text, word("--figure", "Draw it: .svg .png .pdf, or its numbers as .csv.", metavar="FILE")]
Seed = Annotated[str, numeric("--seed", "Seed of whatever is random.")]
Jobs = Annotated[Text, numeric("--jobs", "Processes (default: every core).")]


def _process(more: str = "") -> Any:
    return word("--process", f"A named process (wbound processes).{more}", words.PROCESSES)


# The second of a pair is for commands that refuse to go on without it: its help says so.
ProcessName = Annotated[Text, _process()]
NeededProcess = Annotated[Text, _process(" [required, or --f and --g]")]
ProcessOrData = Annotated[Text, _process(" [required, or --f and --g, or --data]")]
ProcessOrClaim = Annotated[Text, _process(" [required, or --f and --g, or a schedule, or --claim]")]
ProcessOrSchedule = Annotated[Text, _process(" [required, or --f and --g, or a schedule, or --data]")]
Processes = Annotated[
    list[str] | None,
    word("--process", "Only these processes (give it once for each).", words.PROCESSES),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="A parameter; give it once for each."),
]
F = Annotated[Text, typer.Option("--f", metavar="TEXT", help="Your own drift f(t), with --g.")]
G = Annotated[Text, typer.Option("--g", metavar="TEXT", help="Your own diffusion g(t), with --f.")]

#: What commands are told of the data, and the target W2.
FACTS = {
    "--d": "Dimension of the data.",
    "--m0": "Strong convexity m0 of -log p_0 (A1), in 1/x².",
    "--L0": "Lipschitz constant L0 of the score of p_0 (A1), in 1/x².",
    "--second-moment": "E|X_0|², in x². Default, where --mean-norm is given: the most that A1 allows, d/m0 + mean_norm².",
    "--mean-norm": "|E X_0| if it is known (0: centred data).",
    "--eps": "Target W2, in the data's units.",
    "--eps-rel": "Target W2 as a share of the data's scale ‖X_0 - E X_0‖.",
}


def _fact(name: str, more: str = "") -> Any:
    return numeric(name, FACTS[name] + more)


Dimension = Annotated[Text, _fact("--d")]
NeededDimension = Annotated[Text, _fact("--d", " [required]")]
M0 = Annotated[Text, _fact("--m0")]
NeededM0 = Annotated[Text, _fact("--m0", " [required]")]
L0 = Annotated[Text, _fact("--L0")]
NeededL0 = Annotated[Text, _fact("--L0", " [required]")]
SecondMoment = Annotated[Text, _fact("--second-moment")]
NeededMoment = Annotated[Text, _fact("--second-moment", " [required, or --mean-norm]")]
MeanNorm = Annotated[Text, _fact("--mean-norm")]
NeededMean = Annotated[Text, _fact("--mean-norm", " [required, or --second-moment]")]
Eps = Annotated[Text, _fact("--eps")]
NeededEps = Annotated[Text, _fact("--eps", " [required, or --eps-rel]")]
EpsRel = Annotated[Text, _fact("--eps-rel")]
NeededEpsRel = Annotated[Text, _fact("--eps-rel", " [required, or --eps]")]
Sigma0 = Annotated[str, numeric("--sigma0", "σ_0 of the data N(0, σ_0² I).")]

_T, _K = "Forward time, > 0.", "Number of steps (1e6 is taken, 1.5 is not)."
_OR_GRID = " [required, or --grid-t, --grid-lam, --grid-sigma]"
T = Annotated[Text, numeric("--T", _T)]
NeededT = Annotated[Text, numeric("--T", f"{_T}{_OR_GRID}")]
Horizon = Annotated[Text, numeric("--T", "Forward time (default: λ(T) = 1000 data variances).")]
K = Annotated[Text, steps(_K)]
NeededK = Annotated[Text, steps(f"{_K}{_OR_GRID}")]
SchemeName = Annotated[
    str,
    word(
        "--scheme",
        "Sampler: em (f and g² integrated over each step, as in the paper), em-point (taken where the step departs, as "
        "most packages do), em-point-arrival (where it arrives), ei, hf, ddpm; ODE: ode-hf, ddim, ode-ei, heun (Karras "
        "et al., Algorithm 1), heun-lam (its last step Euler in lam), heun-lambda (Heun in lam; asks for the score at "
        "lam = 0). For exact laws and rankings also dpmpp-2m, dpmpp-3m, "
        "ab2, ab3, ab4 (Adams-Bashforth in sigma), deis2, deis3, unipc, unipc-3, ddim-inflated (on --grid log-lam), ddim-shifted "
        "and 'ddim(eta=0.5)': Theorems 2, 3 and 7 do not hold for these. For curve and samples also random-midpoint and "
        "ode-random-midpoint, whose second level in each step is drawn: W2 lies between two numbers.",
        words.SCHEMES,
    ),
]
Theorem = Annotated[str, word("--theorem", "published or sharp.", words.THEOREMS)]
TheoremOrBoth = Annotated[
    str, word("--theorem", "Of orders: published, sharp or both.", (*words.THEOREMS, "both"))
]
Start = Annotated[
    str,
    word("--start", "prior N(0, σ²(T)I), exact p_T, standard N(0, I) (VP, sub-vp).", words.STARTS),
]
ExactOrPrior = Annotated[str, word("--start", "exact p_T or prior N(0, σ²(T)I).", ("exact", "prior"))]
GridName = Annotated[Text, word("--grid", "A named grid (default: uniform in forward time).", words.GRIDS)]
Width = Annotated[
    str,
    word(
        "--width",
        "Of the figure: column (3.4 in), text (5.5), page (6.9), report (4.6), or inches.",
        words.WIDTHS,
        "NAME|INCHES",
    ),
]
GridTimes = Annotated[
    Text,
    numbers_in("--grid-t", "LIST|FILE", "Explicit forward times, decreasing to 0: 4,2,1,0 or a file."),
]
GridLam = Annotated[Text, numbers_in("--grid-lam", "LIST|FILE", "Explicit values of λ, decreasing to 0.")]
GridSigma = Annotated[
    Text, numbers_in("--grid-sigma", "LIST|FILE", "Explicit values of √λ, decreasing to 0.")
]
M1 = Annotated[
    Text,
    word(
        "--M1",
        "A2's constant (Theorem 1); exact: computed, for Gaussian data (or a product --target).",
        metavar="NUMBER|exact",
    ),
]
ScoreBias = Annotated[str, numeric("--score-bias", "Score error M (A3), in 1/x.")]
ScoreNoise = Annotated[str, numeric("--score-noise", "Score noise V (section 11), in 1/x.")]


def number(option: str, text: str | None, default: float | None = None) -> float | None:
    """The number that ``text`` spells, or ``default`` where the option is absent. Raises `BadInput`."""
    from wbound.calculus.parser import number as parse

    return default if text is None else parse(text, option)


def required(option: str, text: str | None) -> float:
    """As `number`, but the option has to be there."""
    from wbound.errors import BadInput

    value = number(option, text)
    if value is None:
        raise BadInput(option, "(not given)", f"give --{option.replace('_', '-')}")
    return value


def refuse(given: Mapping[str, Any], why: str) -> None:
    """Refuse the options among ``given`` that were typed, and say ``why``. Raises `BadInput`."""
    from wbound.errors import BadInput

    for option, value in given.items():
        if value not in (None, False, []):
            raise BadInput(option, " ".join(value) if isinstance(value, list) else str(value), why)


def typed(option: str, text: str | None) -> str | None:
    """The text of a number, blanks around it gone. Raises `BadInput` where it is none."""
    return None if number(option, text) is None else str(text).strip()


def parameter_texts(parameters: list[str] | None) -> dict[str, str]:
    """What -p gives, by name. Raises `BadInput`."""
    from wbound.calculus.parser import spelled
    from wbound.errors import BadInput

    values: dict[str, str] = {}
    for text in parameters or []:
        key, equals, value = text.partition("=")
        key, value = spelled(key.strip()), value.strip()
        if not equals or not key or not value:
            raise BadInput("-p", text, "must be NAME=VALUE")
        if key in values:
            raise BadInput("-p", text, f"{key} is given twice")
        if key in ("f", "g", "name", "self"):  # arguments of the constructors
            raise BadInput("-p", text, f"{key} is not a parameter: choose another name")
        values[key] = value
    return values


def parameters_from(parameters: list[str] | None) -> dict[str, Any]:
    """The numbers of -p by name. Raises `BadInput`."""
    return {key: number(key, value) for key, value in parameter_texts(parameters).items()}


def process_texts(
    name: str | None, parameters: list[str] | None, f: str | None, g: str | None
) -> dict[str, Any]:
    """The process of --process, -p, --f and --g as a `Description` has it. Raises `BadInput`."""
    from numerics.cli.progress import steps_watched
    from wbound.errors import BadInput
    from wbound.forward.catalogue import row_name
    from wbound.sampler.description import USER

    steps_watched()
    texts = parameter_texts(parameters)
    form = texts.pop("form", None) if name is not None else None
    for key, text in texts.items():
        number(key, text)
    if name is not None:
        if f is not None or g is not None:
            raise BadInput("process", name, "give either --process or --f and --g")
        return {"process": row_name(name, form), "parameters": texts}
    if f is None or g is None:
        raise BadInput("process", "(not given)", "give --process NAME, or --f and --g")
    return {"process": USER, "parameters": texts, "f": f, "g": g}


def process_from(
    name: str | None, parameters: list[str] | None, f: str | None, g: str | None
) -> wbound.Process:
    """The process of --process, -p, --f and --g. Raises `BadInput`."""
    from wbound.sampler.description import process_of

    texts = process_texts(name, parameters, f, g)
    return process_of(texts["process"], texts["parameters"], f, g)


def data_texts(
    d: str | None, m0: str | None, L0: str | None, second_moment: str | None, mean_norm: str | None
) -> dict[str, Any]:
    """The facts of A1 that the options spell, as a `Description` has them. Raises `BadInput`."""
    from wbound.errors import BadInput, count, positive

    dimension = count("d", required("d", d))
    low, _ = positive("m0", required("m0", m0)), positive("L0", required("L0", L0))
    texts = {"m0": m0, "L0": L0, "second_moment": second_moment, "mean_norm": mean_norm}
    out: dict[str, Any] = {"d": dimension} | {
        k: t for k, v in texts.items() if (t := typed(k, v)) is not None
    }
    if second_moment is None:
        mean = number("mean_norm", mean_norm)
        if mean is None:
            raise BadInput("second_moment", "(not given)", "give it, or --mean-norm (0: centred)")
        out["second_moment"] = (dimension / low + mean**2).hex()
    return out


def data_from(
    d: str | None, m0: str | None, L0: str | None, second_moment: str | None, mean_norm: str | None
) -> wbound.LogConcave:
    """The facts of A1 that the options spell. Raises `BadInput` and `HypothesisFailed`."""
    from wbound.sampler.description import data_of

    return data_of(data_texts(d, m0, L0, second_moment, mean_norm))  # type: ignore[return-value]


def scale_of(data: wbound.LogConcave) -> float | None:
    """‖X_0 − E X_0‖, the data's scale, in x; None where the mean is not known."""
    if data.mean_norm is not None:
        return float(max(data.second_moment - data.mean_norm**2, 0.0) ** 0.5)
    if data.m0 == data.L0:  # Gaussian: the variance is d/m0 whatever the mean
        return float((data.d / data.m0) ** 0.5)
    return None


def scale_text(data: wbound.LogConcave) -> str:
    """The data's scale in words."""
    scale = scale_of(data)
    return "the data's scale ‖X_0 - E X_0‖ is " + (f"{scale:.6g}" if scale is not None else "not known")


def eps_from(eps: str | None, eps_rel: str | None, data: wbound.LogConcave) -> float:
    """ε in the data's units from --eps or --eps-rel. Raises `BadInput`."""
    from wbound.errors import BadInput, positive

    if (eps is None) == (eps_rel is None):
        raise BadInput("eps", eps or "(not given)", "give --eps or --eps-rel, one of them")
    if eps is not None:
        return positive("eps", number("eps", eps))
    share, scale = positive("eps_rel", number("eps_rel", eps_rel)), scale_of(data)
    if scale is None:
        raise BadInput("eps_rel", eps_rel, "the data's scale is not known: give --mean-norm")
    return share * scale


def steps_from(K: str | None) -> int | None:
    """--K as an integer."""
    from wbound.errors import count

    value = number("K", K)
    return None if value is None else count("K", value)


def exists(text: str) -> bool:
    """Whether there is a file or folder of that name; what nothing can be called is not there."""
    try:
        return Path(text).exists()
    except OSError:  # too long
        return False


def is_list(text: str) -> bool:
    """Whether the text is numbers, one or several after commas, and not the name of a file."""
    from wbound.errors import BadInput

    if exists(text) or Path(text).suffix.lower() in SUFFIXES:
        return False
    if "," in text:
        return True
    try:
        return any(char.isdigit() for char in text) and number("number", text) is not None
    except BadInput:
        return False


def listed(option: str, text: str) -> Any:
    """The numbers of a list "4,2,1/2,0". Raises `BadInput`."""
    import numpy as np

    return np.array([number(option, part) for part in text.split(",")])


def array_from(option: str, text: str) -> Any:
    """Numbers of a list "4,2,1,0", or of a .npy, .npz (its only array, or the one of the option's name), .txt
    or .csv file; a text file of several lines and columns is a matrix. Raises `BadInput` and `IOFailure`."""
    from numerics.io.reading import load_numpy, text_table
    from wbound.errors import BadInput

    path = Path(text)
    if is_list(text):
        return listed(option, text)
    if path.suffix.lower() in (".npy", ".npz"):
        array = load_numpy(path, option)
    else:
        table = text_table(path)
        array = table.values.ravel() if table.is_vector else table.values
    if array.dtype.kind not in "fiub":
        raise BadInput(option, path.name, f"must hold real numbers, not {array.dtype}")
    return array


def grid_texts(name: str | None, times: str | None, lam: str | None, sigma: str | None) -> dict[str, Any]:
    """The grid that the options name, as a `Description` has it; uniform when there is none. Raises `BadInput` and
    `IOFailure`."""
    from wbound.errors import BadInput
    from wbound.sampler.grid import EXPLICIT

    explicit = {
        "from_t": ("grid_t", times),
        "from_lam": ("grid_lam", lam),
        "from_sigma": ("grid_sigma", sigma),
    }
    given = [text for text in (name, times, lam, sigma) if text is not None]
    if len(given) > 1:
        raise BadInput("grid", given[1], "give one of --grid, --grid-t, --grid-lam, --grid-sigma")
    for kind, (option, text) in explicit.items():
        if text is not None:
            values = array_from(option, text)
            EXPLICIT[kind](values)  # raises for what is no grid
            texts = (
                [t.strip() for t in text.split(",")] if is_list(text) else [float(x).hex() for x in values]
            )
            return {"grid": kind, "nodes" if kind == "from_t" else "levels": tuple(texts)}
    return {"grid": name or "uniform"}


def grid_from(name: str | None, times: str | None, lam: str | None, sigma: str | None) -> str | wbound.Grid:
    """The grid that the options name; uniform when there is none. Raises `BadInput`."""
    from wbound.sampler.description import grid_of

    texts = grid_texts(name, times, lam, sigma)
    return texts["grid"] if len(texts) == 1 else grid_of(**texts)


def m1_from(text: str | None) -> float | str | None:
    """--M1: a number, or "exact"."""
    return text if text in (None, "exact") else number("M1", text)
