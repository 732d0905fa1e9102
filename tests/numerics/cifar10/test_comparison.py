"""The comparison with known scores in place of networks, with short runs, and as a command."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from numerics.cifar10.checkpoints import load_checkpoint
from numerics.cifar10.comparison import (
    Comparison,
    Judge,
    Sweep,
    assemble,
    correlation,
    judge_of,
    measure,
    theory_of,
)
from numerics.cifar10.comparison import Snapshot as Network
from numerics.cifar10.comparison_output import columns, markdown, plain, write_all
from numerics.cifar10.comparison_runs import prepared, snapshots_of, trained
from numerics.cifar10.evaluation import Extractor
from numerics.cifar10.images import load_images
from numerics.cifar10.network_error import final_law
from numerics.cifar10.processes import image_process
from numerics.cifar10.runs import Run, make_config
from numerics.cifar10.sample_quality import Statistics
from numerics.cli.main import main
from wbound.complexity.least_steps import iterations
from wbound.errors import BadInput
from wbound.exact.gaussian_law import exact_w2

SWEEP = Sweep(steps=(5, 20), at=5, n=60, seeds=2, components=8)
NAMES = ("vp-original", "vp-v1", "ve-original", "ve-v1")


@pytest.fixture(scope="module")
def judge() -> Judge:
    return judge_of(load_images("digits"), SWEEP)


@pytest.fixture(scope="module")
def gaussian(judge: Judge) -> Comparison:
    """Each process with the surrogate's exact score, and first with a poor one."""
    sides = []
    for name in NAMES:
        process = image_process(name)
        score = judge.law.exact_score(process)
        poor = Network(0, lambda x, t, score=score: 0.2 * score(x, t))  # type: ignore[misc]
        sides.append(measure(judge, process, [Network(70, score), poor]))
    return assemble(judge, sides, 1.0)


# ---------------------------------------------------------------------- what is measured, what stands beside


def test_networks_with_the_exact_score_rank_as_the_exact_law(gaussian: Comparison) -> None:
    """The samples' Bures W2 is the exact W2 up to sampling, where that is far above the floor."""
    floor = gaussian.floor.spaces["pixel"].bures
    seen = 0
    for t in gaussian.theory:
        for K in SWEEP.steps:
            cell = gaussian.cell(t.process, K)
            assert cell is not None and cell.iterations == 70 and cell.bures is not None
            if t.exact[K] > 4.0 * floor:
                seen += 1
                # ± two spreads of the sample's own moments, n = 60
                assert cell.bures.mean == pytest.approx(t.exact[K], rel=0.1)
    assert seen >= 3
    at_five = next(r for r in gaussian.correlations if r["K"] == 5 and r["measured"] == "bures")
    assert at_five["with_exact_w2"] == pytest.approx(1.0) and at_five["processes"] == 4
    assert len(gaussian.correlations) == 4


def test_the_last_network_is_swept_and_all_are_followed(gaussian: Comparison) -> None:
    assert [m.K for m in gaussian.trained("ve-v1")] == [5, 20]
    assert [m.iterations for m in gaussian.followed("ve-v1")] == [0, 70]
    first, last = gaussian.followed("vp-original")
    assert first.bures is not None and last.bures is not None and last.bures.mean < first.bures.mean
    assert last.evaluations == 5 and last.sliced is not None
    # every seed has images of its own
    assert len(set(last.sliced.values)) == 2


def test_the_theorys_side_is_wbounds(judge: Judge) -> None:
    process = image_process("vp-v2")
    t = theory_of(process, judge.law, SWEEP)
    data = final_law(process, judge.law)
    assert t.eps == pytest.approx(0.1 * math.sqrt(judge.law.eigenvalues.sum()))
    assert t.K == iterations(process.process, data, t.eps, start="standard", T=1.0).K
    assert t.exact == {K: exact_w2(process.process, data, T=1.0, K=K, start="standard") for K in (5, 20)}
    far = theory_of(process, judge.law, replace(SWEEP, eps_rel=1e-9))
    assert far.K is None and far.reason and far.exact == t.exact
    corrector = theory_of(process, judge.law, replace(SWEEP, scheme="pc"))
    assert corrector.K is None and corrector.exact == {} and corrector.reason


def test_rank_correlation() -> None:
    assert correlation([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]) == pytest.approx(1.0)
    assert correlation([1, 2, 3, 4], [9.0, 4.0, 1.0, 0.0]) == pytest.approx(-1.0)
    # scipy.stats.spearmanr, ties averaged
    assert correlation([1, 2, 2, 5], [1.0, 3.0, 2.0, 0.5]) == pytest.approx(-0.316227766)
    assert correlation([1.0, None, 2.0], [1.0, 2.0, 3.0]) is None
    assert correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None


def test_a_sampler_that_diverges_is_said_to(judge: Judge, tmp_path: Path) -> None:
    process = image_process("vp-original")
    side = measure(judge, process, [Network(1, lambda x, t: x * math.nan)])
    assert all(m.sliced is None and m.low is None for m in side.measured)
    found = assemble(judge, [side], 0.0)
    assert "diverged" in markdown(found)
    assert json.loads(json.dumps(plain(found), allow_nan=False))["measured"][0]["sliced"] is None
    with pytest.raises(BadInput, match="checkpoint"):
        measure(judge, process, [])


def test_features_give_fid_at_several_n(judge: Judge) -> None:
    def features(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = images.flatten(1).double() / 255.0
        return flat[:, :6], flat[:, 6:10]

    with_features = replace(
        judge,
        extractor=Extractor(features, "abc"),
        real=Extractor(features, "").all(load_images("digits").images)[0],
    )
    process = image_process("vp-v2")
    side = measure(with_features, process, [Network(9, judge.law.exact_score(process))])
    found = assemble(with_features, [side], 0.0)
    cell = side.measured[0]
    assert cell.fid is not None and [n for n, _ in cell.fid] == [60] and len(cell.fid[0][1].values) == 2
    assert cell.inception_score is not None and cell.inception_score.mean >= 1.0
    assert "FID, n = 60" in markdown(found) and "abc" in markdown(found)
    assert columns(found)["fid_60"][0] == cell.fid[0][1].mean


def test_fid_from_saved_statistics_is_that_from_the_images(tmp_path: Path) -> None:
    """Of the training images' features they give the same FID; of other features, or none, they are refused."""

    def features(images: torch.Tensor) -> tuple[torch.Tensor, None]:
        return images.flatten(1).double()[:, 20:26] / 255.0, None

    images, extractor = load_images("digits"), Extractor(features, "abc")
    real = extractor.all(images.split()[0].images)[0].numpy()
    Statistics.of(real, "inception abc", "digits").save(tmp_path / "digits.npz")
    Statistics.of(real + 0.01, "inception abc", "others").save(tmp_path / "moved.npz")
    process, fids = image_process("vp-v2"), []
    for saved in (None, "digits.npz", "moved.npz"):
        known = None if saved is None else Statistics.load(tmp_path / saved)
        judge = judge_of(images, SWEEP, extractor=extractor, statistics=known)
        cell = judge.cell(process, Network(9, judge.law.exact_score(process)), 5)
        assert cell.fid is not None
        fids.append(cell.fid[0][1].mean)
    assert fids[1] == pytest.approx(fids[0], rel=1e-8) and abs(fids[2] / fids[0] - 1.0) > 1e-4
    side = measure(judge, process, [Network(9, judge.law.exact_score(process))])
    assert "FID is from saved statistics: others, 1348 images" in markdown(assemble(judge, [side], 0.0))
    for kind, wide, said in (
        ("inception abd", 6, "must be of inception abc"),
        ("inception abc", 5, "must be 6"),
    ):
        other = Statistics.of(real[:, :wide], kind, "digits")
        with pytest.raises(BadInput, match=said):
            judge_of(images, SWEEP, extractor=extractor, statistics=other)
    with pytest.raises(BadInput, match="goes with --inception"):
        judge_of(images, SWEEP, statistics=known)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": ()},
        {"steps": (0,)},
        {"n": 1},
        {"seeds": 0},
        {"scheme": "x"},
        {"tau": 0.0},
        {"eps_rel": -1.0},
    ],
)
def test_a_sweep_that_makes_no_sense(wrong: dict) -> None:
    with pytest.raises(BadInput):
        Sweep(**wrong)


# ---------------------------------------------------------------------- the paper side


def test_table_and_figures(gaussian: Comparison, tmp_path: Path) -> None:
    written = write_all(gaussian, tmp_path / "out")
    assert {p.name for p in written} == {
        "comparison.csv", "comparison.md", "comparison.json",
        *(f"{n}.{s}" for n in ("steps", "iterations", "exact", "ranking") for s in ("svg", "png")),
    }  # fmt: skip
    with open(tmp_path / "out" / "comparison.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(gaussian.measured) == 4 * 3
    first = gaussian.measured[0]
    assert first.sliced is not None
    assert float(rows[0]["sliced"]) == first.sliced.mean and rows[0]["process"] == "vp-original"
    assert float(rows[0]["exact_w2"]) == gaussian.theory[0].exact[first.K]
    read = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert read["measured"][0]["sliced"]["values"] == list(first.sliced.values)
    assert read["correlations"] == list(gaussian.correlations)
    text = (tmp_path / "out" / "comparison.md").read_text("utf-8")
    assert text.count("| ve-v1 |") == 2 and "feature-free" in text and "Spearman" in text
    svg = (tmp_path / "out" / "ranking.svg").read_text("utf-8")
    assert svg.startswith("<?xml") and write_all(gaussian, tmp_path / "again")
    assert (tmp_path / "again" / "ranking.svg").read_text("utf-8") == svg
    # a comparison without an exact law leaves no figure of the one before
    bare = replace(gaussian, theory=tuple(replace(t, exact={}, K=None) for t in gaussian.theory))
    left = {p.name for p in write_all(bare, tmp_path / "again")}
    assert left == {p.name for p in (tmp_path / "again").iterdir()} and "ranking.svg" not in left


# ---------------------------------------------------------------------- runs


#: Enough to see that runs are made, kept and used: two processes, 60 steps of the smoke preset.
SHORT: dict[str, Any] = {
    "sweep": replace(SWEEP, steps=(4,), at=4, n=20, seeds=1, batch=20),
    "processes": ["vp-v2", "ve-v3"],
    "steps": 60,
    "quiet": True,
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compare")
    torch.set_num_threads(1)
    prepared(out, jobs=1, **SHORT).run()
    return out


def test_training_halves_sliced_w2(runs: Path, judge: Judge) -> None:
    """And more than that, for both: the network as it was made against 60 steps of the smoke preset, K = 20."""
    for name in ("vp-v2", "ve-v3"):
        found = snapshots_of(Run(runs / "runs" / name))
        assert [s.iterations for s in found] == [0, 15, 30, 45, 60]
        process = image_process(name)
        untrained, last = (judge.cell(process, s, 20).sliced for s in (found[0], found[-1]))
        assert untrained is not None and last is not None
        assert last.mean < 0.5 * untrained.mean


def test_runs_are_used_again_and_workers_change_nothing(runs: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in runs.rglob("*.safetensors")}
    one, two = (prepared(runs, jobs=jobs, **SHORT).run() for jobs in (1, 2))
    assert before == {p: p.stat().st_mtime_ns for p in runs.rglob("*.safetensors")}
    assert len(before) == 8
    for a, b in zip(one.measured, two.measured, strict=True):
        assert a.sliced is not None and b.sliced is not None and a.process == b.process
        np.testing.assert_allclose(a.sliced.values, b.sliced.values, rtol=1e-4)


def test_a_run_of_something_else_is_not_taken(runs: Path) -> None:
    with pytest.raises(BadInput, match="preset"):
        trained(runs / "runs" / "vp-v2", make_config("vp-v2", "digits", "small"), "cpu", False)
    with pytest.raises(BadInput, match="process"):
        trained(runs / "runs" / "vp-v2", make_config("vp-v1", "digits", "smoke"), "cpu", False)
    # in another interpreter too it is one line
    with pytest.raises(BadInput, match="holds a run with steps = 60, not 61"):
        prepared(runs, jobs=2, **SHORT | {"steps": 61}).run()


def test_a_run_that_was_cut_off_goes_on(runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(runs / "runs" / "vp-v2", folder)
    last = sorted((folder / "checkpoints").iterdir())[-1]
    config, shape = Run(folder).read()
    whole = load_checkpoint(last, shape)
    last.unlink()
    run = trained(folder, config, "cpu", False)
    assert run.last is not None
    again = load_checkpoint(run.last, shape)
    assert again.step == whole.step == 60
    assert all(torch.equal(again.average[name], tensor) for name, tensor in whole.average.items())


# ---------------------------------------------------------------------- the commands


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[[Sequence[str]], tuple[int, str, str]]:
    def call(arguments: Sequence[str]) -> tuple[int, str, str]:
        code = main(["images", *arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def test_the_command_compare(command, runs: Path) -> None:
    code, out, err = command(
        ["compare", "-o", str(runs), "--process", "vp-v2", "--process", "ve-v3", "--steps", "60", "--K", "3,6",
         "--n", "20", "--seeds", "1", "--jobs", "1", "--json"]
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert {m["K"] for m in found["measured"]} == {3, 6} and found["sweep"]["at"] == 6
    assert all(Path(p).stat().st_size > 500 for p in found["written"]) and len(found["written"]) == 11
    assert "vp-v2: trained or loaded" in err


def test_the_commands_sample_and_evaluate(command, runs: Path, tmp_path: Path) -> None:
    run = str(runs / "runs" / "vp-v2")
    code, _, err = command(["sample", run, "--K", "4", "--n", "9", "--figure", str(tmp_path / "grid.png")])
    assert code == 0, err
    from PIL import Image

    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (3 * 65 + 1, 3 * 65 + 1)
    for n, name in ((6, "six.npz"), (3, "three.npz")):
        command(["sample", run, "--K", "4", "--n", str(n), "--batch", "2", "-o", str(tmp_path / name)])
    with np.load(tmp_path / "six.npz") as six, np.load(tmp_path / "three.npz") as three:
        assert six["images"].shape == (6, 1, 8, 8) and six["images"].dtype == np.uint8
        # a network's own sums may differ in the last bit with the batch: at most one level of 256
        assert np.abs(six["images"][:3].astype(int) - three["images"].astype(int)).max() <= 1
    code, out, _ = command(
        ["evaluate", run, "--K", "4", "--n", "30", "--seeds", "2", "--step", "45", "--json"]
    )
    found = json.loads(out)
    assert code == 0 and found["iterations"] == 45 and len(found["sliced"]["values"]) == 2
    assert found["fid"] is None and found["null_because"]["fid"] == "no --inception"
    assert found["floor"]["pixel"]["low"] == 0.0
    code, out, _ = command(["evaluate", run, "--K", "4", "--n", "30", "--seeds", "1"])
    assert code == 0 and "feature-free" in out and "real images" in out


def test_the_command_score_error(command, tmp_path: Path) -> None:
    """Theory to network and back: trained on Gaussian images, M measured, Theorem 2 beside the samples."""
    run = str(tmp_path / "gaussian")
    code, _, err = command(
        ["train", "--process", "vp-original", "--preset", "smoke", "--steps", "60", "--gaussian-tau", "0.2",
         "-o", run, "--no-progress"]
    )  # fmt: skip
    assert code == 0, err
    code, out, err = command(["score-error", run, "--K", "30", "--n", "100", "--scheme", "hf", "--json"])
    assert code == 0, err
    found = json.loads(out)
    low, high = (found["sampled"][end] > found["total"] for end in ("low", "high"))
    assert found["verdict"] == ("refuted" if low else "undecided" if high else "holds") and not low
    assert len(found["M_k"]) == 30 and found["M"] == max(found["M_k"])
    parts = found["initialisation"] + found["discretisation"] + found["score"]
    assert 0.0 < found["exact"] < found["total"] <= parts * (1 + 1e-12)
    assert found["sampled"]["low"] <= found["total"] <= found["theorem_2"]["total"]
    code, out, _ = command(["score-error", run, "--K", "30", "--n", "100", "--scheme", "hf"])
    assert code == 0 and "initialisation" in out and f"{found['verdict']} (by" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample", "RUN", "-o", "x.gif"], "must end in .npz; --figure FILE draws: .png"),
        (["sample", "RUN", "--figure", "x.svg"], "must be one of .png"),
        (["sample", "RUN"], "give -o FILE.npz, or --figure FILE.png"),
        (["sample", "RUN", "--figure", "x.png", "--K", "0"], "K = 0"),
        (["sample", "RUN", "--figure", "x.png", "--scheme", "euler"], "ode-heun"),
        (["sample", "RUN", "--figure", "x.png", "--step", "7"], "no checkpoint of step 7"),
        (["sample", "nowhere", "--figure", "x.png"], "run = nowhere"),
        (["sample", "RUN", "--figure", "x.png", "--device", "abacus"], "device = abacus"),
        (["evaluate", "RUN", "--n", "1"], "n = 1"),
        (["evaluate", "RUN", "--inception", "nowhere.pt"], "cannot read"),
        (["evaluate", "RUN", "--statistics", "STATS"], "goes with --inception"),
        (["compare", "-o", "OUT", "--statistics", "STATS"], "goes with --inception"),
        (["compare", "-o", "OUT", "--statistics", "nowhere.npz"], "cannot read"),
        (["score-error", "RUN"], "--gaussian-tau"),
        (["score-error", "RUN", "--scheme", "pc"], "--gaussian-tau"),
        (["compare", "-o", "OUT", "--process", "vp-v9"], "vp-v9"),
        (["compare", "-o", "OUT", "--K", "3,x"], "K = x"),
        (["compare", "-o", "OUT", "--preset", "huge"], "preset = huge"),
        (["compare", "-o", "OUT", "--data", "cifar10"], "--root"),
        (["compare", "-o", "OUT", "--width", "tiny"], "width = tiny"),
        (["compare", "-o", "OUT", "--grid", "optimal"], "grid = optimal"),
        (["compare", "-o", "OUT", "--process", "vp-v2", "--steps", "60", "--inception", "OUT/none"], "cannot read"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(command, runs: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    stats = tmp_path.with_name(f"{tmp_path.name}.npz")
    Statistics.of(np.eye(64), "pixels", "digits").save(stats)
    places = {
        "STATS": str(stats),
        "RUN": str(runs / "runs" / "vp-v2"),
        "OUT": str(tmp_path),
        "OUT/none": str(tmp_path / "none"),
    }
    code, out, err = command([places.get(a, a) for a in arguments])
    assert code == (4 if said == "cannot read" else 2), err
    assert said in err and err.count("\n") == 1 and not out
    assert not list(tmp_path.iterdir())
