"""Training: it learns, goes on after kill -9 to the bit, runs on two processes, stops where it must."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from score_distance import relative_error
from small_runs import config_of, last, same

from numerics.cifar10 import training
from numerics.cifar10.checkpoints import checkpoint_step, checkpoints_of, load_checkpoint
from numerics.cifar10.gaussian_images import gaussian_of, optimal_loss
from numerics.cifar10.images import load_images
from numerics.cifar10.runs import Run, load_run, make_config
from numerics.cifar10.training import resume, train
from wbound.errors import BadInput, IOFailure

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
WBOUND = str(Path(sys.executable).with_name("wbound"))


# ---------------------------------------------------------------------- it learns


@pytest.mark.parametrize("process", ["vp-v3", "ve-original"])
def test_training_lowers_the_loss(process: str, tmp_path: Path) -> None:
    result = train(tmp_path / "run", config_of(process=process, steps=120, batch=32, log_every=20))
    rows = Run(tmp_path / "run").rows()
    assert [row["step"] for row in rows if row["step"] % 20 == 0] == [20, 40, 60, 80, 100, 120]
    # the network that says 0 has a loss of 1
    assert 0.9 < rows[0]["loss"] < 1.3 and result.loss < 0.5 * rows[0]["loss"]
    assert result.step == 120 and result.processes == 1 and result.images_per_second > 0.0


@pytest.mark.long
def test_on_gaussian_images_the_score_comes_within_5_percent(tmp_path: Path) -> None:
    """Relative L2 under p_t, averaged over 50 times, of the exact score; and the loss comes to its least."""
    digits = load_images("digits")
    small = torch.nn.functional.avg_pool2d(digits.images.float(), 2).byte().numpy()
    np.save(tmp_path / "digits4.npy", small[:, 0])
    config = make_config(
        "vp-original",
        str(tmp_path / "digits4.npy"),
        "smoke",
        steps=1600,
        batch=128,
        gaussian_tau=0.3,
        ema=0.999,
        warmup=100,
        seed=1,
    )
    result = train(tmp_path / "run", config)
    trained = load_run(tmp_path / "run")
    law = gaussian_of(load_images(tmp_path / "digits4.npy").split(0)[0], 0.3)
    _, error = relative_error(trained.score, law, trained.process)
    assert float(error.mean()) < 0.05
    # the loss of the last 50 steps is known to 1 %
    assert result.optimum is not None and -0.04 < result.loss / result.optimum - 1.0 < 0.06
    # the same measure is 0 for the exact score, and 1 for the score that says 0
    exact = law.exact_score(trained.process)
    assert float(relative_error(exact, law, trained.process)[1].max()) < 1e-6
    nothing = relative_error(lambda x, t: torch.zeros_like(x), law, trained.process)[1]
    assert nothing == pytest.approx(np.ones(50))


def test_the_least_loss_is_the_exact_scores() -> None:
    """`optimal_loss` against the loss of the exact score, by samples."""
    law, process = gaussian_of(load_images("digits"), 0.3), config_of(process="ve-v3").image_process()
    exact, rng = law.exact_score(process), torch.Generator().manual_seed(0)
    for t in (0.02, 0.1, 0.5):
        std, n = float(process.std(t)), 4000
        noise = torch.randn(n, 1, 8, 8, generator=rng)
        x = law.floats(torch.arange(n), rng) + std * noise
        loss = (std * exact(x, t) + noise).square().flatten(1).mean(1).double()
        least = float(optimal_loss(law, process.alpha(t), process.std(t)))
        assert float(loss.mean()) == pytest.approx(least, abs=5.0 * float(loss.std()) / math.sqrt(n))


# ---------------------------------------------------------------------- it goes on


def test_a_run_that_was_killed_goes_on_to_the_bit(tmp_path: Path) -> None:
    """kill -9 of a real process, anywhere; the rest is done here; a run that never stopped is the referee."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ["--preset", "smoke", "--steps", "3000", "--batch", "8", "--checkpoint-every", "20"]
    command = [
        WBOUND,
        "images",
        "train",
        "--process",
        "ve-v1",
        *options,
        "-o",
        str(killed),
        "--device",
        "cpu",
    ]
    running = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    while len(checkpoints_of(killed / "checkpoints")) < 2:
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    time.sleep(0.05)  # into the steps after the checkpoint
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    at = checkpoint_step(last(killed))
    assert 40 <= at < 2500
    # the referee: the same settings from the beginning to 30 steps on
    config, _ = Run(killed).read()
    assert config.steps == 3000 and config.decay == "cosine"
    stop = _stopping(at + 30)
    for folder in (whole, killed):
        with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
            patch.setattr(training._State, "save", stop(training._State.save))
            if folder == whole:
                train(whole, replace(config, checkpoint_every=at + 30))
            else:
                Run(killed).rewrite(replace(config, checkpoint_every=at + 30), Run(killed).read()[1])
                resume(killed)
    assert checkpoint_step(last(killed)) == at + 30
    assert same(last(whole), last(killed))
    steps = [row["step"] for row in Run(killed).rows()]
    assert steps == sorted(set(steps)) and steps[-1] == at + 30


def _stopping(at: int) -> Any:
    """Interrupt after the checkpoint of step ``at``."""

    def around(save: Any) -> Any:
        def wrapped(self: Any, *given: Any) -> Path:
            path: Path = save(self, *given)
            if self.step == at:
                raise KeyboardInterrupt
            return path

        return wrapped

    return around


def test_resuming_before_the_first_checkpoint_begins_again(tmp_path: Path) -> None:
    config = config_of()
    train(tmp_path / "whole", config)
    run = Run(tmp_path / "cut")
    run.begin(config, config.architecture(1, 8))
    run.append({"step": 3, "loss": 9.0})
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / ".step-000000004.safetensors.abc").write_bytes(b"half")
    resume(run.folder)
    assert same(last(run.folder), last(tmp_path / "whole"))
    assert [row["step"] for row in run.rows()] == [4, 8, 12]
    assert not list((run.folder / "checkpoints").glob(".*"))


def test_a_run_can_be_made_longer_and_a_finished_one_is_left_alone(tmp_path: Path) -> None:
    train(tmp_path / "long", config_of(steps=16, decay="none"))
    train(tmp_path / "short", config_of(steps=8, decay="none"))
    again = resume(tmp_path / "short")
    assert again.step == 8 and again.loss == Run(tmp_path / "short").rows()[-1]["loss"]
    assert resume(tmp_path / "short", steps=16).step == 16
    assert same(last(tmp_path / "short"), last(tmp_path / "long"))
    with pytest.raises(BadInput, match="steps = 4: must be at least 16"):
        resume(tmp_path / "short", steps=4)


@pytest.mark.parametrize("batch", [100, 1348, 3000])
def test_every_epoch_shows_every_image_once(batch: int) -> None:
    state = training._State(
        training.engine_of("cpu"),
        config := config_of(batch=batch),
        config.image_process(),
        config.training_data("cpu"),
        training.ScoreNetwork(config.architecture(1, 8)),
    )
    steps = -(-3 * 1348 // batch)
    seen = []
    for state.step in range(steps):
        seen.append(state.index())
        assert len(seen[-1]) == batch
    for epoch in torch.cat(seen)[: 3 * 1348].reshape(3, 1348):
        assert torch.equal(epoch.sort().values, torch.arange(1348))
    whole = torch.cat(seen)
    assert not torch.equal(whole[:1348], whole[1348:2696])


def test_bf16_trains_to_the_same_loss(tmp_path: Path) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        train(tmp_path / precision, config_of(precision=precision, steps=30, batch=16, log_every=10))
        losses.append([row["loss"] for row in Run(tmp_path / precision).rows()])
        weights = load_checkpoint(last(tmp_path / precision)).network.values()
        assert all(w.dtype == torch.float32 for w in weights)
    assert losses[1] == pytest.approx(losses[0], rel=0.02) and losses[1] != losses[0]


@pytest.mark.filterwarnings("default")  # the compiler's own, of the day
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("process", ["vp-original", "ve-original"])
def test_on_a_gpu_a_run_trains_and_goes_on(process: str, tmp_path: Path) -> None:
    """bf16, TF32, compiled, channels-last: what ``auto`` means on a GPU."""
    config = config_of(process=process, steps=60, batch=64, log_every=20, checkpoint_every=30)
    train(tmp_path / "whole", config, device="cuda")
    rows = Run(tmp_path / "whole").rows()
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"] and rows[-1]["peak_memory_bytes"] > 0
    train(tmp_path / "cut", replace(config, steps=30, decay="none"), device="cuda")
    assert resume(tmp_path / "cut", steps=60, device="cuda").device.startswith("cuda")
    assert load_run(tmp_path / "cut", "cuda").score(torch.zeros(2, 1, 8, 8, device="cuda"), 0.5).is_cuda


def test_a_run_goes_on_with_its_own_images_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.save("a.npy", pixels)
    for tau, out in ((None, "plain"), (0.3, "gaussian")):
        np.save("a.npy", pixels)
        train(out, replace(make_config("vp-v1", "a.npy", "smoke", steps=2, batch=4), gaussian_tau=tau))
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path / "elsewhere")
            assert resume(tmp_path / out, steps=3).step == 3
        np.save("a.npy", 255 - pixels)
        with pytest.raises(BadInput, match="began on other images"):
            resume(out, steps=4)


def test_every_setting_that_should_matter_does(tmp_path: Path) -> None:
    """Else a test of equality proves nothing."""
    base = config_of(steps=3, checkpoint_every=3, decay="none")
    train(tmp_path / "base", base)
    for name, value in (("seed", 1), ("lr", 1e-4), ("dequantise", True), ("flips", True), ("split_seed", 1)):
        train(tmp_path / name, replace(base, **{name: value}))
        a, b = load_checkpoint(last(tmp_path / "base")), load_checkpoint(last(tmp_path / name))
        assert any(not torch.equal(a.network[k], b.network[k]) for k in a.network), name


# ---------------------------------------------------------------------- two processes


def test_two_processes_of_torchrun_are_one_run(tmp_path: Path) -> None:
    """Two real CPU processes share each batch; their losses and gradients are those of one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1", "--nproc-per-node", "2"]
    launcher += ["--master-addr", "127.0.0.1", "--master-port", str(port), "--no-python"]
    options = ["--preset", "smoke", "--steps", "6", "--batch", "16", "--log-every", "1"]
    options += ["--checkpoint-every", "3", "--out", str(tmp_path / "two"), "--device", "cpu"]
    done = subprocess.run(
        [*launcher, WBOUND, "images", "train", "--process", "vp-original", *options, "--json"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)  # one process speaks
    assert said["processes"] == 2 and said["step"] == 6
    config = Run(tmp_path / "two").read()[0]
    train(tmp_path / "one", config)
    two, one = Run(tmp_path / "two").rows(), Run(tmp_path / "one").rows()
    assert [row["step"] for row in two] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(two, one, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["largest_gradient_norm"] == pytest.approx(b["largest_gradient_norm"], rel=1e-3)
    assert load_run(tmp_path / "two").step == 6
    # what two processes wrote one process goes on with
    assert resume(tmp_path / "two", steps=8).processes == 1


# ---------------------------------------------------------------------- it stops


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_the_run(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = training._State.advance

    def poisoned(self: Any) -> Any:
        loss, norm = advance(self)
        if self.step == 10:
            return (loss * math.nan, norm) if what == "loss" else (loss, norm * math.inf)
        return loss, norm

    monkeypatch.setattr(training._State, "advance", poisoned)
    with pytest.raises(
        IOFailure, match=rf"the {what} is not finite at step 10: stopped.*step-000000008.*step 8"
    ):
        train(tmp_path / "run", config_of())
    assert [checkpoint_step(p) for p in checkpoints_of(tmp_path / "run" / "checkpoints")] == [4, 8]
    monkeypatch.setattr(training._State, "advance", advance)
    assert resume(tmp_path / "run").step == 12


def test_a_rate_that_is_too_large_is_such_a_case(tmp_path: Path) -> None:
    with pytest.raises(IOFailure, match=r"not finite at step \d+: stopped; there is no checkpoint"):
        train(tmp_path / "run", config_of(lr=1e30, warmup=0, clip=1e30, checkpoint_every=100, steps=100))
    assert Run(tmp_path / "run").last is None


def test_a_full_disk_leaves_the_former_checkpoint_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files stands for the full disk: the write fails in the middle, as it would."""
    train(tmp_path / "run", config_of(steps=4))
    former = last(tmp_path / "run")
    content = former.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, limits[1]))
    try:
        with pytest.raises(IOFailure, match=r"cannot write .*step-000000008.safetensors"):
            resume(tmp_path / "run", steps=12)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert former.read_bytes() == content
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == [former.name]
    assert resume(tmp_path / "run", steps=12).step == 12


def test_metrics_on_a_full_disk(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.metrics.symlink_to("/dev/full")
    with pytest.raises(IOFailure, match="cannot write .*metrics.jsonl"):
        run.append({"step": 1})


# ---------------------------------------------------------------------- what it leaves


def test_a_run_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_of(steps=8, sample_every=8, sample_steps=2, keep=1, process="ve-v3")
    train(tmp_path / "run", config, progress=True)
    bar = capsys.readouterr().err
    assert "images/s" in bar and "loss=" in bar
    run = Run(tmp_path / "run")
    assert run.read() == (config, config.architecture(1, 8))
    held = json.loads((run.folder / "config.json").read_text())
    assert held["versions"]["torch"] == torch.__version__ and held["config"]["seed"] == 0
    assert [p.name for p in run.checkpoints.iterdir()] == ["step-000000008.safetensors"]
    assert [row["images"] for row in run.rows()] == [32, 64]
    with Image.open(run.folder / "samples" / "step-000000008.png") as grid:
        assert grid.size == (8 * 65 + 1, 8 * 65 + 1)
    trained = load_run(run.folder)
    assert (trained.step, trained.shape, trained.process.name) == (8, (1, 8, 8), "ve-v3")
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    at_each = trained.score(x, torch.full((3,), 0.25))
    assert torch.equal(at_each, trained.score(x, 0.25)) and not at_each.requires_grad
    with pytest.raises(BadInput, match="holds a run already"):
        train(run.folder, config)


def test_the_average_network_is_the_score(tmp_path: Path) -> None:
    """With decay 0 it is the network itself; in its warm-up, a tenth of the old and nine of the new."""
    train(tmp_path / "none", config_of(ema=0.0))
    checkpoint = load_checkpoint(last(tmp_path / "none"))
    assert all(torch.equal(checkpoint.network[k], checkpoint.average[k]) for k in checkpoint.network)
    train(tmp_path / "some", config_of(steps=1, checkpoint_every=1))
    checkpoint = load_checkpoint(last(tmp_path / "some"))
    torch.manual_seed(0)
    begin = dict(training.ScoreNetwork(config_of().architecture(1, 8)).named_parameters())
    name = "unet.conv_in.weight"
    mixed = 0.1 * begin[name].detach() + 0.9 * checkpoint.network[name]
    assert torch.allclose(checkpoint.average[name], mixed, atol=1e-7)


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    train(tmp_path / "run", config_of(steps=4))
    path = last(tmp_path / "run")
    whole = path.read_bytes()
    other = config_of(process="ve-v1").architecture(1, 8)
    with pytest.raises(
        BadInput, match=r"another architecture: kind vp and not ve, .*sigma_max 0.0 and not 50"
    ):
        load_checkpoint(path, other)
    for content, said in (
        (whole[: len(whole) // 2], "is no whole checkpoint"),
        (b"", "is no whole checkpoint"),
        (b"\x80\x04" + b"junk" * 100, "is no whole checkpoint"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=f"checkpoint = step-000000004.safetensors: {said}"):
            load_run(tmp_path / "run")
    path.unlink()
    with pytest.raises(BadInput, match="has no checkpoint"):
        load_run(tmp_path / "run")
    with pytest.raises(BadInput, match="must be the directory of a training run"):
        load_run(tmp_path)


def test_a_run_directory_that_was_edited(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    config = config_of()
    run.begin(config, config.architecture(1, 8))
    path = run.folder / "config.json"
    held = json.loads(path.read_text())
    for edit, said in (
        ({"config": held["config"] | {"preset": "small"}}, "architecture is not that of the preset small"),
        ({"config": held["config"] | {"process": "vp-v9"}}, "process = vp-v9"),
        ({"config": held["config"] | {"surprise": 1}}, "surprise"),
        ({"config": 3}, "is no configuration of a run"),
        ({"architecture": {}}, "is no configuration of a run"),
    ):
        path.write_text(json.dumps(held | edit))
        with pytest.raises(BadInput, match=said):
            run.read()
    path.write_text("{")
    with pytest.raises(BadInput, match="must be JSON"):
        run.read()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"batch": 1.5}, "batch = 1.5"),
        ({"lr": -1.0}, "lr = -1"),
        ({"ema": 1.0}, "ema = 1"),
        ({"decay": "linear"}, "decay = linear: must be one of none, cosine"),
        ({"precision": "fp8"}, "precision = fp8"),
        ({"gaussian_tau": 0.0}, "gaussian-tau = 0"),
        ({"parameters": {"rho": 2.0}}, "rho"),
    ],
)
def test_bad_settings(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        config_of(**given)


def test_bad_devices_and_sizes(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="device = tpu"):
        train(tmp_path / "a", config_of(), device="tpu")
    with pytest.raises(BadInput, match="device = cuda:99: is not there"):
        train(tmp_path / "b", config_of(), device="cuda:99")
    with pytest.raises(BadInput, match="preset = paper: takes images whose size is a multiple of 8"):
        make_config("ve-v1", preset="paper").architecture(3, 20)
    with pytest.raises(
        BadInput, match="preset = huge: must be one of smoke, small, paper, paper-deep, large"
    ):
        make_config("ve-v1", preset="huge")
