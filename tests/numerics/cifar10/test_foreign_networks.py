"""Other people's networks: diffusers' folders and functions of one's own, as denoisers; what is refused in one line."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from numerics.cifar10.foreign_networks import foreign_network
from numerics.cifar10.noise_levels import denoiser_of
from wbound.errors import BadInput

SMALL = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "layers_per_block": 1,
    "block_out_channels": (16, 32),
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
    "norm_num_groups": 8,
    "add_attention": False,
}


def folder_of(path: Path, scheduler: Any) -> Path:
    """A pipeline's folder as diffusers writes it."""
    torch.manual_seed(0)
    diffusers.UNet2DModel(**SMALL).save_pretrained(path / "unet")
    scheduler.save_pretrained(path / "scheduler")
    return path


@pytest.mark.parametrize("form", ["epsilon", "v_prediction", "sample"])
def test_the_denoiser_is_what_the_scheduler_makes_of_the_answer(form: str, tmp_path: Path) -> None:
    """Against the library's own ``pred_original_sample`` at steps of training; between them it is continuous."""
    scheduler = diffusers.DDPMScheduler(prediction_type=form, clip_sample=False)
    found = foreign_network(f"diffusers:{folder_of(tmp_path / 'net', scheduler)}")
    assert found.shape == (1, 8, 8) and form in found.about
    unet = diffusers.UNet2DModel.from_pretrained(tmp_path / "net" / "unet").eval()
    D = denoiser_of(found.level_score)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    scheduler.set_timesteps(1000)
    for t in (3, 400, 990):
        kept = scheduler.alphas_cumprod[t]
        with torch.no_grad():
            out = unet(x, t, return_dict=False)[0]
            theirs = scheduler.step(out, t, x).pred_original_sample
            sigma = ((1.0 - kept) / kept).sqrt().reshape(1)
            ours = D(x / kept.sqrt(), sigma)
            near = D(x / kept.sqrt(), sigma * 1.0001)
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(near, ours, rtol=0.02, atol=0.02 * float(ours.abs().max()))


def test_edm_and_ve_schedulers(tmp_path: Path) -> None:
    x, sigma = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0.3, 5.0])
    s = sigma[:, None, None, None]
    edm = foreign_network(f"diffusers:{folder_of(tmp_path / 'edm', diffusers.EDMEulerScheduler())}")
    ve = foreign_network(f"diffusers:{folder_of(tmp_path / 've', diffusers.ScoreSdeVeScheduler())}")
    unet = diffusers.UNet2DModel.from_pretrained(tmp_path / "edm" / "unet").eval()
    with torch.no_grad():
        F = unet(x / (s**2 + 0.25).sqrt(), sigma.log() / 4.0, return_dict=False)[0]
        D = 0.25 / (s**2 + 0.25) * x + 0.5 * s / (s**2 + 0.25).sqrt() * F
        torch.testing.assert_close(denoiser_of(edm.level_score)(x, sigma), D, rtol=1e-4, atol=1e-4)
        score = unet(x, sigma, return_dict=False)[0]
        torch.testing.assert_close(ve.level_score(x, sigma), score, rtol=1e-4, atol=1e-4)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Writes a module in the working folder; its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        (tmp_path / "my_networks.py").write_text(f"import torch\n{text}")
        sys.modules.pop("my_networks", None)
        import importlib

        importlib.invalidate_caches()
        return "my_networks"

    yield write
    sys.modules.pop("my_networks", None)


def test_a_function_of_ones_own(module: Callable[[str], str]) -> None:
    name = module(
        "def make():\n    def D(x, sigma):\n        return x / (1.0 + sigma[:, None, None, None]**2)\n"
        "    D.shape = (1, 4, 4)\n    return D\n"
    )
    found = foreign_network(f"{name}:make")
    y = torch.ones(2, 1, 4, 4)
    assert found.shape == (1, 4, 4)
    torch.testing.assert_close(
        found.level_score(y, torch.tensor([1.0, 3.0]))[:, 0, 0, 0], torch.tensor([-0.5, -0.1])
    )
    assert str(Path.cwd()) not in sys.path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def make():\n    return 3\n", "must return a function"),
        ("def make():\n    raise ValueError('no\\nweights')\n", "ValueError: no"),
        ("def other():\n    pass\n", "AttributeError"),
        ("class make(torch.nn.Linear):\n    def __init__(self):\n        super().__init__(2, 2)\n"
         "        self.weight.data[0] = float('nan')\n", "NaN or infinity among its weights: weight"),
    ],
)  # fmt: skip
def test_functions_that_are_none(module: Callable[[str], str], text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        foreign_network(f"{module(text)}:make")


def test_answers_of_another_shape(module: Callable[[str], str]) -> None:
    found = foreign_network(f"{module('def make():' + chr(10) + '    return lambda x, s: x[:1]')}:make")
    with pytest.raises(BadInput, match=r"must return a tensor \(2, 1, 4, 4\), not \(1, 1, 4, 4\)"):
        found.level_score(torch.ones(2, 1, 4, 4), torch.ones(2))


def test_folders_that_are_refused(tmp_path: Path) -> None:
    good = folder_of(tmp_path / "good", diffusers.DDPMScheduler())
    weights = good / "unet" / "diffusion_pytorch_model.safetensors"

    def refused(said: str, change: Callable[[Path], Any]) -> None:
        folder = tmp_path / "bad"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, folder)
        change(folder)
        with pytest.raises(BadInput, match=said) as caught:
            foreign_network(f"diffusers:{folder}")
        assert "\n" not in str(caught.value)

    def edit(path: Path, **values: Any) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    def poisoned(folder: Path) -> None:
        tensors = load_file(weights)
        tensors["conv_in.bias"][0] = np.nan
        save_file(tensors, folder / "unet" / weights.name)

    def lacking(folder: Path) -> None:
        tensors = load_file(weights)
        del tensors["conv_in.bias"]
        save_file(tensors, folder / "unet" / weights.name)

    def pickled(folder: Path) -> None:
        (folder / "unet" / weights.name).rename(folder / "unet" / "diffusion_pytorch_model.bin")

    refused("must be a folder with a UNet2DModel", lambda f: shutil.rmtree(f / "unet"))
    refused(
        "holds a model AutoencoderKL", lambda f: edit(f / "unet" / "config.json", _class_name="AutoencoderKL")
    )
    refused(
        "does not load as a UNet2DModel",
        lambda f: edit(f / "unet" / "config.json", block_out_channels=[8, 32]),
    )
    refused("do not fit its config.json: conv_in.bias", lacking)
    refused("NaN or infinity among its weights: conv_in.bias", poisoned)
    refused(r"holds diffusion_pytorch_model.bin: only safetensors", pickled)
    refused("does not load", lambda f: (f / "unet" / weights.name).write_bytes(b"junk"))
    refused("has no scheduler/scheduler_config.json", lambda f: shutil.rmtree(f / "scheduler"))
    refused("flow", lambda f: edit(f / "scheduler" / "scheduler_config.json", prediction_type="flow"))
    for text, said in (
        ("edm-cifar10.pkl", "only safetensors"),
        ("diffusers:net.ckpt", "only safetensors"),
        ("nothing", "must be diffusers:FOLDER or my_module:make"),
        ("diffusers:/nowhere", "must be a folder"),
        ("no_such_module_at_all:make", "ModuleNotFoundError"),
    ):
        with pytest.raises(BadInput, match=said):
            foreign_network(text)
