"""A run directory: config.json, metrics.jsonl, checkpoints/, samples/. What was asked for, and what came of it.

`load_run` gives the average network of the last checkpoint as a score. Nothing in a run directory is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.cifar10.checkpoints import checkpoint_step, checkpoints_of, load_checkpoint, restore
from numerics.cifar10.fast_networks import PRECISIONS, Speed, made_fast
from numerics.cifar10.gaussian_images import GaussianImages, gaussian_of
from numerics.cifar10.images import ImageSet, load_images
from numerics.cifar10.networks import PRESETS, UNSAID, Architecture, ScoreNetwork, architecture
from numerics.cifar10.noise_levels import LevelScore, TimedScore, along, level_score_of
from numerics.cifar10.processes import ImageProcess, image_process
from numerics.io.reading import is_file, load_json
from numerics.io.writing import directory, write
from wbound.errors import BadInput, IOFailure, count, nonnegative, one_of, positive, real

__all__ = [
    "Config",
    "Run",
    "Trained",
    "digest",
    "gpus",
    "load_run",
    "make_config",
    "paper_parameters",
    "range_of",
    "score_of",
    "versions",
]

#: What a network reads: a process's time, or the noise level of the data alone, which serves every process.
CONDITIONINGS = ("process", "sigma")
DECAYS = ("none", "cosine")
COUNTS = ("steps", "batch", "log_every", "checkpoint_every", "sample_steps", "keep")
#: The process whose name a network conditioned on σ bears where none is said: EDM's clock, σ proportional to t but for
#: sigma_min (Karras et al., 2022).
OF_ALL = "ve-v2"
#: Of PyTorch's generators.
MOST_SEED = 2**63 - 1
FROM_ZERO = ("warmup", "sample_every", "seed", "split_seed")

#: What a preset trains with where nothing else is said. ``ema`` None: 0.9999 for VP, 0.999 for VE (Song et
#: al., 2021); it is warmed up, so that it is of use in short runs too.
DEFAULTS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 600, "batch": 64, "lr": 4e-3, "warmup": 50, "ema": 0.995, "decay": "cosine"},
    "small": {"steps": 6000, "batch": 128, "lr": 2e-3, "warmup": 200, "ema": 0.999, "decay": "cosine"},
    "paper": {"steps": 400_000, "batch": 128, "lr": 2e-4, "warmup": 5000, "ema": None, "decay": "none"},
    "paper-deep": {"steps": 400_000, "batch": 128, "lr": 2e-4, "warmup": 5000, "ema": None, "decay": "none"},
    "large": {"steps": 400_000, "batch": 128, "lr": 2e-4, "warmup": 5000, "ema": None, "decay": "none"},
}


@dataclass(frozen=True)
class Config:
    """All that a training run depends on. ``gaussian_tau``: train on `gaussian_of` the data instead.

    ``conditioning`` "process" (runs of older versions say nothing): the network is ``process``'s own. "sigma": one
    network for all, trained at ln σ ~ N(``p_mean``, ``p_std``²) (Karras et al., 2022); ``process`` is what it is
    sampled with where nothing else is said.
    """

    process: str
    data: str
    preset: str
    steps: int
    batch: int
    lr: float
    warmup: int
    ema: float
    decay: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    root: str | None = None
    flips: bool | None = None
    dequantise: bool = False
    gaussian_tau: float | None = None
    conditioning: str = "process"
    p_mean: float = -1.2
    p_std: float = 1.2
    split_seed: int = 0
    seed: int = 0
    clip: float = 1.0
    precision: str = "auto"
    compile: bool | None = None
    log_every: int = 50
    checkpoint_every: int = 1000
    sample_every: int = 0
    sample_steps: int = 100
    keep: int = 2
    save_minutes: float = 5.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def image_process(self) -> ImageProcess:
        """The process, checked against section 0's identities. Raises `BadInput`, `Inconsistent`."""
        process = image_process(self.process, **self.parameters)
        process.check()
        return process

    def architecture(
        self, channels: int, size: int, sigma_data: float = 1.0, *, reference: bool | None = None
    ) -> Architecture:
        """The network's, for images (channels, size, size); ``sigma_data``, measured, is of use for "sigma" alone;
        ``reference``: see `architecture`."""
        if self.conditioning == "sigma":
            return architecture(
                self.preset,
                "sigma",
                channels,
                size,
                sigma_data=positive("sigma_data", sigma_data),
                reference=reference,
            )
        values = image_process(self.process, **self.parameters).parameters
        sigmas = {k: v for k, v in values.items() if k.startswith("sigma")}
        return architecture(
            self.preset, self.process.partition("-")[0], channels, size, reference=reference, **sigmas
        )

    def images(self, device: torch.device | str) -> ImageSet:
        """The training part of the data. Raises `BadInput`, `IOFailure`."""
        flips, dequantise = self.flips, self.dequantise
        whole = load_images(self.data, self.root, device, flips=flips, dequantise=dequantise)
        return whole.split(self.split_seed)[0]

    def training_data(
        self, device: torch.device | str, images: ImageSet | None = None
    ) -> ImageSet | GaussianImages:
        """What is trained on: the training ``images`` (default: read now), or the Gaussian of them."""
        images = self.images(device) if images is None else images
        return images if self.gaussian_tau is None else gaussian_of(images, self.gaussian_tau)


def make_config(process: str, data: str = "digits", preset: str = "small", **given: Any) -> Config:
    """A checked `Config`; what is not given, or None, takes the preset's default. Raises `BadInput`."""
    one_of("preset", preset, PRESETS)
    values = dict(DEFAULTS[preset])
    if values["ema"] is None:
        values["ema"] = 0.999 if process.startswith("ve") else 0.9999
    values |= {k: v for k, v in given.items() if v is not None}
    unknown = set(values) - {f.name for f in fields(Config)}
    if unknown:
        raise BadInput("config", ", ".join(sorted(unknown)), "is no setting of a training run")
    # a run goes on from whatever folder it is resumed in
    source = str(data) if str(data) in ("cifar10", "digits") else str(Path(data).absolute())
    made = Config(process=process, data=source, preset=preset, **values)
    image_process(made.process, **made.parameters)
    whole: dict[str, Any] = {name: count(name, getattr(made, name)) for name in COUNTS}
    whole |= {name: count(name, getattr(made, name), least=0) for name in FROM_ZERO}
    for name in ("seed", "split_seed"):
        if whole[name] > MOST_SEED:
            raise BadInput(name, whole[name], f"must be at most {MOST_SEED}")
    for name in ("lr", "clip"):
        positive(name, getattr(made, name))
    if not 0.0 <= nonnegative("ema", made.ema) < 1.0:
        raise BadInput("ema", made.ema, "must be in [0, 1)")
    one_of("precision", made.precision, PRECISIONS)
    one_of("decay", made.decay, DECAYS)
    one_of("conditioning", made.conditioning, CONDITIONINGS)
    nonnegative("save-minutes", made.save_minutes)
    real("p-mean", made.p_mean)
    positive("p-std", made.p_std)
    if made.gaussian_tau is not None:
        positive("gaussian-tau", made.gaussian_tau)
    if made.root is not None:
        whole["root"] = str(Path(made.root).absolute())
    return replace(made, **whole)


def paper_parameters(preset: str, process: str) -> dict[str, float]:
    """The parameters of the published experiments (Gao, Nguyen & Zhu, with Song et al.'s code) for the presets "paper"
    and "paper-deep", where others are not said: ρ = 7 for VE and 5 for VP, and for VE images in [0, 1], that is, in the
    units of [−1, 1], a sigma_min and sigma_max twice as large."""
    if preset not in ("paper", "paper-deep"):
        return {}
    out = {"sigma_min": 0.02, "sigma_max": 100.0} if process.startswith("ve") else {}
    return out | {"ve-v3": {"rho": 7.0}, "vp-v2": {"rho": 5.0}}.get(process, {})


def range_of(process: ImageProcess | None) -> str:
    """The range of the images that the SDE acts on, in words; None: of a network that knows σ alone."""
    if process is None or process.kind == "vp":
        return "images in [-1, 1]"
    low, high = process.parameters["sigma_min"], process.parameters["sigma_max"]
    return (
        f"images in [-1, 1], sigma from {low:g} to {high:g}: on [0, 1] it is {low / 2.0:g} to {high / 2.0:g}"
    )


def versions() -> dict[str, str]:
    """What a run is reproducible with."""
    names = ("wbound", "torch", "diffusers", "accelerate", "safetensors", "numpy")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def gpus() -> list[str]:
    """The CUDA devices' names."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def digest(images: ImageSet) -> str:
    """SHA-256 of the images' bytes."""
    return hashlib.sha256(images.images.cpu().numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Run:
    """The files of a run directory."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def last(self) -> Path | None:
        """The newest finished checkpoint, kept or for recovery."""
        found = checkpoints_of(self.checkpoints) + checkpoints_of(self.checkpoints, "recovery")
        return max(found, key=checkpoint_step, default=None)

    def begin(self, config: Config, shape: Architecture, data: str = "") -> None:
        """Make the directory and write config.json. Raises `BadInput` where a run is there already."""
        if is_file(self.folder / "config.json"):
            raise BadInput(
                "out", str(self.folder), "holds a run already: wbound images resume goes on with it"
            )
        directory(self.folder)
        self.rewrite(config, shape, data)

    def rewrite(self, config: Config, shape: Architecture, data: str = "") -> None:
        """config.json anew; ``data``: `digest` of the training images. Raises `IOFailure`."""
        content = {
            "config": config.to_dict(),
            "architecture": shape.to_dict(),
            "data_sha256": data,
            "versions": versions(),
        }
        write(self.folder / "config.json", json.dumps(content, indent=2, allow_nan=False) + "\n")

    def read(self) -> tuple[Config, Architecture]:
        """The run's configuration. Raises `BadInput`, `IOFailure`."""
        path = self.folder / "config.json"
        if not is_file(path):
            raise BadInput(
                "run", str(self.folder), "must be the directory of a training run (no config.json)"
            )
        content = load_json(path)
        try:
            values = dict(content["config"])
            config = make_config(values.pop("process"), values.pop("data"), values.pop("preset"), **values)
            recorded: dict[str, Any] = UNSAID | dict(content["architecture"])
            found = config.architecture(
                recorded["channels"],
                recorded["size"],
                recorded["sigma_data"] or 1.0,
                reference=recorded["reference"],
            )
        except BadInput:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput("run", str(path), f"is no configuration of a run: {error!r}") from None
        if found.to_dict() != recorded:
            raise BadInput("run", str(path), f"the architecture is not that of the preset {config.preset}")
        return config, found

    def same_data(self, data: str) -> None:
        """Refuse to go on with other images than the run began with. Raises `BadInput`."""
        began = load_json(self.folder / "config.json").get("data_sha256")
        if began and began != data:
            raise BadInput("run", str(self.folder), "began on other images: the data have changed since")

    def rows(self) -> list[dict[str, Any]]:
        """The metrics: one dictionary a line; a last line that was cut off is left out."""
        try:
            text = self.metrics.read_text("utf-8")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise IOFailure(f"cannot read {self.metrics}: {error.strerror}") from None
        out = []
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                out.append(row)
        return out

    def append(self, row: Mapping[str, Any]) -> None:
        """One line more in the metrics. Raises `IOFailure`."""
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        try:
            with open(self.metrics, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(finite, allow_nan=False) + "\n")
        except OSError as error:
            raise IOFailure(f"cannot write {self.metrics}: {error.strerror}") from None

    def rewind(self, step: int) -> None:
        """Forget what came after ``step``, and what a killed run left half written."""
        rows = [row for row in self.rows() if row["step"] <= step]
        if self.metrics.exists():
            write(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))
        for folder in (self.folder, self.checkpoints, self.folder / "samples"):
            for left in folder.glob(".*.*"):
                if left.name.startswith((".step-", ".recovery-", ".config.json.", ".metrics.jsonl.")):
                    left.unlink(missing_ok=True)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network: ``score(x, t)``, its process, the step of its checkpoint and the run's `Config`."""

    process: ImageProcess
    score: Callable[[Tensor, Tensor | float], Tensor]
    step: int
    config: Config
    architecture: Architecture
    #: the score of the data smoothed by any σ, for recorded samplers
    level_score: LevelScore
    #: how the network runs: its number format, compiled or eager
    how: str
    #: of the checkpoint's file
    sha256: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return (self.architecture.channels, self.architecture.size, self.architecture.size)


def score_of(network: ScoreNetwork, process: ImageProcess) -> TimedScore:
    """The network as a score: x (B, C, H, W), t a float or (B,) in (0, 1]; std(t) is computed in float64. A network
    conditioned on σ is any process's."""
    if network.architecture.kind == "sigma":
        return along(_leveled(network), process)
    return TimedScore(
        lambda times: np.stack((times, process.std(times))),
        lambda x, both: network(x, both[0], both[1]),
    )


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _finite(network: ScoreNetwork, path: Path) -> None:
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise BadInput("checkpoint", path.name, f"has NaN or infinity among its weights: {name}")


def _leveled(network: ScoreNetwork) -> LevelScore:
    return lambda y, sigma: network(y, sigma, sigma)


def load_run(
    path: str | Path,
    device: torch.device | str = "cpu",
    step: int | None = None,
    process: ImageProcess | None = None,
    speed: Speed | None = None,
    tell: Callable[[str], Any] = lambda text: None,
) -> Trained:
    """The run in ``path``: the average network of its last checkpoint, or of the one at ``step``.

    ``process``: what it is the score of, by default the run's own; another one where it was conditioned on σ alone.
    ``speed``: how the network runs, by default in float32, eagerly; ``tell`` gets a line where it cannot be compiled.
    Raises `BadInput` (no run, no checkpoint, one of another architecture, another process) and `IOFailure`.
    """
    run = Run(Path(path))
    config, shape = run.read()
    own = config.image_process()
    if process is not None and process != own and config.conditioning != "sigma":
        raise BadInput(
            "process",
            process.name,
            f"must be {own.name}, with the run's parameters: it was trained on no other",
        )
    found = [run.last] if run.last is not None else []
    if step is not None:
        found = [p for p in checkpoints_of(run.checkpoints) if checkpoint_step(p) == step]
    if not found:
        which = "checkpoint" if step is None else f"checkpoint of step {step}"
        raise BadInput("run", str(path), f"has no {which}")
    checkpoint = load_checkpoint(found[-1], shape)
    network = ScoreNetwork(shape).to(device).eval().requires_grad_(False)
    restore(checkpoint.average, dict(network.named_parameters()), found[-1])
    _finite(network, found[-1])
    made = "fp32, eager" if speed is None else made_fast(network, device, speed, tell)
    chosen = own if process is None else process
    score = score_of(network, chosen)
    level = _leveled(network) if shape.kind == "sigma" else level_score_of(score, chosen)
    return Trained(chosen, score, checkpoint.step, config, shape, level, made, _sha256(found[-1]))
