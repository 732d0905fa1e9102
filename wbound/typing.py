"""Types of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Index"]

#: Doubles, of a shape that the docstring gives.
Array = NDArray[np.float64]
#: Positions in an array.
Index = NDArray[np.intp]
