"""The names that Tab completes, as text: their owners take a hundred times as long to import as a shell should wait.

`tests/numerics/test_cli_comfort.py` holds each to the table that owns it.
"""

from __future__ import annotations

#: `wbound.NAMED`
PROCESSES = (
    *("ve-exponential", "ve-constant", "ve-sqrt", "ve-polynomial", "ou", "vp-linear", "vp-polynomial"),
    *("vp-exponential", "sub-vp", "optimal-ve", "optimal-vp", "image-ve-original", "image-ve-v1"),
    *("image-ve-v2", "image-ve-v3", "image-vp-original", "image-vp-v1", "image-vp-v2", "image-vp-v3"),
    "rectified-flow",
)
#: `wbound.SCHEMES`, `wbound.MULTISTEP` and `wbound.RANDOM_TIMES`
SCHEMES = (
    *(
        "em",
        "em-point",
        "em-point-arrival",
        "ei",
        "hf",
        "ddpm",
        "ode-hf",
        "ddim",
        "ode-ei",
        "heun",
        "heun-lam",
    ),
    *("heun-lambda", "dpmpp-2m", "dpmpp-3m", "ab2", "ab3", "ab4", "deis2", "deis3", "unipc", "unipc-3"),
    *("ddim-inflated", "ddim-shifted", "random-midpoint", "ode-random-midpoint"),
)
#: `wbound.GRIDS`
GRIDS = ("uniform", "optimal", "gaussian", "log-lam", "edm", "cosine", "tangent", "sinh")
#: `wbound.theory.statements.THEOREMS`
THEOREMS = ("published", "sharp")
#: `wbound.sampler.make_setting.STARTS`
STARTS = ("prior", "exact", "standard")
#: `numerics.schedules.schedule_formats.FORMS`
FORMS = ("sigmas", "betas", "alphas_cumprod", "times", "timesteps")
#: `numerics.figures.style.WIDTHS`
WIDTHS = ("column", "text", "page", "report")
#: `numerics.targets.named.TARGETS` but facts, and a density
TARGETS = (
    *("gaussian", "mixture", "logcosh", "modes", "peaks", "smoothed", "isotropic", "power-law", "geometric"),
    "density=",
)
