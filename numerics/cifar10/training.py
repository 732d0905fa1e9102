"""Denoising score matching on images: E std(t)² |s_θ(X_t, t) − ∇log p(X_t | X_0)|², t uniform on [t_min, 1].

Conditioned on σ: E (σ² + σ_d²)/(σσ_d)² |D − X_0|², ln σ normal (Karras et al., 2022), which in the same terms is
E (1 + σ²/σ_d²) |σ s_θ(X_0 + σZ, σ) + Z|²: one network, of no process.

Every random number of a step (images, flips, times, noise, dropout) is a function of the seed and the step,
so a run that was killed goes on from its last checkpoint as if nothing had happened: to the bit on a CPU.
All processes of a distributed run draw the whole batch and take their part of it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from numerics.cifar10.checkpoints import (
    Cadence,
    CheckpointWriter,
    captured,
    checkpoint_step,
    load_checkpoint,
    restore,
    restore_optimiser,
)
from numerics.cifar10.gaussian_images import GaussianImages, optimal_loss
from numerics.cifar10.images import ImageSet, to_png
from numerics.cifar10.networks import ScoreNetwork
from numerics.cifar10.processes import ImageProcess
from numerics.cifar10.runs import Config, Run, digest, score_of
from numerics.io.interrupts import uninterrupted
from numerics.io.locks import locked
from numerics.io.progress_bar import bar
from numerics.io.writing import directory, write
from wbound.errors import BadInput, IOFailure, count
from wbound.memory import fits
from wbound.typing import Array

__all__ = ["Outcome", "engine_of", "resume", "train"]

#: Steps whose times are made at once, in float64, on the host.
CHUNK = 64
#: Images of a sample grid.
GRID = 64


@dataclass(frozen=True)
class Outcome:
    """A finished run. ``loss``: the mean per coordinate over the last interval; ``images_per_second`` of all
    processes together; ``optimum``: the least possible loss where it is known (Gaussian images)."""

    folder: Path
    step: int
    loss: float
    optimum: float | None
    images_per_second: float
    seconds: float
    device: str
    processes: int
    #: of ``seconds``, what checkpoints held training up
    checkpoint_seconds: float = 0.0
    #: whether this process is the one of a distributed run that writes and speaks
    main: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {k: str(v) if k == "folder" else v for k, v in vars(self).items() if k != "main"}


def train(out: str | Path, config: Config, *, device: str = "auto", progress: bool | None = None) -> Outcome:
    """Train a network into the new directory ``out``.

    ``device``: auto, cpu, cuda or cuda:N; under torchrun each process takes its own. ``progress``: a bar on
    stderr always, never, or (None) on a terminal. Raises `BadInput`, `IOFailure` (a file cannot be written; the
    loss is not finite).
    """
    return _run(Run(Path(out)), config, device, progress, fresh=True)


def resume(
    out: str | Path, *, steps: int | None = None, device: str = "auto", progress: bool | None = None
) -> Outcome:
    """Go on with the run in ``out`` from its last checkpoint, to ``steps`` where given. Raises as `train`."""
    run = Run(Path(out))
    config, _ = run.read()
    if steps is not None:
        config = replace(config, steps=count("steps", steps))
    return _run(run, config, device, progress, fresh=False)


# ---------------------------------------------------------------------- one run


def _run(run: Run, config: Config, device: str, progress: bool | None, *, fresh: bool) -> Outcome:
    engine = engine_of(device)
    if config.batch % engine.num_processes:
        raise BadInput("batch", config.batch, f"must be a multiple of the {engine.num_processes} processes")
    process, images = config.image_process(), config.images(engine.device)
    data, bytes_of = config.training_data(engine.device, images), digest(images)
    shape = config.architecture(data.channels, data.size, data.root_mean_square)
    if engine.device.type == "cpu":  # at the least: what the first level keeps of an image for the gradient
        each = 4.0 * shape.size**2 * (4 * shape.channels + 2 * shape.blocks * shape.widths[0])
        fits("batch", config.batch // engine.num_processes, each)
    torch.manual_seed(config.seed)
    state = _State(engine, config, process, data, ScoreNetwork(shape).to(engine.device))
    with locked(run.folder) if engine.is_main_process else nullcontext():
        if engine.is_main_process and fresh:
            run.begin(config, shape, bytes_of)
        if not fresh:
            run.same_data(bytes_of)
            if run.read()[1] != shape:
                raise BadInput("run", str(run.folder), "its architecture is not that of its data")
            state.restore(run)
            if state.step > config.steps:
                raise BadInput("steps", config.steps, f"must be at least {state.step}, where the run is")
            if engine.is_main_process:
                run.rewrite(config, shape, bytes_of)
                run.rewind(state.step)
        engine.wait_for_everyone()
        return _loop(run, state, progress)


def engine_of(device: str) -> Accelerator:
    """accelerate on the CPU or GPUs: one process, or as many as torchrun started. Raises `BadInput`."""
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and (kind != "cuda" or not index.isdigit())):
        raise BadInput("device", device, "must be auto, cpu, cuda or cuda:N")
    have = torch.cuda.device_count()
    if kind == "cuda" and (have == 0 or (index and int(index) >= have)):
        raise BadInput("device", device, f"is not there: {have} CUDA devices")
    cpu = kind == "cpu" or have == 0
    if index and "RANK" in os.environ:
        raise BadInput(
            "device", device, "under torchrun must be auto, cuda or cpu: each process takes its own"
        )
    if index:
        torch.cuda.set_device(int(index))
    return Accelerator(cpu=cpu, mixed_precision="no")


class _State:
    """Everything that changes while training, and how one step changes it."""

    def __init__(
        self,
        engine: Accelerator,
        config: Config,
        process: ImageProcess,
        data: ImageSet | GaussianImages,
        network: ScoreNetwork,
    ) -> None:
        self.engine, self.config, self.process, self.data = engine, config, process, data
        self.device, self.step = engine.device, 0
        gpu = self.device.type == "cuda"
        precision = config.precision if config.precision != "auto" else "bf16" if gpu else "fp32"
        if gpu:
            torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
            torch.backends.cudnn.allow_tf32 = precision != "fp32"
            torch.backends.cudnn.benchmark = True
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.autocast: Callable[[], Any] = (
            (lambda: torch.autocast(self.device.type, torch.bfloat16)) if precision == "bf16" else nullcontext
        )
        self.network = network.train()
        self.parameters = list(network.parameters())
        self.current = [p.detach() for p in self.parameters]
        self.average = {name: p.detach().clone() for name, p in network.named_parameters()}
        trained = [p for p in self.parameters if p.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=config.lr, fused=True)
        compiled = gpu if config.compile is None else config.compile
        self.model = engine.prepare_model(torch.compile(network) if compiled else network)
        self.generator = torch.Generator(self.device)
        self.order: dict[int, Tensor] = {}
        self.times: tuple[int, Tensor] | None = None
        self.sigma_data = network.architecture.sigma_data

    def restore(self, run: Run) -> None:
        """Take the state of the run's last checkpoint; without one, begin at 0."""
        path = run.last
        if path is None:
            return
        checkpoint = load_checkpoint(path, self.network.architecture)
        named = {name: p.detach() for name, p in self.network.named_parameters()}
        restore(checkpoint.network, named, path)
        restore(checkpoint.average, self.average, path)
        restore_optimiser(self.optimiser, self.network, checkpoint, path)
        self.step = checkpoint.step

    def save(self, writer: CheckpointWriter, kind: str = "step") -> Path:
        """Have a checkpoint written (one process of many does)."""
        shape = self.network.architecture
        content = captured(self.step, self.network, self.average, self.optimiser, shape)
        return writer.submit(self.step, kind, content)

    # ------------------------------------------------------------------ the step
    def mine(self, x: Tensor) -> Tensor:
        """This process's part of a batch."""
        part = self.config.batch // self.engine.num_processes
        return x[part * self.engine.process_index :][:part]

    def advance(self) -> tuple[Tensor, Tensor]:
        """One step of Adam; this process's loss and the gradient's norm, on the device."""
        config = self.config
        self.generator.manual_seed(_seed(config.seed, 1, self.step))
        # dropout; `torch.manual_seed` keeps a traceback for every kind of device that is not there, at each call
        seed = torch.manual_seed if self.device.type != "cpu" else torch.default_generator.manual_seed
        seed(_seed(config.seed, 2, self.step, self.engine.process_index))
        x0 = self.data.floats(self.index(), self.generator, augment=True)
        noise = torch.randn(x0.shape, generator=self.generator, device=self.device)
        t, alpha, std, weight = (self.mine(v) for v in self.clock())
        x0, noise = self.mine(x0), self.mine(noise)
        over = std[:, None, None, None]
        x = alpha[:, None, None, None] * x0 + over * noise
        with self.autocast():
            score = self.model(x, t, std)
        loss = (weight[:, None, None, None] * (over * score.float() + noise).square()).mean()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.zero_grad(set_to_none=True)
        self.engine.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.clip)
        self.optimiser.step()
        self.step += 1
        decay = min(config.ema, self.step / (self.step + 9.0))
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(list(self.average.values()), self.current, 0)
        return loss.detach(), norm.detach()

    def rate(self) -> float:
        """The learning rate of the step that is being made."""
        config, k = self.config, self.step + 1
        rate = config.lr * min(1.0, k / max(1, config.warmup))
        if config.decay == "cosine":
            rate *= 0.5 * (1.0 + math.cos(math.pi * self.step / config.steps))
        return rate

    def index(self) -> Tensor:
        """The images of the step: every epoch is a permutation of all."""
        n, batch = len(self.data), self.config.batch
        first, last = self.step * batch, (self.step + 1) * batch
        epochs = range(first // n, (last - 1) // n + 1)
        self.order = {e: self.order[e] if e in self.order else self.permutation(e) for e in epochs}
        return torch.cat([self.order[e][max(first - e * n, 0) : last - e * n] for e in epochs])

    def permutation(self, epoch: int) -> Tensor:
        order = np.random.default_rng([self.config.seed, 3, epoch]).permutation(len(self.data))
        return torch.from_numpy(order).to(self.device)

    def clock(self) -> Tensor:
        """t, α, std and the weight of the step, (4, batch) float32, from a table made in float64.

        Times are uniform on [t_min, 1], or ln σ normal, and stratified: one in each of batch equal parts.
        """
        chunk = self.step // CHUNK
        if self.times is None or self.times[0] != chunk:
            batch = self.config.batch
            shift = np.random.default_rng([self.config.seed, 4, chunk]).random((CHUNK, batch))
            table = np.stack(self.placed((np.arange(batch) + shift) / batch), axis=1).astype(np.float32)
            self.times = chunk, torch.from_numpy(table).to(self.device)
        return self.times[1][self.step % CHUNK]

    def placed(self, share: Array) -> tuple[Array, Array, Array, Array]:
        """t, α, std and the weight at shares in (0, 1) of the law of times."""
        if self.config.conditioning == "sigma":
            sigma = np.exp(
                self.config.p_mean + self.config.p_std * scipy.special.ndtri(np.maximum(share, 1e-9))
            )
            return sigma, np.ones_like(sigma), sigma, 1.0 + (sigma / self.sigma_data) ** 2
        t = self.process.t_min + (1.0 - self.process.t_min) * share
        return t, self.process.alpha(t), self.process.std(t), np.ones_like(t)


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0])


# ---------------------------------------------------------------------- the loop


def _loop(run: Run, state: _State, progress: bool | None) -> Outcome:
    """All steps; whatever ends them, the checkpoint that is being written is finished, and an interruption (Ctrl-C,
    SIGTERM where it is answered) leaves one of the last whole step."""
    writer = CheckpointWriter(run.checkpoints, state.config.keep)
    try:
        out = _steps(run, state, progress, writer)
    except BaseException as ended:
        with suppress(IOFailure):  # what ended the steps is what is said
            writer.wait()
            if isinstance(ended, KeyboardInterrupt):
                _rescue(run, state, writer)
        raise
    return out


def _rescue(run: Run, state: _State, writer: CheckpointWriter) -> None:
    """Have what was trained since the last checkpoint written, where it is finite (one process of many does)."""
    saved = 0 if run.last is None else checkpoint_step(run.last)
    if state.engine.is_main_process and state.step > saved and all(p.isfinite().all() for p in state.current):
        state.save(writer, "recovery")
        writer.wait()


def _steps(run: Run, state: _State, progress: bool | None, writer: CheckpointWriter) -> Outcome:
    engine, config = state.engine, state.config
    cadence = Cadence(60.0 * config.save_minutes)
    main, first = engine.is_main_process, state.step
    pending: list[tuple[Tensor, Tensor]] = []
    begin = since = time.perf_counter()
    speeds, loss = [], math.nan
    optimum = _optimum(state)
    saved = run.last
    with _bar(config, first, progress if main else False) as tell:
        while state.step < config.steps:
            with uninterrupted():  # after it the state is that of a whole number of steps
                pending.append(state.advance())
            due = state.step == config.steps or state.step % config.checkpoint_every == 0
            sample = bool(config.sample_every) and state.step % config.sample_every == 0
            if not (due or sample or state.step % config.log_every == 0):
                # several processes are at one step where they log, alone
                if engine.num_processes == 1 and cadence.due:
                    _finite(_values(engine, pending), state.step - len(pending), saved)
                    with cadence.held():
                        saved = state.save(writer, "recovery")
                tell(None)
                continue
            values = _values(engine, pending)
            _finite(values, state.step - len(pending), saved)
            now = time.perf_counter()
            loss, speed = float(values[:, 0].mean()), len(pending) * config.batch / (now - since)
            speeds.append((len(pending), speed))
            tell(loss)
            if main:
                run.append(_row(state, loss, float(values[:, 1].max()), speed, now - begin, optimum))
                if due or cadence.due:
                    with cadence.held():
                        saved = state.save(writer, "step" if due else "recovery")
                if sample:
                    _draw(run, state)
            saved = run.last if not main else saved
            pending, since = [], time.perf_counter()
    with cadence.held():
        writer.wait()
    engine.wait_for_everyone()
    spent = sum(n / speed for n, speed in speeds)
    return Outcome(
        run.folder,
        state.step,
        loss if speeds else _last_loss(run),
        optimum,
        sum(n for n, _ in speeds) / spent if spent else math.nan,
        time.perf_counter() - begin,
        str(state.device),
        engine.num_processes,
        cadence.spent,
        main,
    )


def _values(engine: Accelerator, pending: list[tuple[Tensor, Tensor]]) -> np.ndarray:
    """Loss and gradient norm of the steps since the last row, means over the processes, on the host."""
    values = torch.stack([torch.stack(pair) for pair in pending]).double()
    return np.asarray(engine.reduce(values, reduction="mean").cpu().numpy())


def _last_loss(run: Run) -> float:
    rows = run.rows()
    return float(rows[-1]["loss"]) if rows else math.nan


def _row(
    state: _State, loss: float, norm: float, speed: float, seconds: float, optimum: float | None
) -> dict[str, Any]:
    row = {
        "step": state.step,
        "images": state.step * state.config.batch,
        "loss": loss,
        "loss_at_optimum": optimum,
        "largest_gradient_norm": norm,
        "learning_rate": state.optimiser.param_groups[0]["lr"],
        "images_per_second": speed,
        "seconds": seconds,
    }
    if state.device.type == "cuda":
        row["peak_memory_bytes"] = torch.cuda.max_memory_allocated(state.device)
    return row


def _finite(values: np.ndarray, before: int, saved: Path | None) -> None:
    """Stop at the first step whose loss or gradient is not finite: nothing after it is kept."""
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        k = int(np.flatnonzero(wrong)[0])
        what = "loss" if not np.isfinite(values[k, 0]) else "gradient"
        good = (
            "there is no checkpoint"
            if saved is None
            else (f"the last good checkpoint is {saved}, of step {checkpoint_step(saved)}")
        )
        raise IOFailure(f"the {what} is not finite at step {before + k + 1}: stopped; {good}")


def _optimum(state: _State) -> float | None:
    """The least loss that training can come to, where it is known: the weighted mean over t of `optimal_loss`."""
    if not isinstance(state.data, GaussianImages):
        return None
    n = 4096
    _, alpha, std, weight = state.placed((np.arange(n) + 0.5) / n)
    return float((weight * optimal_loss(state.data, alpha, std)).mean())


def _draw(run: Run, state: _State) -> None:
    """A grid of samples of the average network."""
    from numerics.cifar10.sampling import sample_images

    network = ScoreNetwork(state.network.architecture).to(state.device).eval().requires_grad_(False)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(state.average[name])
    images = sample_images(
        score_of(network, state.process),
        state.process,
        (state.data.channels, state.data.size, state.data.size),
        state.config.sample_steps,
        seeds=range(GRID),
        device=state.device,
        batch=GRID,
    )
    write(directory(run.folder / "samples") / f"step-{state.step:09d}.png", to_png(images))


@contextmanager
def _bar(config: Config, first: int, progress: bool | None) -> Iterator[Callable[[float | None], None]]:
    """A tqdm bar in images, with the loss; called after every step."""
    with bar(
        total=config.steps * config.batch,
        initial=first * config.batch,
        desc=config.process,
        unit=" images",
        unit_scale=True,
        disable=None if progress is None else not progress,
    ) as shown:

        def tell(loss: float | None) -> None:
            if loss is not None:
                shown.set_postfix(loss=f"{loss:.4f}", refresh=False)
            shown.update(config.batch)

        yield tell
