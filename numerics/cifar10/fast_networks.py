"""A network made ready for sampling: its number format, memory layout, compilation, CUDA graphs.

What it answers stays that of float32, eager, up to the format's rounding; the time embedding and the preconditioning
around the U-Net stay in float32.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional

from numerics.cifar10.networks import ScoreNetwork
from numerics.recorders.scheduler_source import quiet
from wbound.errors import one_of

__all__ = ["LONG", "PRECISIONS", "Speed", "for_images", "made_fast"]

PRECISIONS = ("auto", "fp32", "tf32", "bf16")
#: Networks of fewer parameters are launched as CUDA graphs: their kernels are shorter than their launches.
SMALL = 10_000_000
#: Seconds of sampling on a CPU beyond which its compiler, which works for one to some minutes, pays.
LONG = 600.0

Tell = Callable[[str], Any]


@dataclass(frozen=True)
class Speed:
    """``precision``: auto (bf16 on a GPU, else fp32), fp32, tf32 or bf16; ``compiled``: with torch.compile, by default
    on a GPU alone, since a CPU's compiler works for minutes."""

    precision: str = "auto"
    compiled: bool | None = None

    def __post_init__(self) -> None:
        one_of("precision", self.precision, PRECISIONS)

    def settled(self, device: torch.device) -> Speed:
        """What auto and None mean on a device."""
        gpu = device.type == "cuda"
        precision = self.precision if self.precision != "auto" else "bf16" if gpu else "fp32"
        return Speed(precision, gpu if self.compiled is None else self.compiled)


def for_images(precision: str, device: torch.device) -> str:
    """What "auto" means where the samples become bytes: on a CPU with instructions for it bf16, whose rounding moves a
    pixel by less than half a grey level (root mean square); what is measured is float32 there."""
    if precision != "auto" or device.type != "cpu":
        return precision
    known: dict[str, Any] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # older versions of torch have none
    return "bf16" if known.get("avx512_bf16") or known.get("amx_bf16") else "fp32"


def made_fast(
    network: ScoreNetwork, device: torch.device | str, speed: Speed, tell: Tell = lambda text: None
) -> str:
    """Make the network's U-Net fast in place; what it is now, in words. ``tell`` gets one line where it cannot be
    compiled, and then it is not."""
    on = torch.device(device)
    how = speed.settled(on)
    gpu = on.type == "cuda"
    if gpu:
        torch.set_float32_matmul_precision("highest" if how.precision == "fp32" else "high")
        torch.backends.cudnn.allow_tf32 = how.precision != "fp32"
        held: Any = network.unet  # whose own types know no memory_format
        held.to(memory_format=torch.channels_last)
    said = [how.precision]
    dtype = torch.bfloat16 if how.precision == "bf16" else torch.float32
    unet: nn.Module = network.unet
    if dtype != torch.float32:
        with quiet():  # it says that no layer has to stay in float32
            unet = unet.to(dtype)
        if not gpu:
            for module in unet.modules():
                if isinstance(module, Attention):
                    stands: Any = _InFloat32(module)  # their types name the library's own alone
                    module.set_processor(stands)
    graphs = gpu and sum(p.numel() for p in unet.parameters()) < SMALL
    if how.compiled:
        lacking = _lacking(on)
        if lacking is None:
            said.append("compiled" + (" with CUDA graphs" if graphs else ""))
        else:
            tell(f"not compiled: {lacking}; the network runs eagerly")
            how = Speed(how.precision, False)
    if not how.compiled:
        said.append("eager")
    if dtype != torch.float32 or how.compiled:
        fast: Any = _Fast(unet, dtype, bool(how.compiled), graphs, tell)
        network.unet = fast
    return ", ".join(said)


class _InFloat32:
    """Self-attention of a bf16 network on a CPU, whose own is slower than that of float32: queries, keys and values are
    one product (of contiguous rows: of a view each would be a batched one, with copies of its weights), and their
    attention is computed in float32. Stands for diffusers' ``AttnProcessor2_0`` in a UNet2DModel."""

    def __init__(self, attention: Attention) -> None:
        layers = (attention.to_q, attention.to_k, attention.to_v)
        self.weight = torch.cat([layer.weight for layer in layers])
        self.bias = torch.cat([layer.bias for layer in layers])

    # the library looks up which words it may give
    def __call__(
        self,
        attention: Attention,
        x: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        many, channels, *sides = x.shape
        rows = attention.group_norm(x.flatten(2)).transpose(1, 2).contiguous()
        joined = functional.linear(rows, self.weight, self.bias).float()
        heads = joined.unflatten(2, (3, attention.heads, channels // attention.heads))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        out = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2).to(x.dtype)
        out = attention.to_out[0](out).transpose(1, 2).reshape(many, channels, *sides)
        return (out + x) / attention.rescale_output_factor


def _lacking(device: torch.device) -> str | None:
    """What torch.compile needs and is not there."""
    if device.type == "cuda":
        return None if importlib.util.find_spec("triton") else "there is no triton"
    compilers = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return None if any(name and shutil.which(name) for name in compilers) else "there is no C++ compiler"


class _Fast(nn.Module):
    """The U-Net in another format, compiled for the first batch's size: smaller batches are filled up to it."""

    def __init__(self, unet: nn.Module, dtype: torch.dtype, compiled: bool, graphs: bool, tell: Tell) -> None:
        super().__init__()
        self.unet, self.dtype, self.compiled, self.tell = unet, dtype, compiled, tell
        self.batch: int | None = None
        mode = "reduce-overhead" if graphs else "default"
        self.inner: Any = torch.compile(unet, dynamic=False, mode=mode) if compiled else unet

    def forward(self, x: Tensor, label: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        many = len(x)
        if self.compiled:
            self.batch = max(many, self.batch or 0)
            if many < self.batch:
                more = self.batch - many
                x = torch.cat((x, x[:1].expand(more, *x.shape[1:])))
                label = torch.cat((label, label[:1].expand(more)))
        given = x.to(self.dtype)
        if given.device.type == "cuda":
            given = given.contiguous(memory_format=torch.channels_last)
        out = self._run(given, label)
        # a CUDA graph writes its next answer where this one is
        return (out[:many].float() if out.dtype != torch.float32 else out[:many].clone(),)

    def _run(self, x: Tensor, label: Tensor) -> Tensor:
        try:
            with warnings.catch_warnings():
                if self.compiled:  # the compiler's own, of the day
                    warnings.simplefilter("ignore")
                out: Tensor = self.inner(x, label, return_dict=False)[0]
        except Exception as error:  # the compiler's: whatever it meets, the eager network answers
            if not self.compiled:
                raise
            said = " ".join(str(error).split())[:120]
            self.tell(f"not compiled: {type(error).__name__}: {said}; the network runs eagerly")
            self.inner, self.compiled = self.unet, False
            out = self.inner(x, label, return_dict=False)[0]
        return out
