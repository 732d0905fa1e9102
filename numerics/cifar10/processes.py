"""Section 9's eight processes as images use them: α(t) and std(t) in the literature's convention on [0, 1].

Nothing is retyped here: every number comes from the rows of `wbound.forward.catalogue_images` through `wbound.process`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike

from numerics.schedules.doctor import Diagnosis, check_expressions
from wbound.calculus.parser import symbol
from wbound.errors import Inconsistent, one_of
from wbound.forward.catalogue import NAMED
from wbound.forward.catalogue_images import marginal_std, mean_factor
from wbound.forward.forward_process import Process
from wbound.typing import Array

__all__ = ["NAMES", "ImageProcess", "image_process"]


#: The eight names of the command line.
NAMES: tuple[str, ...] = tuple(
    f"{kind}-{form}" for kind in ("vp", "ve") for form in ("original", "v1", "v2", "v3")
)

#: Smallest time of training and sampling (Song et al., 2021).
T_MIN = 1e-5


@dataclass(frozen=True)
class ImageProcess:
    """A process on [0, 1] in the literature's convention: X_t given X_0 is N(α(t) X_0, std(t)² I).

    ``name`` of the command line; ``process``, whose own clock starts at 0 (std² is σ² + sigma_min² for VE);
    ``t_min``: smallest time of training and sampling. Hashable; times and values are float64.
    """

    name: str
    process: Process
    t_min: float = T_MIN

    @property
    def kind(self) -> str:
        """ "vp" or "ve"."""
        return self.name.partition("-")[0]

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters by name (sigma_min, …)."""
        return dict(self.process.parameters)

    @property
    def prior_std(self) -> float:
        """Standard deviation of the law that sampling starts from: sigma_max = std(1) for VE, 1 for VP."""
        return self.process.parameters.get("sigma_max", 1.0)

    def alpha(self, t: ArrayLike) -> Array:
        """α(t), the factor of the data in the marginal's mean."""
        return mean_factor(self.process, t)

    def std(self, t: ArrayLike) -> Array:
        """std(t), the marginal's noise, in the literature's convention: std(0) = sigma_min for VE."""
        return marginal_std(self.process, t)

    def check(self) -> Diagnosis:
        """Section 0's identities for α, std, f and g, and α and std as they are used, against quadrature of f
        and g. Raises `Inconsistent`."""
        p, smoothing = self.process, self.parameters.get("sigma_min", 0.0)
        std2 = p.expr.sigma2 + (symbol("sigma_min") ** 2 if smoothing else 0)
        found = check_expressions(
            p.expr.f,
            p.expr.g,
            marginal_std=sp.sqrt(std2),
            mean_factor=p.expr.alpha,
            parameters=p.parameters,
            start="standard" if self.kind == "vp" else "prior",
            name=self.name,
        )
        wrong = [f"{x.name}: {x.detail}" for x in found.findings if not x.ok and x.level == "error"]
        t = np.concatenate((np.geomspace(self.t_min, 0.1, 16), np.linspace(0.15, 1.0, 18)))
        plain = Process(f=p.expr.f, g=p.expr.g, **p.parameters)  # without closed forms: by quadrature
        for what, used, true in (
            ("alpha", self.alpha(t), plain.alpha(t)),
            ("std", self.std(t), np.sqrt(plain.sigma2(t) + smoothing**2)),
        ):
            off = float(np.abs(used / true - 1.0).max())
            if not off < 1e-8:
                wrong.append(f"{what}(t) differs from the quadrature of f and g by {off:.3g} of itself")
        if wrong:
            raise Inconsistent(f"process {self.name}: {wrong[0]}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Name, parameters and t_min: what a run directory keeps."""
        return {"name": self.name, "parameters": self.parameters, "t_min": self.t_min}


def image_process(name: str, **parameters: float) -> ImageProcess:
    """The image process called ``name`` (`NAMES`); parameters left out take section 9's defaults.

    VP: beta_min, beta_max; VE: sigma_min, sigma_max; rho for vp-v2 and ve-v3. Raises `BadInput`.
    """
    one_of("process", name, NAMES)
    return ImageProcess(name, NAMED[f"image-{name}"].make(parameters))
