"""The score networks: output over σ, embeddings, shapes, and what a preset refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from numerics.cifar10.networks import PRESETS, Architecture, ScoreNetwork, architecture
from numerics.cifar10.processes import image_process
from numerics.cifar10.runs import paper_parameters, range_of

SIGMAS = {"sigma_min": 0.01, "sigma_max": 50.0}


def network_of(preset: str, kind: str, channels: int = 1, size: int = 8) -> ScoreNetwork:
    torch.manual_seed(0)
    made = ScoreNetwork(architecture(preset, kind, channels, size, **(SIGMAS if kind == "ve" else {})))
    for parameter in made.unet.conv_out.parameters():  # as after some training
        torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


@pytest.mark.parametrize("kind", ["vp", "ve"])
@pytest.mark.parametrize("preset", ["smoke", "small", "paper"])
def test_shapes_gradients_and_the_beginning(preset: str, kind: str) -> None:
    channels, size = (3, 16) if preset == "paper" else (1, 8)
    network = network_of(preset, kind, channels, size)
    x = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    score = network(x, torch.tensor([0.1, 0.9]), torch.tensor([0.3, 20.0]))
    assert score.shape == x.shape and score.dtype == torch.float32
    score.square().sum().backward()
    # a parameter without a gradient would stop a distributed run
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    fresh = ScoreNetwork(network.architecture)
    std = torch.tensor([0.3, 20.0])
    if not network.architecture.skip:  # the output begins at 0
        assert not fresh(x, torch.tensor([0.1, 0.9]), std).any()


class Recorder(torch.nn.Module):
    """Stands for the U-Net: keeps what it is given and returns ones, over its label where ``divides``."""

    def __init__(self, divides: bool) -> None:
        super().__init__()
        self.divides = divides
        self.seen: tuple[Tensor, Tensor]

    def forward(self, x: Tensor, label: Tensor, return_dict: bool) -> tuple[Tensor]:
        self.seen = x, label
        return (torch.ones_like(x) / (label[:, None, None, None] if self.divides else 1.0),)


@pytest.mark.parametrize(
    ("preset", "kind"), [("smoke", "vp"), ("smoke", "ve"), ("paper", "vp"), ("paper", "ve")]
)
def test_the_score_is_the_networks_output_over_sigma(preset: str, kind: str) -> None:
    network = network_of(preset, kind)
    fourier = network.architecture.fourier
    assert fourier == (preset == "paper" and kind == "ve")
    recorder: Any = Recorder(fourier)
    network.unet = recorder
    x, t = torch.full((2, 1, 8, 8), 3.0), torch.tensor([0.25, 1.0])
    std = torch.tensor([0.01, 50.0])
    score = network(x, t, std)
    assert torch.allclose(score, (1.0 / std)[:, None, None, None].expand(2, 1, 8, 8))
    given, label = recorder.seen
    if kind == "vp":
        assert torch.equal(given, x) and torch.allclose(label, 999.0 * t)
    else:  # of the order of 1 at every σ
        assert torch.allclose(given[:, 0, 0, 0], 3.0 / (1.0 + std**2).sqrt())
        wanted = std if fourier else torch.tensor([0.0, 999.0])
        assert torch.allclose(label, wanted, atol=1e-3)
    if network.architecture.skip:
        assert given.shape == (2, 3, 8, 8)  # a grey image three times


def test_the_library_divides_by_sigma_and_embeds_its_logarithm() -> None:
    """What `ScoreNetwork` relies on where ``fourier`` is set: read off the library itself."""
    unet = network_of("paper", "ve").unet.eval()
    assert unet.config.time_embedding_type == "fourier" and unet.time_proj.log
    x, std = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([4.0])
    whole = unet(x, std, return_dict=False)[0]
    unet.register_to_config(
        time_embedding_type="positional"
    )  # forward looks at this to divide, and only there
    assert torch.allclose(whole * 4.0, unet(x, std, return_dict=False)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "millions"),
    [("smoke", 0.16), ("small", 1.05), ("paper", 3.8), ("paper-deep", 6.6), ("large", 60.5)],
)
def test_sizes(preset: str, millions: float) -> None:
    with torch.device("meta"):  # shapes without memory
        made = [ScoreNetwork(architecture(preset, kind, 3, 32, **SIGMAS)) for kind in ("vp", "ve")]
    for network in made:
        count = sum(p.numel() for p in network.parameters())
        assert 1e-6 * count == pytest.approx(millions, rel=0.03)
    widths = {"paper": 32, "paper-deep": 32, "large": 128}
    if preset in widths:
        a: Architecture = made[0].architecture
        assert (a.widths[0], a.blocks, len(a.widths)) == (
            widths[preset],
            8 if preset == "paper-deep" else 4,
            4,
        )


def test_architectures_are_data() -> None:
    assert len({architecture(p, k, 1, 8) for p in PRESETS for k in ("vp", "ve", "sigma")}) == 15
    a = architecture("small", "ve", 1, 8, **SIGMAS)
    assert a.to_dict()["widths"] == [32, 64] and a.to_dict()["sigma_max"] == 50.0


@pytest.mark.parametrize("kind", ["vp", "ve", "sigma"])
@pytest.mark.parametrize("preset", ["paper", "paper-deep"])
def test_layers_of_the_papers_networks(preset: str, kind: str) -> None:
    """Song et al.'s models/layerspp.py and ncsnpp.py (nf = 32, ch_mult 1, 2, 2, 2, attention at 16 × 16): groups of
    min(C/4, 32), blocks that end at 0 and are added over √2, attention of one head after each block on the way down and
    once on the way up."""
    torch.manual_seed(0)
    sigmas = {"ve": SIGMAS, "sigma": {"sigma_data": 0.5}}.get(kind, {})
    unet = ScoreNetwork(architecture(preset, kind, 3, 32, **sigmas)).unet
    blocks = 8 if preset == "paper-deep" else 4
    resnets = [m for m in unet.modules() if isinstance(m, ResnetBlock2D)]
    for m in resnets:
        assert m.output_scale_factor == pytest.approx(2.0**0.5) and not m.conv2.weight.any()
        for norm in (m.norm1, m.norm2):
            assert norm.num_groups == min(norm.num_channels // 4, 32) and norm.eps == 1e-6
    down, up = (
        sum(hasattr(b, "resnets") * len(b.resnets) for b in part)
        for part in (unet.down_blocks, unet.up_blocks)
    )
    assert (down, up) == (4 * blocks, 4 * (blocks + 1))
    heads = [m for m in unet.modules() if isinstance(m, Attention)]
    assert len(heads) == blocks + 1 + 1  # down, middle, up
    for a in heads:
        assert (
            a.heads == 1
            and a.rescale_output_factor == pytest.approx(2.0**0.5)
            and not a.to_out[0].weight.any()
        )
        assert a.group_norm.num_groups == 16
    assert unet.conv_norm_out.num_groups == 8
    former = architecture(preset, kind, 3, 32, reference=False, **sigmas)
    assert ScoreNetwork(former).unet.conv_norm_out.num_groups == 32  # as runs of older versions have it


def test_parameters_of_the_published_experiments() -> None:
    assert paper_parameters("paper", "ve-v3") == {"sigma_min": 0.02, "sigma_max": 100.0, "rho": 7.0}
    assert paper_parameters("paper-deep", "vp-v2") == {"rho": 5.0}
    assert paper_parameters("small", "ve-v3") == {} and paper_parameters("paper", "vp-v1") == {}
    on_unit = image_process("ve-v3", **paper_parameters("paper", "ve-v3"))
    reference = image_process("ve-v3", sigma_min=0.01, sigma_max=50.0, rho=7.0)
    t = np.linspace(0.0, 1.0, 9)
    # x in [0, 1] is (y + 1)/2: the same SDE, in other units
    np.testing.assert_allclose(on_unit.std(t), 2.0 * reference.std(t), rtol=1e-9)
    assert (
        "on [0, 1] it is 0.01 to 50" in range_of(on_unit)
        and range_of(image_process("vp-v1")) == "images in [-1, 1]"
    )
