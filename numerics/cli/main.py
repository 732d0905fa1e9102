"""The command ``wbound``: finds the commands by `numerics.cli.families` and turns errors into exit codes.

A family is a module of `numerics.cli.commands` with a function for each of its commands. `GROUPS` places them in
``--help``. Families import what they need inside their commands, so that a refusal is quick.
"""

from __future__ import annotations

import copy
import errno
import functools
import gc
import itertools
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from numerics.cli import output, standard_input
from numerics.cli.families import VIEWS, Families, brief
from numerics.cli.grouped_help import write_commands, write_options
from numerics.cli.output import WRITTEN
from numerics.cli.pulse import Pulse

#: The heads of ``wbound --help`` and the commands under each, in their order; what none names comes last.
GROUPS: dict[str, str] = {
    "Start here": "bound iterations table choose curve audit",
    "Processes and schedules": "processes show check optimal schedule schemes",
    "Theory": "statements orders tolerance lower-bound",
    "Evidence": "verify peers gaussian-errors search score-error smoothed sweep certify report",
    "Images": "images",
}
#: Other old names that still run, and what they are now.
RENAMED: dict[str, str] = {"cifar10": "images"}
#: Every old name, in today's words.
NOW = RENAMED | {old: f"{command} {chooser.words}" for old, (command, chooser, _) in VIEWS.items()}

HELP = """W2 bounds of diffusion samplers beside their exact values, for any forward SDE dX = -f(t) X dt + g(t) dB.

Every command takes --json: one JSON object on stdout, logs on stderr; and --quiet: no logs. -o FILE is the
result, --figure FILE a picture; - in place of a file of numbers is standard input. Exit codes: 0; 2 bad
input or a hypothesis that fails (one line says which); 3 refuted or inconsistent; 4 a file that cannot be
read or written, or a folder that another run writes to; 130 interrupted; 143 terminated: partial results
are named.
"""


class Commands(typer.core.TyperGroup):
    """The commands under their heads, and old names, which run as what they are now."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.commands: Any = Families()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        write_commands(brief(self.params), ctx, formatter, GROUPS)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        context = copy.copy(ctx)
        context.command = brief(self.params)
        return context.command.shell_complete(context, incomplete)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        words = now(args)
        if words != args and not ctx.resilient_parsing:
            output.warn(
                f"wbound {args[0]} is now wbound {NOW[args[0]]}: the old name goes with the next version"
            )
        return super().resolve_command(ctx, words)


def now(args: list[str]) -> list[str]:
    """A command line with its old name, if it has one, in today's words."""
    name, rest = args[0], args[1:]
    if name in RENAMED:
        return [RENAMED[name], *rest]
    if name not in VIEWS:
        return args
    command, chooser, _ = VIEWS[name]
    if chooser.name is not None:
        return [command, *chooser.words.split(), *rest]
    # the option takes what was an argument: the first word that is neither an option nor an option's number
    value = (i for i, word in enumerate(rest) if word == "-" or not word.startswith("-"))
    at = next((i for i in value if i == 0 or rest[i - 1] != "--bits"), len(rest))
    return [command, *rest[:at], chooser.option, *rest[at:]]


def build() -> typer.Typer:
    """The application, whose commands come from `numerics.cli.families`."""
    made = typer.Typer(
        name="wbound",
        cls=Commands,
        help=HELP,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )

    def say_version(value: bool) -> None:
        if value:
            from wbound import __version__

            print(f"wbound {__version__}")
            raise typer.Exit()

    @made.callback(invoke_without_command=True)
    def top(
        context: typer.Context,
        version: bool = typer.Option(
            False, "--version", callback=say_version, is_eager=True, help="Print the version and exit."
        ),
    ) -> None:
        if context.invoked_subcommand is None:
            print(context.get_help())

    top.__doc__ = HELP
    return made


app = build()


@functools.cache
def _command() -> Any:
    """The option parser of `app`, made once; an option of one value that is given twice is refused."""
    command = typer.main.get_command(app)
    _dressed(command)
    return command


def _dressed(command: Any) -> None:
    """Give a command what all have in common: --quiet, help in groups, one value for an option of one."""
    inner = getattr(command, "commands", {})
    if isinstance(inner, Families):
        inner.dress = _dressed
    else:
        for one in inner.values():
            _dressed(one)
    command.params.append(_quiet())
    own = command.get_params

    def get_params(context: Any) -> list[Any]:
        params: list[Any] = own(context)  # with --help, which is made there
        for parameter in params:
            _as_typed(parameter)
        return params

    command.get_params = get_params
    if not hasattr(command, "commands"):
        command.format_options = functools.partial(write_options, command)
    _once(command)


@functools.cache
def _quiet() -> Any:
    """The option --quiet, which sets `numerics.cli.output.QUIET`: made by a command of its own, as all options are."""

    def set_quiet(value: bool) -> None:
        output.QUIET = output.QUIET or value

    said = 'No progress and no "wrote FILE" on stderr; warnings and errors stay.'
    maker = typer.Typer(add_completion=False)

    @maker.command()
    def with_it(
        quiet: bool = typer.Option(False, "--quiet", callback=set_quiet, expose_value=False, help=said),
    ) -> None: ...

    return next(p for p in typer.main.get_command(maker).params if p.name == "quiet")


def _as_typed(parameter: Any) -> None:
    """Leave a parameter's words as they are typed: they are text, which the commands read themselves, and the parser would
    import a package that converts text to text and takes longer than all else."""
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if kind is None or "process_value" in vars(parameter):  # a parser that imports none; done
        return
    convert = parameter.process_value

    def process_value(context: Any, value: Any) -> Any:
        if value is None and not parameter.required:
            value = () if parameter.multiple or parameter.nargs == -1 else None
        elif not (kind is str and isinstance(value, str)) and not (
            kind == list[str] and isinstance(value, list | tuple)
        ):
            return convert(context, value)
        return value if parameter.callback is None else parameter.callback(context, parameter, value)

    parameter.process_value = process_value


def _once(command: Any) -> None:
    """Let a command refuse a second value of an option that takes one: the parser would keep the last and drop the
    first without a word."""
    make = command.make_parser

    def make_parser(context: Any) -> Any:
        parser = make(context)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args=args)
            given: set[str] = set()
            for option in order:  # as they came
                if option.param_type_name != "option" or option.multiple or option.is_flag:
                    continue
                if option.name in given:
                    raise _Twice(
                        f"{context.command_path}: {option.opts[-1]} is given twice, and takes one value"
                    )
                given.add(option.name)
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    command.make_parser = make_parser


class _Twice(Exception):
    """An option of one value was given twice."""


def _one_line(text: str) -> str:
    return " ".join(str(text).split())


#: What a user can do about an overflow.
MILDER = "take less extreme ones"
#: A disk, a file or a quota that is full.
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def _place(error: BaseException) -> str:
    """The module of ours and the line where an error of arithmetic arose."""
    found, step = "?", error.__traceback__
    while step is not None:
        name = step.tb_frame.f_globals.get("__name__", "")
        if name.startswith(("wbound.", "numerics.")) and not name.startswith("numerics.cli.main"):
            found = f"{name}:{step.tb_lineno}"
        step = step.tb_next
    return found


#: How NumPy begins to say that no memory could hold an array.
TOO_BIG = ("array is too big", "Maximum allowed size exceeded", "Maximum allowed dimension exceeded")


def _no_room(error: Exception) -> bool:
    """Whether an allocation failed: NumPy says so in a `ValueError` too, and PyTorch has errors of its own."""
    if isinstance(error, MemoryError) or (isinstance(error, ValueError) and str(error).startswith(TOO_BIG)):
        return True
    torch = sys.modules.get("torch")
    return torch is not None and (
        isinstance(error, torch.cuda.OutOfMemoryError)
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _usage(error: Any) -> str:
    """A usage error of the option parser in one line, with the command whose help to read."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "wbound"
    said = _one_line(error.format_message()).rstrip(".")
    if len(said) > 400:  # a word of a page's length that nobody knows
        said = f"{said[:300]} ... {said[-80:]}"
    return f"{path}: {said} ({path} --help)"


class _Stopped:
    """Which signal came, Ctrl-C or SIGTERM, which does the same; the exit code tells the two apart."""

    #: The signals, and what they do where nobody has said otherwise.
    SIGNALS = ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))

    def __enter__(self) -> _Stopped:
        self.by: int | None = None
        mine = threading.current_thread() is threading.main_thread()
        self.before = [(n, was) for n, was in self.SIGNALS if mine and signal.getsignal(n) is was]
        for number, _ in self.before:
            signal.signal(number, self._on)
        return self

    def _on(self, number: int, frame: Any) -> None:
        self.by = number
        raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        if self.by is None:
            self.restore()
        else:  # a second one, while what there is gets named, adds nothing
            self.ignore()

    def ignore(self) -> None:
        """From now on nothing happens when one comes."""
        for number, _ in self.before:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        """They do again what they did before."""
        for number, was in self.before:
            signal.signal(number, was)

    def said(self) -> int:
        """Name what there is of the results, and the exit code: 143 after SIGTERM, 130 after Ctrl-C."""
        output.warn(
            "interrupted: " + ("written so far: " + ", ".join(WRITTEN) if WRITTEN else "nothing was written")
        )
        return 143 if self.by == signal.SIGTERM else 130


def _spoken(arguments: Sequence[str] | None) -> str:
    """The command's words, as far as its first option: what runs."""
    words = sys.argv[1:] if arguments is None else arguments
    return " ".join(["wbound", *itertools.takewhile(lambda word: not word.startswith("-"), words)][:3])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    # typer bundles its option parser or not, by version: its exception is found by name
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    WRITTEN.clear()
    output.QUIET = False
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without λ gets a question mark, not a traceback
            stream.reconfigure(errors="replace")
    stopped = _Stopped()
    try:
        with stopped, Pulse(_spoken(arguments)), warnings.catch_warnings():
            # a result that NumPy warns of is not printed
            warnings.filterwarnings("error", category=RuntimeWarning, module=r"(wbound|numerics|numpy)\b")
            result = _command().main(
                args=None if arguments is None else list(arguments), prog_name="wbound", standalone_mode=False
            )
    except (typer.Abort, KeyboardInterrupt):
        return stopped.said()
    except usage_error as error:
        output.warn(_usage(error))
        return 2
    except _Twice as error:
        output.warn(str(error))
        return 2
    except (ArithmeticError, RuntimeWarning) as error:
        if stopped.by is not None:
            return stopped.said()
        output.warn(
            f"wbound: these values leave double precision ({_one_line(str(error)) or type(error).__name__}, "
            f"{_place(error)}): {MILDER}"
        )
        return 2
    except Exception as error:
        # what a library made of Ctrl-C: threads that no longer start, a broken pool
        if stopped.by is not None:
            return stopped.said()
        if _no_room(error):  # what `wbound.memory` did not foresee
            output.warn(
                "wbound: this does not fit into memory: ask for fewer steps, samples, points or dimensions"
            )
            return 2
        if (
            isinstance(error, OSError) and error.errno in FULL
        ):  # where no writer of ours is: compiled code that is kept
            output.warn(f"wbound: cannot write {error.filename or 'a file'}: {error.strerror}")
            return 4
        errors = sys.modules.get("wbound.errors")
        if errors is None or not isinstance(error, errors.WboundError):
            raise
        output.warn(f"wbound: {_one_line(str(error))}")
        return int(error.exit_code)
    finally:
        stopped.restore()
        standard_input.discard()
        if (grid := sys.modules.get("wbound.sampler.grid")) is not None:
            vars(grid)["watch"] = None
    if result == 130:
        return stopped.said()
    return result if isinstance(result, int) else 0


def run() -> None:
    """The console entry point."""
    # imports make living objects, which the collector would go through a hundred times
    gc.set_threshold(50_000)
    code = main()
    if code in (130, 143):  # threads and pools that end leave no traceback
        for number, _ in _Stopped.SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
