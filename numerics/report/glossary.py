"""The words of the page: each with the few words that stand at its first use, and what it means in full.

The page lists them at its end, and the documentation's glossary is made of the same entries.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["WORDS", "Word", "slug"]


class Word(NamedTuple):
    """``gloss``: beside the word where the page says it first; ``means``: in the list at the end; ``section`` of the theory."""

    gloss: str
    means: str
    section: int


#: Backquotes are code; X_0 is set with an index, as in `numerics.report.blocks.typeset`.
WORDS: dict[str, Word] = {
    "W2": Word(
        "distance of output from data, in the data's units",
        "The 2-Wasserstein distance between the law of the sampler's output and the law of the data: the root of the "
        "least mean squared distance over all couplings. Never squared here.",
        0,
    ),
    "call": Word(
        "one evaluation of the network",
        "One evaluation of the score or denoiser. A scheme of one stage makes one call a step, heun two.",
        3,
    ),
    "hf": Word(
        "heat-flow Euler of the SDE",
        "One step of the reverse SDE with α times the score frozen; it sees a process through its clock alone.",
        3,
    ),
    "ddpm": Word(
        "ancestral sampling",
        "Draws from the law of X_t at the next time given the present and the denoiser's guess of X_0.",
        3,
    ),
    "ddim": Word(
        "Euler of the ODE in σ, no noise",
        "One step of the probability-flow ODE with the denoiser frozen, which is Euler's step in σ = √λ. No noise.",
        12,
    ),
    "heun": Word(
        "the trapezoidal rule, two calls a step",
        "The trapezoidal rule in σ, as Karras et al. have it, its last step Euler's. `heun-lam` ends with an Euler step in λ.",
        12,
    ),
    "dpmpp-2m": Word(
        "DPM-Solver++, two answers a step",
        "The second-order multistep DPM-Solver++ of Lu et al.: a straight line through the last two answers of the denoiser in "
        "log σ. Exact laws and rankings only; no bound is computed for it.",
        15,
    ),
    "em": Word(
        "Euler–Maruyama, f and g² integrated over the step",
        "The published scheme: the score frozen over a step, f and g² integrated over it.",
        3,
    ),
    "em-point": Word(
        "f and g² taken where the step departs",
        "The textbook's Euler–Maruyama, as nearly every package has it: f, g² and the score at the time from which the "
        "step departs. `em-point-arrival` takes f and g² where it arrives.",
        3,
    ),
    "ei": Word(
        "exponential integrator, score frozen",
        "Solves the linear equation that a frozen score leaves exactly.",
        3,
    ),
    "clock": Word(
        "λ(t) = σ²/α², noise over signal",
        "λ(t) = σ²(t)/α²(t), the variance of the noise over the square of what is left of the data. All processes are one "
        "heat flow read with different clocks.",
        0,
    ),
    "floor": Word(
        "no run goes below it",
        "A lower bound of W2 at K calls, or of the calls at W2 ≤ ε. Eq. 11 and 12: hf from p_T, any process and grid, "
        "isotropic Gaussian data. Eq. 17: ddim. Theorem 6 (Eq. 20): every affine sampler, at the worst spectrum in [a, κa].",
        17,
    ),
    "affine sampler": Word(
        "scales and adds the network's answers and noise",
        "A sampler whose points are fixed multiples of the start, the network's answers, fresh noise and 1. Every sampler on "
        "this page is one; its coefficients are its tape.",
        15,
    ),
    "κ": Word(
        "largest over smallest variance of the data",
        "The condition number of the data's covariance, over the directions that vary.",
        17,
    ),
    "Theorem 1": Word(
        "the published bound",
        "The published bound of Gao, Nguyen & Zhu for em, with explicit constants. Needs A1, A2 and a step-size condition.",
        4,
    ),
    "Theorem 2": Word(
        "a sharper bound, derived here",
        "A sharper upper bound of W2 for em, em-point, ei, hf and ddpm under A1 and A3; no condition on the steps.",
        5,
    ),
    "A1": Word(
        "log p_0 strongly concave",
        "−log p_0 has Hessian between m_0 and L_0 (in 1/x²): strongly log-concave data with a Lipschitz score.",
        2,
    ),
    "prior": Word(
        "the start N(0, σ²(T) I)",
        "What a sampler starts from in practice. The exact start p_T is the forward process's law at T, which no sampler has: "
        "it separates the error of the steps from that of the start.",
        0,
    ),
    "tape": Word(
        "a sampler's coefficients, recorded",
        "The coefficients of an affine sampler, recorded by running it on unit vectors: `wbound audit`, "
        "`numerics.record`, `wbound.tape_of`. A JSON or .npz file.",
        15,
    ),
    "ε": Word(
        "the accuracy wanted in W2",
        "The largest W2 that is still good enough, in the data's units.",
        8,
    ),
}


def slug(word: str) -> str:
    """The anchor of a word on the page."""
    kept = {"κ": "kappa", "ε": "epsilon"}.get(word, word)
    return "word-" + "-".join(kept.lower().split())
