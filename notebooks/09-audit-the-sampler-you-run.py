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
# # 9. Audit the sampler that you run
#
# A sampler that only scales, adds and draws noise is known by a few arrays, its tape. Recorded once, it has an exact $W_2$
# on the Gaussian with your data's mean and covariance: no network, no sampling error. What your data are beyond two moments,
# and what a network gets wrong, is not in it.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import wbound
from numerics.recorders.audited import audit_tape
from numerics.targets import datasets
from wbound import Tape, tape_law

# %%
digits = datasets.digits()
spectrum = digits.gaussian.eigenvalues
print(f"{digits.n} images, d = {digits.d}, scale {digits.spread:.3f}")

# %% [markdown]
# ## Samplers at 15 calls on one set of levels
#
# `wbound.MULTISTEP` has the multistep samplers that people run; `wbound.tape_of` gives the tape of every scheme here, and
# `numerics.record` that of a scheduler of diffusers, of a function in the style of k-diffusion, or of your own.

# %%
levels = np.append(np.geomspace(300.0, 0.05, 15) ** 2, 0.0)
tapes = {name: wbound.MULTISTEP[name].tape(levels) for name in ("dpmpp-2m", "ab2", "deis2", "unipc")}
p = wbound.process("ve-constant")
setting = wbound.setting(p, digits.gaussian, scheme="ddim", grid=wbound.Grid.from_lam(levels))
tapes["ddim"] = wbound.tape_of(setting)
found = {name: audit_tape(tape, digits, "prior").rows[0] for name, tape in tapes.items()}
for name, row in sorted(found.items(), key=lambda item: item[1].parts.w2):
    parts = row.parts
    print(
        f"{name:9} W2 {parts.w2:7.4f}: start {parts.start:.3f}, steps {parts.steps:.3f}, last jump {parts.last_jump:.3f}"
    )
assert all(row.calls == 15 for row in found.values())
assert found["dpmpp-2m"].parts.w2 < found["ddim"].parts.w2

# %%
tapes["dpmpp-2m"]

# %% [markdown]
# ## In which directions is it wrong?

# %%
law = {name: tape_law(tapes[name], spectrum, start="prior") for name in ("ddim", "dpmpp-2m")}
figure, axes = plt.subplots(figsize=(6, 3.2))
for name, mark in (("ddim", "o"), ("dpmpp-2m", "^")):
    by = np.sqrt(law[name].by_direction(digits.gaussian.coordinates))
    axes.loglog(spectrum[spectrum > 0], by[spectrum > 0], mark, label=name, fillstyle="none")
axes.set(title="digits, 15 calls from the prior", xlabel="variance of the direction", ylabel="its W2")
axes.legend(title="sampler")
for name in law:
    whole = law[name].w2(digits.gaussian.coordinates)
    assert abs(whole - found[name].parts.w2) < 1e-9 * whole

# %% [markdown]
# ## Keep it, and look at it in the report's explorer
#
# The explorer of `report/index.html` takes this file and your data's `.npy`, and shows the same numbers; so does
# `wbound audit --tape mine.json --data samples.npy`.

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "mine.json")
    tapes["dpmpp-2m"].save(file)
    again = Tape.load(file)
assert audit_tape(again, digits, "prior").rows[0].parts.w2 == found["dpmpp-2m"].parts.w2
print(again.K, "calls;", again.J, "noises")
