"""choose, schedule, optimal, clocks, check --claim on the command line: issue's numbers, files, refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.schedules.choice import choose
from numerics.schedules.schedule_formats import read
from numerics.targets import datasets
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2
from wbound.sampler.grid import Grid

FACTS = ["--d", "100", "--m0", "0.5", "--L0", "0.5"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "x.npy"
    np.save(path, np.random.default_rng(1).normal(size=(200, 3)) * [1.0, 2.0, 4.0] + 1.0)
    return path


# ---------------------------------------------------------------------- choose


def test_on_digits_the_numerical_grid_is_at_least_as_good_as_every_named_one(wb: Any) -> None:
    out = wb.ask("choose", "--data", "digits", "--steps", "20")
    rows = out["rows"]
    assert out["best"]["kind"] == "numerical" and all(row["error"] >= out["best"]["error"] for row in rows)
    assert out["gain_over_named"] == pytest.approx(out["best_named"]["error"] / out["best"]["error"])
    assert 1.0 <= out["gain_over_named"] < 1.2
    assert out["data"]["spread"] == pytest.approx(datasets.digits().spread)
    assert any("guarantees nothing" in line for line in out["limits"])
    # the winner's error is the exact law's, through the library's own door
    data = datasets.digits().gaussian
    at = {"scheme": "ddim", "grid": Grid.from_lam(out["best"]["lam"])}
    p = wbound.process("vp-linear")
    assert exact_w2(p, data, start="exact", **at) == pytest.approx(out["best"]["w2_exact_start"], rel=1e-9)
    assert exact_w2(p, data, start="prior", **at) == pytest.approx(out["best"]["w2"], rel=1e-9)


def test_the_text_says_the_scale_the_limits_and_the_factor(wb: Any, samples: Path) -> None:
    code, out, err = wb("choose", "--data", str(samples), "--steps", "8", "--eps-rel", "0.2", "--top", "3")
    assert code == 0 and "ranked" in err
    scale = datasets.load(samples).spread
    assert f"scale ‖X_0 - E X_0‖ = {scale:.6g}" in out and "eps-rel 0.2" in out
    assert "steps for ε" in out and "does not say" in out and "better than the best named" in out
    assert "more: --top" in out


def test_several_schemes_at_once(wb: Any, samples: Path) -> None:
    given = ("choose", "--data", str(samples), "--steps", "6", "--process", "vp-linear", "--grid", "edm")
    got = wb.ask(*given, "--scheme", "hf, ddim,heun")
    assert got["scheme"] == "hf, ddim, heun" and {r["scheme"] for r in got["rows"]} == {"hf", "ddim", "heun"}
    assert {(r["scheme"], r["calls"]) for r in got["rows"]} == {("hf", 6), ("ddim", 6), ("heun", 5)}
    code, out, _ = wb(*given, "--scheme", "hf,heun")
    assert code == 0 and "score calls" in out and "scheme" in out
    assert "scheme = rk4" in wb.refused(*given, "--scheme", "hf,rk4")


def test_ones_own_schedules_and_files(wb: Any, samples: Path, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    np.save(tmp_path / "sigmas.npy", np.geomspace(50.0, 0.05, 10))
    config = {"_class_name": "DDPMScheduler", "num_train_timesteps": 10, "beta_schedule": "linear"}
    (tmp_path / "scheduler_config.json").write_text(json.dumps(config))
    few = ["--process", "vp-linear", "--process", "ve-exponential", "--grid", "uniform", "--grid", "edm"]
    figure, out_file = tmp_path / "ranking.svg", tmp_path / "best.npy"
    out = wb.ask(
        "choose", "--data", str(samples), "--steps", "10", *few, "--betas", "0.1,0.3,0.9",
        "--sigmas", str(tmp_path / "sigmas.npy"), "--diffusers", str(tmp_path / "scheduler_config.json"),
        "--figure", str(figure), "--as", "sigmas", "-o", str(out_file),
    )  # fmt: skip
    given = [row for row in out["rows"] if row["kind"] == "given"]
    assert sorted(row["K"] for row in given) == [3, 10, 10]
    assert figure.read_text("utf-8").startswith("<?xml") and out["written"] == 1
    assert read(out_file, "sigmas").lam == pytest.approx(out["best"]["lam"], rel=1e-12)
    table = tmp_path / "ranking.csv"
    wb.ask("choose", "--data", str(samples), "--steps", "5", *few, "--figure", str(table))
    assert table.read_text("utf-8").startswith("rank,process,grid")
    # another row, another form
    wb.ask(
        "choose",
        "--data",
        str(samples),
        "--steps",
        "5",
        *few,
        "--row",
        "2",
        "--as",
        "betas",
        "-o",
        str(out_file),
    )
    assert read(out_file, "betas").K == 5


def test_a_spectrum_is_data_too(wb: Any, tmp_path: Path) -> None:
    few = ["--steps", "4", "--process", "ou", "--grid", "uniform"]
    listed = wb.ask("choose", "--data", "4,1,0.25", *few)
    np.save(tmp_path / "s.npy", [4.0, 1.0, 0.25])
    (tmp_path / "s.txt").write_text("4 1 0.25 # eigenvalues\n")
    for name in ("s.npy", "s.txt"):
        again = wb.ask("choose", "--data", str(tmp_path / name), *few)
        assert [r["error"] for r in again["rows"]] == [r["error"] for r in listed["rows"]]
    assert listed["data"]["spread"] == pytest.approx(math.sqrt(5.25)) and listed["data"]["n"] is None
    assert any("mean is taken as 0" in note for note in listed["data"]["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "5"], "--data"),
        (["--data", "digits"], "--K"),
        (["--data", "digits", "--steps", "0"], "K = 0"),
        (["--data", "digits", "--steps", "5", "--scheme", "rk"], "scheme"),
        (["--data", "digits", "--steps", "5", "--sigmas", "3,1,2"], "monotone"),
        (["--data", "digits", "--steps", "5", "--betas", "0.1,0"], "betas"),
        (["--data", "digits", "--steps", "5", "--as", "sigmas"], "goes with -o"),
        (["--data", "digits", "--steps", "5", "-o", "x.exe"], "out"),
        (["--data", "digits", "--steps", "5", "--figure", "x.gif"], "figure"),
        (["--data", "digits", "--eps", "1", "--eps-rel", "1"], "eps"),
        (["--data", "1,-1", "--steps", "5"], "spectrum"),
    ],
)
def test_choose_refuses_in_one_line(wb: Any, arguments: list[str], said: str) -> None:
    assert said in wb.refused("choose", *arguments)


def test_bad_data_are_named_in_one_line(wb: Any, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    Image.new("L", (5, 4)).save(tmp_path / "b.png")
    assert "mixed" in wb.refused("choose", "--data", str(tmp_path), "--steps", "5")
    np.save(tmp_path / "nan.npy", np.full((5, 2), np.nan))
    assert "finite" in wb.refused("choose", "--data", str(tmp_path / "nan.npy"), "--steps", "5")
    wb.refused("choose", "--data", str(tmp_path / "none.npy"), "--steps", "5", code=4)
    np.save(tmp_path / "few.npy", np.random.default_rng(0).normal(size=(4, 6)))
    out = wb.ask("choose", "--data", str(tmp_path / "few.npy"), "--steps", "3", "--process", "ou")
    assert any("shrunk" in note for note in out["data"]["notes"])


# ---------------------------------------------------------------------- schedule


def test_edm_is_karras_and_others(wb: Any) -> None:
    out = wb.ask("schedule", "--process", "ve-constant", "--sigma-max", "80", "--K", "18", "--grid", "edm",
                 "--sigma-min", "0.002", "--rho", "7")  # fmt: skip
    first = [80, 57.5859847, 40.7855738, 28.3745846, 19.352453]
    assert out["values"][:5] == pytest.approx(first, abs=5e-8)
    assert out["values"][-4:] == pytest.approx([0.0229345, 0.007528, 0.002, 0.0], abs=5e-8)


@pytest.mark.parametrize("form", ["sigmas", "betas", "alphas_cumprod", "times"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".json", ".csv"])
def test_what_is_written_reads_back(wb: Any, tmp_path: Path, form: str, suffix: str) -> None:
    path = tmp_path / f"s{suffix}"
    common = ["schedule", "--process", "ou", "--T", "3", "--K", "9"]
    out = wb.ask(*common, "--as", form, "-o", str(path))
    lam = wbound.process("ou").lam(3.0 * np.arange(9, -1, -1) / 9)
    assert out["read_back"] <= 1e-12 and out["lam"] == pytest.approx(lam, rel=1e-12)
    if form != "times":
        flag = "--" + form.replace("_", "-")
        again = wb.ask("schedule", flag, str(path), "--as", "sigmas")
        assert again["values"] == pytest.approx(np.sqrt(lam), rel=1e-12)


def test_the_winner_as_a_schedule(wb: Any, samples: Path) -> None:
    out = wb.ask("schedule", "--data", str(samples), "--K", "7", "--as", "sigmas")
    best = choose(datasets.load(samples), 7).best
    assert out["values"] == pytest.approx(np.sqrt(best.schedule.lam), rel=1e-12)
    assert any("the best of wbound choose" in note for note in out["notes"])
    code, text, _ = wb("schedule", "--data", str(samples), "--K", "7")
    numbers = [float(line) for line in text.splitlines() if not line.startswith("#")]
    assert code == 0 and numbers == out["values"]


def test_grids_in_units_of_the_data(wb: Any) -> None:
    out = wb.ask("schedule", "--process", "ou", "--T", "4", "--K", "6", "--grid", "optimal", *FACTS)
    top = float(wbound.process("ou").lam(4.0))
    data = wbound.LogConcave(100, 0.5, 0.5, 200.0, 0.0)
    assert out["lam"] == pytest.approx(wbound.optimal_grid(data, 6, top), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--process"),
        (["--process", "ou", "--K", "5"], "T"),
        (["--process", "ou", "--T", "1"], "K"),
        (["--process", "ou", "--T", "1", "--sigma-max", "3", "--K", "5"], "--sigma-max"),
        (["--process", "ou", "--T", "1", "--K", "5", "--as", "gammas"], "as"),
        (["--process", "ou", "--T", "1", "--K", "5", "--rho", "3"], "edm"),
        (["--process", "ou", "--T", "1", "--K", "5", "--grid", "optimal"], "m0"),
        (["--sigmas", "3,2,1", "--K", "3"], "own nodes"),
        (["--sigmas", "3,2,1", "--betas", "0.1"], "one of"),
        (["--sigmas", "3,2,1", "--process", "ou"], "already"),
        (["--process", "ve-constant", "--T", "1e20", "--K", "5", "--as", "betas"], "write sigmas"),
        (["--data", "4,1"], "--K"),
    ],
)
def test_schedule_refuses_in_one_line(wb: Any, arguments: list[str], said: str) -> None:
    assert said in wb.refused("schedule", *arguments)


# ---------------------------------------------------------------------- optimal, clocks


def test_the_numbers_of_sections_6_and_7(wb: Any) -> None:
    out = wb.ask("optimal", "--K", "1000", *FACTS, "--lam-max", "1e6")
    rows = {row["name"]: row for row in out["rows"]}
    assert out["floor"] == pytest.approx(0.028176, abs=5e-7)
    assert rows["gaussian"]["exact"] == pytest.approx(0.028379, abs=5e-7)
    assert rows["optimal"]["exact"] == pytest.approx(0.031471, abs=5e-7)
    assert rows["optimal"]["theorem_2"] == pytest.approx(0.041766, abs=5e-7)
    assert rows["numerical"]["factor"] == 1.0 and all(row["factor"] >= 1.0 for row in out["rows"])
    assert all(row["exact"] >= out["floor"] for row in out["rows"])
    assert set(rows) >= {*wbound.PUBLISHED, "sub-vp", "edm", "cosine", "log-lam", "numerical"}
    # section 7 promises 3/2
    assert rows["optimal"]["theorem_2"] / out["floor"] < 1.5


def test_optimal_draws_writes_and_takes_data(wb: Any, tmp_path: Path, samples: Path) -> None:
    common = ["optimal", "--data", str(samples), "--K", "6", "--start", "prior", "--lam-max", "best"]
    out = wb.ask(*common, "-o", str(tmp_path / "s.npy"), "--figure", str(tmp_path / "n.svg"))
    assert read(tmp_path / "s.npy", "sigmas").lam == pytest.approx(out["optimum"]["lam"], rel=1e-12)
    best = choose(datasets.load(samples), 6, scheme="hf").best
    assert out["optimum"]["value"] == pytest.approx(best.error, rel=1e-5)
    code, text, _ = wb("optimal", "--K", "5", "--process", "vp-linear", "--T", "3")
    assert code == 0 and "Theorem 2" in text and "no grid is below" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lam-max", "best"], "prior"),
        (["--T", "3"], "--process"),
        (["--K", "0"], "K"),
        (["--objective", "best"], "objective"),
        (["--data", "digits", "--m0", "1"], "--data"),
        (["--data", "digits", "--objective", "sharp", "--lam-max", "10"], "A1"),
        (["-p", "a=1"], "--process"),
        (["--figure", "x.bmp"], "figure"),
    ],
)
def test_optimal_refuses_in_one_line(wb: Any, arguments: list[str], said: str) -> None:
    assert said in wb.refused("optimal", *arguments)


def test_clocks_are_the_processes(wb: Any, tmp_path: Path) -> None:
    out = wb.ask(
        *("optimal", "--view", "clocks", "--process", "ou", "--process", "ve-sqrt", "--lam-max", "50"),
        *("--figure", str(tmp_path / "c.svg")),
    )
    for name in ("ou", "ve-sqrt"):
        p, T = wbound.process(name), out["T"][name]
        assert p.lam(T) == pytest.approx(50.0, rel=1e-12)
        assert out["lam"][name] == pytest.approx(p.lam(T * np.array(out["lam"]["share"])), rel=1e-12)


# ---------------------------------------------------------------------- the images' schedules


def test_claims_of_a_public_implementation(wb: Any) -> None:
    code, out, err = wb("check", "--claim", "all", "--json")
    rows = {row["schedule"]: row for row in wb.strict(out)["rows"]}
    assert code == 3 and err.count("\n") == 1
    assert [name for name, row in rows.items() if not row["consistent"]] == [
        f"image-ve-v{i}" for i in (1, 2, 3)
    ]
    for i, factor in enumerate((8.517, 4.259, 2.190), 1):
        assert rows[f"image-ve-v{i}"]["g_squared_factor"] == pytest.approx(factor, abs=5e-4)
        assert f"image-ve-v{i} by" in err
    assert wb.ask("check", "--claim", "image-vp-v2")["consistent"]
    assert "claim" in wb.refused("check", "--claim", "image-vp-v9")


def test_marginals_of_the_images(wb: Any) -> None:
    def half(*arguments: str) -> dict[str, float]:
        values = wb.ask("show", *arguments, "--T", "1")["values"]
        return {key: column[values["t"].index(0.5)] for key, column in values.items()}

    expected = {
        ("image-ve-original",): 0.7071067812,
        ("image-ve-v1",): 35.35533977,
        ("image-ve-v2",): 25.0000015,
        ("image-ve-v3", "-p", "rho=2"): 12.85605339,
        ("image-ve-v3", "-p", "rho=7"): 2.401315441,
    }
    for arguments, std in expected.items():
        assert half(*arguments)["marginal_std"] == pytest.approx(std, rel=1e-9)
    linear = half("image-vp-original")
    assert linear["mean_factor"] == pytest.approx(0.2811828808, rel=1e-9)
    assert linear["marginal_std"] == pytest.approx(0.9596542021, rel=1e-9)


def test_check_compares_arrays_and_reads_files(wb: Any, tmp_path: Path) -> None:
    betas = np.linspace(1e-3, 0.2, 50)
    np.savez(tmp_path / "b.npz", betas=betas)
    (tmp_path / "a.json").write_text(json.dumps({"alphas_cumprod": np.cumprod(1.0 - betas).tolist()}))
    both = ["check", "--betas", str(tmp_path / "b.npz"), "--alphas-cumprod", str(tmp_path / "a.json")]
    assert wb.ask(*both)["consistent"]
    (tmp_path / "a.json").write_text(json.dumps((np.cumprod(1.0 - betas) ** 1.01).tolist()))
    assert wb(*both)[0] == 3
    assert wb.ask("check", "--process", "image-ve-v3", "--data", "4,1")["consistent"]
    assert "schedule" in wb.refused("check", "--process", "ou", "--claim", "all")


def test_check_uses_the_data(wb: Any) -> None:
    law = Gaussian(np.zeros(2), np.array([1.0, 4.0]))
    out = wb.ask("check", "--sigmas", "5,1", "--data", "4,1")
    signal = next(f for f in out["findings"] if f["name"] == "signal at T")
    assert signal["value"] == pytest.approx(float(law.eigenvalues.mean()) / 25.0)


# ---------------------------------------------------------------------- tapes, samples, warnings


def test_tapes_beside_and_the_best_on_the_samples(wb: Any, tmp_path: Path) -> None:
    x = np.where(np.random.default_rng(0).random((160, 2)) < 0.5, -7.0, 7.0)
    np.save(tmp_path / "x.npy", x + 0.1 * np.random.default_rng(1).standard_normal(x.shape))
    data = datasets.load(tmp_path / "x.npy")
    made = wbound.tape_of(
        wbound.setting(wbound.process("ve-sqrt", a=1.0), data.gaussian, 30.0, 9, scheme="ddim", grid="edm")
    )
    made.save(tmp_path / "t.json")
    line = ["choose", "--data", str(tmp_path / "x.npy"), "--steps", "6", "--process", "ou", "--grid", "edm"]
    line += ["--sigma-max", "40", "--tape", str(tmp_path / "t.json"), "--samples-check"]
    out = wb.ask(*line)
    assert [one["kind"] for one in out["warnings"]] == ["clusters"]
    rows = {row["grid"]: row for row in out["rows"]}
    assert set(rows) == {"edm", "numerical", "tape"} and rows["tape"]["calls"] == rows["tape"]["K"] == 9
    assert rows["tape"]["w2"] == pytest.approx(wbound.tape_law(made, data.eigenvalues).w2(data.coordinates))
    assert rows["tape"]["error"] >= rows["tape"]["w2"] and rows["numerical"]["sigma_max"] <= 40.0 * (1 + 1e-9)
    check = out["samples_check"]
    assert sorted(row["rank"] for row in check["rows"]) == [1, 2, 3] and check["draws"] == 320
    seen = [row["w2_samples"] for row in check["rows"]]
    assert seen == sorted(seen) and seen[0] > check["floor"] * 0.5
    code, text, err = wb(*line)
    assert code == 0 and "on your samples" in text and "--samples-check" in err
    assert "spectrum" in wb.refused("choose", "--data", "4,1", "--steps", "3", "--samples-check")
    number = str(rows["tape"]["rank"])
    line.remove("--samples-check")
    assert "pick another --row" in wb.refused(*line, "--row", number, "-o", str(tmp_path / "s.npy"))
