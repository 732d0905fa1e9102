"""SciPy's solvers, imported when first called: importing them takes as long as the rest of the package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "barycentric",
    "brentq",
    "cho_factor",
    "cho_solve",
    "ellipj",
    "elliprf",
    "minimize_scalar",
    "solveh_banded",
]


class _Lazily:
    """A function of SciPy by name; behaves as that function."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(import_module(self.module), self.name)(*arguments, **options)


brentq = _Lazily("scipy.optimize", "brentq")
minimize_scalar = _Lazily("scipy.optimize", "minimize_scalar")
cho_factor = _Lazily("scipy.linalg", "cho_factor")
cho_solve = _Lazily("scipy.linalg", "cho_solve")
solveh_banded = _Lazily("scipy.linalg", "solveh_banded")
ellipj = _Lazily("scipy.special", "ellipj")
elliprf = _Lazily("scipy.special", "elliprf")
barycentric = _Lazily("scipy.interpolate", "BarycentricInterpolator")
