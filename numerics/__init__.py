"""numerics: what the samplers do — targets with exact scores, samplers, exact laws, W2, verdicts.

Names are found when first used. `wbound` has every one of them too (``wbound.sample`` is ``numerics.sample``), so that
no program needs this module's name, which is a common word: another package may be called the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from numerics import moved as _moved  # noqa: F401  (its finder knows the old names)
from wbound.moved import front_door as _front_door

if TYPE_CHECKING:
    from numerics import transport
    from numerics.laws.sde_on_line import law1d_w2
    from numerics.recorders.callables import record
    from numerics.samplers.sampling import coupled_exact, coupled_paths, sample
    from numerics.targets.products import Gaussian, LogCosh, ProductTarget, SymmetricMixture
    from numerics.verification.verdict import verify
    from wbound.exact.gaussian_law import exact_w2

_HOME, _found, __dir__ = _front_door(
    __name__,
    {
        "numerics.laws.sde_on_line": "law1d_w2",
        "numerics.recorders.callables": "record",
        "numerics.samplers.sampling": "coupled_exact coupled_paths sample",
        "numerics.targets.products": "Gaussian LogCosh ProductTarget SymmetricMixture",
        "numerics.verification.verdict": "verify",
        "wbound.exact.gaussian_law": "exact_w2",
    },
)
__all__ = [
    "Gaussian",
    "LogCosh",
    "ProductTarget",
    "SymmetricMixture",
    "coupled_exact",
    "coupled_paths",
    "exact_w2",
    "law1d_w2",
    "record",
    "sample",
    "transport",
    "verify",
]
if not TYPE_CHECKING:  # which knows the names from above, and no other
    __getattr__ = _found
