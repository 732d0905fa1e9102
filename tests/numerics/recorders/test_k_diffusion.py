"""Every sampler of the real k-diffusion, where it is installed, against its own run with the exact denoiser.

It is no extra of ours, for it pulls a web of packages: `make k-diffusion` puts it, without its dependencies, into a folder
of its own, from which `k_diffusion_sampling` loads its sampling module alone.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.cli.main import main
from numerics.recorders.callables import record
from numerics.recorders.k_diffusion_catalogue import ranked_k_diffusion
from numerics.recorders.k_diffusion_library import k_diffusion_sampling
from numerics.recorders.recording import NotRecorded
from numerics.recorders.scheduler_source import Missing
from numerics.targets import datasets
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2
from wbound.exact.law_of_tape import tape_law
from wbound.sampler.grid import Grid

FOLDER = Path(__file__).resolve().parents[3] / ".venv-k-diffusion"
X = np.array([4.0, 1.0, 0.25, 0.04])
pytestmark = pytest.mark.skipif(not (FOLDER / "k_diffusion").is_dir(), reason="k-diffusion: make k-diffusion")

PLAIN = ["euler", "heun", "dpm_2", "lms", "dpmpp_2m"]
NOISY = [
    "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde",
]  # fmt: skip


@pytest.fixture(scope="module")
def sampling() -> Any:
    before = {name for name in sys.modules if name.startswith("k_diffusion")}
    module = k_diffusion_sampling(FOLDER)
    assert {name for name in sys.modules if name.startswith("k_diffusion")} == before
    assert str(FOLDER) not in sys.path
    return module


def real(sampler: Any, sigmas: Any, start: Any) -> Any:
    import torch

    v = torch.from_numpy(X).reshape(1, 1, 1, -1)

    def model(x: Any, sigma: Any) -> Any:
        return v / (v + sigma.reshape(-1)[0] ** 2) * x

    more = {"disable": True} if "disable" in inspect.signature(sampler).parameters else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = sampler(
            model, torch.from_numpy(start).reshape(len(start), 1, 1, -1), torch.from_numpy(sigmas), **more
        )
    return out.numpy().reshape(start.shape)


@pytest.mark.parametrize("name", PLAIN)
def test_a_sampler_without_noise(sampling: Any, name: str) -> None:
    sigmas = np.append(np.geomspace(14.0, 0.05, 11), 0.0)
    sampler = getattr(sampling, f"sample_{name}")
    law = tape_law(record(sampler, sigmas=sigmas), X)
    out = real(sampler, sigmas, np.full((1, X.size), 14.0))[0]
    np.testing.assert_allclose(law.gain * 14.0 / math.sqrt(1.0 + 14.0**2), out, atol=1e-9)
    assert not law.noise.any()


@pytest.mark.parametrize("name", NOISY)
def test_a_sampler_with_noise(sampling: Any, name: str) -> None:
    import torch

    n, sigmas = 4000, np.append(np.geomspace(14.0, 0.05, 7), 0.0)
    sampler = getattr(sampling, f"sample_{name}")
    law = tape_law(record(sampler, sigmas=sigmas), X)
    torch.manual_seed(3)
    start = np.random.default_rng(8).standard_normal((n, X.size)) * 14.0
    out = real(sampler, sigmas, start)
    np.testing.assert_allclose(out.var(axis=0) / law.variance, 1.0, atol=4.5 * math.sqrt(2.0 / n))


def test_adaptive_steps_are_refused(sampling: Any) -> None:
    with pytest.raises(NotRecorded, match="adapts"):
        record(sampling.sample_dpm_adaptive, sigma_min=0.05, sigma_max=14.0)
    assert record(sampling.sample_dpm_fast, sigma_min=0.05, sigma_max=14.0, n=9).K == 9


def test_ranked_at_equal_calls_within_the_range(sampling: Any) -> None:
    """Every row makes the calls that are said, its levels lie in the range, and the pasted line gives its W2."""
    import torch

    data = datasets.from_spectrum(X)
    rows = ranked_k_diffusion(data, 7, 0.05, 14.0, folder=FOLDER)
    assert len(rows) >= 55 and all(row.failed is None for row in rows)
    assert {row.calls for row in rows} == {7}
    w2 = [row.w2 for row in rows if row.w2 is not None]
    assert w2 == sorted(w2)
    for row in rows:
        assert row.levels is not None and row.levels[0] == "sigmas" and row.levels[1][-1] == 0.0
        assert 0.05 * (1 - 1e-5) <= row.levels[1][-2] <= row.levels[1][0] <= 14.0 * (1 + 1e-5)
    own = [row for row in rows if "torch.tensor" in row.line]
    assert len(own) == 2
    euler = [row.w2 for row in rows if row.line.startswith("sample_euler(") and row not in own]
    ours = next(row.w2 for row in own if row.line.startswith("sample_euler("))
    assert ours is not None and all(w is not None and ours < w for w in euler)
    for row in (rows[0], own[0], own[1]):
        names = {name: getattr(sampling, name) for name in dir(sampling)} | {"torch": torch}

        def asked(sampler: Any, model: Any, x: Any, sigmas: Any, **options: Any) -> Any:
            return sampler, sigmas, options

        call = row.line.partition("(")
        sampler, sigmas, options = eval(
            f"asked({call[0]}, {call[2]}", {**names, "asked": asked, "model": 0, "x": 0}
        )
        tape = record(sampler, sigmas=[float(s) for s in sigmas], **options)
        assert tape_law(tape, X).w2() == pytest.approx(row.w2, rel=1e-6), row.line


def test_choose_for_k_diffusion(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    samples, out = tmp_path / "samples.npy", tmp_path / "sigmas.npy"
    np.save(samples, np.random.default_rng(0).standard_normal((120, 2)) * [2.0, 0.5])
    line = ["choose", "--data", str(samples), "--steps", "4", "--for", "k-diffusion", "--sigma-min", "0.05"]
    line += ["--sigma-max", "14"]
    assert main([*line, "--samples-check", "-o", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["best"]["w2"] == found["rows"][0]["w2"] and found["for"] == "k-diffusion"
    check = found["samples_check"]
    assert sorted(row["rank"] for row in check["rows"]) == [1, 2, 3, 4, 5] and check["floor"] > 0.0
    seen = [row["w2_samples"] for row in check["rows"]]
    assert seen == sorted(seen)
    sigmas = np.load(out)
    assert sigmas[0] == pytest.approx(14.0, rel=0.1) and sigmas[-1] == 0.0
    assert main([*line, "--samples-check"]) == 0
    assert "on your samples" in capsys.readouterr().out


def test_without_the_package_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(Missing, match="--no-deps k-diffusion torchdiffeq"):
            k_diffusion_sampling(folder)


@pytest.mark.parametrize(
    ("name", "options", "scheme"),
    [
        ("euler", {}, "ddim"),
        ("euler_ancestral", {}, "ddpm"),
        ("euler_ancestral", {"eta": 0.5}, "ddim(eta=0.5)"),
        ("heun", {}, "heun"),
        ("dpmpp_2m", {}, "dpmpp-2m"),
        ("lms", {}, "ab4"),
    ],
)
def test_the_table_of_schemes(sampling: Any, name: str, options: dict[str, Any], scheme: str) -> None:
    """docs/howto/choose-a-schedule.md: each function is that scheme, from √λ Z."""
    sigmas = np.append(np.geomspace(14.0, 0.05, 9), 0.0)
    tape = record(getattr(sampling, f"sample_{name}"), sigmas=sigmas, **options)
    grid, data = Grid.from_sigma(sigmas), Gaussian(np.zeros(X.size), X)
    ours = exact_w2(wbound.process("ve-constant"), data, scheme=scheme, grid=grid)
    assert tape_law(tape, X).w2() == pytest.approx(ours, rel=1e-9)
