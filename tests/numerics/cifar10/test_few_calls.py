"""Tapes on a network: with the exact score as the network they have the tape's exact law; rows of a tiny run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from numerics.cifar10.few_calls import SAMPLERS, denoiser_of, few_call_rows, run_tape, table
from numerics.cifar10.processes import image_process
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.multistep import ddim

SPECTRUM = ((0.02, 0.3), (2.0, 2.0))
VARIANCES, MEAN = torch.tensor([0.02, 0.3, 0.02, 0.3]).double(), torch.tensor([0.1, -0.4, 0.3, 0.0]).double()


@dataclass
class Exact:
    """A trained run whose network is a Gaussian's score."""

    name: str = "vp-original"

    def __post_init__(self) -> None:
        self.process, self.shape = image_process(self.name), (1, 2, 2)

    def score(self, x: torch.Tensor, t: float) -> torch.Tensor:
        alpha, std = float(self.process.alpha(t)), float(self.process.std(t))
        flat = x.double().flatten(1)
        return (-(flat - alpha * MEAN) / (alpha**2 * VARIANCES + std**2)).reshape(x.shape).float()


@pytest.mark.parametrize("name", SAMPLERS)
def test_with_the_exact_score_it_is_the_tapes_law(name: str) -> None:
    """The map is affine: gains by running it on unit vectors, beside the triangular solve."""
    tape = SAMPLERS[name](SPECTRUM, 5, math.inf)
    denoise = denoiser_of(Exact())  # type: ignore[arg-type]
    noise = torch.vstack((torch.zeros(1, 4), torch.eye(4))).double().reshape(5, 1, 2, 2)
    out = run_tape(tape, denoise, noise, MEAN.reshape(1, 2, 2)).flatten(1)
    assert out[0].numpy() == pytest.approx(MEAN.numpy(), abs=2e-4)
    gains = (out[1:] - out[0]).diagonal().numpy()
    expected = tape_law(tape, VARIANCES.numpy())
    assert gains == pytest.approx(expected.gain * tape.start_std, abs=3e-4)


def test_rows_and_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(size=(60, 4)) * VARIANCES.sqrt().numpy() + MEAN.numpy())
    data = SimpleNamespace(
        floats=lambda index=None: (images if index is None else images[index]).reshape(-1, 1, 2, 2).float(),
        __len__=lambda: 60,
    )

    class Images:
        floats = staticmethod(data.floats)

        def __len__(self) -> int:
            return 60

        def split(self, seed: int) -> Any:
            return self, self

    import numerics.cifar10.images as module

    monkeypatch.setattr(module, "load_images", lambda *a, **k: Images())
    trained = Exact()
    trained.config = SimpleNamespace(images=lambda device: Images(), data="x", root=None, split_seed=0)  # type: ignore[attr-defined]
    rows = few_call_rows(trained, (4,), n=40)  # type: ignore[arg-type]
    assert [r["sampler"] for r in rows] == ["flow", *SAMPLERS] and rows[0]["flow"] == 0.0
    by = {r["sampler"]: r["flow"] for r in rows}
    # Gaussian data, exact score: the phase sampler is exact up to the covariance of the 60 images
    assert by["phase"] < 0.15 < by["ddim"] and all(math.isfinite(r["held_out"]) for r in rows)
    with pytest.raises(BadInput, match="must be a VP process"):
        denoiser_of(Exact("ve-original"))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="above what the network"):
        denoiser_of(trained)(torch.zeros(1, 1, 2, 2), 1e12)  # type: ignore[arg-type]
    with pytest.raises(HypothesisFailed, match="draws noise"):
        run_tape(ddim(1.0).tape([4.0, 1.0, 0.0]), denoiser_of(trained), torch.zeros(1, 1, 2, 2), MEAN)  # type: ignore[arg-type]


def test_the_page_shows_the_record_and_says_who_wins() -> None:
    """Both samplers of section 17 are behind ddim at every number of calls and seed, which the page says in bold."""
    root = Path(__file__).parents[3]
    record = json.loads((root / "numerics/studies/results/few-calls-network.json").read_text("utf-8"))
    page = (root / "docs/howto/few-steps.md").read_text("utf-8")
    assert table(record) in page and "both samplers lose" in page
    by = {(r["seed"], r["sampler"], r["calls"]): r for r in record["rows"]}
    for (seed, name, K), row in by.items():
        if name in ("phase", "refitted"):
            assert (
                row["flow"] > by[seed, "ddim", K]["flow"]
                and row["held_out"] > by[seed, "ddim", K]["held_out"]
            )
    flows = [by[seed, "flow", 60]["held_out"] for seed in (0, 1)]
    assert [f"{v:.3f}" for v in flows] == ["0.764", "0.714"] and "0.764 and 0.714" in page
    assert set(SAMPLERS) == {name for _, name, _ in by} - {"flow"}
