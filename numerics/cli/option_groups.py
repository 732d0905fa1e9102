"""Groups of options that belong together, declared once, and what they mean together.

A command that takes a parameter of a group's type (``facts: FactOptions``) has all of the group's options in that
place: `grouped` shows the option parser one flat signature and hands the command the group. Such parameters stand
after a ``*``, so that they may follow options with a default.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, get_type_hints

from numerics.cli import options as o
from numerics.cli import target_options as t
from numerics.cli.output import keep, placed

if TYPE_CHECKING:
    import wbound
    from wbound.bounds.theorem import Theorem
    from wbound.data.gaussian import Gaussian
    from wbound.sampler.description import Description


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of its groups in one flat signature, in their places."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    flat: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if parameter.name in groups:
            flat += _parameters(kind)
        else:
            flat.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def taken(**values: Any) -> Any:
        values = {p.name: p.default for p in flat if p.default is not p.empty} | values
        made = {name: _taken(kind, values) for name, kind in groups.items()}
        return command(**made, **values)

    del taken.__wrapped__  # or the parser would read that one's signature
    taken.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    taken.__annotations__ = {p.name: p.annotation for p in flat}
    return taken


def _parts(group: Any) -> Iterator[tuple[Field[Any], Any]]:
    """The fields of a group with their types; groups inside it among them."""
    hints = get_type_hints(group, include_extras=True)
    return ((part, hints[part.name]) for part in fields(group))


def _parameters(group: Any) -> list[inspect.Parameter]:
    found: list[inspect.Parameter] = []
    for part, kind in _parts(group):
        if is_dataclass(kind):
            found += _parameters(kind)
        else:
            found.append(
                inspect.Parameter(
                    part.name, inspect.Parameter.KEYWORD_ONLY, default=part.default, annotation=kind
                )
            )
    return found


def _taken(group: Any, values: dict[str, Any]) -> Any:
    """The group of what the parser read; its options leave ``values``."""
    return group(
        **{
            part.name: _taken(kind, values) if is_dataclass(kind) else values.pop(part.name)
            for part, kind in _parts(group)
        }
    )


@dataclass(frozen=True)
class ProcessOptions:
    """A process: by name, or by f and g."""

    process: o.NeededProcess = None
    p: o.Parameters = None
    f: o.F = None
    g: o.G = None

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.process is not None or self.f is not None or self.g is not None

    @cached_property
    def texts(self) -> dict[str, Any]:
        """The same as texts. Raises `BadInput`."""
        return o.process_texts(self.process, self.p, self.f, self.g)

    @cached_property
    def made(self) -> wbound.Process:
        """The process. Raises `BadInput`."""
        return o.process_from(self.process, self.p, self.f, self.g)


@dataclass(frozen=True)
class MaybeProcess(ProcessOptions):
    """A process, for a command that goes on without it."""

    process: o.ProcessName = None


@dataclass(frozen=True)
class FactOptions:
    """What A1 knows of the data."""

    d: o.NeededDimension = None
    m0: o.NeededM0 = None
    L0: o.NeededL0 = None
    second_moment: o.NeededMoment = None
    mean_norm: o.NeededMean = None

    @property
    def texts(self) -> dict[str, Any]:
        """The same as texts. Raises `BadInput`."""
        return o.data_texts(self.d, self.m0, self.L0, self.second_moment, self.mean_norm)

    @cached_property
    def made(self) -> wbound.LogConcave:
        """The facts. Raises `BadInput` and `HypothesisFailed`."""
        return o.data_from(self.d, self.m0, self.L0, self.second_moment, self.mean_norm)


@dataclass(frozen=True)
class MaybeFacts(FactOptions):
    """The same, for a command that goes on without it."""

    d: o.Dimension = None
    m0: o.M0 = None
    L0: o.L0 = None
    second_moment: o.SecondMoment = None
    mean_norm: o.MeanNorm = None

    @property
    def centred(self) -> MaybeFacts:
        """The same of data whose mean is 0, where nothing is said of it."""
        return replace(self, mean_norm="0") if self.second_moment is None and self.mean_norm is None else self

    def usually(self, d: str, m0: str, L0: str | None = None) -> MaybeFacts:
        """The same with values for what was not given; L0: m0's by itself."""
        low = self.m0 or m0
        return replace(self.centred, d=self.d or d, m0=low, L0=self.L0 or L0 or low)


@dataclass(frozen=True)
class TargetOptions:
    """A target, by name."""

    target: t.TargetName = None
    q: t.TargetParameters = None
    d: o.Dimension = None

    @property
    def made(self) -> Any:
        """The target; Gaussian where none is named. Raises `BadInput`."""
        return t.target_from(self.target or "gaussian", self.q, self.d)


@dataclass(frozen=True)
class PictureOptions:
    """Where the numbers go, and their picture."""

    out: o.Numbers = None
    figure: o.Figure = None
    width: o.Width = "report"

    @property
    def placed(self) -> Self:
        """The same, refused before the work where it cannot be written, as `numerics.cli.output.placed` does."""
        out, figure = placed(self.out, self.figure, self.width)
        return replace(self, out=out, figure=figure)

    @property
    def files(self) -> dict[str, str | None]:
        """The names, as a command's output has them."""
        return {"out": self.out, "figure": self.figure}

    def keep(self, columns: Mapping[str, Any], draw: Callable[[], Any]) -> None:
        """Write what was asked for."""
        keep(columns, draw, self.out, self.figure)


#: Why the output of a command with these has no such names.
UNASKED = {"out": "no -o", "figure": "no --figure"}


@dataclass(frozen=True)
class EpsOptions:
    """A target W2, one way or the other."""

    eps: o.NeededEps = None
    eps_rel: o.NeededEpsRel = None

    def of(self, data: wbound.LogConcave) -> float:
        """ε in the data's units. Raises `BadInput`."""
        return o.eps_from(self.eps, self.eps_rel, data)


@dataclass(frozen=True)
class GridOptions:
    """A grid: by name, or its nodes."""

    grid: o.GridName = None
    grid_t: o.GridTimes = None
    grid_lam: o.GridLam = None
    grid_sigma: o.GridSigma = None

    @property
    def texts(self) -> dict[str, Any]:
        """The same as texts. Raises `BadInput` and `IOFailure`."""
        return o.grid_texts(self.grid, self.grid_t, self.grid_lam, self.grid_sigma)


@dataclass(frozen=True)
class SamplerOptions:
    """A sampler, the score that it has, and the theorem that bounds it."""

    scheme: o.SchemeName = "em"
    theorem: o.Theorem = "sharp"
    M1: o.M1 = None
    score_bias: o.ScoreBias = "0"
    score_noise: o.ScoreNoise = "0"
    start: o.Start = "prior"

    @property
    def error(self) -> dict[str, float]:
        """M and V of the score. Raises `BadInput`."""
        return {name: o.required(name, getattr(self, name)) for name in ("score_bias", "score_noise")}

    @property
    def statement(self) -> Theorem:
        """What bounds it. Raises `BadInput`."""
        from wbound.theory.statements import upper_bound

        return upper_bound(self.theorem, self.scheme)


@dataclass(frozen=True)
class RunOptions:
    """What is run, whatever the data are."""

    process: ProcessOptions
    T: o.NeededT = None
    K: o.NeededK = None
    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    nodes: GridOptions = field(default_factory=GridOptions)

    def about(self, data: Any) -> wbound.Setting:
        """The setting of these data, in doubles. Raises `BadInput` and `HypothesisFailed`."""
        return self.with_data({}).about(data)

    def with_data(self, facts: dict[str, Any]) -> Description:
        """What was typed, as exact text; ``facts`` likewise. Raises `BadInput`."""
        from wbound.sampler.description import Description

        sampler = self.sampler
        return Description(
            **self.process.texts,
            data=facts,
            T=o.typed("T", self.T),
            K=o.steps_from(self.K),
            scheme=sampler.scheme,
            theorem=sampler.theorem,
            start=sampler.start,
            **self.nodes.texts,
            score_bias=o.typed("score_bias", sampler.score_bias) or "",
            score_noise=o.typed("score_noise", sampler.score_noise) or "",
            M1=sampler.M1 if sampler.M1 == "exact" else o.typed("M1", sampler.M1),
        )


@dataclass(frozen=True)
class SettingOptions:
    """All that a bound is about."""

    process: ProcessOptions
    T: o.NeededT = None
    K: o.NeededK = None
    facts: FactOptions = field(default_factory=FactOptions)
    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    nodes: GridOptions = field(default_factory=GridOptions)

    @property
    def run(self) -> RunOptions:
        """The same without the data."""
        return RunOptions(self.process, self.T, self.K, self.sampler, self.nodes)

    @cached_property
    def described(self) -> Description:
        """What was typed, as exact text. Raises `BadInput`."""
        return self.run.with_data(self.facts.texts)


def gaussian_of(data: wbound.LogConcave | Gaussian) -> Gaussian:
    """Gaussian data, or the Gaussian that m0 = L0 leaves no choice about. Raises `BadInput` for other data."""
    from wbound.data.log_concave import LogConcave
    from wbound.errors import BadInput

    law = data.gaussian() if isinstance(data, LogConcave) else data
    if law is None:
        raise BadInput("M1", "exact", "is known for Gaussian data (m0 = L0) only: give A2's constant")
    return law
