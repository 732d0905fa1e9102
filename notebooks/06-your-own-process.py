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
# # 6. Your own process
#
# Two expressions in $t$ are a process: text through a parser that evaluates nothing, or sympy. All that the
# named ones have, yours has.

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
import sympy as sp

import wbound
from numerics import Gaussian, exact_w2, sample
from numerics.figures.curves import bound_figure
from numerics.schedules.doctor import check_expressions
from numerics.studies.curves import bound_curve

# %%
p = wbound.Process(f="0", g="(1 + a*t)**3", a=1.0)
t = np.array([0.5, 1.0, 2.0])
assert np.allclose(p.lam(t), ((1 + t) ** 7 - 1) / 7, rtol=1e-11)  # by quadrature; here we know it
p.expr.g

# %% [markdown]
# ## Is it consistent?
#
# The doctor compares what is claimed of $\alpha$ and of the marginal's standard deviation with $f$ and $g$.

# %%
values = {"c": 0.01, "q": 8.517}
wrong = check_expressions("0", "c*q*exp(q*t)", marginal_std="c*exp(q*t)", parameters=values)
good = check_expressions("0", "c*exp(q*t)*sqrt(2*q)", marginal_std="c*exp(q*t)", parameters=values)
assert not wrong.consistent and good.consistent
pd.DataFrame([vars(f) for f in wrong.findings])[["name", "ok", "level", "detail"]]

# %% [markdown]
# ## Bounds, exact error, steps

# %%
data = Gaussian(np.zeros(3), 2.0 * np.eye(3))
facts = wbound.LogConcave(d=3, m0=0.5, L0=0.5, second_moment=6.0, mean_norm=0.0)
curve = bound_curve(p, data, np.geomspace(10, 3000, 8).round(), scheme="hf", M1="exact")
bound_figure(curve, title="g = (1+t)^3, data N(0, 2 I), d = 3").figure

# %%
assert (curve.line("theorem_2").values >= curve.line("exact").values).all()
need = wbound.iterations(p, facts, eps=0.1, scheme="hf")
exact = exact_w2(p, data, T=need.T, K=need.K, scheme="hf")
print(f"K = {need.K} at T = {need.T:.3f}: exact W2 there {exact:.4f}")
assert exact <= 0.1

# %% [markdown]
# ## Orders
#
# From the two expressions alone; $x=\sqrt d/\varepsilon$.

# %%
first, second = (wbound.orders(p, theorem=name) for name in ("published", "sharp"))
print(first.text)
print(second.text)
powers = {str(base): power for base, power in second.K.as_powers_dict().items()}
assert powers["d"] == sp.Rational(4, 7) and powers["epsilon"] == -sp.Rational(8, 7)

# %% [markdown]
# A clock that stops short cannot reach every $\varepsilon$, and says so.

# %%
dying = wbound.Process(f="0", g="exp(-t)")
try:
    wbound.iterations(dying, facts, eps=0.1, scheme="hf")
except wbound.Unreachable as floor:
    print(floor)
else:
    raise AssertionError("lambda stays below 1/2")

# %% [markdown]
# ## Run it

# %%
y = sample(p, data, T=need.T, K=need.K, n=50_000, scheme="hf", seed=0)
print("standard deviations", y.std(axis=0).round(3), "of", round(2**0.5, 3))
assert y.shape == (50_000, 3) and np.allclose(y.std(axis=0), 2**0.5, atol=0.1)

# %% [markdown]
# Text is never executed: anything but arithmetic in `t` and the parameters is refused.

# %%
for text in ("__import__('os').getcwd()", "t.real", "open('x')"):
    try:
        wbound.Process(f="0", g=text)
    except wbound.BadInput as refused:
        print(refused)
    else:
        raise AssertionError(text)
