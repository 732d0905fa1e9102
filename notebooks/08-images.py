# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Images: the same processes with a network
#
# Needs the extra `cifar10`. Everything here runs on a laptop's CPU with scikit-learn's digits; with CIFAR-10 and a
# GPU the calls are the same. A short training is enough to see how theory and networks rank the eight processes,
# and how far a bound is from a network's samples; it is too short for beautiful digits.

# %%
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from numerics import exact_w2
from numerics.cifar10.comparison import Sweep, theory_of
from numerics.cifar10.comparison_runs import snapshots_of
from numerics.cifar10.evaluation import Reference
from numerics.cifar10.gaussian_images import gaussian_of
from numerics.cifar10.images import load_images, to_png
from numerics.cifar10.network_error import final_law, score_error
from numerics.cifar10.processes import NAMES, image_process
from numerics.cifar10.runs import Run, load_run, make_config
from numerics.cifar10.sampling import sample_images, start_of
from numerics.cifar10.training import train
from numerics.transport.samples import gaussian_w2

torch.set_num_threads(1)
images = load_images("digits")
training, held_out = images.split()
print(f"{len(training)} digits to train on, {len(held_out)} held out, {images.size} x {images.size} pixels")

# %% [markdown]
# ## The theory's side, before any training
#
# The Gaussian with the digits' mean and covariance $+\tau^2 I$: what Theorem 2 asks for, and the exact $W_2$ of
# Euler–Maruyama with the exact score.

# %%
law = gaussian_of(training, tau=0.1)
sweep = Sweep(steps=(10, 30, 100), at=30)
theory = [theory_of(image_process(name), law, sweep) for name in NAMES]
frame = pd.DataFrame(
    {"K of Theorem 2": t.K, **{f"exact W2, K = {K}": t.exact[K] for K in sweep.steps}} for t in theory
)
frame.index = pd.Index(NAMES)
assert frame["exact W2, K = 30"].idxmax() == "ve-v1"
frame.sort_values("exact W2, K = 30").round(3)

# %% [markdown]
# ## The exact score as a network
#
# The sampler of images is the sampler of the theory: with the exact score it gives the exact law.

# %%
process, K, n = image_process("ve-v3"), 30, 1000
x = sample_images(law.exact_score(process), process, law.shape, K, "em", range(n)).flatten(1).double().numpy()
end = final_law(process, law)
along = x @ law.axes
sampled = gaussian_w2(along.mean(axis=0), along.var(axis=0), end.mean, end.eigenvalues)
exact = exact_w2(process.process, end, T=1.0, K=K, scheme="em", start=start_of(process))
print(f"W2 of {n} samples' variances and means: {sampled:.3f}; exact: {exact:.3f}")
assert abs(sampled - exact) < 0.1 * exact

# %% [markdown]
# ## Train, sample, judge
#
# 150 steps of the smallest network, a few seconds. A run directory holds the configuration, the metrics and the
# checkpoints; the first snapshot is the network as it was made.

# %%
folder = Path(tempfile.mkdtemp())
config = make_config("vp-v2", "digits", "smoke", steps=150)
outcome = train(folder / "digits", config, device="cpu", progress=False)
print(f"loss {outcome.loss:.4f} after {outcome.step} steps, {outcome.images_per_second:.0f} images/s")

# %%
reference = Reference.of(training.floats(), held_out.floats())
vp = config.image_process()
snapshots = snapshots_of(Run(folder / "digits"))
drawn = [sample_images(s.score, vp, images.shape, 50, "hf", range(100)) for s in snapshots]
sliced = [reference.quality(x, bracket=False).spaces["pixel"].sliced for x in drawn]
floor = reference.floor(100, bracket=False).spaces["pixel"].sliced
print(f"sliced W2: untrained {sliced[0]:.3g}, trained {sliced[-1]:.3g}; real images {floor:.3g}")
assert sliced[-1] < 0.5 * sliced[0]
Image.open(io.BytesIO(to_png(drawn[-1][:40], columns=10)))

# %% [markdown]
# ## From theory to network and back
#
# A network trained on the Gaussian images, whose score is known: $M$ of A3 along its own sampler, and Theorem 2
# with its three terms beside the samples.

# %%
config = make_config("vp-original", "digits", "smoke", steps=150, gaussian_tau=0.1)
outcome = train(folder / "gaussian", config, device="cpu", progress=False)
assert outcome.optimum is not None and outcome.loss > 0.9 * outcome.optimum
print(f"loss {outcome.loss:.4f}, the least possible is {outcome.optimum:.4f}")
found = score_error(
    load_run(folder / "gaussian").score, image_process("vp-original"), law, 100, "hf", range(200)
)
pd.Series(
    {
        "initialisation": found.initialisation,
        "discretisation": found.discretisation,
        "score": found.score,
        "total (upper)": found.total,
        "W2 of the samples, at least": found.sampled.low,
        "at most": found.sampled.high,
        "exact score, exact": found.exact,
    }
).round(3)

# %%
assert found.verdict != "refuted" and found.exact < found.total
pd.Series(found.M_k, np.round(found.t, 2), name="M").iloc[::11].round(3)
