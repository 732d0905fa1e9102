"""Section: digits smoothed by noise, sampled with their exact score: images, distances, and a vacuous bound."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from numerics.io.image_files import png, tiles
from numerics.report.blocks import Column, Context, Figure, Figures, Html, Part, Prose, Table
from numerics.targets import datasets
from numerics.verification.held_out_samples import held_out

__all__ = ["build"]

TAU, SCHEMES = 1.0, (("hf", 200), ("heun", 40))
#: Images of the grid, and how many stand in a row.
SHOWN, ACROSS = 60, 10


def _image(pixels: Any) -> str:
    """A PNG in the page itself, its pixels kept square when it grows."""
    data = base64.b64encode(png(pixels)).decode("ascii")
    style = "display:block;width:100%;height:auto;image-rendering:pixelated"
    return Html(f'<img alt="" style="{style}" src="data:image/png;base64,{data}">')


def build(context: Context) -> Part:
    """The part of this section."""
    images = datasets.samples_of("digits")
    mean, low, high = images.mean(axis=0), float(images.min()), float(images.max())
    rows: list[dict[str, Any]] = []
    drawn: list[Figure] = []
    for scheme, K in SCHEMES:
        n = 200 if context.quick else 1000
        got = held_out(images, TAU, K=K // 4 if context.quick else K, n=n, scheme=scheme)
        context.say(f"    {n} digits by {scheme}, {got.seconds:.1f} s")
        b = got.bound
        rows.append(
            {
                "scheme": scheme,
                "K": K // 4 if context.quick else K,
                "n": n,
                "pairs": got.pairs,
                "w2": got.w2,
                "perfect": got.floor_smoothed,
                "floor": got.floor,
                "bound": None if b is None or math.isinf(b.total) else b.total,
                "vacuous": "none proved" if b is None else "yes" if b.vacuous else "no",
                "trivial": math.sqrt(got.target.second_moment),
                "seconds": got.seconds,
            }
        )
        shown = got.samples[:SHOWN].reshape(-1, *images.shape[1:]) + mean
        if not drawn:
            flat = shown.reshape(shown.shape[0], -1)
            numbers: dict[str, Any] = {"image": np.arange(1, len(flat) + 1)}
            drawn.append(
                Figure(
                    "smoothed-digits",
                    _image(tiles(shown, ACROSS, low, high)),
                    f"A grid of {len(flat)} sampled images of handwritten digits, 8 by 8 grey pixels each: legible "
                    "digits with some grain, the noise by which the data were smoothed.",
                    f"{len(flat)} samples of {scheme}, no network: the exact score of half of the digits, smoothed.",
                    numbers | {f"pixel_{i}": flat[:, i] for i in range(flat.shape[1])},
                    f"wbound smoothed --data digits --tau {TAU:g} --K {K} --figure digits.png",
                )
            )
    content: dict[str, Any] = {"tau": TAU, "images": len(images), "rows": rows, "first": rows[0]}
    text = (
        "Real data without a network: half of the {images:int} digits, centred and smoothed by noise τ = {tau:g} on "
        "the scale from 0 to 16, have an exact score, a softmax over the images. {first.n:int} samples by "
        "{first.scheme} with K = {first.K:int} steps are at W2 = {first.w2:.2f} from the other half, as far as fresh "
        "draws of the smoothed data ({first.perfect:.2f}); the two halves themselves are {first.floor:.2f} apart. "
        "These are W2 of {first.pairs:int} points each, biased upward alike. The bound, Theorem 2' with the profile "
        "of bounded data, grows as the exponential of D²/τ²: here it is {first.bound:.3g}, far above the trivial "
        "error {first.trivial:.4g}: it is vacuous, and flagged so. Beyond A1 nothing better is proved here."
    )
    columns = (
        Column("scheme", "scheme"),
        Column("K", "K", "int"),
        Column("n", "samples", "int"),
        Column("w2", "W2 to held-out", ".2f", "plug-in, pixel units"),
        Column("perfect", "of exact draws", ".2f", "the same for fresh smoothed data"),
        Column("floor", "half to half", ".2f", "the same for the data themselves"),
        Column("bound", "bound", ".3g", "Theorem 2', sampler to smoothed data"),
        Column("vacuous", "vacuous"),
        Column("seconds", "seconds", ".3g", "of sampling"),
    )
    table = Table("rows", "Smoothed digits, sampled and compared", columns, csv="smoothed-table.csv")
    return Part(content, (Prose(text), Figures(drawn), table))
