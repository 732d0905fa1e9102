"""The floor of affine samplers and the sampler that reaches it: time of a call, and of nodes fitted to 3,072 eigenvalues.

    python benchmarks/affine.py [--json FILE]

The peer is `numerical_grid` of `ddim` for the same number of evaluations: how long it takes, and the W2 it reaches.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import wbound
from wbound.data.gaussian import Gaussian
from wbound.design.phase_nodes import fitted_nodes
from wbound.exact.law_of_tape import tape_law
from wbound.exact.phase import phase_levels

#: Eigenvalues in x², geometric.
SPECTRUM = np.geomspace(1e-4, 100.0, 3072)
CALLS = {
    "affine_floor": lambda: wbound.affine_floor(1e6, 5),
    "affine_iterations": lambda: wbound.affine_iterations(1e-3, 1e6),
}


def seconds(call: Callable[[], object], repeat: int, times: int = 1) -> float:
    """Median over rounds of the time of one call."""
    call()
    out = []
    for _ in range(repeat):
        begin = time.perf_counter()
        for _ in range(times):
            call()
        out.append((time.perf_counter() - begin) / times)
    return statistics.median(out)


def fitted(K: int, repeat: int) -> dict[str, Any]:
    """Time and relative W2 of nodes fitted for K evaluations, and of the best grid of `ddim` that a search finds."""
    law = Gaussian(np.zeros(SPECTRUM.size), SPECTRUM)

    def grid() -> Any:
        return wbound.numerical_grid(law, K, 1e6, objective="exact", scheme="ddim")

    size = math.sqrt(float(SPECTRUM.sum()))
    mine = tape_law(phase_levels(fitted_nodes(SPECTRUM, K)).tape(), SPECTRUM).w2() / size
    return {
        "K": K,
        "seconds": seconds(lambda: fitted_nodes(SPECTRUM, K), repeat),
        "grid_seconds": seconds(grid, 1),
        "w2": mine,
        "grid_w2": grid().value / size,
        "floor": wbound.affine_floor(float(SPECTRUM[-1] / SPECTRUM[0]), K),
    }


def measure(repeat: int = 9) -> dict[str, Any]:
    """Seconds of the calls, and the fits at K = 5, 10, 20."""
    return {
        "calls": {name: seconds(call, repeat, 200) for name, call in CALLS.items()},
        "fits": [fitted(K, max(repeat // 3, 1)) for K in (5, 10, 20)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure()
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found) + "\n", "utf-8")


if __name__ == "__main__":
    main()
