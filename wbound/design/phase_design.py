"""The phase law's sampler for what is known of the data: nodes fitted to a spectrum, or the class [a, b] (section 17)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from wbound.design.look_back import refitted
from wbound.design.phase_nodes import fitted_nodes
from wbound.errors import BadInput
from wbound.exact.phase import phase_levels, zolotarev_levels
from wbound.sampler.tape import Tape

__all__ = ["phase_sampler"]


def phase_sampler(
    nodes: ArrayLike | None = None,
    *,
    K: int | None = None,
    a: float | None = None,
    b: float | None = None,
    spectrum: ArrayLike | None = None,
    look_back: bool = False,
) -> Tape:
    """The phase law's sampler as a tape: of given ``nodes``; of ``K`` and the class of spectra in [``a``, ``b``] (the
    minimax of Theorem 6); or of ``K``, its nodes fitted to a ``spectrum``, and with ``look_back`` fitted again as
    `wbound.design.look_back.refitted` does, for data that are not Gaussian.

    nodes: (2K+1,) in x; a, b: the least and the largest eigenvalue, in x²; spectrum: eigenvalues (E,), in x². On Gaussian
    data, exact scores, the mean added at the start: W2 = 0 where every eigenvalue is the square of a given node, at most
    E_K √tr Σ on the class, and as little as a search found on the spectrum. Nothing is claimed of other data; what was
    measured there: docs/howto/few-steps.md.
    Raises `BadInput`. Implements Theorems 4 and 6 (docs/theory.md, section 17).
    """
    given = [nodes is not None, a is not None or b is not None, spectrum is not None]
    if sum(given) != 1:
        raise BadInput("phase_sampler", sum(given), "takes one of: nodes; K, a and b; K and spectrum")
    if look_back and spectrum is None:
        raise BadInput("look_back", look_back, "goes with a spectrum")
    if nodes is not None:
        if K is not None and 2 * K + 1 != np.size(nodes):
            raise BadInput("K", K, f"does not fit {np.size(nodes)} nodes, which are 2K+1")
        return phase_levels(nodes).tape()
    if K is None:
        raise BadInput("K", K, "is needed: the number of evaluations")
    if spectrum is not None:
        return refitted(spectrum, K) if look_back else phase_levels(fitted_nodes(spectrum, K)).tape()
    if a is None or b is None:
        raise BadInput("b" if b is None else "a", None, "is needed: the spectrum lies in [a, b]")
    return zolotarev_levels(K, a, b).tape()
