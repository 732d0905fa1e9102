"""One batch of a sweep's cells: what is asked for in each, and what went wrong where."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import wbound
from numerics.sweep.config import TARGETS, Plan
from wbound.data.curvature import Curvature
from wbound.data.log_concave import LogConcave, gaussian_data
from wbound.errors import HypothesisFailed
from wbound.exact.gaussian_law import EXACT_LAW
from wbound.forward.catalogue import process as named
from wbound.forward.forward_process import Process
from wbound.memory import dimension
from wbound.sampler.make_setting import Setting, setting
from wbound.sampler.scheme import SCHEMES
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
    maker = _Maker(Plan.from_dict(plan))
    rows = [maker.row(i, index) for i, index in maker.plan.between(first, last)]
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA.names}
    table = pa.table(columns, schema=SCHEMA)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=max(len(rows), 1))
    return sink.getvalue()


class _Maker:
    """Evaluates cells; neighbours share their process, data and nodes."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.versions = plan, versions()
        self._held: dict[str, tuple[Any, Any]] = {}

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

    def row(self, i: int, index: Mapping[str, int]) -> dict[str, Any]:
        """One cell's row."""
        at = {axis: self.plan.axes[axis][j] for axis, j in index.items()}
        row: dict[str, Any] = {"cell": i, "versions": self.versions, **at}
        row |= _described("process", at["process"]) | _described("target", at["target"])
        row["M1"] = None if at["M1"] is None else str(at["M1"])
        errors = []
        for output in self.plan.outputs:
            try:
                row |= getattr(self, "_" + output)(at, index)
            except Exception as error:  # recorded with the cell; the others go on
                errors.append(f"{output}: {type(error).__name__}: {' '.join(str(error).split())}")
        row["error"] = "; ".join(errors) or None
        if row.get("bound") is not None and row.get("exact"):
            row["ratio"] = row["bound"] / row["exact"]
        return row

    def _process(self, at: Mapping[str, Any], index: Mapping[str, int]) -> Process:
        return self._once("process", index["process"], lambda: _process(at["process"]))

    def _data(self, at: Mapping[str, Any], index: Mapping[str, int]) -> Curvature:
        return self._once("data", (index["target"], index["d"]), lambda: _data(at["target"], at["d"]))

    def _setting(self, at: Mapping[str, Any], index: Mapping[str, int]) -> Setting:
        """The cell's setting, on nodes shared with its neighbours."""
        process, data = self._process(at, index), self._data(at, index)
        shared = ("process", "target", "d", "grid", "T", "K")

        base: Setting = self._once(
            "nodes",
            tuple(index[axis] for axis in shared),
            lambda: setting(process, data, at["T"], at["K"], grid=at["grid"]),
        )
        own = {name: at[name] for name in ("start", "scheme", "score_bias", "score_noise", "M1")}
        if at["start"] == "standard" or at["M1"] == "exact":  # what only the process and the law can say
            made = setting(process, data, at["T"], at["K"], grid=at["grid"], **own)
            return replace(made, nodes=base.nodes)
        return replace(base, **{**own, "scheme": SCHEMES[at["scheme"]]})

    def _bound(self, at: Mapping[str, Any], index: Mapping[str, int]) -> dict[str, Any]:
        b = upper_bound(at["theorem"], at["scheme"])(self._setting(at, index))
        parts = ("initialisation", "discretisation", "score", "trivial", "vacuous", "statement")
        return {"bound": b.total, **{name: getattr(b, name) for name in parts}}

    def _exact(self, at: Mapping[str, Any], index: Mapping[str, int]) -> dict[str, Any]:
        return {"exact": float(EXACT_LAW(self._setting(at, index)))}

    def _iterations(self, at: Mapping[str, Any], index: Mapping[str, int]) -> dict[str, Any]:
        if at["grid"] != "uniform":
            raise HypothesisFailed("iterations", "a uniform grid", f"grid = {at['grid']}")
        options = {k: at[k] for k in ("scheme", "theorem", "start", "score_bias", "score_noise", "M1")}
        found = wbound.iterations(
            self._process(at, index), self._data(at, index), at["eps"], T=at["T"], **options
        )
        return {"iterations": str(found.K), "iterations_T": float(found.T)}

    def _sample(self, at: Mapping[str, Any], index: Mapping[str, int]) -> dict[str, Any]:
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


def _described(kind: str, spec: Mapping[str, Any]) -> dict[str, str]:
    """A process or target as a name and its parameters in JSON."""
    values = dict(spec)
    name = values.pop("name", "isotropic" if kind == "target" else "user")
    if kind == "target":
        values = {k: v for k, v in {**TARGETS[name], **values}.items() if v is not None}
    return {kind: name, f"{kind}_parameters": json.dumps(values, sort_keys=True)}


def _process(spec: Mapping[str, Any]) -> Process:
    values = dict(spec)
    return named(values.pop("name"), **values) if "name" in values else Process(**values)


def _data(spec: Mapping[str, Any], d: int) -> Curvature:
    """The target in d dimensions."""
    from numerics.targets.products import Gaussian

    name = spec.get("name", "isotropic")
    v = {**TARGETS[name], **{k: x for k, x in spec.items() if k != "name"}}
    if name == "facts":
        moment = v["second_moment"]
        if moment is None:  # the most that A1 allows
            moment = d / v["m0"] + (v["mean_norm"] or 0.0) ** 2
        return LogConcave(d, v["m0"], v["L0"], moment, v["mean_norm"])
    i = np.arange(dimension(d), dtype=float)
    shape = {
        "isotropic": lambda: np.ones(d),
        "power-law": lambda: (i + 1.0) ** -v["exponent"],
        # from 1 down to 1/condition
        "geometric": lambda: np.exp(-math.log(v["condition"]) * i / max(d - 1, 1)),
    }[name]()
    return Gaussian(np.full(d, v["mean"]), v["variance"] * shape)
