"""Help in groups: the commands under the heads of `numerics.cli.main.GROUPS`, the options of a command under these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Options by what they are about, whichever command has them; those of no group come between the last two.
OPTIONS: dict[str, str] = {
    "Process": "process p f g",
    "Data": "data key target q d m0 L0 second_moment mean_norm sigma0 variance variances tau",
    "Sampler": "T K scheme theorem M1 score_bias score_noise start grid grid_t grid_lam grid_sigma rho sigma_min sigma_max",
    "Schedules": "sigmas betas alphas_cumprod stop timesteps diffusers set_ tape",
    "Options": "",
    "Output": "out as_ row figure width format json quiet help",
}
#: The head of commands that no group names.
OTHERS = "More"


def command_groups(names: list[str], groups: Mapping[str, str]) -> dict[str, list[str]]:
    """The commands that there are, by head, in the order of ``groups``; what that does not name comes last."""
    placed = {
        head: [name for name in listed.split() if name in names]
        for head, listed in (*groups.items(), (OTHERS, ""))
    }
    known = {name for listed in placed.values() for name in listed}
    placed[OTHERS] = [name for name in names if name not in known]
    return {head: listed for head, listed in placed.items() if listed}


def write_commands(group: Any, context: Any, formatter: Any, groups: Mapping[str, str]) -> None:
    """A group's commands with their short help, under their heads."""
    shown = {name: group.get_command(context, name) for name in group.list_commands(context)}
    shown = {name: command for name, command in shown.items() if not command.hidden}
    widest = max(map(len, shown))
    for head, names in command_groups(list(shown), groups).items():
        with formatter.section(head):
            formatter.write_dl(
                [
                    (f"{name:<{widest}}", shown[name].get_short_help_str(formatter.width - widest - 6))
                    for name in names
                ]
            )


def write_options(command: Any, context: Any, formatter: Any) -> None:
    """A command's arguments and options, under their heads; a view's own under its name (`numerics.cli.views`)."""
    head_of = {name: head for head, names in OPTIONS.items() for name in names.split()}
    rows: dict[str, list[Any]] = {head: [] for head in ("Arguments", *OPTIONS)}
    views: dict[str, list[Any]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        view = getattr(parameter, "rich_help_panel", None)
        if parameter.param_type_name == "argument":
            rows["Arguments"].append(record)
        elif view:
            views.setdefault(f"With {view}", []).append(record)
        else:
            rows[head_of.get(parameter.name, "Options")].append(record)
    last = rows.pop("Output")
    for head, records in (*rows.items(), *views.items(), ("Output", last)):
        if records:
            with formatter.section(head):
                formatter.write_dl(records)
