"""Every sampler of the real k-diffusion, where it is installed, against its own run with the exact denoiser.

It is no extra of ours, for it pulls a web of packages: `make k-diffusion` puts it, without its dependencies, into a folder
of its own, and its sampling module alone is loaded, with a stand-in for its ``utils``.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from numerics.recorders.callables import record
from numerics.recorders.recording import NotRecorded
from wbound.exact.law_of_tape import tape_law

FOLDER = Path(__file__).resolve().parents[3] / ".venv-k-diffusion"
X = np.array([4.0, 1.0, 0.25, 0.04])
pytestmark = pytest.mark.skipif(not (FOLDER / "k_diffusion").is_dir(), reason="k-diffusion: make k-diffusion")

PLAIN = ["euler", "heun", "dpm_2", "lms", "dpmpp_2m"]
NOISY = [
    "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde",
]  # fmt: skip


@pytest.fixture(scope="module")
def sampling() -> Iterator[Any]:
    package, utils = ModuleType("k_diffusion"), ModuleType("k_diffusion.utils")
    package.__path__ = [str(FOLDER / "k_diffusion")]
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]  # type: ignore[attr-defined]
    package.utils = utils  # type: ignore[attr-defined]
    sys.path.append(str(FOLDER))
    sys.modules.update({"k_diffusion": package, "k_diffusion.utils": utils})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield importlib.import_module("k_diffusion.sampling")
    sys.path.remove(str(FOLDER))
    for name in [name for name in sys.modules if name.split(".")[0] in ("k_diffusion", "torchdiffeq")]:
        del sys.modules[name]


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
