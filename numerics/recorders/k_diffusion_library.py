"""The sampling module of k-diffusion, where it is installed: no extra of ours, for it pulls a web of packages."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from numerics.recorders.scheduler_source import Missing, needs_torch

__all__ = ["k_diffusion_sampling"]

#: How to install it beside any build of torch.
ADVICE = "pip install --no-deps k-diffusion torchdiffeq, beside the extra wbound[diffusers]"


def k_diffusion_sampling(folder: Path | None = None) -> Any:
    """The module ``k_diffusion.sampling``; ``folder``: where the package lies, None for where Python finds it.

    Where the package itself cannot be imported (its other modules want torchvision and more), that module alone is, with
    a stand-in for ``k_diffusion.utils``, and what was put among Python's modules for it is taken away again.
    Raises `Missing`.
    """
    needs_torch("k-diffusion")
    if folder is None:
        known = sys.modules.get("k_diffusion.sampling")
        if known is not None:
            return known
        found = importlib.util.find_spec("k_diffusion")
        if found is None or not found.submodule_search_locations:
            raise Missing(f"k-diffusion: is not installed: {ADVICE}")
        folder = Path(next(iter(found.submodule_search_locations))).parent
    return _alone(folder)


def _alone(folder: Path) -> Any:
    before = set(sys.modules)
    package, utils = ModuleType("k_diffusion"), ModuleType("k_diffusion.utils")
    package.__path__ = [str(folder / "k_diffusion")]
    utils.append_dims = _append_dims  # type: ignore[attr-defined]
    package.utils = utils  # type: ignore[attr-defined]
    held = {name: sys.modules.get(name) for name in ("k_diffusion", "k_diffusion.utils")}
    sys.path.append(str(folder))
    sys.modules.update({"k_diffusion": package, "k_diffusion.utils": utils})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("k_diffusion.sampling")
    except ImportError as error:
        raise Missing(f"k-diffusion: {error}: {ADVICE}") from None
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "k_diffusion":
                del sys.modules[name]
        for name, module in held.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _append_dims(x: Any, dimensions: int) -> Any:
    """``utils.append_dims``: x with so many dimensions, by further ones at its end."""
    return x[(...,) + (None,) * (dimensions - x.ndim)]
