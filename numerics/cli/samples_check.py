"""What the commands that rank by a Gaussian say of the user's own samples: warnings, and the best rows run on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numerics.cli.output import grid_table, warn
from numerics.cli.progress import Progress

#: So many of the best rows are run on the samples.
BEST = 5


def warned(samples: Any) -> list[dict[str, Any]]:
    """How the samples are not what the ranking takes them for, on stderr too; nothing for a spectrum. To be said last:
    a line that is refused says one thing."""
    from numerics.targets.gaussian_surrogate import departures

    found = [] if samples is None else list(departures(samples))
    for one in found:
        warn(f"{one.text}; {CHECK}" if one.kind in ("tails", "clusters", "shape") else one.text)
    return [{"kind": one.kind, "size": one.size, "text": one.text} for one in found]


#: What to do about data that are far from Gaussian.
CHECK = "the ranking may not hold for them: --samples-check"


def checked(samples: Any, rows: Sequence[tuple[int, str, float, Any]]) -> dict[str, Any]:
    """The rows (rank, name, W2 on the Gaussian, tape) run on the samples, the best there first. Raises `BadInput`."""
    from numerics.verification.tapes_on_samples import run_on_samples
    from wbound.errors import BadInput

    if not rows:
        raise BadInput("samples-check", 0, "has no row that could be run")
    found = run_on_samples(samples, [tape for *_, tape in rows], watch=Progress("samples"))
    order = sorted(range(len(rows)), key=lambda i: found.values[i])
    return {
        "rows": [
            {"rank": rows[i][0], "row": rows[i][1], "w2": rows[i][2], "w2_samples": found.values[i]}
            for i in order
        ],
        "floor": found.floor,
        "spread": found.spread,
        "tau": found.tau,
        "draws": found.draws,
    }


def checked_lines(found: dict[str, Any]) -> list[str]:
    """`checked` in words."""
    rows = [[one["rank"], one["w2_samples"], one["w2"], one["row"]] for one in found["rows"]]
    return [
        "",
        f"The best {len(rows)} on your samples, smoothed by {found['tau']:.4g}, with their exact score ({found['draws']} draws, "
        "plug-in W2, biased upward alike):",
        "",
        grid_table(("rank", "W2 on the samples", "W2 on the Gaussian", ""), rows),
        "",
        f"Two draws of the smoothed samples themselves are {found['floor']:.5g} apart; a difference below "
        f"{found['spread']:.2g} is chance.",
    ]
