"""Section: a noisy score beside a biased one: the noise fades with K, the bias stays."""

from __future__ import annotations

import numpy as np

from numerics.figures import curves
from numerics.figures.schedules import fading_figure
from numerics.report.blocks import Context, Figure, Figures, Part, Prose
from numerics.studies.curves import geometric, horizon
from numerics.studies.score_error import fading
from wbound.data.gaussian import Gaussian
from wbound.forward.catalogue import process

__all__ = ["build"]

PROCESS, D, VARIANCE = "vp-linear", 3, 2.0
#: Score errors in 1/x: the noise is ten times the bias.
M, V = 0.1, 1.0


def build(context: Context) -> Part:
    """The part of this section."""
    chosen = process(PROCESS)
    at = geometric(10.0, 1e3, 4) if context.quick else geometric(10.0, 1e5, 13)
    T = horizon(chosen, Gaussian(np.zeros(D), VARIANCE))
    found = fading(chosen, at, T=T, d=D, variance=VARIANCE, M=M, V=V)
    content = {
        "process": PROCESS,
        "d": D,
        "variance": VARIANCE,
        "T": T,
        "M": M,
        "V": V,
        "K_first": int(at[0]),
        "K_last": int(at[-1]),
        "floor": found.floor,
        "bias_exact": found.exact_bias[-1],
        "bias_bound": found.bound_bias[-1],
        "noise_first": found.exact_noise[0],
        "noise_last": found.exact_noise[-1],
        "noise_bound_first": found.bound_noise[0],
        "noise_bound_last": found.bound_noise[-1],
        "violations": int(
            (found.bound_bias < found.exact_bias).sum() + (found.bound_noise < found.exact_noise).sum()
        ),
        "compared": 2 * int(at.size),
    }
    text = (
        "A score may be wrong in two ways: by a bias of size M, the same each time, or by noise of size V, drawn "
        "anew at each step. In Theorem 2 the bias adds to the error at every step, the noise only to its square. "
        "On N(0, {variance:g} I), d = {d:int}, {process}, T = {T:.4g}, scheme hf, with M = {M:g} and V = {V:g}: from K = "
        "{K_first:int} to {K_last:int} the exact W2 with noise falls from {noise_first:.4g} to {noise_last:.3g} and its "
        "bound from {noise_bound_first:.4g} to {noise_bound_last:.3g}, while a constant bias leaves {bias_exact:.4g} "
        "(bound {bias_bound:.4g}), however many steps: M S(T) = {floor:.4g} stays. Of {compared:int} bounds "
        "{violations:int} are below the exact value. For an ODE the effect of noise is not derived, and is refused."
    )
    drawn = Figure(
        "score-error",
        curves.svg(fading_figure(found), "fad"),
        "W2 against the number of steps, both axes logarithmic: with the exact score and with a noisy one bound and "
        "exact value fall, with a biased one both level off at the same height.",
        "Dashed: Theorem 2; solid: exact. The bias levels off at M S(T) = {floor:.4g}; the noise fades.",
        found.columns(),
        f"wbound score-error --process {PROCESS} --score-bias {M:g} --score-noise {V:g} --to {at[-1]:g} "
        f"--points {at.size} --figure score-error.svg",
    )
    return Part(content, (Prose(text), Figures((drawn,))))
