"""One batch of a sweep's cells: what is asked for in each, and what went wrong where."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import wbound
from numerics.sweep.config import AXES, TARGETS, Plan, described
from numerics.sweep.passes import Passes, PassesOfData, compiles
from numerics.targets.named import law_of
from wbound.data.curvature import Curvature
from wbound.data.log_concave import gaussian_data
from wbound.errors import HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.forward.forward_process import Process
from wbound.sampler.grid import Nodes
from wbound.sampler.make_setting import Setting
from wbound.sampler.scheme import EM, SCHEMES
from wbound.theory.statements import upper_bound

__all__ = ["SCHEMA", "batch", "versions"]

_TEXT, _REAL, _WHOLE = pa.string(), pa.float64(), pa.int64()

#: One row a cell: the inputs, the results, what failed, and what it was made with.
SCHEMA = pa.schema(
    [
        ("cell", _WHOLE),
        *[(name, _TEXT) for name in ("process", "process_parameters", "target", "target_parameters")],
        ("d", _WHOLE),
        ("grid", _TEXT),
        ("T", _REAL),
        ("K", _WHOLE),
        *[(name, _TEXT) for name in ("start", "scheme", "theorem", "M1")],
        *[(name, _REAL) for name in ("score_bias", "score_noise", "eps")],
        ("seed", _WHOLE),
        *[(name, _REAL) for name in ("bound", "initialisation", "discretisation", "score", "trivial")],
        ("vacuous", pa.bool_()),
        ("statement", _TEXT),
        *[(name, _REAL) for name in ("exact", "ratio")],
        ("iterations", _TEXT),  # K may be beyond 64 bits
        *[(name, _REAL) for name in ("iterations_T", "sample_w2", "sample_low", "sample_high")],
        ("error", _TEXT),
        ("versions", _TEXT),
    ]
)


def versions() -> str:
    """What the numbers depend on, as text."""
    import scipy

    return f"wbound {wbound.__version__}, numpy {np.__version__}, scipy {scipy.__version__}"


def batch(plan: Mapping[str, Any], first: int, last: int) -> bytes:
    """The cells first ≤ i < last of a plan (`Plan.to_dict`), as a Parquet file in memory.

    The same bytes whoever computes it. A cell that fails is a row with its error.
    """
    global _held
    if _held is None or _held.body != plan:
        _held = _Maker(plan)
    table = _held.table(first, last)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=max(len(table), 1))
    return sink.getvalue()


#: Of the last batch: a worker gets one after the other of the same plan.
_held: _Maker | None = None

#: Cells from which on loading the compiler pays. The plan decides, so that no batch rounds otherwise than another.
COMPILED = 400
#: Outputs that passes may give.
_PASSED = ("bound", "exact")
#: Numbers that nodes may hold, to be there again for the next target.
HELD = 4_000_000
#: Axes whose values make the nodes of a grid that looks at the process alone, and of any other.
_CLOCK = tuple(AXES.index(axis) for axis in ("process", "grid", "T", "K"))
_NODES = tuple(AXES.index(axis) for axis in ("process", "target", "d", "grid", "T", "K"))
#: What is no part of a grid's nodes, as it is of none.
_PLAIN = {"scheme": "em", "start": "prior", "M1": None, "score_bias": 0.0, "score_noise": 0.0}
_OF_CELL = tuple(f.name for f in SCHEMA if f.name not in {*AXES, "cell", "versions"})


class _Maker:
    """Evaluates cells; neighbours share their process, data, nodes and passes."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body, self.plan, self.versions = body, Plan.from_dict(body), versions()
        self.compiled = self.plan.cells >= COMPILED and compiles() and set(self.plan.outputs) <= set(_PASSED)
        self._axes = [(axis, self.plan.axes[axis]) for axis in AXES]
        self._texts = {axis: _columns_of(axis, values) for axis, values in self._axes}
        self._held: dict[str, tuple[Any, Any]] = {}
        self._nodes: dict[Any, tuple[Nodes, Passes]] = {}
        self._checked: tuple[Any, set[Any]] = (None, set())
        self._last: tuple[Any, Any] = (None, None)

    def table(self, first: int, last: int) -> pa.Table:
        """The rows first ≤ i < last."""
        cells = np.arange(first, last)
        where = [i.tolist() for i in np.unravel_index(cells, self.plan.shape)]
        columns: dict[str, Any] = {name: [None] * cells.size for name in _OF_CELL}
        for j, index in enumerate(zip(*where, strict=True)):
            if self.compiled and self._passed(index, columns, j):
                continue
            for name, value in self._results(index).items():
                columns[name][j] = value
        columns |= {"cell": cells, "versions": [self.versions] * cells.size}
        for axis, at in zip(AXES, where, strict=True):
            columns |= {name: [values[i] for i in at] for name, values in self._texts[axis].items()}
        return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)

    def _passed(self, index: tuple[int, ...], columns: dict[str, Any], j: int) -> bool:
        """One cell by the compiled passes into row j of the columns; False where they do not hold it whole, or where
        something is wrong with it."""
        (_, starts), (_, schemes), (_, theorems), (_, M1s), (_, biases), (_, noises) = self._axes[6:12]
        start, scheme, theorem = starts[index[6]], schemes[index[7]], theorems[index[8]]
        M, V = biases[index[10]], noises[index[11]]
        if start == "standard" or M1s[index[9]] == "exact":
            return False  # what only the process and the law can say
        try:
            passes = self._once("passes", index[:6], lambda: self._passes_of(index))
            bound = passes.bound(start, scheme, theorem, M, V) if "bound" in self.plan.outputs else None
            exact = passes.exact(start, scheme, M, V) if "exact" in self.plan.outputs else None
        except Exception:  # said by the way of one cell
            return False
        if (bound is None and "bound" in self.plan.outputs) or (
            exact is None and "exact" in self.plan.outputs
        ):
            return False
        if bound is not None:
            statement, total, parts, extra = bound
            columns["bound"][j], columns["statement"][j] = total, statement
            columns["initialisation"][j], columns["score"][j] = parts.start, parts.score
            columns["discretisation"][j] = parts.bias + parts.noise + extra
            columns["trivial"][j], columns["vacuous"][j] = passes.trivial, not total < passes.trivial
        if exact is not None:
            columns["exact"][j] = exact
            if bound is not None and exact:
                columns["ratio"][j] = total / exact
        return True

    def _once(self, what: str, key: Any, make: Callable[[], Any]) -> Any:
        """The last value made for ``what``, if it was for the same key; errors are remembered too."""
        held = self._held.get(what)
        if held is None or held[0] != key:
            try:
                value = make()
            except Exception as error:  # belongs to every cell that needs it
                value = error
            held = self._held[what] = (key, value)
        if isinstance(held[1], Exception):
            raise held[1]
        return held[1]

    def _results(self, index: tuple[int, ...]) -> dict[str, Any]:
        """What is computed in one cell."""
        at = self._at(index)
        row: dict[str, Any] = {}
        errors = []
        for output in self.plan.outputs:
            try:
                row |= getattr(self, "_" + output)(at, index)
            except Exception as error:  # recorded with the cell; the others go on
                errors.append(f"{output}: {type(error).__name__}: {' '.join(str(error).split())}")
        if errors:
            row["error"] = "; ".join(errors)
        if row.get("bound") is not None and row.get("exact"):
            row["ratio"] = row["bound"] / row["exact"]
        return row

    def _process(self, at: Mapping[str, Any], index: tuple[int, ...]) -> Process:
        return self._once("process", index[0], lambda: described(at).made_process)

    def _data(self, at: Mapping[str, Any], index: tuple[int, ...]) -> Curvature:
        return self._once("data", index[1:3], lambda: law_of(described(at)))

    def _at(self, index: tuple[int, ...]) -> dict[str, Any]:
        return {axis: values[j] for (axis, values), j in zip(self._axes, index, strict=True)}

    def _shared(self, at: Mapping[str, Any], index: tuple[int, ...]) -> tuple[Nodes, Passes]:
        """A cell's nodes, made once for all data where the grid does not look at them, and what passes keep of them."""
        key = tuple(index[i] for i in (_CLOCK if at["grid"] == "uniform" else _NODES))
        if key not in self._nodes:
            made = described({**at, **_PLAIN}).about(self._data(at, index))
            if sum(k.t.size + passes.size for k, passes in self._nodes.values()) > HELD:
                self._nodes.clear()
            self._nodes[key] = made.nodes, Passes()
        return self._nodes[key]

    def _base(self, at: Mapping[str, Any], index: tuple[int, ...]) -> Setting:
        """The setting of a cell's nodes."""
        process, data = self._process(at, index), self._data(at, index)
        return Setting(process, data, self._shared(at, index)[0], EM)

    def _passes_of(self, index: tuple[int, ...]) -> PassesOfData:
        """The passes of a cell's nodes and data."""
        at = self._at(index)
        base: Setting = self._once("nodes", index[:6], lambda: self._base(at, index))
        if self._checked[0] is not base.data:
            self._checked = base.data, set()
        return PassesOfData(base, self._shared(at, index)[1], self._checked[1])

    def _setting(self, at: Mapping[str, Any], index: tuple[int, ...]) -> Setting:
        """The cell's setting, on nodes shared with its neighbours; the same for all outputs of the cell."""
        if self._last[0] is index:
            return self._last[1]
        base: Setting = self._once("nodes", index[:6], lambda: self._base(at, index))
        scheme, start, M1 = SCHEMES[at["scheme"]], at["start"], at["M1"]
        M, V = at["score_bias"], at["score_noise"]
        if start == "standard" or M1 == "exact":  # what only the process and the law can say
            made = replace(described(at).about(base.data), process=base.process, nodes=base.nodes)
        else:
            made = Setting(base.process, base.data, base.nodes, scheme, start, M, V, M1)
        self._last = index, made
        return made

    def _bound(self, at: Mapping[str, Any], index: tuple[int, ...]) -> dict[str, Any]:
        b = upper_bound(at["theorem"], at["scheme"])(self._setting(at, index))
        return {
            "bound": b.total,
            "initialisation": b.initialisation,
            "discretisation": b.discretisation,
            "score": b.score,
            "trivial": b.trivial,
            "vacuous": b.vacuous,
            "statement": b.statement,
        }

    def _exact(self, at: Mapping[str, Any], index: tuple[int, ...]) -> dict[str, Any]:
        return {"exact": float(EXACT_LAW(self._setting(at, index)))}

    def _iterations(self, at: Mapping[str, Any], index: tuple[int, ...]) -> dict[str, Any]:
        if at["grid"] != "uniform":
            raise HypothesisFailed("iterations", "a uniform grid", f"grid = {at['grid']}")
        options = {k: at[k] for k in ("scheme", "theorem", "start", "score_bias", "score_noise", "M1")}
        found = wbound.iterations(
            self._process(at, index), self._data(at, index), at["eps"], T=at["T"], **options
        )
        return {"iterations": str(found.K), "iterations_T": float(found.T)}

    def _sample(self, at: Mapping[str, Any], index: tuple[int, ...]) -> dict[str, Any]:
        from numerics.samplers.sampling import samples
        from numerics.targets import products
        from numerics.transport import samples as transport

        s = self._setting(at, index)
        law = gaussian_data(s.data)
        target = products.Gaussian(law.mean, law.cov)
        seeds = np.random.SeedSequence(at["seed"]).spawn(3)
        x = samples(
            replace(s, data=target), self.plan.n, np.random.default_rng(seeds[0]), threads=1, progress=False
        )
        y = target.sample(self.plan.n, np.random.default_rng(seeds[1]))
        w2 = transport.empirical_w2(x, y, seed=np.random.default_rng(seeds[2]))
        return {"sample_w2": w2.w2, "sample_low": w2.low, "sample_high": w2.high}


def _columns_of(axis: str, values: Sequence[Any]) -> dict[str, list[Any]]:
    """The columns that an axis fills, value by value."""
    if axis in ("process", "target"):
        rows = [_described(axis, value) for value in values]
        return {name: [row[name] for row in rows] for name in rows[0]}
    if axis == "M1":
        return {axis: [None if value is None else str(value) for value in values]}
    return {axis: list(values)}


def _described(kind: str, spec: Mapping[str, Any]) -> dict[str, str]:
    """A process or target as a name and its parameters in JSON."""
    values = dict(spec)
    name = values.pop("name", "isotropic" if kind == "target" else "user")
    if kind == "target":
        values = {k: v for k, v in {**TARGETS[name], **values}.items() if v is not None}
    return {kind: name, f"{kind}_parameters": json.dumps(values, sort_keys=True)}
