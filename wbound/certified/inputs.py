"""What a certificate depends on, as exact text: from objects, from a file, and back to objects.

A number typed as text is what it says (``0.1`` is 1/10); a double is its binary value, in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from wbound.calculus.balls import double_of, exact_text
from wbound.calculus.parser import parse
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, count
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Grid, grid_named
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import scheme_named

__all__ = ["Inputs", "inputs_of", "mapping"]


#: Stands between the two θ of Theorem 7.
BETWEEN = ","


@dataclass(frozen=True)
class Inputs:
    """All that a certificate depends on, as exact text (see the module). Raises `BadInput` where it is read.

    process: a name, or "user" with f and g; data: ``d, m0, L0, second_moment, mean_norm`` of a `LogConcave`
    (mean_norm absent: unknown), or ``d, variances, means`` of a Gaussian along its axes; nodes: times of a
    grid that is not uniform. theorem None: the exact law alone; theta: Eq. 9′'s θ, Theorem 3's, or
    Theorem 7's two with a comma; eps: of Eq. 12.
    """

    process: str
    parameters: Mapping[str, str]
    data: Mapping[str, Any]
    T: str
    K: int
    f: str | None = None
    g: str | None = None
    scheme: str = "em"
    theorem: str | None = "sharp"
    start: str = "prior"
    grid: str = "uniform"
    nodes: tuple[str, ...] | None = None
    score_bias: str = "0"
    score_noise: str = "0"
    M1: str | None = None
    theta: str | None = None
    eps: str | None = None

    @cached_property
    def made_process(self) -> Process:
        """The process in doubles."""
        values = {name: double_of(name, text) for name, text in self.parameters.items()}
        if self.process != "user":
            for name, text in (("f", self.f), ("g", self.g)):
                if text is not None:
                    raise BadInput(name, text, f"is for process user: here the process is {self.process}")
            return named(self.process, form=None, **values)
        return Process(f=self.f, g=self.g, **values)

    @cached_property
    def made_data(self) -> LogConcave | Gaussian:
        """The data in doubles."""
        facts = dict(self.data)
        d = count("d", facts.pop("d", None))
        if facts.keys() & {"variances", "means"}:
            if facts.keys() != {"variances", "means"}:
                raise BadInput("data", ", ".join(facts), "must be d, variances and means, and nothing else")
            both = [[double_of(name, text) for text in facts[name]] for name in ("means", "variances")]
            if {len(both[0]), len(both[1])} != {d}:
                raise BadInput("data", d, "needs d means and d variances")
            return Gaussian(*both)
        mean = facts.pop("mean_norm", None)
        if facts.keys() != {"m0", "L0", "second_moment"}:
            raise BadInput("data", ", ".join(facts), "must be d, m0, L0, second_moment and perhaps mean_norm")
        values = {name: double_of(name, text) for name, text in facts.items()}
        return LogConcave(d, **values, mean_norm=None if mean is None else double_of("mean_norm", mean))

    @cached_property
    def setting(self) -> Setting:
        """The same setting in doubles: what refuses bad input, and what the certificate is a check of."""
        grid: str | Grid = self.grid
        if self.nodes is not None:
            times = [double_of("nodes", text) for text in self.nodes]
            if len(times) != self.K + 1:
                raise BadInput("nodes", len(times), f"must be K + 1 = {self.K + 1} times")
            grid = Grid.from_t(times, None if times[-1] == 0.0 else "early")
        elif self.grid != "uniform":
            raise BadInput("grid", self.grid, "needs its nodes")
        return setting(
            self.made_process,
            self.made_data,
            double_of("T", self.T),
            self.K,
            scheme=self.scheme,
            start=self.start,
            grid=grid,
            score_bias=double_of("score_bias", self.score_bias),
            score_noise=double_of("score_noise", self.score_noise),
            M1=None if self.M1 is None else double_of("M1", self.M1),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        out = asdict(self)
        out["parameters"], out["data"] = dict(self.parameters), dict(self.data)
        if self.nodes is not None:
            out["nodes"] = list(self.nodes)
        return out

    @staticmethod
    def from_dict(values: Any) -> Inputs:
        """Read strictly. Raises `BadInput`."""
        kinds: dict[str, Any] = {f.name: f for f in fields(Inputs)}
        mapping("inputs", values, kinds.keys())
        got = dict(values)
        for name in ("process", "parameters", "data", "T", "K"):
            if name not in got:
                raise BadInput("inputs", name, "is missing")
        if isinstance(got["K"], bool) or not isinstance(got["K"], int):
            raise BadInput("K", got["K"], "must be an integer >= 1")
        mapping("parameters", got["parameters"], None)
        mapping("data", got["data"], ("d", "m0", "L0", "second_moment", "mean_norm", "variances", "means"))
        if isinstance(got["data"].get("d"), bool) or not isinstance(got["data"].get("d"), int):
            raise BadInput("d", got["data"].get("d"), "must be an integer >= 1")
        for key in ("variances", "means"):
            if key in got["data"]:
                _texts(key, got["data"][key])
        _texts("parameters", list(got["parameters"].values()))
        _texts("data", [v for k, v in got["data"].items() if k not in ("d", "variances", "means")])
        if got.get("nodes") is not None:
            _texts("nodes", got["nodes"])
            got["nodes"] = tuple(got["nodes"])
        optional = ("f", "g", "theorem", "M1", "theta", "eps")
        plain = [k for k in got if k not in ("parameters", "data", "K", "nodes")]
        _texts("inputs", [got[k] for k in plain if not (k in optional and got[k] is None)])
        return Inputs(**got)


def mapping(option: str, value: Any, allowed: Collection[str] | None) -> None:
    if not isinstance(value, dict):
        raise BadInput(option, type(value).__name__, "must be an object")
    for key in value:
        if allowed is not None and key not in allowed:
            raise BadInput(option, key, "is not known; allowed: " + ", ".join(allowed))


def _texts(option: str, values: Any) -> None:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise BadInput(option, values, "must be texts that say numbers exactly")


def inputs_of(
    process: Any,
    data: Any,
    T: Any,
    K: Any,
    scheme: Any,
    theorem: Any,
    start: Any,
    grid: Any,
    score_bias: Any,
    score_noise: Any,
    M1: Any,
    theta: Any,
    eps: Any,
) -> Inputs:
    """The `Inputs` that say the same as objects do."""
    if not isinstance(process, Process):
        raise BadInput("process", process, "must be wbound.process(name, …) or wbound.Process(f=…, g=…)")
    if not isinstance(data, LogConcave | Gaussian):
        raise BadInput("data", type(data).__name__, "certified mode takes wbound.LogConcave or a Gaussian")
    parameters = {name: exact_text(name, value) for name, value in process.parameters.items()}
    texts: dict[str, str | None] = {"f": None, "g": None}
    if process.name == "user":
        texts = {k: str(v).replace("Abs(", "abs(") for k, v in (("f", process._f), ("g", process._g))}
        for name, own in (("f", process._f), ("g", process._g)):
            if parse(str(texts[name]), "t", tuple(parameters)) != own:
                raise BadInput(name, str(own), "does not survive as text: give it as text")
    chosen = grid_named(grid)
    nodes = chosen.nodes(process, data, None if T is None else double_of("T", exact_text("T", T)), K)
    plain = chosen.name == "uniform" and nodes.uniform
    if M1 == "exact":
        own_M1 = getattr(data if isinstance(data, Gaussian) else data.gaussian(), "M1", None)
        if own_M1 is None:
            raise BadInput("M1", M1, "is known for Gaussian data only: give A2's constant as a number")
        M1 = own_M1(process, nodes.T)
    many = [part if isinstance(theta, str) else theta for part in str(theta).split(BETWEEN)]
    optional = {"M1": M1, "eps": eps}
    return Inputs(
        process=process.name,
        parameters=parameters,
        data=_facts_of(data),
        T=exact_text("T", nodes.T if T is None or not plain else T),
        K=nodes.K,
        **texts,
        scheme=scheme_named(scheme).name,
        theorem=theorem,
        start=start,
        grid=chosen.name,
        nodes=None if plain else tuple(float(t).hex() for t in nodes.t),
        score_bias=exact_text("score_bias", score_bias),
        score_noise=exact_text("score_noise", score_noise),
        theta=None if theta is None else BETWEEN.join(exact_text("theta", one) for one in many),
        **{k: None if v is None else exact_text(k, v) for k, v in optional.items()},
    )


def _facts_of(data: LogConcave | Gaussian) -> dict[str, Any]:
    if isinstance(data, Gaussian):
        law = {"variances": data.eigenvalues, "means": data.coordinates}
        return {"d": data.d, **{k: [float(x).hex() for x in v] for k, v in law.items()}}
    facts = {"m0": data.m0, "L0": data.L0, "second_moment": data.second_moment, "mean_norm": data.mean_norm}
    return {"d": data.d, **{k: exact_text(k, v) for k, v in facts.items() if v is not None}}
