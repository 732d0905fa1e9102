"""Sweeps: a grid of experiments on all cores or on a cluster, in files that survive whatever stops the run.

The cells are computed in batches. A finished batch is a file, written whole under its number; at the end the
files become one. A run that is started again goes on where the files end. What is computed where changes no
bit of the result.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from numerics.io.interrupts import uninterrupted
from numerics.io.locks import locked
from numerics.io.progress_bar import bar
from numerics.io.writing import directory, write
from numerics.sweep.cells import SCHEMA, batch, versions
from numerics.sweep.config import Plan, read
from wbound.errors import BadInput, IOFailure, count

__all__ = ["Sweep", "sweep"]

#: Batches aim at this many cells, so that a batch takes about a second where cells have closed forms.
CELLS = 4000
#: How often a batch whose worker died is tried again.
RETRIES = 2
RESULT = "results.parquet"
_MANIFEST, _PARTS = "sweep.json", "parts"
#: One thread of linear algebra a worker: sums then have one order, whatever the number of workers.
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class Sweep:
    """A finished sweep: the Parquet file, how many cells it has, how many of them record an error, and how
    many were there before this run."""

    path: Path
    cells: int
    failed: int
    resumed: int


def sweep(
    config: Path | str | Mapping[str, Any] | Plan,
    out: Path | str,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    cells: int | None = None,
) -> Sweep:
    """Every cell of ``config`` (see `numerics.sweep.config.read`), one row each, in ``out``/results.parquet.

    jobs: worker processes (default: all cores); scheduler: address of a Dask cluster instead (extra
    ``cluster``); cells: of a batch. The results are the same bit for bit whatever of these is chosen. Run
    again after any interruption, it goes on and repeats nothing that was written. A cell that fails is
    recorded with its error.

    Raises `BadInput` (also where ``out`` holds another sweep), and `IOFailure` where another run is writing
    there, where files cannot be written, and where batches stay undone.
    """
    plan = config if isinstance(config, Plan) else read(config)
    workers = count("jobs", jobs) if jobs is not None else os.cpu_count() or 1
    with locked(out) as folder:
        size = _agreed(folder, plan, count("cells", cells) if cells is not None else _size(plan))
        result, parts = folder / RESULT, directory(folder / _PARTS)
        if result.exists():
            return Sweep(result, plan.cells, _failed(result), plan.cells)
        todo = [(a, min(a + size, plan.cells)) for a in range(0, plan.cells, size)]
        missing = [span for span in todo if not _whole(_part(parts, span[0]), span)]
        resumed = plan.cells - sum(b - a for a, b in missing)
        run = _cluster(plan, missing, scheduler) if scheduler is not None else _local(plan, missing, workers)
        undone: list[str] = []
        with _bar(plan.cells, resumed, progress) as shown, contextlib.closing(run):
            for (a, b), content in run:
                if isinstance(content, bytes):
                    write(_part(parts, a), content)
                    shown.update(b - a)
                else:
                    undone.append(f"cells {a} to {b - 1} ({content})")
        undone += [f"cells {a} to {b - 1}" for a, b in missing if not undone and not _part(parts, a).exists()]
        if undone:
            raise IOFailure(
                f"the sweep in {folder} is incomplete: {undone[0]}"
                + (f" and {len(undone) - 1} more batches" if undone[1:] else "")
                + " could not be computed; run again to retry"
            )
        failed = _merge([_part(parts, a) for a, _ in todo], result)
        for a, _ in todo:
            _part(parts, a).unlink()
        with contextlib.suppress(OSError):  # something else was put there
            parts.rmdir()
    return Sweep(result, plan.cells, failed, resumed)


def done(out: Path | str) -> tuple[int, int] | None:
    """(cells written, cells in all) of a sweep's folder; None where there is none."""
    folder = Path(out)
    try:
        manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
        total, size = int(manifest["cells"]), int(manifest["batch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if (folder / RESULT).exists():
        return total, total
    starts = [int(part.stem) for part in (folder / _PARTS).glob("*.parquet") if part.stem.isdigit()]
    return sum(min(size, total - a) for a in starts), total


# ---------------------------------------------------------------------- the folder


def _size(plan: Plan) -> int:
    """Cells a batch: fewer where a cell takes long, and enough batches to share out."""
    dear = {"iterations", "sample"} & set(plan.outputs)
    most = 10 if dear else CELLS
    return max(1, min(most, -(-plan.cells // 16)))


def _part(parts: Path, first: int) -> Path:
    return parts / f"{first:012d}.parquet"


def _whole(part: Path, span: tuple[int, int]) -> bool:
    try:
        return bool(pq.read_metadata(part).num_rows == span[1] - span[0])
    except (OSError, pa.ArrowException):
        return False


def _agreed(folder: Path, plan: Plan, size: int) -> int:
    """The batch size of the sweep that the folder holds, or ``size`` from now on. Raises `BadInput`."""
    path = folder / _MANIFEST
    wanted = {"digest": plan.digest, "cells": plan.cells, "versions": versions()}
    try:
        held = json.loads(path.read_text("utf-8"))
        size_held = int(held.pop("batch"))
        held.pop("plan", None)
    except FileNotFoundError:
        write(path, json.dumps({**wanted, "batch": size, "plan": plan.to_dict()}, indent=1) + "\n")
        return size
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput("out", str(folder), f"its {_MANIFEST} cannot be read: choose another folder") from None
    if held != wanted:
        other = (
            "a sweep of another config" if held.get("digest") != plan.digest else "a sweep by other versions"
        )
        raise BadInput("out", str(folder), f"holds {other}: choose another folder")
    return size_held


def _merge(parts: list[Path], result: Path) -> int:
    """The parts as one file, in the order of the cells, through a neighbour; how many cells failed."""
    temporary, failed = result.with_name(f".{result.name}.unfinished"), 0
    try:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            for part in parts:
                table = pq.read_table(part)
                failed += len(table) - table["error"].null_count
                writer.write_table(table, row_group_size=max(len(table), 1))
        temporary.replace(result)
    except OSError as error:
        raise IOFailure(f"cannot write {result}: {error.strerror or error}") from None
    return failed


def _failed(result: Path) -> int:
    try:
        column = pq.read_table(result, columns=["error"])["error"]
    except (OSError, KeyError, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(
            "out", str(result), f"is no results of a sweep: choose another folder ({said})"
        ) from None
    return len(column) - int(column.null_count)


def _bar(total: int, initial: int, progress: bool) -> Any:
    import sys

    return bar(
        total=total,
        initial=initial,
        unit="cell",
        desc="sweep",
        file=sys.stderr,
        disable=None if progress else True,  # None: where stderr is no terminal
    )


# ---------------------------------------------------------------------- who computes

#: A batch's span, and its bytes or the reason why there are none.
Outcome = tuple[tuple[int, int], bytes | str]


def _kill(executor: Any) -> None:
    """End the pool's workers at once."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        # the pool's own thread may still look for a batch that the pool has just given up
        if not (args.exc_type is KeyError and type(args.thread).__module__.startswith("loky.")):
            before(args)

    threading.excepthook = hook
    try:
        executor.shutdown(wait=True, kill_workers=True)
    finally:
        threading.excepthook = before


def _follow(parent: int) -> None:
    """In a worker: end when the process that wants the results has ended, however it did."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _local(plan: Plan, spans: list[tuple[int, int]], workers: int) -> Generator[Outcome, None, None]:
    """On this machine, in ``workers`` processes; a batch whose process died is tried again."""
    from concurrent.futures import FIRST_COMPLETED, wait
    from concurrent.futures.process import BrokenProcessPool

    from loky import ProcessPoolExecutor  # a pool of ours: joblib's own is its callers'

    body, left = plan.to_dict(), dict.fromkeys(spans, 0)
    while left:
        executor = ProcessPoolExecutor(
            max_workers=min(workers, len(spans)),
            env=_ONE_THREAD,
            initializer=_follow,
            initargs=(os.getpid(),),
        )
        queue = iter(list(left))
        running: dict[Any, tuple[int, int]] = {}
        clean = False
        try:
            while True:
                # one ahead of each worker: memory stays small however long the list
                while len(running) < 2 * workers and (span := next(queue, None)) is not None:
                    with uninterrupted(processes=True):
                        running[executor.submit(batch, body, *span)] = span
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    span = running[future]
                    content = future.result()
                    del running[future], left[span]
                    yield span, content
            clean = True
        except BrokenProcessPool:  # a worker was killed, for memory perhaps: which batch it had is not known
            clean = True
            for span in running.values():
                left[span] += 1
            for span in [span for span, tries in left.items() if tries > RETRIES]:
                del left[span]
                yield span, "its process died repeatedly"
        finally:
            if clean:
                executor.shutdown(wait=True)
            else:  # interrupted: nobody waits for what is being computed
                _kill(executor)


def _cluster(plan: Plan, spans: list[tuple[int, int]], scheduler: str) -> Generator[Outcome, None, None]:
    """On a Dask cluster, which schedules, retries and moves the results here."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise BadInput(
            "scheduler", scheduler, "needs dask and distributed: pip install 'wbound[cluster]'"
        ) from None
    try:
        client = Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise IOFailure(f"cannot reach the scheduler {scheduler}: {' '.join(str(error).split())}") from None
    with client:
        body = client.scatter(plan.to_dict(), broadcast=True, hash=False)
        ahead = 4 * max(sum(client.nthreads().values()), 1)
        queue = iter(spans)

        def submit(span: tuple[int, int]) -> Any:
            # by number, so that two sweeps of one plan do not share results by accident
            return client.submit(batch, body, *span, pure=False, retries=RETRIES)

        running: dict[Any, tuple[int, int]] = {}
        for span in itertools.islice(queue, ahead):
            running[submit(span)] = span
        finished = as_completed(list(running), loop=client.loop)
        for future in finished:
            span = running.pop(future)
            yield span, future.result() if future.status == "finished" else f"{future.exception()!r}"
            if (span_ := next(queue, None)) is not None:
                new = submit(span_)
                running[new] = span_
                finished.add(new)
