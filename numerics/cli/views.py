"""Commands that are views of another: one entry of the help, one option that chooses, the options of each.

A view is an ordinary command function. `joined` makes of a command and its views one function that the option parser
can read: it takes the options of all, hands those that were given to the one that was chosen, and refuses the others
by name. What was not given stays with each function's own default.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer


class Chooser(NamedTuple):
    """How a view is asked for: ``--view NAME``, or, where ``name`` is None, an option that takes the view's argument."""

    option: str
    name: str | None = None

    @property
    def words(self) -> str:
        return self.option if self.name is None else f"{self.option} {self.name}"


def joined(main: Callable[..., Any], views: Mapping[Chooser, Callable[..., Any]]) -> Callable[..., Any]:
    """One command function of ``main`` and its views, as the module says."""
    every = {"": main, **{chooser.words: view for chooser, view in views.items()}}
    read = {words: _parameters(function) for words, function in every.items()}
    named = {chooser.name: chooser.words for chooser in views if chooser.name is not None}
    valued = {_key(chooser): chooser.words for chooser in views if chooser.name is None}
    arguments = {words: _argument(read[words]) for words in valued.values()}
    merged = [
        _merged(name, {words: own[name] for words, own in read.items() if name in own})
        for name in dict.fromkeys(name for own in read.values() for name in own)
        if name not in arguments.values()
    ]
    last = [p for p in merged if p.name == "json"]
    parameters = [p for p in merged if p.name != "json"]
    if named:
        parameters.append(_choice(named, every))
    parameters += [
        _valued(key, words, read[words][arguments[words]], every[words]) for key, words in valued.items()
    ]

    def run(**values: Any) -> Any:
        from wbound.errors import BadInput, one_of

        name = values.pop("view", None)
        chosen = "" if name is None else named[one_of("view", name, named)]
        given = {}
        for key, words in valued.items():
            value = values.pop(key, None)
            if value is not None:
                if chosen:
                    raise BadInput(key, value, f"does not go with {chosen}")
                chosen, given[arguments[words]] = words, value
        for key, value in values.items():
            if value is None or value is False or value == []:
                continue
            if key not in read[chosen]:
                others = " or ".join(words for words in read if words and key in read[words])
                here = f"does not go with {chosen}" if chosen else f"goes with {others}"
                raise BadInput(key, value, here)
            if isinstance(value, list) and not _many(read[chosen][key].annotation):
                if len(value) > 1:
                    raise BadInput(key, value[1], "is a second one: give one")
                value = value[0]
            given[key] = value
        return every[chosen](**given)

    run.__name__, run.__doc__ = main.__name__, _text({words: f.__doc__ or "" for words, f in every.items()})
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, *last)}
    run.__signature__ = inspect.Signature([*parameters, *last])  # type: ignore[attr-defined]
    return run


def _key(chooser: Chooser) -> str:
    return chooser.option.lstrip("-").replace("-", "_")


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters with their annotations as objects."""
    hints = get_type_hints(function, include_extras=True)
    return {
        name: p.replace(annotation=hints[name]) for name, p in inspect.signature(function).parameters.items()
    }


def _info(annotation: Any) -> Any:
    """The parser's description of an option or argument."""
    return next(part for part in get_args(annotation)[1:] if hasattr(part, "param_decls"))


def _many(annotation: Any) -> bool:
    """Whether the option may be given more than once."""
    kind = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return any(get_origin(part) is list for part in (kind, *get_args(kind)))


def _argument(parameters: Mapping[str, inspect.Parameter]) -> str:
    """The one argument of a view."""
    (name,) = (n for n, p in parameters.items() if isinstance(_info(p.annotation), typer.models.ArgumentInfo))
    return name


def _merged(name: str, owners: Mapping[str, inspect.Parameter]) -> inspect.Parameter:
    """An option of one or of several: its help and its default as each has them, and no default of its own."""
    first = next(iter(owners.values()))
    info = copy.copy(_info(first.annotation))
    texts: dict[str, str] = {}  # help → who says so
    defaults: dict[str, str] = {}
    for words, p in owners.items():
        texts.setdefault(_info(p.annotation).help or "", words)
        if isinstance(p.default, str):
            defaults[words] = p.default
    info.help = " ".join(
        text
        if not words or len(owners) == 1 or (i == 0 and len(texts) == 1)
        else f"With {words}: {text[:1].lower()}{text[1:].rstrip('.')}."
        for i, (text, words) in enumerate(texts.items())
    )
    longest = next((p for p in owners.values() if _many(p.annotation)), first)
    info.metavar = max((_info(p.annotation).metavar or "" for p in owners.values()), key=len) or None
    if "" not in owners:
        info.rich_help_panel = " or ".join(owners)
    kind = get_args(longest.annotation)[0]
    if kind is bool:
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, info]
        )
    if defaults:
        usual = defaults.get("", next(iter(defaults.values())) if "" not in owners else None)
        same = "" not in owners and len(set(defaults.values())) > 1
        said = [
            value if not words else f"with {words}: {value}"
            for words, value in defaults.items()
            if not words or same or value != usual
        ]
        info.help = f"{info.help} [default: {'; '.join(said or [str(usual)])}]"
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
    )


def _choice(named: Mapping[str, str], every: Mapping[str, Callable[..., Any]]) -> inspect.Parameter:
    """The option ``--view``."""
    firsts = [f"{name}: {_first(every[words])}" for name, words in named.items()]
    info = typer.Option(
        "--view",
        metavar="NAME",
        help="Instead: " + "; ".join(firsts),
        autocompletion=lambda incomplete: [name for name in named if name.startswith(incomplete)],
    )
    return inspect.Parameter(
        "view", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, info]
    )


def _valued(key: str, words: str, argument: inspect.Parameter, view: Callable[..., Any]) -> inspect.Parameter:
    """The option that takes a view's argument."""
    given = _info(argument.annotation)
    info = typer.Option(
        words, metavar=given.metavar, help=f"Instead: {_first(view)}", callback=given.callback
    )
    return inspect.Parameter(
        key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, info]
    )


def _first(function: Callable[..., Any]) -> str:
    """The first line of a docstring, in the middle of a sentence."""
    line = (function.__doc__ or "").strip().split("\n")[0].rstrip(".")
    return f"{line[:1].lower()}{line[1:]}"


def _text(docs: Mapping[str, str]) -> str:
    """The help of all: the command's text, what each view says under its name, and everybody's examples."""
    told, examples = [], []
    for words, doc in docs.items():
        text, _, shown = inspect.cleandoc(doc).partition("\b\n")
        told.append(text.strip() if not words else f"{words}: {text.strip()}")
        examples += re.sub(r"\A\s*Examples?:\n", "", shown).rstrip().splitlines()
    return "\n\n".join([*told, "\n".join(["\b", "Examples:", *examples])])
