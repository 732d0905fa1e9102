"""The general affine sampler as a value: its tape (section 15, Eq. 16 of docs/theory.md).

A sampler that asks a network K times and does nothing else but scale, add and draw noise is known by a few arrays.
They are kept in the units in which nothing is large: inputs as y/√(1 + λ), answers as the denoiser E[X_0 | y].
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wbound.calculus.notebook import html_table
from wbound.errors import BadInput, IOFailure, nonnegative, real
from wbound.sampler.tape_recurrence import Recurrence, recurrence
from wbound.typing import Array

__all__ = ["Tape"]

FORMAT = "wbound tape"
VERSION = 1
#: The arrays of a tape and how many dimensions each has.
ARRAYS = {"levels": 1, "start": 1, "answers": 2, "noises": 2, "offsets": 1, "own_levels": 1}
NUMBERS = ("start_level", "start_std", "start_mean", "alpha_out", "level_out")
#: How infinity is written in JSON, which has no number for it.
INFINITY = "infinity"
#: What reading a damaged archive may raise.
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, eq=False)
class Tape:
    """An affine sampler with K evaluations of the score, acting on every coordinate alike (Eq. 16).

    Row i < K of ``start`` (K+1,), ``answers`` (K+1, K; row i may use answers j < i only), ``noises`` (K+1, J) and
    ``offsets`` (K+1,) makes the i-th input of the network, v_i = y_i/√(1 + λ_i), of the start, the earlier answers,
    the J standard normal noises and 1; the last row makes the output in y-units, that is divided by its α. An answer is
    the denoiser D = E[X_0 | y_i] at the level λ_i = σ²/α² (x²) of ``levels`` that the network is told; at λ_i = 0, where
    the denoiser is y itself, it is the score. λ_i = ∞ is pure noise, whose denoiser is the data's mean.

    The start is what the implementation draws, N(``start_mean``, ``start_std``²), in units of √(1 + λ) at
    ``start_level``; so from N(0, σ²I) in x-units with α² + σ² = 1 the std is σ. ``own_levels`` (K,) are the levels that
    the sampler itself is at, where they differ from what the network is told. ``alpha_out`` is the α that a raw output
    is to be divided by, ``level_out`` the λ at which it ends. ``made`` says what was recorded from what.

    Raises `BadInput` for arrays of the wrong shape, a row that uses its own or a later answer, and what is not a number.
    """

    levels: Array
    start: Array
    answers: Array
    noises: Array
    offsets: Array
    start_level: float
    start_std: float
    start_mean: float = 0.0
    own_levels: Array | None = None
    alpha_out: float = 1.0
    level_out: float = 0.0
    made: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = self.__dict__.update  # the fields are frozen
        for name, dimensions in ARRAYS.items():
            value = getattr(self, name)
            if value is not None or name != "own_levels":
                put({name: _array(name, value, dimensions)})
        K = self.levels.size
        if self.noises.ndim != 2:  # no noises, as an empty list
            put(noises=np.zeros((K + 1, 0)))
        shapes = {
            "levels": (K,),
            "start": (K + 1,),
            "answers": (K + 1, K),
            "noises": (K + 1, self.noises.shape[1]),
            "offsets": (K + 1,),
            "own_levels": (K,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise BadInput(
                    f"tape.{name}", value.shape, f"must have the shape {shape} for {K} evaluations"
                )
        if K < 1:
            raise BadInput("tape.levels", K, "must hold at least one evaluation")
        for name in ("levels", "own_levels"):
            value = getattr(self, name)
            if value is not None and (value < 0.0).any():
                raise BadInput(f"tape.{name}", float(value.min()), "must be levels >= 0 (or infinity)")
        ahead = np.triu(self.answers[:K]).any(axis=1)
        if ahead.any():
            i = int(np.argmax(ahead))
            raise BadInput("tape.answers", i, f"evaluation {i} must use earlier answers only")
        level = (
            self.start_level
            if self.start_level == math.inf
            else nonnegative("tape.start_level", self.start_level)
        )
        put(
            start_level=float(level),
            start_std=nonnegative("tape.start_std", self.start_std),
            start_mean=real("tape.start_mean", self.start_mean),
            level_out=nonnegative("tape.level_out", self.level_out),
            alpha_out=real("tape.alpha_out", self.alpha_out),
        )
        if not 0.0 < self.alpha_out:
            raise BadInput("tape.alpha_out", self.alpha_out, "must be > 0: a raw output is divided by it")
        try:
            json.dumps(dict(self.made), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInput(
                "tape.made", type(self.made).__name__, f"must be a JSON object ({error})"
            ) from None

    def _repr_html_(self) -> str:
        made = self.made.get("sampler") or self.made.get("scheme") or self.made.get("scheduler")
        rows = [
            ("calls of the network", self.K),
            ("noises", self.J),
            (
                "levels λ",
                f"{float(self.levels[0]):.6g} … {float(self.levels[-1]):.6g}, ending at {self.level_out:.6g}",
            ),
            (
                "start",
                f"N({self.start_mean:.6g}, {self.start_std:.6g}²) in units of √(1 + λ) at λ = {self.start_level:.6g}",
            ),
            ("recorded from", None if made is None else str(made)),
        ]
        return html_table("Tape of an affine sampler", rows)

    @property
    def K(self) -> int:
        """The number of evaluations of the network."""
        return int(self.levels.size)

    @property
    def J(self) -> int:
        """The number of noises."""
        return int(self.noises.shape[1])

    @property
    def stochastic(self) -> bool:
        """Whether the output depends on a noise beside the start."""
        return bool(self.noises.any())

    @cached_property
    def recurrence(self) -> Recurrence | None:
        """Its short memory, where it has one."""
        return recurrence(self.answers, self.noises)

    def scores(self) -> tuple[Array, Array, Array, Array]:
        """(a, B, q, o) of Eq. 16: points y_i and output in y-units by the start (y-units at its level), the scores
        ∇log q_λ, the noises and 1. For finite levels. Raises `BadInput` at a level of infinity.

        With large levels these coefficients cancel (σ_max = 1e6 loses six digits): laws use the tape as it is.
        """
        if not np.isfinite(self.levels).all() or math.isinf(self.start_level):
            raise BadInput("tape.levels", "infinity", "must be finite to be written with scores (section 18)")
        K = self.K
        unit = np.append(np.sqrt(1.0 + self.levels), 1.0)
        a, B, q, o = np.zeros(K + 1), np.zeros((K + 1, K)), np.zeros((K + 1, self.J)), np.zeros(K + 1)
        for i in range(K + 1):
            earlier = min(i, K)
            weight = np.zeros(K)
            weight[:earlier] = self.answers[i, :earlier]
            seen = np.where(self.levels > 0.0, weight, 0.0)  # D_j = y_j + λ_j s_j
            a[i] = unit[i] * (self.start[i] / math.sqrt(1.0 + self.start_level) + seen @ a[:K])
            B[i] = unit[i] * (seen @ B[:K] + np.where(self.levels > 0.0, weight * self.levels, weight))
            q[i] = unit[i] * (self.noises[i] + seen @ q[:K])
            o[i] = unit[i] * (self.offsets[i] + seen @ o[:K])
        return a, B, q, o

    @staticmethod
    def compose(first: Tape, second: Tape) -> Tape:
        """The sampler that starts ``second`` where ``first`` ended: its output, in y-units, is second's start.

        Raises `BadInput` where second starts at pure noise (its start is then no state in y-units).
        """
        if math.isinf(second.start_level):
            raise BadInput(
                "second.start_level", INFINITY, "must be finite: it goes on where the first one ended"
            )
        K, more = first.K, second.K
        unit = 1.0 / math.sqrt(1.0 + second.start_level)
        answers = np.zeros((K + more + 1, K + more))
        answers[:K, :K] = first.answers[:K]
        answers[K:, :K] = np.multiply.outer(second.start, first.answers[K]) * unit
        answers[K:, K:] = second.answers
        noises = np.zeros((K + more + 1, first.J + second.J))
        noises[:K, : first.J] = first.noises[:K]
        noises[K:, : first.J] = np.multiply.outer(second.start, first.noises[K]) * unit
        noises[K:, first.J :] = second.noises
        own = [t.levels if t.own_levels is None else t.own_levels for t in (first, second)]
        return Tape(
            levels=np.concatenate((first.levels, second.levels)),
            start=np.concatenate((first.start[:K], second.start * (first.start[K] * unit))),
            answers=answers,
            noises=noises,
            offsets=np.concatenate(
                (first.offsets[:K], second.offsets + second.start * (first.offsets[K] * unit))
            ),
            start_level=first.start_level,
            start_std=first.start_std,
            start_mean=first.start_mean,
            own_levels=np.concatenate(own),
            alpha_out=second.alpha_out,
            level_out=second.level_out,
            made={"composed": [dict(first.made), dict(second.made)]},
        )

    # ------------------------------------------------------------------ files

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers for JSON, with a digest; infinity is written as text."""
        content = self._content
        return {**content, "digest": _digest(content)}

    @cached_property
    def _content(self) -> dict[str, Any]:
        arrays = {n: None if getattr(self, n) is None else _plain(getattr(self, n).tolist()) for n in ARRAYS}
        numbers = {n: _plain(getattr(self, n)) for n in NUMBERS}
        return {
            "format": FORMAT,
            "version": VERSION,
            **arrays,
            **numbers,
            "made": json.loads(json.dumps(dict(self.made))),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], name: str = "tape") -> Tape:
        """The tape of `to_dict`. Raises `BadInput` for what is missing, unknown or was edited."""
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise BadInput(name, "its content", f'must be a tape: a JSON object with "format": "{FORMAT}"')
        if content.get("version") != VERSION or content["version"] is True:
            raise BadInput(f"{name}: version", content.get("version"), f"must be {VERSION}")
        known = {"format", "version", "digest", "made", *ARRAYS, *NUMBERS}
        if strange := sorted(set(content) - known):
            raise BadInput(name, strange[0], "is no key of a tape")
        if missing := sorted(known - set(content)):
            raise BadInput(name, missing[0], "is missing")
        rest = {key: value for key, value in content.items() if key != "digest"}
        try:
            digest = _digest(rest)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInput(name, "its content", f"is no tape ({error})") from None
        if content["digest"] != digest:
            raise BadInput(
                f"{name}: digest", content["digest"], "does not fit the content: the file was edited"
            )
        if not isinstance(content["made"], Mapping):
            raise BadInput(f"{name}: made", content["made"], "must be an object")
        arrays: dict[str, Any] = {
            n: None if n == "own_levels" and content[n] is None else _array(n, _numbers(n, content[n]), d)
            for n, d in ARRAYS.items()
        }
        numbers: dict[str, Any] = {n: _numbers(n, content[n]) for n in NUMBERS}
        return cls(**arrays, **numbers, made=content["made"])

    def save(self, path: str | Path) -> None:
        """Write ``path``: JSON, or arrays where it ends in .npz (no pickles). Raises `IOFailure`."""
        path = Path(path)
        try:
            if path.suffix == ".npz":
                arrays = {n: getattr(self, n) for n in ARRAYS if getattr(self, n) is not None}
                rest = {k: v for k, v in self._content.items() if k not in ARRAYS}
                head = json.dumps({**rest, "digest": _digest(self._content)}, sort_keys=True)
                with path.open("wb") as file:
                    np.savez_compressed(file, head=np.array(head), **arrays)
            else:
                path.write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n", "utf-8")
        except OSError as error:
            raise IOFailure(f"{path}: {error.strerror or error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Tape:
        """The tape in ``path`` (JSON or .npz). Raises `IOFailure` (no such file) and `BadInput` (no tape)."""
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IOFailure(f"{path}: {error.strerror or error}") from None
        if data[:2] == b"PK":
            try:
                with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                    content = {n: archive[n].tolist() if n in archive else None for n in ARRAYS}
                    head = json.loads(str(archive["head"]))
            except DAMAGE as error:
                raise BadInput(str(path), "its content", f"is no tape ({error})") from None
            if not isinstance(head, dict):
                raise BadInput(str(path), "its head", "is no tape")
            return cls.from_dict({**head, **{n: _plain(v) for n, v in content.items()}}, str(path))
        try:
            content = json.loads(data)
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise BadInput(str(path), "its content", f"is neither JSON nor .npz ({error})") from None
        return cls.from_dict(content, str(path))


def _array(name: str, value: ArrayLike, dimensions: int) -> Array:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"tape.{name}", value, "must be an array of numbers") from None
    if array.ndim != dimensions and array.size:
        raise BadInput(f"tape.{name}", array.shape, f"must have {dimensions} dimensions")
    allowed = np.isfinite(array) | (np.isposinf(array) if name in ("levels", "own_levels") else False)
    if not np.all(allowed):
        where = np.argwhere(~allowed)[0].tolist()
        raise BadInput(f"tape.{name}", float(array[tuple(where)]), f"at {where}: must be a finite number")
    array.setflags(write=False)
    return array


def _plain(value: Any) -> Any:
    """Numbers and lists as JSON takes them."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return INFINITY if value == math.inf else value


def _numbers(name: str, value: Any) -> Any:
    """The other way; raises `BadInput` for what is no number."""
    if isinstance(value, list):
        return [_numbers(name, v) for v in value]
    if value == INFINITY:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadInput(f"tape.{name}", value, "must be a number")
    try:
        return float(value)
    except OverflowError:
        raise BadInput(f"tape.{name}", value, "must be a number that fits a double") from None


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical text of the content: shows an edit, and proves nothing about who made it."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    import hashlib  # loads a library of its own

    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
