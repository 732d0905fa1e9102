"""numerics: what the samplers do — targets with exact scores, samplers, exact laws, W2, verdicts.

Names are found when first used, so that the command line, which lives here too, starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from numerics import moved as _moved

if TYPE_CHECKING:
    from numerics import transport
    from numerics.laws.sde_on_line import law1d_w2
    from numerics.samplers.sampling import coupled_exact, coupled_paths, sample
    from numerics.targets.products import Gaussian, LogCosh, ProductTarget, SymmetricMixture
    from numerics.verification.verdict import verify
    from wbound.exact.gaussian_law import exact_w2

_HOME = {
    "Gaussian": "numerics.targets.products",
    "LogCosh": "numerics.targets.products",
    "ProductTarget": "numerics.targets.products",
    "SymmetricMixture": "numerics.targets.products",
    "coupled_exact": "numerics.samplers.sampling",
    "coupled_paths": "numerics.samplers.sampling",
    "exact_w2": "wbound.exact.gaussian_law",
    "law1d_w2": "numerics.laws.sde_on_line",
    "sample": "numerics.samplers.sampling",
    "verify": "numerics.verification.verdict",
}

__all__ = [
    "Gaussian",
    "LogCosh",
    "ProductTarget",
    "SymmetricMixture",
    "coupled_exact",
    "coupled_paths",
    "exact_w2",
    "law1d_w2",
    "sample",
    "transport",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "transport":
        return import_module("numerics.transport")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if f"numerics.{name}" in _moved.MOVED:
        return import_module(f"numerics.{name}")
    raise AttributeError(f"module 'numerics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
