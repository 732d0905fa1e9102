"""What the chooser writes, run in float32 in the order of operations of k-diffusion, and taken by diffusers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.recorders.scheduler_nodes import training_log_lam
from numerics.schedules.candidates import Candidate
from numerics.schedules.choice import _facts, choose
from numerics.schedules.row_levels import Task
from numerics.schedules.schedule_formats import from_array, nearest, start_std, to_array
from numerics.targets import datasets
from numerics.targets.datasets import Dataset
from wbound import process
from wbound.data.gaussian import Gaussian
from wbound.design.largest_level import LEAST_GAIN, float32_holds
from wbound.design.placed_numerically import numerical_grid
from wbound.errors import BadInput
from wbound.exact.clock_law import Spectrum, clock_w2
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.placement import PLACEMENTS

N = 10_000
TRAINED = {"_class_name": "DDPMScheduler", "num_train_timesteps": 1000}


def run(sigmas: Any, data: Gaussian, scheme: str, seed: int, dtype: Any = np.float32) -> Any:
    """Samples (N, d) of k-diffusion's sample_euler (ddim) or sample_euler_ancestral (ddpm) in float32, with the exact
    denoiser of the Gaussian in its principal axes. The normal draws do not depend on the type."""
    rng = np.random.default_rng(seed)
    levels = np.asarray(sigmas, dtype)
    s, mean = data.eigenvalues.astype(dtype), data.coordinates.astype(dtype)
    x = rng.standard_normal((N, data.d), np.float32).astype(dtype) * levels[0]
    for sigma, following in zip(levels[:-1], levels[1:], strict=True):
        denoised = mean + s / (s + sigma * sigma) * (x - mean)
        d = (x - denoised) / sigma
        up = dtype(0.0)
        if scheme == "ddpm":
            up = following * np.sqrt((sigma * sigma - following * following) / (sigma * sigma))
        down = np.sqrt(following * following - up * up)
        x = x + d * (down - sigma)
        if up > 0.0:
            x = x + rng.standard_normal(x.shape, np.float32).astype(dtype) * up
        assert x.dtype == dtype
    return x.astype(float)


def apart(x: Any, data: Gaussian) -> float:
    """W2 of the sample's moments in the data's axes."""
    off, m = x.std(axis=0) - np.sqrt(data.eigenvalues), x.mean(axis=0) - data.coordinates
    return math.sqrt(float((off**2 + m**2).sum()))


def agrees(x: Any, data: Gaussian, w2: float) -> bool:
    """Whether the sample's moments give this W2, to five of their standard errors."""
    m, v = x.mean(axis=0) - data.coordinates, x.var(axis=0)
    off, n = np.sqrt(v) - np.sqrt(data.eigenvalues), float(x.shape[0])
    square = float((off**2 + m**2 - 1.5 * v / n).sum())
    error = (4.0 * off**2 * v / (2.0 * n) + 4.0 * m**2 * v / n + 2.5 * (v / n) ** 2).sum()
    return bool(abs(square - w2**2) <= 5.0 * math.sqrt(float(error)) + 1e-3 * w2**2)


@pytest.mark.parametrize("scheme", ["ddim", "ddpm"])
def test_the_written_file_gives_the_number_shown(wb: Any, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "s.npy"
    out = wb.ask(
        "choose", "--data", "digits", "--steps", "20", "--scheme", scheme, "--as", "sigmas", "-o", path
    )
    data, sigmas = datasets.digits().gaussian, np.load(path)
    assert sigmas[0] == pytest.approx(out["file"]["start_std"]) and out["file"]["w2"] == out["best"]["w2"]
    assert out["best"]["limit"] == "gain" and out["best"]["last_decade"] > LEAST_GAIN
    x = run(sigmas, data, scheme, 0)
    assert agrees(x, data, out["file"]["w2"])
    assert not agrees(x, data, 1.2 * out["file"]["w2"])
    assert apart(x, data) == pytest.approx(apart(run(sigmas, data, scheme, 0, np.float64), data), rel=1e-3)
    # a first level of 1.1e18, where the search ended once: float32 loses everything
    far = np.concatenate(([1.1e18], sigmas[1:]))
    assert not agrees(run(far, data, scheme, 0), data, out["file"]["w2"])


def some_data(seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    scale, d = 10.0 ** rng.uniform(-2, 2), int(rng.integers(1, 6))
    x = rng.standard_normal((50, d)) * 10.0 ** rng.uniform(-1.0, 0.5, d) + rng.choice([0.0, 3.0, 30.0])
    return datasets.from_samples(scale * x)


@pytest.mark.parametrize("seed", range(12))
def test_rows_at_random_run_in_float32(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    data, K = some_data(seed), int(rng.choice([1, 2, 4, 12, 40]))
    scheme = str(rng.choice(["ddim", "ddpm"]))
    rows = choose(data, K, scheme=scheme, processes=["vp-linear", "ve-exponential"]).rows
    for row in [rows[0], rows[int(rng.integers(1, len(rows)))]]:
        assert float32_holds(row.log_lam, 2.0 * math.log(data.scale))
        x = run(to_array(row.schedule, "sigmas"), data.gaussian, scheme, seed)
        assert agrees(x, data.gaussian, row.w2), row
        held = apart(
            run(to_array(row.schedule, "sigmas"), data.gaussian, scheme, seed, np.float64), data.gaussian
        )
        assert apart(x, data.gaussian) == pytest.approx(held, rel=1e-3), row


def test_nothing_further_gains_a_percent() -> None:
    data = datasets.digits()
    found = choose(data, 20, scheme="ddim")
    rows = {(row.process, row.grid): row for row in found.rows}
    for grid in ("optimal", "cosine", "gaussian"):
        row = rows["any", grid]
        assert row.limit == "gain" and row.sigma_max < 1e5
        known = _facts(data)[0] if grid == "optimal" else data.gaussian
        spectrum = Spectrum.of(data.gaussian)

        def error(sigma: float, grid: str = grid, known: Any = known, spectrum: Spectrum = spectrum) -> float:
            return clock_w2(spectrum, PLACEMENTS[grid](2.0 * math.log(sigma), 20, known), "ddim").robust

        more = [error(row.sigma_max * 10.0**k) for k in np.linspace(0.1, 4.0, 20)]
        assert min(more) >= row.error * (1.0 - LEAST_GAIN) * (1.0 - 1e-4)
        assert min(more) <= row.error * (1.0 - 0.9 * LEAST_GAIN)
        assert row.last_decade == pytest.approx(1.0 - row.error / error(0.1 * row.sigma_max), rel=1e-9)
    numerical = found.best
    more = [
        numerical_grid(
            data.gaussian, 20, (numerical.sigma_max * s) ** 2, objective="exact", scheme="ddim", start="prior"
        ).value
        for s in (3.0, 10.0, 1e3)
    ]
    assert min(more) >= numerical.error * (1.0 - 1.01 * LEAST_GAIN)


def test_a_row_that_would_always_gain_ends_where_float32_does() -> None:
    """One step of ddim on a mean 1e9 standard deviations away: the error falls with σ_max all the way."""
    data = Gaussian(np.array([1e9]), 1.0)
    task = Task(Spectrum.of(data), "ddim", 0.0)
    row = Candidate("any", "one", lambda u, K: (np.array([u, -np.inf]), None, math.nan))
    level = task.best(row, 1)
    assert level.limit == "float32"
    assert math.exp(0.5 * level.log_lam) == pytest.approx(1e-3 * 2**24, rel=0.05)
    assert float32_holds(np.array([level.log_lam, -np.inf]), 0.0)


# ---------------------------------------------------------------------- the start, and the forms of a row


def test_the_start_is_named(wb: Any, tmp_path: Path) -> None:
    common = ["choose", "--data", "4,1", "--steps", "6", "--process", "vp-linear"]
    for suffix in (".json", ".npz"):
        for form in ("betas", "alphas_cumprod", "sigmas"):
            path = tmp_path / f"s{suffix}"
            out = wb.ask(*common, "--as", form, "-o", path)
            lam = out["best"]["lam"][0]
            std = math.sqrt(lam) if form == "sigmas" else math.sqrt(lam / (1.0 + lam))
            assert out["file"]["start_std"] == pytest.approx(std, rel=1e-12)
            held = json.loads(path.read_text("utf-8")) if suffix == ".json" else np.load(path)
            assert float(held["start_std"]) == pytest.approx(std, rel=1e-12)
            # ᾱ of the first level is in the file: the start is what is left of 1
            if form == "alphas_cumprod":
                assert 1.0 - float(np.min(held["alphas_cumprod"])) == pytest.approx(std**2, rel=1e-9)
    code, text, _ = wb(*common, "--as", "betas", "-o", tmp_path / "b.npy")
    assert code == 0 and "From x ~ N(0, s² I), s = 0.9" in text
    p, T = process("sub-vp"), 2.0
    made = nearest(from_array([3.0, 1.0], "sigmas"), np.log(np.array([0.5, 1.0, 9.0])))
    assert start_std(made, "timesteps") == pytest.approx(math.sqrt(0.9))
    times = from_array([T, 1.0, 0.0], "times", process=p)
    assert start_std(times, "times") == pytest.approx(math.sqrt(float(p.sigma2(T))), rel=1e-12)


def test_a_form_that_means_another_sampler_is_refused(wb: Any, tmp_path: Path) -> None:
    """em sees α: betas of a row on VE would be run on VP."""
    common = ["choose", "--data", "4,1", "--steps", "6", "--scheme", "em", "--grid", "edm"]
    common += ["-o", str(tmp_path / "x.npy")]
    assert "write sigmas" in wb.refused(*common, "--process", "ve-constant", "--as", "betas")
    assert "write betas" in wb.refused(*common, "--process", "vp-linear", "--as", "sigmas")
    assert "write times" in wb.refused(*common, "--process", "sub-vp", "--as", "betas")
    out = wb.ask(*common, "--process", "vp-linear", "--as", "betas")
    data = datasets.from_spectrum([4.0, 1.0]).gaussian
    made = from_array(np.load(tmp_path / "x.npy"), "betas")
    w2 = exact_w2(made.process, data, scheme="em", start="prior", grid=made.grid)
    assert out["file"]["w2"] == pytest.approx(w2, rel=1e-9)


# ---------------------------------------------------------------------- timesteps


def test_timesteps_are_the_nearest_of_the_training() -> None:
    pytest.importorskip("diffusers")
    training, notes = training_log_lam(TRAINED)
    assert training.size == 1000 and not notes
    rng = np.random.default_rng(0)
    for _ in range(200):
        K = int(rng.integers(1, 60))
        wanted = np.sort(rng.uniform(training[0] - 3.0, training[-1] + 3.0, K))[::-1]
        made = nearest(from_array(np.exp(0.5 * wanted), "sigmas"), training)
        index = to_array(made, "timesteps", training=training)
        assert index.dtype.kind == "i" and index.shape == (K,)
        assert (np.diff(index) < 0).all() and index[-1] >= 0 and index[0] <= 999
        assert (from_array(index, "timesteps", training=training).log_lam == made.log_lam).all()
        alone = np.abs(training[:, None] - wanted).argmin(axis=0)
        if (np.diff(alone) < 0).all():
            assert (index == alone).all()
    every = nearest(from_array(np.exp(0.5 * training), "sigmas"), training)
    assert (to_array(every, "timesteps", training=training) == np.arange(999, -1, -1)).all()
    with pytest.raises(BadInput, match="at most the 1000 steps"):
        nearest(from_array(np.geomspace(1.0, 100.0, 1001), "sigmas"), training)
    with pytest.raises(BadInput, match="take `nearest`"):
        to_array(from_array([3.0, 1.0], "sigmas"), "timesteps", training=training)
    for wrong in ([5.5, 2.0], [1000.0, 2.0], [3.0, -1.0]):
        with pytest.raises(BadInput, match="must be whole, 0 … 999"):
            from_array(wrong, "timesteps", training=training)


def test_timesteps_need_a_training(wb: Any, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    out, config = str(tmp_path / "t.npy"), tmp_path / "scheduler_config.json"
    choosing = ["choose", "--data", "1,0.5", "--steps", "10", "--process", "ou", "--as", "timesteps"]
    choosing += ["-o", out]
    for command in (
        choosing,
        ["schedule", "--process", "vp-linear", "--T", "4", "--K", "5", "--as", "timesteps"],
    ):
        said = wb.refused(*command)
        assert "indices of steps of training" in said and "--diffusers" in said
    config.write_text(json.dumps(TRAINED))
    got = wb.ask(*choosing, "--diffusers", config)
    assert all(row["kind"] != "given" for row in got["rows"])  # the training is no schedule to be ranked
    index = np.load(out)
    assert index.dtype.kind == "i" and index.size == 10
    made = from_array(index, "timesteps", training=training_log_lam(TRAINED)[0])
    data = datasets.from_spectrum([1.0, 0.5]).gaussian
    assert got["file"]["w2"] == pytest.approx(
        exact_w2(made.process, data, scheme="ddim", start="prior", grid=made.grid), rel=1e-12
    )
    betas = tmp_path / "betas.npy"
    np.save(betas, np.linspace(1e-4, 0.02, 1000))
    wb.ask(*choosing, "--betas", betas)
    assert (np.load(out) == index).all()
    shown = wb.ask("schedule", "--data", "1,0.5", "--K", "10", "--diffusers", config, "--as", "timesteps")
    assert shown["values"] == index.tolist()  # the optimised nodes are best, with any process
    for change in (
        {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True},
        {"rescale_betas_zero_snr": True},
        {"_class_name": "EDMEulerScheduler"},
    ):
        config.write_text(json.dumps(TRAINED | change))
        wb.refused(*choosing, "--diffusers", config)
    config.write_text(json.dumps(TRAINED | {"_class_name": "DDIMScheduler"}))
    said = wb.ask(*choosing, "--diffusers", config)["file"]["notes"]
    assert any("takes no timesteps" in note for note in said)


#: What diffusers 0.42.1 does with set_timesteps(timesteps=[999, 700, 333, 41, 0]): the levels of `sigmas`, or for
#: DDPM, which has none, of alphas_cumprod there; None where the argument is refused.
SEEN = [
    14.614646911621094,
    3.3343896865844727,
    0.9323583841323853,
    0.20179356634616852,
    0.02916753478348255,
    0.0,
]
CLASSES = {
    "DDPM": SEEN, "DPMSolverMultistep": SEEN, "DPMSolverSinglestep": SEEN, "EulerDiscrete": SEEN, "HeunDiscrete": SEEN,
    "DDIM": None, "UniPCMultistep": None, "PNDM": None, "EulerAncestralDiscrete": None, "LMSDiscrete": None,
    "KDPM2Discrete": None,
}  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_diffusers_takes_the_timesteps(kind: str) -> None:
    pytest.importorskip("diffusers")
    config = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    training, notes = training_log_lam({"_class_name": f"{kind}Scheduler", **config})
    assert bool(notes) == (CLASSES[kind] is None)
    made = from_array([999, 700, 333, 41, 0], "timesteps", training=training)
    assert np.sqrt(made.lam) == pytest.approx(SEEN, rel=3e-5)  # their betas are float32
