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
# # 2. The bound against the exact error and against samples
#
# Three numbers for one setting: an upper bound, the exact $W_2$, their ratio. For Gaussian data the exact
# law of the sampler's output is a recursion ([theory, section 3](../docs/theory.md)); samples come last,
# because the plug-in $W_2$ of samples is biased upward.

# %%
# %matplotlib inline
import math

import numpy as np
import pandas as pd

import wbound
from numerics import Gaussian, exact_w2, sample, transport, verify
from numerics.figures.curves import bound_figure
from numerics.studies.curves import bound_curve

p = wbound.process("ve-exponential", a=1.0, b=0.5)
data = Gaussian(np.zeros(3), 2.0 * np.eye(3))

# %% [markdown]
# ## One setting

# %%
sharp = wbound.w2_bound(p, data, T=5.0, K=50, scheme="em", theorem="sharp")
published = wbound.w2_bound(p, data, T=5.0, K=50, scheme="em", theorem="published", M1="exact")
exact = exact_w2(p, data, T=5.0, K=50, scheme="em")
pd.DataFrame(
    {
        "W2": [published.total, sharp.total, exact],
        "start": [published.initialisation, sharp.initialisation, None],
        "discretisation": [published.discretisation, sharp.discretisation, None],
        "ratio to exact": [published.total / exact, sharp.total / exact, 1.0],
    },
    index=["Theorem 1", "Theorem 2", "exact"],
)

# %%
assert exact <= sharp.total <= published.total
assert math.isclose(exact, 0.091872, abs_tol=1e-6) and math.isclose(sharp.total, 0.109005, abs_tol=1e-6)

# %% [markdown]
# An outside figure, from an independent implementation: $d=10$, data $N(1, I/2)$, $\beta=0.1+19.9t$ on unit
# time.

# %%
linear = wbound.process("vp-linear", a=19.9, b=0.1)
ten = Gaussian(np.ones(10), 0.5 * np.eye(10))
ours = [exact_w2(linear, ten, T=1.0, K=K, scheme="ei") for K in (25, 50, 100, 200, 400)]
theirs = [0.17960569, 0.08699929, 0.04281179, 0.02123526, 0.01057524]
assert np.allclose(ours, theirs, atol=1e-8)
ours

# %% [markdown]
# ## Against the number of steps
#
# The exact error and Theorem 2 fall as $1/K$ until the start's error is all that is left; Theorem 1 falls
# as $1/\sqrt K$. The band is the bracket of samples.

# %%
curve = bound_curve(p, data, np.geomspace(10, 10_000, 10).round(), scheme="hf", M1="exact", n=500)
bound_figure(curve, title="ve-exponential, data N(0, 2 I), d = 3").figure

# %%
law, second, first = (curve.line(key) for key in ("exact", "theorem_2", "theorem_1"))
band = curve.line("samples")
assert (second.values >= law.values).all()
finite = np.isfinite(first.values)
assert (first.values[finite] >= law.values[finite]).all()  # variance exploding: em and hf are one sampler
assert (band.low <= law.values).all() and (law.values <= band.high).all()
pd.DataFrame(curve.columns())

# %% [markdown]
# ## Samples, and why they come last
#
# Two samples of one and the same law are far apart in $W_2$. So the plug-in value refutes nothing; the
# bracket `.low` to `.high` may.

# %%
rng = np.random.default_rng(0)
noise = transport.empirical_w2(rng.normal(size=(800, 10)), rng.normal(size=(800, 10)))
print(f"N(0, I) twice, n = 800, d = 10: plug-in {noise.w2:.2f}, bracket {noise.low:.2f} to {noise.high:.2f}")
assert noise.w2 > 1.5 and noise.low <= 0.0 + 1e-12

# %%
y = sample(p, data, T=5.0, K=50, n=200_000, scheme="em", seed=0)
found = transport.gaussian_w2(y.mean(axis=0), np.cov(y.T), data.mean, 2.0 * np.eye(3))
print(f"W2 of the fitted Gaussians {found:.4f}, exact {exact:.4f}")
assert abs(found - exact) < 0.02 and y.shape == (200_000, 3)

# %% [markdown]
# `verify` takes the strongest evidence that there is and says which.

# %%
verdict = verify(p, data, T=5.0, K=50, scheme="em", theorem="sharp", n=500)
print(verdict.verdict, "by the", verdict.evidence, "- bound / exact =", round(verdict.ratio, 4))
assert verdict.verdict == "holds" and verdict.evidence == "exact law" and verdict.consistent
assert math.isclose(verdict.exact, exact, rel_tol=1e-9)
