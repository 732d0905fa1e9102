"""The last rows of wbound choose: what any affine sampler could reach, and three samplers for a few calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numerics.cli.output import grid_table

if TYPE_CHECKING:
    from numerics.schedules.few_call_samplers import FewCalls
    from numerics.schedules.ranking import Ranking
    from numerics.targets.datasets import Dataset

#: The names of --as that write a sampler's tape, and what its file may end in.
AS, ENDINGS = ("phase", "refitted"), (".json", ".npz")
TITLES = {
    "phase": "phase sampler, fitted",
    "refitted": "refitted, with a look back",
    "dpmpp-2m": "DPM-Solver++(2M), its range tuned",
}
#: A W2 below this share of the spread is told as a bound: it is the rounding of the evaluation.
LEAST = 1e-12


def writable_sampler(out: str, row: str | None) -> None:
    """Refuse, before the work, what --as phase cannot write. Raises `BadInput`."""
    from wbound.errors import BadInput, one_of

    one_of("out", Path(out).suffix.lower(), ENDINGS)
    if row is not None:
        raise BadInput(
            "row", row, "does not go with --as phase, which is a sampler and no schedule of the ranking"
        )


def few_rows(data: Dataset, samples: Any, ranking: Ranking) -> FewCalls:
    """The rows for as many calls as the ranking's rows make; ``samples`` (n, …) of the data, or None."""
    from numerics.schedules.few_call_samplers import few_calls

    calls = max((row.calls for row in ranking.rows if row.kind != "given"), default=ranking.steps)
    return few_calls(data, calls, samples)


def row_payload(found: FewCalls) -> tuple[dict[str, Any], dict[str, str]]:
    """``few_calls`` of the JSON, and why what is null there is null."""
    reasons = {"few_calls.smoothing": "no samples, too many calls or dimensions"}
    for i, one in enumerate(found.samplers):
        if one.smoothed is None:
            reasons[f"few_calls.samplers.{i}.smoothed"] = "no samples, or too many dimensions"
    return {"few_calls": found.to_dict()}, reasons


def row_lines(found: FewCalls, spread: float) -> list[str]:
    """The table and its sentences."""
    rows = [
        [
            TITLES[s.name],
            _told(s.w2, spread),
            s.smoothed,
            s.amplification,
            f"{s.width_low:.3g} to {s.width:.3g}",
        ]
        for s in found.samplers
    ]
    rows.append(
        ["what any affine sampler could reach (worst data of this κ)", found.floor_w2, None, None, "—"]
    )
    head = ("", "W2", "smoothed samples", "network's error ×", "width of states")
    lines = [f"With {found.calls} network calls, started at the data's mean:", "", grid_table(head, rows), ""]
    lines.append(
        f"The last row is E_K √tr Σ, E_K = {found.floor:.4g}: on some Gaussian with eigenvalues within κ = {found.kappa:.4g} "
        f"(that of the {found.directions} directions that vary) every affine sampler has at least that, exact scores, mean "
        "known, levels not drawn at random (Theorem 6); for one known spectrum there may be less, as the first column shows. "
        "κ of few samples is uncertain: wbound lower-bound --data."
    )
    if found.smoothing is not None:
        at = found.smoothing
        lines.append(
            f"Smoothed samples: W2/{spread:.4g} to {at.points} of the samples smoothed by {at.tau:.4g} a coordinate, exact "
            f"score, estimated from {at.pairs} pairs of draws from common noise: {found.why}."
        )
    else:
        lines.append(f"Beyond the Gaussian nothing was looked at: {found.why}.")
    if found.samplers:
        lines.append(
            "Network's error: an error δ of the predicted noise in every direction and at every call, with its worst sign, "
            "moves the output by at most so many times δ√tr Σ. Width: standard deviation of the states that the network sees "
            "over that of its training. Both on the Gaussian. --as phase or refitted, -o FILE.json writes a sampler."
        )
        lines.append(
            "With a network the order may be another: with a small one trained on digits the phase and the refitted sampler "
            "were behind ddim at 5 to 10 calls (docs/howto/few-steps.md). Measure before you use one."
        )
    return lines


def _told(w2: float, spread: float) -> float | str:
    return w2 if w2 >= LEAST * spread else f"< {LEAST * spread:.2g}"


def write_sampler(found: FewCalls, name: str, out: str) -> dict[str, Any]:
    """A sampler's tape as a file, and what it is. Raises `BadInput` and `IOFailure`."""
    sampler = found.sampler(name)
    sampler.tape.save(out)
    made = dict(sampler.tape.made)
    return {"form": name, "start_std": made["start_std"], "w2": sampler.w2, "notes": [str(made["step"])]}
