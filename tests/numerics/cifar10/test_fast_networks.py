"""A network made fast answers as the float32, eager one does; what cannot be compiled says so in one line."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention

from numerics.cifar10.fast_networks import Speed, _InFloat32, for_images, made_fast
from numerics.cifar10.images import load_images
from numerics.cifar10.networks import ScoreNetwork, architecture
from numerics.cifar10.noise_levels import TimedScore
from numerics.cifar10.processes import image_process
from numerics.cifar10.runs import load_run, make_config, score_of
from numerics.cifar10.sampling import plan, sample_images
from numerics.cifar10.training import train
from numerics.transport.samples import gaussian_w2
from wbound.errors import BadInput

CPU = torch.device("cpu")


def network() -> ScoreNetwork:
    torch.manual_seed(0)
    made = ScoreNetwork(architecture("smoke", "sigma", 1, 8, sigma_data=0.8)).eval().requires_grad_(False)
    for parameter in made.unet.conv_out.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "run"
    train(folder, make_config("vp-v2", preset="smoke", conditioning="sigma", steps=60, batch=32))
    return folder


def test_bf16_samples_as_float32_does(run: Path) -> None:
    """2,000 digits from the same seeds: Bures W2 between the two below 1 % of the data's spread, and 20 times below
    what the samples are from the data; half a grey level in the root mean
    square of the pixels, which differ, so that it is no comparison of one thing with itself."""
    seeds, found, said = range(2000), [], []
    for precision in ("fp32", "bf16"):
        trained = load_run(run, speed=Speed(precision))
        said.append(trained.how)
        x = sample_images(trained.score, trained.process, trained.shape, 4, "hf", seeds)
        found.append(x.flatten(1).double().numpy())
    assert said == ["fp32, eager", "bf16, eager"] and not np.array_equal(*found)
    digits = load_images("digits").floats().flatten(1).double().numpy()
    moments = [(a.mean(axis=0), np.cov(a, rowvar=False)) for a in (*found, digits)]
    apart = gaussian_w2(*moments[0], *moments[1])
    spread = math.sqrt(float(np.trace(moments[2][1])))
    assert float(np.sqrt(np.square(found[0] - found[1]).mean())) < 0.5 * 2.0 / 255.0
    assert apart < 0.01 * spread and apart < 0.05 * gaussian_w2(*moments[0], *moments[2])


def test_auto_means_float32_and_eager_on_a_cpu() -> None:
    assert Speed().settled(CPU) == Speed("fp32", False)
    assert Speed().settled(torch.device("cuda")) == Speed("bf16", True)
    made = network()
    unet = made.unet
    assert made_fast(made, "cpu", Speed()) == "fp32, eager" and made.unet is unet
    with pytest.raises(BadInput, match="precision = fp8"):
        Speed("fp8")


def test_images_on_a_cpu_are_bf16_where_it_has_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    for known, said in (
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"avx2": True}, "fp32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known)
        assert for_images("auto", CPU) == said
        assert for_images("fp32", CPU) == "fp32" and for_images("auto", gpu) == "auto"
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert for_images("auto", CPU) == "fp32"


@pytest.mark.parametrize("reference", [False, True])
def test_attention_in_float32_is_the_librarys(reference: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a float32 network it is the same function to rounding, also where attention is added over √2; and the library
    has nothing to say of it."""
    torch.manual_seed(0)
    preset = "paper" if reference else "small"
    unet = ScoreNetwork(architecture(preset, "vp", 1, 8)).unet.eval().requires_grad_(False)
    found = [module for module in unet.modules() if isinstance(module, Attention)]
    assert len(found) > 2
    for module in found:
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        x = torch.randn(3, module.to_q.in_features, 4, 4)
        theirs = module(x)
        module.set_processor(_InFloat32(module))
        torch.testing.assert_close(module(x), theirs, rtol=1e-4, atol=1e-5)
    unet(torch.randn(2, 1, 8, 8), torch.ones(2))
    assert capfd.readouterr().err == ""


def test_without_a_compiler_it_is_eager_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said: list[str] = []
    made, x = network(), torch.randn(2, 1, 8, 8)
    sigma = torch.tensor([0.3, 2.0])
    before = made(x, sigma, sigma)
    assert made_fast(made, "cpu", Speed("fp32", True), said.append) == "fp32, eager"
    assert said == ["not compiled: there is no C++ compiler; the network runs eagerly"]
    assert torch.equal(made(x, sigma, sigma), before)


def test_a_compiled_network_sees_one_size_and_one_that_fails_is_eager(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The compiler itself takes minutes: its place is held by what counts the sizes it is given, and then fails."""
    sizes: list[int] = []

    def compiled(unet: Any, **how: Any) -> Any:
        assert how == {"dynamic": False, "mode": "default"}

        def call(x: torch.Tensor, label: torch.Tensor, return_dict: bool) -> Any:
            sizes.append(len(x))
            if len(sizes) > 3:
                raise RuntimeError("no\nluck")
            return unet(x, label, return_dict=return_dict)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    made, plain, said = network(), network(), []
    assert made_fast(made, "cpu", Speed("fp32", True), said.append) == "fp32, compiled"
    for many in (4, 3, 1, 2):
        x, sigma = torch.randn(many, 1, 8, 8), torch.full((many,), 0.5)
        torch.testing.assert_close(made(x, sigma, sigma), plain(x, sigma, sigma), rtol=1e-4, atol=1e-5)
    assert sizes == [4, 4, 4, 4]
    assert said == ["not compiled: RuntimeError: no luck; the network runs eagerly"]


def test_no_step_computes_a_label() -> None:
    """Labels of all steps are made at once: one call of std an evaluation would wait for the device at each."""
    process, asked = image_process("ve-v1"), []
    score = score_of(network(), process)

    def labels(times: np.ndarray) -> np.ndarray:
        asked.append(times.size)
        return score.labels(times)

    counted = TimedScore(labels, score.evaluate)
    for scheme, batch in (("ode-heun", 4), ("pc", 4)):
        asked.clear()
        x = sample_images(counted, process, (1, 8, 8), 6, scheme, range(4), batch=batch)
        plain = sample_images(lambda x, t: score(x, t), process, (1, 8, 8), 6, scheme, range(4), batch=batch)
        assert asked == [plan(process, 6, scheme).K + 1]
        torch.testing.assert_close(x, plain, rtol=1e-5, atol=1e-5)


def test_weights_that_are_not_numbers_are_refused(run: Path, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    shutil.copytree(run, tmp_path / "run")
    path = next((tmp_path / "run" / "checkpoints").glob("step-*"))
    with safe_open(path, framework="pt") as file:
        tensors, header = {name: file.get_tensor(name) for name in list(file.keys())}, file.metadata()
    tensors["average.unet.conv_in.bias"][0] = math.nan
    save_file(tensors, path, header)
    with pytest.raises(BadInput, match="NaN or infinity among its weights: unet.conv_in.bias"):
        load_run(tmp_path / "run")
