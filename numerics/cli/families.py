"""The commands by name: which file has each, and its line in ``--help``; a file is imported when its command runs.

So ``wbound --help``, ``--version`` and Tab take the time of the option parser alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from numerics.cli.views import Chooser, joined

#: Command → its file in `numerics.cli.commands`, and the first sentence of its help.
COMMANDS: dict[str, tuple[str, str]] = {
    "audit": ("audit", "Audit the sampler that you really run, on your data."),
    "bound": ("bound", "Bound the W2 error after K steps."),
    "certify": ("certify", "Prove a bound's value in ball arithmetic."),
    "check": ("check", "Check a schedule for consistency."),
    "choose": ("choose", "Rank schedules for your own data."),
    "curve": ("curve", "Draw bound against exact error."),
    "gaussian-errors": ("gaussian_errors", "Exact W2 of samplers on any spectrum."),
    "images": ("cifar10_train", "Images: train, sample and compare (extra cifar10)."),
    "iterations": ("complexity", "How many steps make a bound ≤ ε."),
    "lower-bound": ("lower_bound", "How many steps W2 ≤ ε needs at least, and for whom."),
    "optimal": ("optimal", "Find the optimal grid; compare the named."),
    "orders": ("orders", "Orders of K, η, M in d and ε, derived."),
    "peers": ("peers", "Every bound of one setting beside the truth."),
    "processes": ("processes", "List the named forward processes."),
    "report": ("report", "Write the report: a page, its numbers, its curves."),
    "schedule": ("schedule", "Write a schedule for other samplers."),
    "schemes": ("schemes", "When is the ODE better than the SDE?"),
    "score-error": ("score_error", "Bias stays, noise fades."),
    "search": ("search", "Look for a counterexample: the smallest bound/exact."),
    "show": ("processes", "Show a process: formulas and values."),
    "smoothed": ("score_error", "Sample real data with their exact score, and no network."),
    "statements": ("statements", "List the statements, or show one."),
    "sweep": ("sweep", "Compute a grid of experiments into one Parquet file."),
    "table": ("complexity", "The complexity table of the eight processes."),
    "tolerance": ("orders", "How accurate the score must be for ε."),
    "verify": ("verify", "Say whether a bound holds, and by what evidence."),
}
#: Views of another command, by the name that a file gives them, which is also their old name: the command, how the view
#: is asked for, and the file.
VIEWS: dict[str, tuple[str, Chooser, str]] = {
    "gap": ("lower-bound", Chooser("--view", "gap"), "gap"),
    "landscape": ("lower-bound", Chooser("--view", "landscape"), "gap"),
    "clocks": ("optimal", Chooser("--view", "clocks"), "optimal"),
    "scatter": ("search", Chooser("--view", "scatter"), "score_error"),
    "verify-certificate": ("certify", Chooser("--check"), "certify"),
}


class Families(Mapping[str, Any]):
    """The option parser's commands by name, each made when it is asked for; ``dress`` sees it first."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.dress: Callable[[Any], None] = lambda command: None

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            if name not in COMMANDS:
                raise KeyError(name)
            command = _made(name)
            self.dress(command)
            self.made[name] = command
        return self.made[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _made(name: str) -> Any:
    """A command with its views, from the files that have them."""
    own = function_of(name, COMMANDS[name][0])
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)  # a group, whatever is in it
    if isinstance(own, typer.Typer):
        app.add_typer(own)
    else:
        views = {chooser: function_of(old, file) for old, (of, chooser, file) in VIEWS.items() if of == name}
        app.command(name)(joined(own, views) if views else own)
    group: Any = typer.main.get_command(app)
    return group.commands[name]


def function_of(name: str, file: str) -> Any:
    """What a command or view runs: the function of its name in its file, or a group of commands."""
    return getattr(importlib.import_module(f"numerics.cli.commands.{file}"), name.replace("-", "_"))


def brief(params: list[Any]) -> Any:
    """The group with every command as its name and line alone: for help and Tab. params: the group's own options."""
    lines = {name: typer.core.TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()}
    return typer.core.TyperGroup(name="wbound", commands=dict(lines), params=params)
