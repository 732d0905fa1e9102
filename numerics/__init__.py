"""numerics: what the samplers do — targets with exact scores, samplers, exact laws, W2, verdicts."""

from numerics import transport
from numerics.law1d import law1d_w2
from numerics.samplers import coupled_exact, coupled_paths, sample
from numerics.targets import Gaussian, LogCosh, ProductTarget, SymmetricMixture
from wbound.gaussian import exact_w2

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
]
