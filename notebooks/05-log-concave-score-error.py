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
# # 5. Log-concave data, and a score that is not exact
#
# The theorems are about every strongly log-concave law. For a product of laws on the line the sampler's
# output law is propagated by quadrature: an exact referee without sampling noise ([theory, section
# 10](../docs/theory.md)).

# %%
# %matplotlib inline
import numpy as np
import pandas as pd

import wbound
from numerics import LogCosh, ProductTarget, SymmetricMixture, law1d_w2, sample, verify
from numerics.figures.curves import bound_figure
from numerics.studies.curves import bound_curve

p = wbound.process("vp-linear")

# %% [markdown]
# ## Targets
#
# They know their own $m_0$, $L_0$ and moments; for a density of yours these are proved by interval
# arithmetic.

# %%
mixture = SymmetricMixture(0.8, 1.0)
cosh = LogCosh(2, 0.5, 2.0)
mine = ProductTarget("-x**2/2 - log(1 + exp(a*x))", 2, parameters={"a": 1.0})
targets = {"mixture": mixture, "log-cosh": cosh, "your own": mine}
columns = ["target", "d", "m0", "L0", "E|X_0|^2"]
pd.DataFrame([(name, t.d, t.m0, t.L0, t.second_moment) for name, t in targets.items()], columns=columns)

# %%
assert np.isclose(mixture.m0, 0.36) and np.isclose(mixture.L0, 1.0)
assert np.isclose(mine.m0, 1.0) and np.isclose(mine.L0, 1.25, rtol=1e-3)

# %% [markdown]
# Two peaks that are too far apart are outside A1: the name of the assumption and the numbers, instead of a
# bound.

# %%
try:
    SymmetricMixture(1.2, 1.0)
except wbound.HypothesisFailed as refused:
    print(refused)
    assert "A1" in str(refused)
else:
    raise AssertionError("A1 was not checked")

# %% [markdown]
# ## Bound beside referee

# %%
rows = []
for name, target in targets.items():
    value = law1d_w2(p, target, T=4.0, K=60, scheme="hf")
    total = wbound.w2_bound(p, target, T=4.0, K=60, scheme="hf").total
    rows.append((name, value.w2, value.error, total, total / value.w2))
    assert total >= value.w2 + value.error, name
assert abs(rows[0][1] - 0.051) < 0.002
pd.DataFrame(rows, columns=["target", "exact W2", "its error", "Theorem 2", "ratio"])

# %%
curve = bound_curve(p, mixture, np.geomspace(10, 2000, 7).round(), scheme="hf", M1="exact", n=20_000)
bound_figure(curve, title="vp-linear, symmetric mixture").figure

# %%
assert (curve.line("theorem_2").values >= curve.line("exact").values).all()

# %% [markdown]
# ## Score error
#
# A bias of size $M$ stays whatever $K$ is; noise of size $V$ fades as $K$ grows. The sampler injects errors
# of exactly that size.

# %%
steps = [50, 200, 800]
bias = [wbound.w2_bound(p, mixture, T=4.0, K=K, scheme="hf", score_bias=0.2) for K in steps]
noise = [wbound.w2_bound(p, mixture, T=4.0, K=K, scheme="hf", score_noise=0.2) for K in steps]
none = [wbound.w2_bound(p, mixture, T=4.0, K=K, scheme="hf") for K in steps]
shares = pd.DataFrame(
    {
        "no error": [b.total for b in none],
        "bias M = 0.2": [b.total for b in bias],
        "noise V = 0.2": [b.total for b in noise],
    },
    index=pd.Index(steps, name="K"),
)
shares

# %%
extra_bias = shares["bias M = 0.2"] - shares["no error"]
extra_noise = shares["noise V = 0.2"] - shares["no error"]
assert extra_bias.iloc[-1] > 0.5 * extra_bias.iloc[0]
assert extra_noise.iloc[-1] < 0.5 * extra_noise.iloc[0]

# %%
exact_score = sample(p, mixture, T=4.0, K=200, n=100_000, scheme="hf", seed=1)
biased = sample(p, mixture, T=4.0, K=200, n=100_000, scheme="hf", seed=1, score_bias=0.2)
moved = float((biased - exact_score).mean())
print(f"the bias moves the mean by {moved:.4f}; the bound allows {bias[1].score:.4f}")
assert 0.0 < abs(moved) <= bias[1].score

# %%
verdict = verify(p, mixture, T=4.0, K=200, scheme="hf", score_bias=0.2, n=20_000)
print(verdict.verdict, "by", verdict.evidence, "-", verdict.reason)
assert verdict.verdict != "refuted"

# %% [markdown]
# How accurate must a score be? `score_tolerance` is the largest $M$ that leaves $\varepsilon$ in reach.

# %%
M = wbound.score_tolerance(p, mixture, eps=0.1, scheme="hf")
print(f"M* = {M:.4f}: below it some K reaches 0.1")
assert wbound.iterations(p, mixture, eps=0.1, scheme="hf", score_bias=0.9 * M).K > 1
try:
    wbound.iterations(p, mixture, eps=0.1, scheme="hf", score_bias=1.1 * M)
except wbound.Unreachable as floor:
    print(floor)
else:
    raise AssertionError("0.1 is below the floor")
