"""Section: the page in three sentences, each with its number, taken from the other sections."""

from __future__ import annotations

from numerics.report.blocks import Context, Part, Prose

__all__ = ["build"]


def build(context: Context) -> Part:
    """The part of this section."""
    parts = context.parts
    data = {
        "complexity": {
            key: parts["complexity"].data[key]
            for key in ("d", "eps", "least", "most", "mean", "best", "published", "sharp", "exact", "gain")
        },
        "bounds": {
            key: parts["bounds"].data[key] for key in ("compared", "violations", "smallest_2", "smallest_1")
        },
        "lower": {key: parts["lower"].data[key] for key in ("closest",)},
        "gap": {key: parts["gap"].data[key] for key in ("theorem_2_most",)},
    }
    text = (
        "To bring W2 below {complexity.eps:g} for every centred Gaussian in d = {complexity.d:int} whose variances lie "
        "between {complexity.least:g} and {complexity.most:g}, {complexity.mean:g} on average, em on a uniform grid "
        "needs {complexity.exact:int} steps with {complexity.best}, the fewest of the eight published processes; "
        "for it Theorem 2 asks for {complexity.sharp:int} and the published bound for {complexity.published:int}.\n\n"
        "In {bounds.compared:int} comparisons with the exact error {bounds.violations:int} bounds fail: "
        "Theorem 2 comes within a factor {bounds.smallest_2:.3f} of it, the published Theorem 1 within a "
        "factor {bounds.smallest_1:.3g}.\n\n"
        "For hf on isotropic Gaussian data, from the exact start, no forward process and no grid can do better than "
        "the lower bound of order √d/ε; one grid reaches it up to a factor {lower.closest:.5f}, and Theorem 2 on the optimal clock asks for at "
        "most {gap.theorem_2_most:.3f} times its steps."
    )
    return Part(data, (Prose(text, lead=True),))
