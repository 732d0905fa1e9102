"""wbound images sample: any process with one network, tapes, other people's networks, many images in parts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from numerics.cifar10 import sampling
from numerics.cifar10.images import to_uint8
from numerics.cifar10.processes import image_process
from numerics.cifar10.runs import load_run, make_config
from numerics.cifar10.sampling import sample_images
from numerics.cifar10.training import train
from wbound.data.gaussian import Gaussian
from wbound.sampler.tape_of_scheme import tape_of

MODULE = (
    "def make():\n    return lambda x, sigma: x / (1.0 + sigma[:, None, None, None]**2)\n"
    "def nan():\n    return lambda x, sigma: x * float('nan')\n"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("images") / "run"
    train(folder, make_config("ve-v2", preset="smoke", conditioning="sigma", steps=8, batch=16))
    return str(folder)


def images_in(path: Path) -> np.ndarray:
    with np.load(path) as held:
        return np.array(held["images"])


def test_one_run_samples_any_process(run: str, wb: Any, tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    said = wb.ask(
        "images",
        "sample",
        run,
        "--process",
        "vp-v3",
        "-p",
        "beta_max=15",
        "--K",
        "3",
        "--n",
        "5",
        "-o",
        str(out),
    )
    process = image_process("vp-v3", beta_max=15.0)
    ours = load_run(run, process=process)
    expected = to_uint8(sample_images(ours.score, process, ours.shape, 3, "em", range(5))).numpy()
    assert said["process"] == "vp-v3" and np.array_equal(images_in(out), expected)
    default = wb.ask("images", "sample", run, "--K", "3", "--n", "5", "-o", str(out))
    assert default["process"] == "ve-v2" and not np.array_equal(images_in(out), expected)


def test_a_tape_is_a_sampler(run: str, wb: Any, tmp_path: Path) -> None:
    """em of ve-v2 as a tape: the images of ``--scheme em``, but for the last step's level, where no network is."""
    setting = sampling.theory_setting(image_process("ve-v2"), Gaussian(np.zeros(1), np.ones(1)), 6, "em")
    assert setting is not None
    tape_of(setting).save(tmp_path / "em.json")
    out = tmp_path / "tape.npz"
    said = wb.ask("images", "sample", run, "--tape", str(tmp_path / "em.json"), "--n", "3", "-o", str(out))
    assert said["K"] == 6 and said["process"] is None and images_in(out).shape == (3, 1, 8, 8)
    refused = wb.refused(
        "images", "sample", run, "--tape", str(tmp_path / "em.json"), "--K", "3", "-o", str(out)
    )
    assert "does not go with --tape" in refused
    for more in (["--scheme", "hf"], ["--grid", "edm"], ["--process", "vp-v1"]):
        assert "does not go with --tape" in wb.refused(
            "images", "sample", run, "--tape", str(tmp_path / "em.json"), *more, "-o", str(out)
        )


def test_other_peoples_networks(wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    (tmp_path / "theirs.py").write_text(MODULE)
    words = [
        "images",
        "sample",
        "--network",
        "theirs:make",
        "--K",
        "4",
        "--n",
        "6",
        "--process",
        "vp-v1",
        "-o",
        "x.npz",
    ]
    assert "give --shape" in wb.refused(*words)
    said = wb.ask(*words, "--shape", "3,4,4")
    assert said["step"] is None and images_in(tmp_path / "x.npz").shape == (6, 3, 4, 4)
    (tmp_path / "x.npz").unlink()
    words[3] = "theirs:nan"
    assert "NaN or infinity in 6 of 6" in wb.refused(*words, "--shape", "3,4,4")
    assert not (tmp_path / "x.npz").exists()
    for more, said in (
        (["--shape", "3,4"], "must be C,H,W"),
        (["--shape", "3,4,4", "--step", "3"], "goes with a run directory"),
        (["--network", "x.pkl", "--shape", "3,4,4"], "only safetensors"),
        (["--shape", "3,4,4", "--precision", "bf16"], "run as they are"),
        (["run", "--shape", "3,4,4"], "one of them"),
    ):
        base = [w for w in words if "--network" not in more or w not in ("--network", "theirs:nan")]
        assert said in wb.refused(*base, *more)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)


def test_many_images_say_what_they_cost_and_go_on_by_seed(
    run: str, wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "many.npz"
    words = [
        "images",
        "sample",
        run,
        "--K",
        "1",
        "--n",
        "1100",
        "--batch",
        "300",
        "--seed",
        "7",
        "-o",
        str(out),
    ]
    drawn: list[int] = []
    original = sampling.sample_images

    def counted(*given: Any, **named: Any) -> Any:
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(len(given[5]))
        return original(*given, **named)

    monkeypatch.setattr(sampling, "sample_images", counted)
    code, _, err = wb(*words)
    assert code == 130 and drawn == [300, 300] and not out.exists()
    assert "4 parts of 300 images, 1 evaluations each of" in err and "about" in err
    assert "many.npz.parts (the same command goes on)" in err
    assert "holds parts with another K" in wb.refused(*[w if w != "1" else "2" for w in words])
    drawn.clear()
    monkeypatch.setattr(
        sampling, "sample_images", lambda *a, **k: (drawn.append(len(a[5])), original(*a, **k))[1]
    )
    code, _, err = wb(*words)
    assert code == 0 and drawn == [300, 200] and "2 of 4 parts are there already" in err
    whole = images_in(out)
    assert whole.shape[0] == 1100 and not out.with_name("many.npz.parts").exists()
    few = tmp_path / "few.npz"
    assert wb("images", "sample", run, "--K", "1", "--n", "2", "--seed", "906", "-o", str(few))[0] == 0
    assert np.abs(images_in(few).astype(int) - whole[899:901]).max() <= 1  # rounding of the network's float32


def test_two_processes_of_a_launcher_draw_one_set(run: str, wb: Any, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    words = ["images", "sample", run, "--K", "2", "--n", "10", "--batch", "3", "--device", "cpu", "-o"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1", "--nproc-per-node", "2"]
    launcher += ["--master-addr", "127.0.0.1", "--master-port", str(port), "--no-python", "--"]
    done = subprocess.run(
        [*launcher, str(Path(sys.executable).with_name("wbound")), *words, str(two), "--json"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"out"') == 1 and "and 1 more" in done.stderr
    assert wb(*words, str(one))[0] == 0
    assert np.array_equal(images_in(one), images_in(two)) and len(images_in(two)) == 10
    assert torch.get_num_threads() == 1


def test_long_sampling_on_a_cpu_is_compiled_and_its_parts_go_together(
    run: str, wb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler's place is held by what compiles nothing; without one, a line says so; parts of one kind go on with
    the other, whose numbers are the same but for rounding, and those of another precision are refused."""
    from numerics.cifar10 import fast_networks
    from numerics.cli.commands import images_sample

    monkeypatch.setattr(images_sample, "MANY", 4)
    monkeypatch.setattr(torch, "compile", lambda unet, **how: unet)
    words = ["images", "sample", run, "--K", "1", "--n", "6", "--batch", "3", "-o"]
    code, out, err = wb(*words, str(tmp_path / "short.npz"))
    assert code == 0 and "fp32, eager" in out and "compiler" not in err
    monkeypatch.setattr(fast_networks, "LONG", 0.0)
    code, out, err = wb(*words, str(tmp_path / "long.npz"))
    assert code == 0 and "fp32, compiled" in out and "long enough for a compiler" in err
    assert np.array_equal(images_in(tmp_path / "short.npz"), images_in(tmp_path / "long.npz"))
    monkeypatch.setattr(fast_networks.shutil, "which", lambda name: None)
    code, out, err = wb(*words, str(tmp_path / "none.npz"))
    assert code == 0 and "fp32, eager" in out and "not compiled: there is no C++ compiler" in err

    original = sampling.sample_images

    def interrupted(*given: Any, **named: Any) -> Any:
        if given[5][0] > 0:
            raise KeyboardInterrupt
        return original(*given, **named)

    monkeypatch.undo()
    monkeypatch.setattr(images_sample, "MANY", 4)
    monkeypatch.setattr(torch, "compile", lambda unet, **how: unet)
    with monkeypatch.context() as inner:
        inner.setattr(sampling, "sample_images", interrupted)
        assert wb(*words, str(tmp_path / "cut.npz"), "--precision", "fp32", "--compile")[0] == 130
    assert "another about" in wb.refused(*words, str(tmp_path / "cut.npz"), "--precision", "bf16")
    assert wb(*words, str(tmp_path / "cut.npz"), "--precision", "fp32")[0] == 0
    assert np.array_equal(images_in(tmp_path / "short.npz"), images_in(tmp_path / "cut.npz"))
