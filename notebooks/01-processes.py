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
# # 1. Forward processes
#
# A forward process $dX=-f X\,dt+g\,dB$ sends data to noise. Everything that a bound needs of it is the
# clock $\lambda=\sigma^2/\alpha^2$: $X_t/\alpha(t)$ has the law of $X_0+\sqrt{\lambda}Z$, whatever $f$ and
# $g$ are ([theory, section 0](../docs/theory.md)).

# %%
# %matplotlib inline
import numpy as np
import pandas as pd

import wbound
from numerics.figures.schedules import clock_figure

# %% [markdown]
# ## The named ones
#
# Eight rows of the published table, `sub-vp`, the optimal clocks and the image schedules. Formulas are
# sympy.

# %%
named = {name: wbound.process(name).expr for name in wbound.CATALOGUE}
columns = ["process", "f", "g", "alpha", "lambda"]
pd.DataFrame([(name, e.f, e.g, e.alpha, e.lam) for name, e in named.items()], columns=columns)

# %% [markdown]
# ## Numbers
#
# Vectorised in float64 and carried in $\log\lambda$: nothing overflows where $\lambda$ itself leaves
# doubles.

# %%
p = wbound.process("vp-linear", a=1.0, b=0.5)
t = np.array([0.5, 1.0, 2.0, 4.0])
pd.DataFrame({"t": t, "alpha": p.alpha(t), "sigma2": p.sigma2(t), "lambda": p.lam(t), "log": p.log_lam(t)})

# %%
assert np.allclose(p.sigma2(t), 1.0 - p.alpha(t) ** 2, rtol=1e-13)  # variance preserving
assert np.allclose(p.lam(t), np.expm1(0.5 * t + 0.5 * t**2), rtol=1e-13)  # lambda = e^B - 1
far = wbound.process("vp-polynomial").log_lam(40.0)
print(f"log lambda(40) of vp-polynomial: {far:.6g}, so lambda has {far / np.log(10):.0f} digits")
assert np.isfinite(far) and far > 10_000

# %% [markdown]
# ## Clocks side by side
#
# The same $\lambda(T)$ for all, against the share $t/T$ of forward time. A uniform grid puts its steps
# where the curve is steep: this is all that tells the processes apart for the sampler `hf`.

# %%
clock_figure([wbound.process(name) for name in wbound.PUBLISHED], log_lam_T=np.log(1e3), variance=1.0).figure

# %%
same = {}
for name in wbound.PUBLISHED:
    q = wbound.process(name)
    T = float(q.time_of(np.log(1e3)))
    assert np.isclose(q.lam(T), 1e3, rtol=1e-9), name
    same[name] = T
pd.Series(same, name="T at which lambda = 1000").to_frame()
