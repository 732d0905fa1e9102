"""U-Nets of diffusers as score networks: DDPM++-like for VP, NCSN++-like for VE, in five sizes; one for every σ.

Of kind "sigma": Karras et al.'s preconditioning (2022, table 1), one network for the data smoothed by any σ. With F
the U-Net and D = c_skip y + c_out F(c_in y, c_noise) the denoiser, its score (D − y)/σ² is written so that nothing
cancels. Kinds "vp" and "ve": the score is the network's output over std(t), as in Song et al., 2021. VP networks read
999·t. VE networks read σ = std(t) and their input over √(1 + σ²), so that it is of the order of 1 at every σ; with
``fourier`` the U-Net embeds log σ and divides by σ itself, without it log σ is mapped linearly to 0 … 999. Blocks with
a skip (FIR) take three channels only: grey images enter them three times and leave as the mean.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import Tensor, nn

from wbound.errors import BadInput, one_of

__all__ = ["PRESETS", "UNSAID", "Architecture", "ScoreNetwork", "architecture"]

PRESETS = ("smoke", "small", "paper", "paper-deep", "large")

#: Fields of `Architecture` that files of older versions lack, as they were then.
UNSAID: dict[str, Any] = {"sigma_data": 0.0, "reference": False}


@dataclass(frozen=True)
class Architecture:
    """What a network's shape depends on; two are interchangeable if and only if these are equal.

    ``widths`` of the levels, each half as large as the one before; ``blocks`` a level; ``attention``: levels
    with it, besides the middle; ``sigma_min``, ``sigma_max``: the range of a VE network's embedding;
    ``sigma_data``: √(E|X_0|²/d) of the data, for kind "sigma"; ``reference``: layers as in Song et al.'s code
    (`_as_in_the_reference`).
    """

    preset: str
    kind: str
    channels: int
    size: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...] = ()
    middle_attention: bool = True
    dropout: float = 0.0
    groups: int = 8
    fourier: bool = False
    skip: bool = False
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    sigma_data: float = 0.0
    reference: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON gives them back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def architecture(
    preset: str, kind: str, channels: int, size: int, *, reference: bool | None = None, **sigmas: float
) -> Architecture:
    """The preset's architecture for images (channels, size, size) and ``kind`` "vp", "ve" or "sigma"; ``sigmas``
    are the fields of that name. ``reference`` False: the large ones as versions before 0.1.0's last had them. Raises
    `BadInput`."""
    one_of("preset", preset, PRESETS)
    ve = kind == "ve"
    base = replace(Architecture(preset, kind, channels, size, (), 0), **sigmas)  # type: ignore[arg-type]
    if preset == "smoke":
        out = replace(base, widths=(16, 32), blocks=1, middle_attention=False)
    elif preset == "small":
        out = replace(base, widths=(32, 64), blocks=2, attention=(1,))
    else:
        width = 128 if preset == "large" else 32
        out = replace(
            base,
            widths=(width, 2 * width, 2 * width, 2 * width),
            blocks=8 if preset == "paper-deep" else 4,
            attention=(1,),
            dropout=0.1,
            groups=32,
            fourier=ve,
            skip=ve,
            reference=reference is not False,
        )
    parts = 2 ** (len(out.widths) - 1)
    if size % parts:
        raise BadInput("preset", preset, f"takes images whose size is a multiple of {parts}, not {size}")
    return out


def _unet(a: Architecture) -> UNet2DModel:
    levels, skip = range(len(a.widths)), "Skip" if a.skip else ""
    attends = ["Attn" if i in a.attention else "" for i in levels]
    channels = 3 if a.skip else a.channels
    return UNet2DModel(
        sample_size=a.size,
        in_channels=channels,
        out_channels=channels,
        time_embedding_type="fourier" if a.fourier else "positional",
        down_block_types=tuple(f"{attends[i]}{skip}DownBlock2D" for i in levels),
        up_block_types=tuple(f"{attends[i]}{skip}UpBlock2D" for i in reversed(levels)),
        block_out_channels=a.widths,
        layers_per_block=a.blocks,
        mid_block_scale_factor=math.sqrt(2.0),
        downsample_type="resnet",
        upsample_type="resnet",
        dropout=a.dropout,
        norm_num_groups=a.groups,
        norm_eps=1e-6,
        attn_norm_num_groups=a.groups,
        attention_head_dim=None if a.reference else 8 if max(a.widths) <= 64 else 64,  # None: one head
        add_attention=a.middle_attention,
    )


class _Same(nn.Module):
    """Stands where the library has a layer and the reference has none."""

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        return x


def _as_in_the_reference(unet: UNet2DModel) -> UNet2DModel:
    """In both families: GroupNorm of min(channels/4, 32) groups, blocks that end at 0 and are added over √2, and on the
    way up one attention a level, after its last block."""

    def norm(former: nn.GroupNorm) -> nn.GroupNorm:
        return nn.GroupNorm(min(former.num_channels // 4, 32), former.num_channels, eps=1e-6)

    for module in unet.modules():
        if isinstance(module, ResnetBlock2D):
            module.norm1, module.norm2 = norm(module.norm1), norm(module.norm2)
            module.output_scale_factor = math.sqrt(2.0)
            nn.init.zeros_(module.conv2.weight)
            if module.conv2.bias is not None:
                nn.init.zeros_(module.conv2.bias)
        elif isinstance(module, Attention):
            module.group_norm = norm(module.group_norm)
            module.rescale_output_factor = math.sqrt(2.0)
            for parameter in module.to_out[0].parameters():
                nn.init.zeros_(parameter)
    for block in unet.up_blocks:
        attentions = getattr(block, "attentions", None)
        if isinstance(attentions, nn.ModuleList):
            for i in range(len(attentions) - 1):
                attentions[i] = _Same()
    unet.conv_norm_out = norm(unet.conv_norm_out)
    return unet


class ScoreNetwork(nn.Module):
    """score(x, t, std): x (B, C, H, W), t and std (B,) tensors; ∇log p_t(x) of x's shape, float32.

    Of kind "sigma": the score of the data smoothed by σ = std, whatever t is.
    """

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.architecture = shape
        self.unet = _as_in_the_reference(_unet(shape)) if shape.reference else _unet(shape)
        # the output begins at 0, as in the literature
        for parameter in self.unet.conv_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, t: Tensor, std: Tensor) -> Tensor:
        """The score at x (B, C, H, W), times t (B,) and noise std (B,) = std(t)."""
        a = self.architecture
        over = std[:, None, None, None]
        if a.kind == "sigma":
            return self._preconditioned(x, std)
        if a.kind == "ve":
            x = x * (1.0 + over.square()).rsqrt()
        if a.fourier:
            label = std
        elif a.kind == "ve":
            label = 999.0 * torch.log(std / a.sigma_min) / math.log(a.sigma_max / a.sigma_min)
        else:
            label = 999.0 * t
        grey = a.skip and a.channels == 1
        out = self.unet(x.expand(-1, 3, -1, -1) if grey else x, label, return_dict=False)[0].float()
        if grey:
            out = out.mean(1, keepdim=True)
        return out if a.fourier else out / over  # the U-Net with ``fourier`` divides by σ itself

    def _preconditioned(self, y: Tensor, sigma: Tensor) -> Tensor:
        """(D − y)/σ² with c_skip = σ_d²/(σ² + σ_d²), c_out = σσ_d c_in, c_in = (σ² + σ_d²)^{−1/2}, c_noise = ln(σ)/4."""
        over, d = sigma[:, None, None, None], self.architecture.sigma_data
        c_in = (over.square() + d**2).rsqrt()
        F = self.unet(y * c_in, 0.25 * torch.log(sigma), return_dict=False)[0].float()
        return c_in * (F * (d / over) - y * c_in)
