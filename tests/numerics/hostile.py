"""Hostile command lines, generated from the real commands and options, and a judge of what came of them."""

from __future__ import annotations

import io
import random
import re
import resource
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import typer
from hypothesis import strategies as st

from numerics.cli.main import NOW, app, main

#: Exit codes that the command line may end with.
CODES = (0, 2, 3, 4, 130)
#: Processor seconds that a line may take, whatever it says.
PATIENCE = 20.0
#: Seconds on the clock for each of the processor: the machine may be busy with others.
WAITING = 15.0
#: Address space that a line may add, in bytes.
ROOM = 2 << 30

#: One quick and right line of every command (None: there is none without a file of its own).
RIGHT: dict[str, str | None] = {
    "processes": "",
    "show": "vp-linear",
    "statements": "theorem-2",
    "check": "--f 0 --g 1+t",
    "bound": "--process ou --T 2 --K 20 --d 3 --m0 1 --L0 2 --mean-norm 0",
    "iterations": "--process ou --eps 0.5 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf",
    "table": "--derived",
    "orders": "--process ou",
    "tolerance": "--process ou --eps 0.5 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf",
    "lower-bound": "--K-to 20",
    "lower-bound --view gap": "--points 1 --u-from 0.1 --u-to 0.1",
    "lower-bound --view landscape": "--points 6 --K-to 5",
    "optimal": "--K 4 --d 2",
    "optimal --view clocks": "--points 5",
    "choose": "--data 4,1,0.25 --K 3 --process ou --grid uniform",
    "schedule": "--process ou --T 2 --K 5",
    "curve": "--process ou --to 100 --points 2",
    "verify": "--process ou --T 2 --K 5 --d 1 --n 20",
    "certify": "--process ou --T 2 --K 3 --d 3 --m0 1 --L0 1 --mean-norm 0 --scheme hf",
    "schemes": "--d 2 --eps 0.5 --scheme hf --process ou",
    "peers": "--law isotropic --a 0 --K 5",
    "gaussian-errors": "--data 4,1 --K 3",
    "score-error": "--process ou --d 2 --T 2 --to 20 --points 2",
    "smoothed": "--tau 2 --K 2 --n 4",
    "search": "--seconds 0.02 --jobs 1",
    "search --view scatter": "--cells 2 --jobs 1",
    "report": "--quick -o page",
    "sweep": None,
    "audit": None,  # needs the extra diffusers: tests/numerics/recorders has its bad lines
}
#: The same of ``wbound images``, with the runs that its tests make.
IMAGES: dict[str, str] = {
    "images train": "--process vp-original --preset smoke --steps 1 --batch 4 -o new",
    "images resume": "run --device cpu",
    "images check": "--data digits",
    "images sample": "run --K 2 --n 2 --figure x.png",
    "images evaluate": "run --K 2 --n 16 --seeds 1",
    "images fid-stats": "--data digits -o stats.npz",
    "images compare": "--process vp-original --K 2 --n 16 --seeds 1 --steps 1 --jobs 1 -o compared",
    "images score-error": "gaussian --K 2 --n 16",
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: Values that look like numbers, and some that do not. Blanks part them.
NUMBERS = (
    *_words(
        "nan inf -inf 1e400 -1 0 -0 1e-400 1e308 -1e308 1e-308 5e-324 1e12 1e9 1e18 1e4 100 2 3 7 0.5 1.5"
    ),
    *_words("2**0.5 1e-12 1e-3 1/3 pi e 123456789012345678901234567890 1/0 9**9**9**9 0x10 1_000 1e -- -"),
    *_words("True 1,2 1;2 t lambda:0 __import__('os').system('x') ٣ ½ exact best"),
    *("", " ", "\n1", "1\n2", "\x00", "\udcff", "9" * 5000, "(" * 300),
)
#: Numbers that any option may be given: hostile by their size alone.
PLAIN = NUMBERS[:28]
#: Words: every kind of name that some option takes, at every other option too.
WORDS = (
    *_words("nope VP-LINEAR ou vp-linear ve-constant ve-exponential ve-sqrt sub-vp vp-polynomial optimal"),
    *_words("image-ve optimal-vp em ei hf ddpm ode-hf ddim heun ode-ei published sharp both prior exact"),
    *_words(
        "standard centred uniform edm log-lam cosine gaussian mixture logcosh density=-x**2 density=x**2"
    ),
    *_words(
        "density= density=-x**4 sigmas betas alphas_cumprod times timesteps latex csv json K T d M eps best"
    ),
    *_words("all column page huge 1e9 0 -1 nan hf,ddim , em,,hf ../../x λ"),
    *("", " ", "\x00", "\udcff", "a" * 9999),
)
#: Expressions in t, right and wrong.
EXPRESSIONS = (
    *_words("0 1 t 1+t sqrt(t) exp(t) exp(exp(t)) 1/t -1 t**-0.5 log(t) abs(t-1) ( t( 9**9**9 t**t**t x a*t"),
    *_words("sin(1/t) __import__('os') t.real t[0] exp(800*t) 1e300 1e-300 sqrt(1-t) exp(-t)/t tan(t)"),
    *("", "\x00", "t" * 500, "+".join(["t"] * 300)),
)
#: NAME=VALUE, of processes and of targets.
PAIRS = (
    *_words("a=1 b=2 a=0 a=-1 a=nan a = =1 a= a=1e300 a=1e-300 self=1 f=1 name=x form=ve form=nope a=1=2"),
    *_words(
        "λ=1 __class__=1 a=1e400 rho=0.001 rho=1e6 sigma_min=1e-9 theta=1e9 theta=1e-9 c=3 c=1e300 cov=0"
    ),
    *_words("cov=-1 cov=1e300 mean=1,2 mean=1e308 cov=1,2;3 m0=2 m0=1e-300 L0=1e300 s=0 s=1e-200 sigma=1e9"),
)
LISTS = _words("3,2,1,0 1,0 0 0,1 1,1,0 nan,0 1e308,1,0 , 1,,0 2,x,0 1e-320,0 0.5 3,2,1 0.1,0.2 0.9,0.5")

#: Commands may tell what they are at; then the one line that says what is wrong comes last.
ONE_LINE = re.compile(
    r"(?:(?!wbound|Traceback)[^\n]*: [^\n]*\n|[^\n]* values of [^\n]*\n|[^\n]*(?:eps = |ranked in )[^\n]*\n){0,9}wbound[^\n]*\n"
)


class Outcome(NamedTuple):
    """What came of a line: its exit code, what it said, and what is wrong with that ("" if nothing)."""

    code: int | None
    err: str
    wrong: str
    out: str


class TooLong(BaseException):
    """Raised by the alarm: no handler of ordinary errors catches it."""


@contextmanager
def limits(seconds: float = PATIENCE, room: int = ROOM) -> Iterator[None]:
    """A limit on processor time, on new memory and, for what sleeps or waits for others, on time within the block."""

    def alarm(*_: Any) -> None:
        raise TooLong

    before = [(number, signal.signal(number, alarm)) for number in (signal.SIGPROF, signal.SIGALRM)]
    old = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room, old[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    signal.setitimer(signal.ITIMER_REAL, WAITING * seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before:
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, old)


def judge(arguments: list[str], seconds: float = PATIENCE, room: int = ROOM) -> Outcome:
    """Run one line in this process and say what is wrong with how it ended."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogateescape")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="surrogateescape")
    code, wrong = None, ""
    try:
        with limits(seconds, room), redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
    except TooLong:
        wrong = f"over {seconds:g} s: " + traceback.format_exc()[-900:]
    except SystemExit as left:
        wrong = f"SystemExit {left.code}"
    except BaseException:
        wrong = "traceback: " + traceback.format_exc()[-1500:]
    out.flush(), err.flush()  # type: ignore[func-returns-value]
    said = err.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    if not wrong:
        last = said.splitlines()[-1] if said.splitlines() else ""
        if code not in CODES:
            wrong = f"exit code {code}"
        elif "Traceback" in said or "Warning" in said:
            wrong = "noise on stderr: " + said[-600:]
        elif code != 0 and not last.strip():
            wrong = f"exit code {code} and not a word"
        elif code == 2 and (not ONE_LINE.fullmatch(said) or len(last) > 1000):
            wrong = f"exit code 2 with {said.count(chr(10))} lines, {len(said)} characters: {said[:800]}"
    return Outcome(code, said, wrong, out.buffer.getvalue().decode("utf-8", "replace"))  # type: ignore[attr-defined]


def _commands(group: Any, before: str = "") -> dict[str, Any]:
    """Every command by its words, those of groups too."""
    out: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        out |= _commands(command, f"{before}{name} ") if inner else {before + name: command}
    return out


COMMANDS: dict[str, Any] = _commands(typer.main.get_command(app))
#: Views are asked for by an option, and take the options of their command, most of them in vain.
COMMANDS |= {words: COMMANDS[words.split()[0]] for words in NOW.values() if "--view" in words}


def options_of(name: str) -> list[Any]:
    """The options of a command, but --help and --json."""
    given = [p for p in COMMANDS[name].params if p.param_type_name == "option"]
    return [p for p in given if p.name not in ("help", "json")]


def flag_of(option: Any) -> str:
    """The name of an option in right lines: the longest, but --K."""
    return "--K" if "--K" in option.opts else str(max(option.opts, key=len))


def values_of(parameter: Any, files: tuple[str, ...]) -> tuple[str, ...]:
    """Hostile values of an option or argument, by what its help says it takes."""
    metavar = parameter.metavar or ""
    names = set(getattr(parameter, "opts", ()))
    if "=" in metavar and "density" not in metavar:
        return PAIRS
    if names & {"--f", "--g", "--marginal-std", "--mean-factor"}:
        return EXPRESSIONS
    if "FILE" in metavar or "DIR" in metavar or "FOLDER" in metavar or "toml" in metavar:
        return (*files, *LISTS, "", "\x00", "a" * 300 + ".npy")
    if "NUMBER" in metavar:
        return (*PLAIN, *NUMBERS)  # size twice as often
    return WORDS


def tamed(name: str, flag: str, value: str) -> str:
    """The value, or a small one where it is legal and the work as long as it is large."""
    if flag == "--seconds" and value in LASTING:
        return "0.02"
    dear = name in DEAR or name in IMAGES or flag == "--n"  # exact transport of 1e4 points: half a minute
    return "3" if value in ("1e4", "100") and dear else value


def placed(name: str, begun: list[str], flag: str, value: str) -> list[str]:
    """A command's line with the option's value in place of the right one, or after it."""
    out = [*name.split(), *begun]
    if flag in begun and flag not in ("-p", "--parameter"):
        out[len(name.split()) + begun.index(flag) + 1] = value
        return out
    return [*out, flag, value]


def singles(name: str, files: tuple[str, ...], each: int) -> Iterator[list[str]]:
    """The command's right line with one option made hostile, ``each`` times for every option."""
    rng, begun = random.Random(name), ((RIGHT | IMAGES)[name] or "").split()
    for option in options_of(name):
        for flag in (*option.opts, *option.secondary_opts):
            values = values_of(option, files)
            for value in rng.sample(values, min(each, len(values))):
                if not option.is_flag:
                    yield placed(name, begun, flag, tamed(name, flag_of(option), value))
                elif flag in SLOW:
                    yield [*name.split(), *begun, flag, "--bogus"]
                else:
                    yield [*name.split(), *begun, flag]
                    break


@st.composite
def lines(draw: Any, files: tuple[str, ...] = (), commands: tuple[str, ...] = tuple(RIGHT)) -> list[str]:
    """A command line: a right one with one to three options made hostile, or one out of nothing."""
    name = draw(st.sampled_from(commands))
    right, words = (RIGHT | IMAGES)[name], name.split()
    arguments = [p for p in COMMANDS[name].params if p.param_type_name == "argument"]
    begun = (right or "").split() if name in DEAR or draw(st.integers(0, 9)) else []
    if arguments and begun and draw(st.integers(0, 2)) == 0:
        begun[0] = draw(st.sampled_from(values_of(arguments[0], files)))
    options = options_of(name)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 2, 3)))):
        if not options:
            break
        option = draw(st.sampled_from(options))
        flag = flag_of(option)
        if option.is_flag:
            if flag not in SLOW:
                begun.append(draw(st.sampled_from((flag, *option.secondary_opts))))
            continue
        value = tamed(name, flag, draw(st.sampled_from(values_of(option, files))))
        begun = placed(name, begun, flag, value)[len(words) :]
    out = [*words, *begun]
    if arguments and right is None:
        out.append(draw(st.sampled_from((*files, "", "\x00", "nope"))))
    elif draw(st.integers(0, 19)) == 0:
        out.append(draw(st.sampled_from(("extra", "--bogus", "--", "-x", "--json=1", "\x00", "--T", "--K"))))
    if draw(st.booleans()):
        out.append("--json")
    return out


#: Commands that take long with what they take where nothing is said; they always begin from the right line.
DEAR = (
    *("choose", "lower-bound", "lower-bound --view gap", "lower-bound --view landscape", "schemes"),
    *("score-error", "smoothed", "table"),
    *("search", "search --view scatter", "report", "images compare"),  # where nothing is said: on all cores
)
#: Legal numbers of seconds that nobody waits for.
LASTING = _words(
    "1e308 1e12 1e9 1e18 1e4 100 2 3 7 0.5 1.5 2**0.5 1/3 pi e 0x10 1_000 ٣ ½ 123456789012345678901234567890"
)
#: Flags that start long work of their own.
SLOW = ("--measured", "--all", "--compile")


def instead(line: Sequence[str], *changes: str) -> list[str]:
    """A command line with other values of the options among ``changes``: none is given twice."""
    at = [i for i, word in enumerate(line) if word in changes and word.startswith("--")]
    return [word for i, word in enumerate(line) if i not in at and i - 1 not in at] + list(changes)
