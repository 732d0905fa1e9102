"""Sweeps: the grid, the same bits everywhere, and what is left after a kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import wbound
from numerics.sweep import cells
from numerics.sweep.config import Plan, read
from numerics.sweep.run import RESULT, done, sweep
from wbound.errors import BadInput, IOFailure

DEEP = bool(os.environ.get("WBOUND_DEEP"))

SMALL = """
outputs = ["bound", "exact"]
schemes = ["hf", "em"]
starts = ["prior", "exact"]
d = [1, 3]
T = [1, "5/2"]
K = [4, 9, 20]
[[process]]
name = "vp-linear"
a = [1, 2]
[[process]]
f = "0"
g = "1+c*t"
c = [0.5]
[[target]]
name = "power-law"
exponent = [1, 2]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SMALL, "utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def test_cells_are_what_the_functions_give(config: Path, tmp_path: Path) -> None:
    from numerics import exact_w2

    out = sweep(config, tmp_path / "out", jobs=1, progress=False)
    found = rows(out.path)
    assert out.cells == len(found) == 2 * 2 * 2 * 2 * 3 * 3 * 2 and out.failed == out.resumed == 0
    assert [row["cell"] for row in found] == list(range(len(found)))
    assert {row["process"] for row in found} == {"vp-linear", "user"}
    from wbound.data.gaussian import Gaussian

    for row in random.Random(0).sample(found, 12):
        import json

        values = json.loads(row["process_parameters"])
        p = wbound.Process(**values) if row["process"] == "user" else wbound.process(row["process"], **values)
        exponent = json.loads(row["target_parameters"])["exponent"]
        data = Gaussian([0.0] * row["d"], [(i + 1.0) ** -exponent for i in range(row["d"])])
        options = {k: row[k] for k in ("scheme", "start", "grid")}
        b = wbound.w2_bound(p, data, row["T"], row["K"], theorem=row["theorem"], **options)
        exact = exact_w2(p, data, row["T"], row["K"], **options)
        assert row["bound"] == pytest.approx(b.total, rel=1e-12) and row["statement"] == b.statement
        assert row["exact"] == pytest.approx(exact, rel=1e-12)
        assert row["ratio"] == row["bound"] / row["exact"] >= 1.0
        assert row["versions"].startswith(f"wbound {wbound.__version__}")
    assert sorted(p.name for p in out.path.parent.iterdir()) == [".lock", RESULT, "sweep.json"]


def test_the_other_outputs(tmp_path: Path) -> None:
    body = {
        "outputs": ["iterations", "sample", "bound"],
        "process": "vp-linear",
        "target": [
            "isotropic",
            {"name": "geometric", "condition": 4},
            {"name": "facts", "m0": 1, "L0": [1, 2]},
        ],
        "d": 2,
        "T": 3,
        "K": 20,
        "eps": 0.5,
        "seed": [0, 1],
        "n": 60,
        "scheme": ["hf", "ddim"],
    }
    found = rows(sweep(body, tmp_path / "out", jobs=1, progress=False).path)
    assert len(found) == 16
    by_seed = {(r["target"], r["target_parameters"], r["scheme"], r["seed"]): r for r in found}
    for key, row in by_seed.items():
        if row["error"] is None:
            assert int(row["iterations"]) >= 1 and row["sample_low"] <= row["sample_w2"]
            other = by_seed[(*key[:3], 1 - key[3])]
            assert row["sample_w2"] != other["sample_w2"] and row["bound"] == other["bound"]
        else:
            assert "facts" in row["target"] and '"L0": 2' in row["target_parameters"]


def test_failed_cells_are_recorded(tmp_path: Path) -> None:
    body = {
        "process": [{"name": "ou"}, {"f": "1/t", "g": "1"}],
        "T": 2,
        "K": [1, 500],
        "theorem": ["published", "sharp"],
        "M1": 0.5,
        "outputs": ["bound", "exact"],
    }
    out = sweep(body, tmp_path / "out", jobs=1, progress=False)
    found = rows(out.path)
    bad = [row for row in found if row["error"]]
    assert out.failed == len(bad) == 5
    first = next(row for row in bad if row["process"] == "ou")
    assert "step-size condition" in first["error"] and first["K"] == 1 and first["exact"] is not None
    assert all("BadInput" in row["error"] for row in bad if row["process"] == "user")


def test_one_core_two_cores_and_a_cluster_give_the_same_bits(config: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    files = [sweep(config, tmp_path / str(jobs), jobs=jobs, progress=False).path for jobs in (1, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, of ports and of closing
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            out = sweep(config, tmp_path / "dask", scheduler=cluster.scheduler_address, progress=False)
            files.append(out.path)
    contents = {path.read_bytes() for path in files}
    assert len(contents) == 1
    # batches of another size: the same rows, in other row groups
    other = sweep(config, tmp_path / "batches", jobs=1, progress=False, cells=7)
    assert pq.read_table(other.path).equals(pq.read_table(files[0]))


def run(config: Path, out: Path, **options: Any) -> subprocess.Popen[str]:
    code = (
        "import sys; from numerics.cli.main import main; "
        f"sys.exit(main(['sweep', {str(config)!r}, '-o', {str(out)!r}, '--jobs', '1']))"
    )
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
    return subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)


def wait_for_parts(out: Path, least: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if len(list((out / "parts").glob("*.parquet"))) >= least:
            return
        time.sleep(0.002)


@pytest.mark.parametrize("kills", [20 if DEEP else 3])
def test_killed_at_random_moments_it_goes_on(kills: int, tmp_path: Path) -> None:
    config = tmp_path / "many.toml"
    many = list(range(4, 32)) if DEEP else list(range(4, 10))
    config.write_text(SMALL.replace("K = [4, 9, 20]", f"K = {many}"), "utf-8")
    whole = sweep(config, tmp_path / "whole", jobs=2, progress=False, cells=12)
    assert whole.cells == (2688 if DEEP else 576)
    out, rng = tmp_path / "killed", random.Random(7)
    # the manifest says how large the batches are
    plan = read(config)
    from numerics.sweep.run import _agreed

    out.mkdir()
    _agreed(out, plan, 12)
    written = 0
    for _ in range(kills):
        process = run(config, out)
        wait_for_parts(out, written + 1 + rng.randrange(4), process)
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.wait()
        now = len(list((out / "parts").glob("*.parquet"))) if not (out / RESULT).exists() else written
        assert now >= written  # nothing is lost
        written = now
    state = done(out)
    assert state is not None and 0 < state[0] <= state[1]
    before = {p.name: p.stat().st_mtime_ns for p in (out / "parts").glob("*.parquet")}
    result = sweep(config, out, jobs=1, progress=False)
    assert result.resumed == state[0] >= 12 * len(before)  # nothing is repeated
    assert result.path.read_bytes() == whole.path.read_bytes()
    again = sweep(config, out, jobs=1, progress=False)
    assert again.resumed == again.cells


def test_a_broken_part_is_computed_again(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = sweep(config, tmp_path / "whole", jobs=1, progress=False)
    (out / "parts").mkdir(parents=True)
    (out / "parts" / "000000000000.parquet").write_bytes(b"PAR1 half a file")
    assert sweep(config, out, jobs=1, progress=False).path.read_bytes() == whole.path.read_bytes()


def test_interrupted_it_names_what_there_is(tmp_path: Path) -> None:
    config, out = tmp_path / "many.toml", tmp_path / "out"
    config.write_text(SMALL.replace("K = [4, 9, 20]", f"K = {list(range(4, 304))}"), "utf-8")
    process = run(config, out, stderr=subprocess.PIPE, start_new_session=True)
    wait_for_parts(out, 1, process)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err and "28800 cells" in err and "Traceback" not in err


def test_two_runs_in_one_folder(config: Path, tmp_path: Path, wb: Any) -> None:
    from numerics.io.locks import locked

    out = tmp_path / "out"
    out.mkdir()
    with locked(out):
        message = wb.refused("sweep", str(config), "-o", str(out), code=4)
        assert "locked" in message and str(os.getpid()) in message
    answer = wb.ask("sweep", str(config), "-o", str(out), "--jobs", "1")
    assert answer["cells"] == 288 and answer["failed"] == 0
    config.write_text(SMALL.replace("d = [1, 3]", "d = [1]"), "utf-8")
    assert "another config" in wb.refused("sweep", str(config), "-o", str(out))


def die(*_: Any) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def test_a_sweep_whose_workers_die_is_incomplete(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numerics.sweep.run

    monkeypatch.setattr(numerics.sweep.run, "batch", die)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loky's, of the worker that was killed
        with pytest.raises(IOFailure, match="incomplete") as caught:
            sweep(config, tmp_path / "out", jobs=1, progress=False, cells=200)
    assert caught.value.exit_code == 4 and not (tmp_path / "out" / RESULT).exists()


def test_without_dask_one_line_says_how_to_get_it(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BadInput, match="pip install"):
        sweep(config, tmp_path / "out", scheduler="tcp://127.0.0.1:1", progress=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("process = [", "not TOML"),
        ("x = 1", "not known"),
        ("K = 3\nT = 1", "missing"),
        ('process = "nobody"\nK = 3\nT = 1', "must be one of"),
        ('process = "ou"\nK = 3', "T"),
        ('process = "ou"\nK = [3, 1.5]\nT = 1', "integer"),
        ('process = "ou"\nK = [true]\nT = 1', "K"),
        ('process = "ou"\nK = []\nT = 1', "empty"),
        ('process = "ou"\nK = 3\nT = "import os"', "T ="),
        ('process = "ou"\nK = 3\nT = nan', "finite"),
        ('process = "ou"\nK = 3\nT = 1\nschemes = ["euler"]', "ddpm"),
        ('process = "ou"\nK = 3\nT = 1\nscheme = "em"\nschemes = ["em"]', "twice"),
        ('process = "ou"\nK = 3\nT = 1\ntarget = {name = "isotropic", m0 = 1}', "takes"),
        ('process = {f = "t"}\nK = 3\nT = 1', "f and g"),
        ('process = "ou"\noutputs = ["iterations"]', "eps"),
        ('process = "ou"\noutputs = ["magic"]\nK = 3\nT = 1', "magic"),
        (
            'process = "ou"\nT = 1\nK = '
            + str(list(range(1, 2000)))
            + "\nseed = "
            + str(list(range(2000)))
            + "\nd = "
            + str(list(range(1, 999))),
            "at most",
        ),
    ],
)
def test_a_wrong_config_is_refused_in_one_line(text: str, said: str, tmp_path: Path, wb: Any) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, "utf-8")
    assert said in wb.refused("sweep", str(path), "-o", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_missing_config_and_an_unwritable_folder(config: Path, tmp_path: Path, wb: Any) -> None:
    assert "cannot read" in wb.refused("sweep", str(tmp_path / "no.toml"), code=4)
    (tmp_path / "file").write_text("", "utf-8")
    assert "cannot make" in wb.refused("sweep", str(config), "-o", str(tmp_path / "file"), code=4)


def test_the_numbering_covers_the_grid(config: Path) -> None:
    plan = read(config)
    assert Plan.from_dict(plan.to_dict()).digest == plan.digest
    seen = {tuple(index.values()) for _, index in plan.between(0, plan.cells)}
    assert len(seen) == plan.cells
    assert cells.batch(plan.to_dict(), 5, 9) == cells.batch(plan.to_dict(), 5, 9)


def test_joblib_works_after_a_sweep(config: Path, tmp_path: Path) -> None:
    """The sweep's workers are its own: a program that calls both finds joblib's as joblib made them."""
    from joblib import Parallel, delayed

    sweep(config, tmp_path / "out", jobs=2, progress=False)
    assert Parallel(n_jobs=2)(delayed(pow)(i, 2) for i in range(4)) == [0, 1, 4, 9]
