"""A setting as exact text, inert: what was typed, hashable and as JSON, and the numbers that are made of it once.

A number typed as text is what it says (``0.1`` is 1/10); a double is its binary value, in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

from wbound.calculus.balls import double_of, exact_text
from wbound.calculus.parser import parse
from wbound.data.curvature import Curvature
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, count, one_of
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.sampler.grid import EXPLICIT, OPTIONS, Grid, grid_named
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.multistep import MULTISTEP, ddim
from wbound.sampler.scheme import SCHEMES, Scheme, scheme_named

__all__ = [
    "BETWEEN",
    "LATER",
    "USER",
    "Description",
    "Texts",
    "data_of",
    "describe",
    "grid_of",
    "mapping",
    "process_of",
]


#: Stands between the two θ of Theorem 7.
BETWEEN = ","
#: The process that f and g say.
USER = "user"
FACTS = ("m0", "L0", "second_moment", "mean_norm")
LAW = ("means", "variances")


class Texts(Mapping[str, Any]):
    """A mapping that does not change: equal to a dict of the same, and hashable. Lists in it are tuples."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._of = {k: tuple(v) if isinstance(v, list) else v for k, v in (values or {}).items()}

    def __getitem__(self, key: str) -> Any:
        return self._of[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def __hash__(self) -> int:
        return hash(frozenset(self._of.items()))

    def __repr__(self) -> str:
        return repr(self._of)

    def plain(self) -> dict[str, Any]:
        """As JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self._of.items()}


@dataclass(frozen=True)
class Description:
    """All that a bound, an exact law or a certificate depends on, as exact text. Raises `BadInput` where it is read.

    process: a name, or "user" with f and g; data: ``d, m0, L0, second_moment, mean_norm`` of a `LogConcave`
    (mean_norm absent: unknown), or ``d, variances, means`` of a Gaussian along its axes, or a ``target`` by name with
    its parameters (`numerics.targets.named.law_of` makes it, for `about`); nodes: every time of the grid, whatever its
    name; levels: its λ (grid "from_lam") or √λ ("from_sigma"); grid_options: ``delta``, ``sigma_min``, ``rho``,
    ``exponent`` of a named one. M1: a number, or "exact". theorem None: the exact law alone; theta: Eq. 9′'s θ,
    Theorem 3's, or Theorem 7's two with a comma; eps: of Eq. 12.
    """

    process: str
    parameters: Mapping[str, str]
    data: Mapping[str, Any]
    T: str | None
    K: int | None
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
    levels: tuple[str, ...] | None = None
    grid_options: Mapping[str, str] = Texts()

    def __post_init__(self) -> None:
        for name in ("parameters", "data", "grid_options"):
            if not isinstance(given := getattr(self, name), Texts):
                object.__setattr__(self, name, Texts(given))

    @cached_property
    def made_process(self) -> Process:
        """The process in doubles."""
        return process_of(self.process, self.parameters, self.f, self.g)

    @cached_property
    def made_data(self) -> LogConcave | Gaussian:
        """The data in doubles."""
        if not self.data or "target" in self.data:
            raise BadInput(
                "data", self.data.get("target", "(not given)"), "is for `about`: no text here says them"
            )
        return data_of(self.data)

    @cached_property
    def made_grid(self) -> Grid:
        """The grid in doubles."""
        return grid_of(self.grid, self.nodes, self.levels, self.grid_options)

    @cached_property
    def setting(self) -> Setting:
        """The same in doubles: what refuses bad input, and what a certificate is a check of."""
        return self.about(self.made_data)

    def about(self, data: Curvature) -> Setting:
        """The setting in doubles, of these data: a target that no text says."""
        return setting(
            self.made_process,
            data,
            None if self.T is None else double_of("T", self.T),
            self.K,
            scheme=self.scheme,
            start=self.start,
            grid=self.made_grid,
            score_bias=double_of("score_bias", self.score_bias),
            score_noise=double_of("score_noise", self.score_noise),
            M1=self.M1 if self.M1 in (None, "exact") else double_of("M1", str(self.M1)),
        )

    def but(self, **changes: Any) -> Description:
        """The same with these fields changed; what was made of the others is kept."""
        kept = [made for made, of in MADE_OF.items() if not of & changes.keys()]
        return self._with(kept + ["setting"] * (changes.keys() <= ASKED), changes)

    def _with(self, kept: Collection[str], changes: Mapping[str, Any]) -> Description:
        out = replace(self, **changes)
        vars(out).update({name: made for name, made in vars(self).items() if name in kept})
        return out

    @cached_property
    def explicit(self) -> Description:
        """The same with nothing left to defaults or to a grid's name: every parameter of the process, K, M1 as a number,
        and the nodes of every grid but the uniform one, as the doubles at which it places them in time."""
        where = self.setting
        process = where.process
        changes: dict[str, Any] = {"K": where.nodes.K}
        texts = {
            name: self.parameters.get(name, exact_text(name, value))
            for name, value in process.parameters.items()
        }
        if self.M1 == "exact":
            changes["M1"] = exact_text("M1", where.M1)
        kept = ["made_process", "made_data"]
        if where.nodes.uniform:
            kept += ["made_grid", "setting"]
        elif self.nodes is None:
            nodes = tuple(float(t).hex() for t in where.nodes.t[:])
            changes |= {"T": nodes[0], "nodes": nodes, "levels": None, "grid_options": Texts()}
        elif self.T is None:
            changes["T"] = self.nodes[0]
        return self._with(kept, {**changes, "process": process.name, "parameters": texts})

    def to_dict(self) -> dict[str, Any]:
        """As JSON types. What a certificate cannot hold (levels, grid_options) is left out where there is none."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in LATER:
            if not out[name]:
                del out[name]
        return {
            k: v.plain() if isinstance(v, Texts) else list(v) if isinstance(v, tuple) else v
            for k, v in out.items()
        }

    @staticmethod
    def from_dict(values: Any) -> Description:
        """Read strictly. Raises `BadInput`."""
        mapping("inputs", values, [f.name for f in fields(Description)])
        got = dict(values)
        for name in ("process", "parameters", "data", "T", "K"):
            if name not in got:
                raise BadInput("inputs", name, "is missing")
        if isinstance(got["K"], bool) or not isinstance(got["K"], int | None):
            raise BadInput("K", got["K"], "must be an integer >= 1")
        for name in ("parameters", "grid_options"):
            mapping(name, got.get(name, {}), None)
            _texts(name, list(got.get(name, {}).values()))
        mapping("data", got["data"], None)
        mapping("data", got["data"], None if "target" in got["data"] else ("d", *FACTS, *LAW))
        if (
            got["data"]
            and "target" not in got["data"]
            and (isinstance(got["data"].get("d"), bool) or not isinstance(got["data"].get("d"), int))
        ):
            raise BadInput("d", got["data"].get("d"), "must be an integer >= 1")
        lists = () if "target" in got["data"] else LAW  # a target's parameters are texts, lists too
        for key in lists:
            if key in got["data"]:
                _texts(key, got["data"][key])
        _texts("data", [v for k, v in got["data"].items() if k not in ("d", *lists)])
        for name in ("nodes", "levels"):
            if got.get(name) is not None:
                _texts(name, got[name])
                got[name] = tuple(got[name])
        optional = ("T", "f", "g", "theorem", "M1", "theta", "eps")
        plain = [k for k in got if k not in ("parameters", "data", "K", "nodes", *LATER)]
        _texts("inputs", [got[k] for k in plain if not (k in optional and got[k] is None)])
        return Description(**got)


#: What is made of which fields, and those that nothing is made of.
MADE_OF = {
    "made_process": {"process", "parameters", "f", "g"},
    "made_data": {"data"},
    "made_grid": {"grid", "nodes", "levels", "grid_options"},
}
ASKED = {"theorem", "theta", "eps"}
#: Fields that came after the format of certificates.
LATER = ("levels", "grid_options")


def process_of(
    name: str, parameters: Mapping[str, str], f: str | None = None, g: str | None = None
) -> Process:
    """The process that these texts say, in doubles. Raises `BadInput`."""
    return _process_of(name, Texts(parameters), f, g)


@lru_cache(maxsize=8)  # descriptions that differ in other things share their process
def _process_of(name: str, parameters: Texts, f: str | None, g: str | None) -> Process:
    values = {key: double_of(key, text) for key, text in parameters.items()}
    if name == USER:
        return Process(f=f, g=g, **values)
    for option, text in (("f", f), ("g", g)):
        if text is not None:
            raise BadInput(option, text, f"is for process user: here the process is {name}")
    return named(name, form=None, **values)


def data_of(texts: Mapping[str, Any]) -> LogConcave | Gaussian:
    """The data that these texts say, in doubles (see `Description`). Raises `BadInput` and `HypothesisFailed`."""
    facts = dict(texts)
    d = count("d", facts.pop("d", None))
    if facts.keys() & set(LAW):
        if facts.keys() != set(LAW):
            raise BadInput("data", ", ".join(facts), "must be d, variances and means, and nothing else")
        means, variances = ([double_of(name, text) for text in facts[name]] for name in LAW)
        if {len(means), len(variances)} != {d}:
            raise BadInput("data", d, "needs d means and d variances")
        return Gaussian(means, variances)
    if facts.keys() | {"mean_norm"} != set(FACTS):
        raise BadInput("data", ", ".join(facts), "must be d, m0, L0, second_moment and perhaps mean_norm")
    return LogConcave(d, **{name: double_of(name, text) for name, text in facts.items()})


def grid_of(
    grid: str,
    nodes: tuple[str, ...] | None = None,
    levels: tuple[str, ...] | None = None,
    grid_options: Mapping[str, str] | None = None,
) -> Grid:
    """The grid that these texts say, in doubles (see `Description`). Raises `BadInput`."""
    if nodes is not None:
        return _explicit("from_t", "nodes", nodes)
    if levels is not None:
        if grid not in ("from_lam", "from_sigma"):
            raise BadInput("grid", grid, "does not take levels: from_lam and from_sigma do")
        return _explicit(grid, "levels", levels)
    if grid in EXPLICIT:
        raise BadInput("grid", grid, "needs its nodes")
    if not grid_options:
        return grid_named(grid)
    make, allowed = OPTIONS[one_of("grid", grid, OPTIONS)]
    return make(**{one_of("grid_options", k, allowed): double_of(k, v) for k, v in grid_options.items()})


def _explicit(kind: str, option: str, texts: tuple[str, ...]) -> Grid:
    values = [double_of(option, text) for text in texts]
    return EXPLICIT[kind](values, None if values and values[-1] == 0.0 else "early")


def mapping(option: str, value: Any, allowed: Collection[str] | None) -> None:
    """Refuse what is no object, and keys that are not ``allowed`` (None: any)."""
    if not isinstance(value, dict):
        raise BadInput(option, type(value).__name__, "must be an object")
    for key in value:
        if allowed is not None and key not in allowed:
            raise BadInput(option, key, "is not known; allowed: " + ", ".join(allowed))


def _texts(option: str, values: Any) -> None:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise BadInput(option, values, "must be texts that say numbers exactly")


# ---------------------------------------------------------------------- from objects


def describe(
    process: Any,
    data: Any,
    T: Any = None,
    K: Any = None,
    *,
    scheme: Any = "em",
    theorem: str | None = "sharp",
    start: str = "prior",
    grid: Any = "uniform",
    score_bias: Any = "0",
    score_noise: Any = "0",
    M1: Any = None,
    theta: Any = None,
    eps: Any = None,
) -> Description:
    """The `Description` that says the same as objects do; numbers may be text or fractions, which are exact, or doubles.
    Raises `BadInput`, also for what no text says: a scheme of your own, a target."""
    if not isinstance(process, Process):
        raise BadInput("process", process, "must be wbound.process(name, …) or wbound.Process(f=…, g=…)")
    if not isinstance(data, LogConcave | Gaussian):
        raise BadInput("data", type(data).__name__, "has no text: it must be wbound.LogConcave or a Gaussian")
    parameters = {name: exact_text(name, value) for name, value in process.parameters.items()}
    texts: dict[str, Any] = {"f": None, "g": None}
    if process.name == USER:
        texts = {k: str(v).replace("Abs(", "abs(") for k, v in (("f", process._f), ("g", process._g))}
        for name, own in (("f", process._f), ("g", process._g)):
            if parse(str(texts[name]), "t", tuple(parameters)) != own:
                raise BadInput(name, str(own), "does not survive as text: give it as text")
    many = [part if isinstance(theta, str) else theta for part in str(theta).split(BETWEEN)]
    optional = {"T": T, "M1": None if M1 == "exact" else M1, "eps": eps}
    exact = {k: None if v is None else exact_text(k, v) for k, v in optional.items()}
    return Description(
        process=process.name,
        parameters=parameters,
        data=_facts_of(data),
        **_grid_texts(grid_named(grid), process, data, exact["T"], K),
        **texts,
        scheme=_scheme_text(scheme_named(scheme)),
        theorem=theorem,
        start=start,
        score_bias=exact_text("score_bias", score_bias),
        score_noise=exact_text("score_noise", score_noise),
        M1="exact" if M1 == "exact" else exact["M1"],
        theta=None if theta is None else BETWEEN.join(exact_text("theta", one) for one in many),
        eps=exact["eps"],
    )


def _scheme_text(scheme: Scheme) -> str:
    memory = scheme.memory
    if memory is not None and memory.eta is not None and memory == ddim(memory.eta):
        return f"ddim(eta={memory.eta!r})"
    if scheme.name not in SCHEMES if memory is None else memory != MULTISTEP.get(scheme.name):
        raise BadInput("scheme", scheme.name, "has no text: it is one of your own")
    return scheme.name


def _facts_of(data: LogConcave | Gaussian) -> dict[str, Any]:
    if isinstance(data, Gaussian):
        law = {"variances": data.eigenvalues, "means": data.coordinates}
        return {"d": data.d, **{k: [float(x).hex() for x in v] for k, v in law.items()}}
    facts = {name: getattr(data, name) for name in FACTS}
    return {"d": data.d, **{k: exact_text(k, v) for k, v in facts.items() if v is not None}}


def _grid_texts(grid: Grid, process: Process, data: Curvature, T: str | None, K: Any) -> dict[str, Any]:
    """T, K and the grid as texts. A grid of your own is the nodes that it places."""
    out: dict[str, Any] = {"T": T, "K": None if K is None else count("K", K), "grid": grid.name}
    if grid.values is not None and grid.name in EXPLICIT:
        texts = tuple(float(x).hex() for x in grid.values)
        return out | {"nodes" if grid.name == "from_t" else "levels": texts}
    if grid.options is not None:
        return out | {"grid_options": {name: value.hex() for name, value in grid.options}}
    nodes = grid.nodes(process, data, None if T is None else double_of("T", T), K)
    return out | {"K": nodes.K, "nodes": tuple(float(t).hex() for t in nodes.t[:])}
