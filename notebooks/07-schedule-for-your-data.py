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
# # 7. A schedule for your data
#
# Which process, which grid and how many steps, judged by the exact $W_2$ of the Gaussian with your data's
# mean and covariance. It ranks schedules; it guarantees nothing about samples of data that are not
# Gaussian.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from numerics import exact_w2
from numerics.figures.schedules import ranking_figure
from numerics.schedules import schedule_formats
from numerics.schedules.choice import choose
from numerics.schedules.doctor import check_schedule
from numerics.targets import datasets

# %%
digits = datasets.digits()
print(f"{digits.n} images, d = {digits.d}, rank {digits.rank}, ||X_0 - E X_0|| = {digits.spread:.2f}")
assert (digits.n, digits.d, digits.rank) == (1797, 64, 61)

# %% [markdown]
# ## Twenty steps

# %%
ranking = choose(digits, 20, scheme="hf")
ranking_figure(ranking, top=12).figure

# %%
shown = ["rank", "process", "grid", "kind", "error", "w2", "factor", "sigma_max"]
frame = pd.DataFrame([row.to_dict() for row in ranking.rows])[shown]
assert ranking.best.kind == "numerical" and (np.diff(frame["error"]) >= 0).all()
assert ranking.best.error < ranking.best_named.error
frame.head(10)

# %%
for said in ranking.limits:
    print("-", said)

# %% [markdown]
# ## Your own schedule beside them
#
# Noise levels, betas, products of $1-\beta$; here the usual linear betas, thinned to 20 steps.

# %%
full = schedule_formats.from_array(np.linspace(1e-4, 0.02, 1000), "betas")
own = schedule_formats.from_array(np.sqrt(full.lam[:-1:50]), "sigmas", name="linear betas, every 50th")
print(check_schedule(own, data=digits.gaussian).consistent, own.K, "steps,", *own.notes)
kept = {"processes": ["vp-linear"], "grids": ["uniform", "edm", "optimal"]}
beside = choose(digits, own.K, scheme="hf", schedules=[own], **kept)
mine = next(row for row in beside.rows if row.kind == "given")
print(f"rank {mine.rank} of {len(beside.rows)}, {mine.factor:.2f} times the best")
assert mine.factor >= 1.0

# %% [markdown]
# ## How many steps for an accuracy

# %%
eps = 0.05 * digits.spread
asked = choose(digits, eps=eps, scheme="hf", processes=["vp-linear", "vp-exponential"], numerical=False)
columns = ["process", "grid", "steps", "error"]
pd.DataFrame([(c.process, c.grid, c.steps, c.error) for c in asked.rows], columns=columns)

# %%
least = min((row for row in asked.rows if row.steps), key=lambda row: row.steps)
assert asked.best.error <= eps and least.steps == asked.steps

# %% [markdown]
# ## Take it with you
#
# The winner in the form that other samplers read, and back: the same $\lambda$ to $10^{-12}$.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = schedule_formats.export(ranking.best.schedule, Path(folder) / "sigmas.npy", "sigmas")
    back = schedule_formats.read(path, "sigmas")
assert np.allclose(back.lam, ranking.best.schedule.lam, rtol=1e-12)
again = exact_w2(back.process, digits.gaussian, scheme="hf", start="prior", grid=back.grid)
assert np.isclose(again, ranking.best.w2, rtol=1e-8)
np.sqrt(back.lam).round(3)
