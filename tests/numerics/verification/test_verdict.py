"""Verdicts: the rule of evidence, wrong bounds and wrong samplers caught, the matrix and its command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from numerics import Gaussian, LogCosh, ProductTarget, SymmetricMixture, law1d_w2
from numerics.cli import target_options as cli_targets
from numerics.cli.main import main
from numerics.targets.mixtures import SmoothedData
from numerics.transport.samples import EmpiricalW2
from numerics.verification import matrix, outputs_and_law, verdict
from numerics.verification.law_test import RISK, Agreement
from numerics.verification.verdict import Referee, Verdict, verify
from wbound.data.log_concave import LogConcave
from wbound.errors import BadInput, HypothesisFailed
from wbound.exact.gaussian_law import exact_w2
from wbound.forward.catalogue import process
from wbound.sampler.description import Description
from wbound.sampler.make_setting import setting
from wbound.sampler.scheme import SCHEMES
from wbound.theory.statements import THEOREMS, w2_bound

Array = NDArray[np.float64]
VP, VE = process("vp-linear"), process("ve-exponential")
MIXTURE, PLAIN = SymmetricMixture(0.8, 1.0), Gaussian([0.0], 2.0)


def twin(
    p: Any, t: Any, T: float, K: int, n: int, *, scheme: str = "em", g: float = 1.0, late: bool = False
) -> Array:
    """The sampler in plain NumPy, with the mutants of the issue: g scaled, the score one step late."""
    s = setting(p, t, T, K, scheme=scheme)
    b = s.nodes.batch
    steps, rng = s.scheme.steps(b), np.random.default_rng(3)
    log_alpha, log_lam = s.nodes.first
    y = math.exp(log_alpha + 0.5 * log_lam) * rng.standard_normal((n, t.d))
    for k in range(b.size):
        log_a, s2 = (b.log_alpha_lo, b.sigma2_lo) if late else (b.log_alpha_hi, b.sigma2_hi)
        score = t.score(y, math.exp(log_a[k]), float(s2[k]))
        noise = g * math.sqrt(steps.Q[k]) * rng.standard_normal(y.shape)
        y = steps.A[k] * y + g**2 * steps.C[k] * score + noise
    return np.asarray(y)


# ---------------------------------------------------------------------- what is known
@pytest.mark.parametrize("scheme", ["em", "ei", "hf", "ddpm"])
def test_gaussian_data_are_judged_by_the_exact_law(scheme: str) -> None:
    target = Gaussian([1.0, -0.5], [[2.0, 0.6], [0.6, 1.0]])
    v = verify(VP, target, 4.0, 40, scheme=scheme, n=200)
    assert (v.verdict, v.evidence, v.consistent) == ("holds", "exact law", True)
    assert v.exact == pytest.approx(exact_w2(VP, target, 4.0, 40, scheme=scheme), rel=1e-12)
    assert v.bound.total == pytest.approx(w2_bound(VP, target, 4.0, 40, scheme=scheme).total, rel=1e-12)
    assert v.ratio == pytest.approx(v.bound.total / v.exact)
    assert v.empirical is not None and v.empirical.low <= v.exact <= v.empirical.high
    assert v.agreement is not None and v.agreement.n == 2 * verdict.ROWS
    assert v.error == pytest.approx(1e-10 * v.exact)


def test_a_product_is_judged_by_quadrature_with_its_error() -> None:
    v = verify(VP, LogCosh(2, 0.5, 2.0), 4.0, 40, scheme="hf", n=0)
    assert (v.verdict, v.evidence, v.empirical, v.agreement) == ("holds", "quadrature", None, None)
    assert v.exact == pytest.approx(law1d_w2(VP, LogCosh(2, 0.5, 2.0), 4.0, 40, scheme="hf").w2)
    assert v.error is not None and 0.0 <= v.error < 1e-6 * v.exact


def test_theorem_1_takes_the_constant_that_the_target_knows() -> None:
    v = verify(process("ou"), MIXTURE, 4.0, 100, theorem="published", n=0)
    assert v.M1 is not None and v.M1 - MIXTURE.M1(process("ou"), 4.0) == 0.0
    assert (v.verdict, v.bound.statement) == ("holds", "Theorem 1")
    with pytest.raises(BadInput, match="M1 = None"):
        verify(process("ou"), MIXTURE, 4.0, 100, theorem="published", n=0, M1=None)


def test_a_biased_score_is_judged_by_samples() -> None:
    v = verify(VP, MIXTURE, 4.0, 40, scheme="hf", score_bias=0.2, n=20_000)
    assert (v.verdict, v.evidence, v.exact, v.agreement) == ("holds", "samples", None, None)
    assert v.empirical is not None and v.empirical.low > law1d_w2(VP, MIXTURE, 4.0, 40, scheme="hf").w2
    assert v.ratio == pytest.approx(v.bound.total / v.empirical.high)


def test_a_biased_score_on_gaussian_data_has_a_coupling_too() -> None:
    target = Gaussian(np.zeros(3), 2.0)
    given: dict[str, Any] = {"scheme": "hf", "start": "exact", "score_bias": 0.2, "n": 200}
    v = verify(VE, target, 4.0, 60, bias="worst", **given)
    # the coupling is Theorem 2's own: along the worst direction nothing is lost but the sampling
    assert v.coupling is not None and 1.0 < v.coupling / v.bound.total < 1.03
    easier = verify(VE, Gaussian(np.zeros(2), [2.0, 0.2]), 4.0, 60, **given)
    assert easier.coupling is not None and easier.coupling < 0.95 * easier.bound.total
    assert (easier.verdict, easier.evidence) == ("holds", "samples")
    # half of the risk, one-sided: the quantile 2.5758 of 99.5 %
    square = np.tile([1.0, 3.0], 50)
    assert verdict._upper(square, 0.99) == pytest.approx(
        math.sqrt(2.0 + 0.25758 * square.std(ddof=1)), rel=1e-5
    )


def test_noise_in_the_score_is_in_referee_and_samples() -> None:
    v = verify(VP, MIXTURE, 4.0, 40, scheme="em", score_noise=0.5, n=1000)
    assert (v.verdict, v.evidence, v.consistent) == ("holds", "quadrature", True)
    assert v.exact == pytest.approx(law1d_w2(VP, MIXTURE, 4.0, 40, score_noise=0.5).w2)


def test_plain_facts_of_a_gaussian_are_a_target() -> None:
    v = verify(VP, LogConcave(2, 0.5, 0.5, 4.0, 0.0), 4.0, 40, n=16)
    assert (v.target, v.d, v.evidence) == ("Gaussian", 2, "exact law")


def test_the_level_is_that_of_the_bracket() -> None:
    loose, tight = (verify(VP, MIXTURE, 2.0, 10, n=2000, level=level) for level in (0.8, 0.999))
    assert loose.empirical is not None and tight.empirical is not None
    assert (loose.empirical.level, tight.level) == (0.8, 0.999)
    assert loose.empirical.high < tight.empirical.high and loose.empirical.low >= tight.empirical.low


def test_one_seed_one_verdict() -> None:
    first, again, other = (verify(VP, MIXTURE, 2.0, 10, n=500, seed=seed) for seed in (1, 1, 2))
    assert first == again and first.empirical != other.empirical


# ---------------------------------------------------------------------- the rule
def _bracket(low: float, high: float) -> EmpiricalW2:
    return EmpiricalW2(0.5 * (low + high), low, high, 99, 99, 0.99, "sorted", low, 0.0, 0.0)


RIGHT, WRONG = Agreement(0.5, "mean", 0.1, 9), Agreement(0.5 * RISK, "mean", 9.0, 9)


@pytest.mark.parametrize(
    ("bound", "value", "follows", "bracket", "coupling", "expected"),
    [
        (1.0, Referee("exact law", 1.0 + 1e-12, 1e-10, ()), RIGHT, None, None, ("holds", "exact law")),
        (1.0, Referee("exact law", 1.0 + 1e-9, 1e-10, ()), RIGHT, None, None, ("refuted", "exact law")),
        (1.0, Referee("quadrature", 0.99, 1e-3, ()), None, None, None, ("holds", "quadrature")),
        (1.0, Referee("quadrature", 0.9999, 1e-3, ()), None, None, None, ("undecided", "quadrature")),
        (1.0, Referee("quadrature", 1.0001, 1e-3, ()), None, None, None, ("undecided", "quadrature")),
        (1.0, Referee("quadrature", 1.01, 1e-3, ()), None, None, None, ("refuted", "quadrature")),
        (math.inf, Referee("exact law", math.inf, 0.0, ()), None, None, None, ("holds", "exact law")),
        (1.0, Referee("exact law", math.inf, 0.0, ()), None, None, None, ("refuted", "exact law")),
        # a bracket above the bound: nothing holds, whatever the referee says
        (1.0, Referee("exact law", 0.9, 0.0, ()), RIGHT, _bracket(1.1, 1.3), None, ("undecided", "samples")),
        (1.0, Referee("quadrature", 0.9, 0.0, ()), None, _bracket(1.1, 1.3), None, ("undecided", "samples")),
        (1.0, Referee("exact law", 1.1, 0.0, ()), RIGHT, _bracket(1.2, 1.3), None, ("refuted", "exact law")),
        (1.0, Referee("exact law", 0.9, 0.0, ()), RIGHT, _bracket(1.0, 1.3), None, ("holds", "exact law")),
        # samples of another law do
        (1.0, Referee("exact law", 0.9, 0.0, ()), WRONG, _bracket(1.1, 1.3), None, ("refuted", "samples")),
        (1.0, Referee("exact law", 0.9, 0.0, ()), WRONG, _bracket(0.9, 1.3), None, ("undecided", "samples")),
        (1.0, None, None, _bracket(1.1, 1.3), None, ("refuted", "samples")),
        (1.0, None, None, _bracket(0.5, 0.9), None, ("holds", "samples")),
        (1.0, None, None, _bracket(0.5, 1.1), None, ("undecided", "samples")),
        (1.0, None, None, _bracket(0.5, 1.1), 0.8, ("holds", "samples")),
        (1.0, None, None, None, None, ("undecided", "none")),
    ],
)
def test_the_order_of_evidence(
    bound: float, value: Any, follows: Any, bracket: Any, coupling: Any, expected: tuple[str, str]
) -> None:
    found, evidence, reason, _ = verdict._decide(bound, value, "", follows, bracket, coupling)
    assert (found, evidence) == expected
    assert reason and "\n" not in reason


# ---------------------------------------------------------------------- wrong bounds
def _weaken(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    right = THEOREMS["sharp"][0]
    wrong = replace(right, evaluate=lambda s: replace(b := right.evaluate(s), total=factor * b.total))
    monkeypatch.setitem(THEOREMS, "sharp", (wrong,))


@pytest.mark.parametrize(
    ("target", "factor", "evidence", "more"),
    [
        (Gaussian([50.0], 2.0), 0.9999, "exact law", {}),  # here Theorem 2 is W2 up to 5e-5
        (ProductTarget("-x**2/2 - log(1 + exp(x))", 1), 0.75, "quadrature", {}),
        (MIXTURE, 0.6, "samples", {"score_bias": 0.5}),
    ],
)
def test_a_bound_that_is_too_small_is_refuted(
    monkeypatch: pytest.MonkeyPatch, target: Any, factor: float, evidence: str, more: dict[str, Any]
) -> None:
    given = {"scheme": "hf", "n": 20_000 if evidence == "samples" else 0} | more
    assert verify(VE, target, 4.0, 100, **given).verdict == "holds"
    _weaken(monkeypatch, factor)
    v = verify(VE, target, 4.0, 100, **given)
    assert (v.verdict, v.evidence) == ("refuted", evidence)


# ---------------------------------------------------------------------- wrong samplers
WRONG_SAMPLERS = [(100, {"g": 1.05}), (20, {"late": True})]


@pytest.mark.parametrize("scheme", ["em", "hf"])
@pytest.mark.parametrize(
    "target", [PLAIN, MIXTURE, LogCosh(2, 0.5, 2.0), Gaussian([1.0, 0.0], [2.0, 0.5])], ids=lambda t: f"{t.d}"
)
def test_a_wrong_sampler_is_caught(target: Any, scheme: str) -> None:
    for p in (VP, VE):
        for K, wrong in WRONG_SAMPLERS:

            def judge(x: Array, p: Any = p, K: int = K) -> Verdict:
                return verify(p, target, 4.0, K, scheme=scheme, samples=x, n=16)

            right = judge(twin(p, target, 4.0, K, 20_000, scheme=scheme))
            assert (right.verdict, right.consistent) == ("holds", True)
            caught = judge(twin(p, target, 4.0, K, 20_000, scheme=scheme, **wrong))
            assert not caught.consistent
            assert caught.verdict != "holds" and caught.evidence == "samples"
            assert "do not have the law" in caught.reason


def test_a_sampler_wrong_enough_breaks_its_bound() -> None:
    x = twin(VE, MIXTURE, 4.0, 100, 20_000, scheme="hf", g=1.3)
    v = verify(VE, MIXTURE, 4.0, 100, scheme="hf", samples=x, n=20_000)
    assert (v.verdict, v.evidence, v.consistent) == ("refuted", "samples", False)


# ---------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"T": 0.0}, "T = 0"),
        ({"K": 0}, "K = 0"),
        ({"K": 1.5}, "K = 1.5"),
        ({"n": 5}, "n = 5"),
        ({"n": -1}, "n = -1"),
        ({"seed": -1}, "seed = -1"),
        ({"level": 1.0}, "level = 1.0"),
        ({"level": math.nan}, "level = nan"),
        ({"theorem": "sharpest"}, "theorem = sharpest"),
        ({"scheme": "euler"}, "scheme = euler"),
        ({"start": "standard", "process": VE}, "start = standard"),
        ({"score_bias": -1.0}, "score_bias = -1"),
        ({"bias": "sideways", "score_bias": 0.1}, "bias = sideways"),
        ({"target": LogConcave(2, 0.5, 1.0, 3.0)}, "target = LogConcave"),
        ({"target": 7}, "target = int"),
        ({"samples": np.zeros(50)}, "samples = shape"),
        ({"samples": np.zeros((50, 2))}, "samples = shape"),
        ({"samples": np.full((50, 1), np.nan)}, "samples = "),
        ({"samples": np.zeros((50, 1)), "n": 100}, "samples = shape"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"process": VP, "target": MIXTURE, "T": 4.0, "K": 10, "n": 16} | change
    with pytest.raises(BadInput) as refused:
        verify(**given)
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


def test_outside_a1_there_is_no_bound_and_the_message_has_the_numbers() -> None:
    with pytest.raises(HypothesisFailed, match=r"A1 .*\|c\| = 1\.2 must be below s = 1"):
        verify(VP, SymmetricMixture(1.2, 1.0), 4.0, 10)
    with pytest.raises(HypothesisFailed, match=r"A1 .*1 zero eigenvalues"):
        verify(VP, Gaussian([0.0, 0.0], [1.0, 0.0]), 4.0, 10)
    with pytest.raises(HypothesisFailed, match=r"A1 .*-0\.25"):
        verify(VP, ProductTarget("-log(1 + x**2)", 1), 4.0, 10)
    with pytest.raises(HypothesisFailed, match="scheme em"):
        verify(VP, MIXTURE, 4.0, 10, theorem="published", scheme="hf")
    with pytest.raises(HypothesisFailed, match=r"step-size condition.* k = "):
        verify(VE, Gaussian([0.0], 0.01), 4.0, 3, theorem="published")


# ---------------------------------------------------------------------- the matrix
def test_the_matrix_has_every_cell() -> None:
    all_cells = matrix.cells()
    assert len(all_cells) == len(set(all_cells))
    plain = [c for c in all_cells if c.theorem == "sharp" and not c.M + c.V + c.delta]
    sharp = {(c.process, c.scheme, c.target) for c in plain}
    # inside A1 six SDE schemes and six ODE schemes on four targets, beyond it four schemes on four more
    assert len(sharp) == 8 * (12 * 4 + 4 * 4)
    for M, V in ((matrix.BIAS, 0.0), (0.0, matrix.NOISE)):
        noisy = {c.scheme for c in all_cells if (c.M, c.V) == (M, V)}
        assert noisy == {*matrix.SCHEMES} | ({*matrix.ODE} if M else set())  # V with Theorem 3: not derived
    assert {c.target for c in all_cells if c.V} == {"mixture-1d", "modes"}
    assert {c.target for c in all_cells if c.delta} == {"points"}
    law = {(c.process, c.scheme, c.target) for c in all_cells if c.theorem == matrix.LAW}
    assert {s for _, s, _ in law} == {*matrix.ODE, "heun"} and len(law) == 8 * 2 * 4
    published = {(c.process, c.scheme, c.target) for c in all_cells if c.theorem == "published"}
    assert len(published) == 8 * 4 and {scheme for _, scheme, _ in published} == {"em"}


SLICE = matrix.cells()[17::26]


@pytest.fixture(scope="module")
def run() -> matrix.Matrix:
    return matrix.verify_all(which=SLICE, jobs=1)


def test_a_slice_of_the_matrix(run: matrix.Matrix) -> None:
    assert run.refuted == run.inconsistent == run.count("undecided") == run.count(matrix.REFUSED) == 0
    assert {(row["statement"], row["evidence"]) for row in run.rows} == {
        *((f"Theorem {k}", how) for k in ("1", "2", "3", "7") for how in ("exact law", "quadrature")),
        *((name, "quadrature") for name in ("Theorem 2'", "Eq. 9'", "")),
        *((name, "samples") for name in ("Theorem 2", "Theorem 2'", "Theorem 3")),
        ("Eq. 9'", "exact law"),
    }
    for kind in run.summary():
        assert kind["holds"] == kind["cells"]
        assert kind["ratio"] is None if kind["statement"] == "" else kind["ratio"] > 1.0
        assert kind["tested"] == kind["agree"] and kind["bracketed"] == kind["inside"]
    assert sum(kind["cells"] for kind in run.summary()) == len(SLICE)


def test_rows_do_not_depend_on_the_order(run: matrix.Matrix) -> None:
    assert matrix.run_cell(SLICE[2]) == run.rows[2]


def test_results_survive_the_file(run: matrix.Matrix) -> None:
    text = run.to_json()
    back = matrix.Matrix.from_json(text)
    assert back.to_json() == text
    assert (back.date, back.seed, back.n, len(back.rows)) == (run.date, run.seed, run.n, len(run.rows))
    for bad in ("", "[]", '{"format": 2}', text[:-9], text.replace('"verdict"', '"x"', 1)):
        with pytest.raises(BadInput, match=r"file\.json"):
            matrix.Matrix.from_json(bad, "file.json")


def test_a_cell_outside_the_hypotheses_is_told_apart() -> None:
    row = matrix.run_cell(matrix.Cell("published", "ve-constant", "em", "logcosh", 300.0, 20))
    line = LogCosh(1, 0.5, 2.0).line
    assert row["T"] == pytest.approx(300.0 * line.variance)  # λ = t: in variances of a coordinate
    assert (row["verdict"], row["evidence"], row["bound"]) == (matrix.REFUSED, "none", None)
    assert "step-size condition" in row["reason"]


def test_a_sampler_without_a_bound_is_held_against_its_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heun, and ODE schemes beyond A1: what they draw has the referee's law; another sampler's draws have not."""
    cell = matrix.Cell(matrix.LAW, "vp-linear", "heun", "modes", 30.0, 20)
    row = matrix.run_cell(cell)
    assert (row["verdict"], row["evidence"], row["bound"], row["ratio"]) == (
        "holds",
        "quadrature",
        None,
        None,
    )
    assert row["low"] <= row["exact"] <= row["high"] and row["p"] > 1e-3
    right = outputs_and_law.draw
    monkeypatch.setattr(
        outputs_and_law, "draw", lambda s, *a, **k: right(replace(s, scheme=SCHEMES["ddim"]), *a, **k)
    )
    wrong = matrix.run_cell(cell)
    assert wrong["verdict"] == "refuted" and "standard errors off" in wrong["reason"]
    found = matrix.verify_all(which=[cell], jobs=1)
    assert found.refuted == found.inconsistent == 1
    cloud = SmoothedData(np.eye(2), 0.5)
    with pytest.raises(HypothesisFailed, match="no product of laws on the line"):
        verdict.follow(VP, cloud, 3.0, 5)


def test_a_refuted_cell_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    _weaken(monkeypatch, 0.3)
    found = matrix.verify_all(which=[matrix.Cell("sharp", "ou", "hf", "gaussian", 30.0, 50)], jobs=1)
    assert found.refuted == 1 and "bound" in found.rows[0]["reason"]


def test_stored_results_are_whole() -> None:
    """The results that the report reads: every cell of the matrix, nothing refuted or undecided."""
    from numerics.report.sections.verification import stored

    found = stored()
    names = ("theorem", "process", "scheme", "target", "K", "M", "V", "delta")
    assert [tuple(row[name] for name in names) for row in found.rows] == [
        tuple(getattr(cell, name) for name in names) for cell in matrix.cells()
    ]
    for row, cell in list(zip(found.rows, matrix.cells(), strict=True))[::37]:
        made = Description.from_dict(json.loads(json.dumps(cell.described.to_dict())))
        assert made == cell.described and made.about(matrix._target(cell.target)).nodes.T == pytest.approx(
            row["T"]
        )
    assert found.count("holds") == len(found.rows) and found.inconsistent == 0


# ---------------------------------------------------------------------- the command
def _command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["verify", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


ONE = ("--process", "vp-linear", "--T", "4", "--K", "20", "--n", "100")


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _command(capsys, *ONE, "--target", "mixture", "-q", "c=1/2", "--d", "2", "--json")
    found = json.loads(out)
    assert (code, err, found["verdict"], found["d"]) == (0, "", "holds", 2)
    v = verify(VP, SymmetricMixture([0.5, 0.0], 1.0), 4.0, 20, n=100)
    assert (found["exact"], found["bound"]["total"], found["ratio"]) == (v.exact, v.bound.total, v.ratio)
    assert found["M1"] is None and found["null_because"]["M1"]
    code, out, _ = _command(capsys, *ONE, "--target", "gaussian", "-q", "mean=1,0", "-q", "cov=2,1/2")
    assert code == 0 and "holds (exact law" in out


def test_targets_beyond_a1_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Modes apart, peaks and smoothed data: Theorem 2′ beside quadrature, or beside samples in d > 1."""
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(12, 2)))
    for given, target, evidence in (
        (("modes", "-q", "c=1.2,0.9", "-q", "s=0.8"), "Bimodal", "quadrature"),
        (("peaks", "-q", "means=-1,0,2", "-q", "weights=1,2,1"), "GaussianMixture", "quadrature"),
        (("smoothed", "-q", f"points={tmp_path / 'rows.npy'}"), "SmoothedData", "samples"),
    ):
        code, out, _ = _command(capsys, *ONE, "--scheme", "hf", "--target", *given, "--json")
        found = json.loads(out)
        assert code == 0 and (found["target"], found["evidence"]) == (target, evidence)
        assert found["bound"]["statement"] == "Theorem 2'"


def test_the_command_exits_3_on_a_wrong_sampler(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, wrong, code in (("right", {}, 0), ("wrong", {"late": True}, 3)):
        np.save(tmp_path / f"{name}.npy", twin(VP, MIXTURE, 4.0, 20, 20_000, **wrong))
        given = (*ONE, "--target", "mixture", "--samples", str(tmp_path / f"{name}.npy"))
        found, out, err = _command(capsys, *given)
        assert found == code and ("inconsistent" in err) == (code == 3) and out.strip()


def test_the_matrix_on_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    some = [matrix.Cell("sharp", "ou", scheme, "gaussian", 30.0, 50) for scheme in SCHEMES if scheme != "em"][
        :2
    ]
    monkeypatch.setattr(matrix, "cells", lambda names=(): some)
    path = tmp_path / "verify.json"
    code, out, err = _command(capsys, "--all", "--jobs", "1", "--n", "16", "--out", str(path), "--json")
    found = json.loads(out)
    assert (code, found["cells"], found["refuted"]) == (0, 2, 0) and "wrote" in err
    assert len(matrix.Matrix.from_json(path.read_text("utf-8")).rows) == 2
    _weaken(monkeypatch, 0.1)
    code, out, err = _command(capsys, "--all", "--process", "ou", "--jobs", "1", "--n", "16")
    assert code == 3 and "2 refuted" in err and "smallest ratio" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*ONE, "--target", "cauchy"), "target = cauchy"),
        ((*ONE, "--target", "mixture", "-q", "c"), "-q = c"),
        ((*ONE, "--target", "mixture", "-q", "m0=1"), "-q = m0"),
        ((*ONE, "--target", "mixture", "-q", "c=1", "-q", "c=2"), "c is given twice"),
        ((*ONE, "--target", "mixture", "-q", "c=2"), "A1 fails"),
        ((*ONE, "--target", "mixture", "-q", "c=0.1,0.2", "--d", "3"), "d = 3"),
        ((*ONE, "--target", "gaussian", "-q", "mean=1,2", "--d", "3"), "d = 3"),
        ((*ONE, "--target", "gaussian", "-q", "cov=-1"), "cov = "),
        ((*ONE, "--target", "logcosh", "-q", "m0=3"), "m0 = 3"),
        ((*ONE, "--target", "modes", "-q", "s=0"), "s = 0"),
        ((*ONE, "--target", "modes", "--d", "3"), "d = 3: must be 1, the size of c"),
        ((*ONE, "--target", "modes", "--scheme", "heun"), "Theorem 7 does not apply: A1"),
        ((*ONE, "--target", "modes", "--theorem", "published"), "A1"),
        ((*ONE, "--target", "peaks", "-q", "s=1,2,3"), "s = "),
        ((*ONE, "--target", "peaks", "-q", "weights=-1,2"), "weights = "),
        ((*ONE, "--target", "smoothed", "-q", "tau=0"), "tau = 0"),
        ((*ONE, "--target", "density=x.__class__"), "x.__class__: character '.'"),
        ((*ONE, "--target", "density=-x**4"), "A1 fails"),
        ((*ONE, "--out", "x.json"), "goes with --all"),
        (("--all", "--T", "3"), "T = 3"),
        (("--all", "--process", "sub-vp"), "process = sub-vp"),
        (("--all", "--jobs", "0"), "jobs = 0"),
        ((*ONE, "--seed", "-1"), "seed = -1"),
        (("--T", "3"), "process = (not given)"),
    ],
)
def test_the_command_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = _command(capsys, *arguments)
    assert (code, out) == (2, "") and message in err and len(err.strip().splitlines()) == 1


def test_a_samples_file_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = _command(capsys, *ONE, "--samples", str(tmp_path / "no.npy"))
    assert code == 4 and "cannot read" in err
    code, _, err = _command(capsys, *ONE, "--target", "smoothed", "-q", "points=nowhere.npy")
    assert code == 4 and "nowhere.npy" in err


def test_covariances_come_from_files_too(tmp_path: Path) -> None:
    np.save(tmp_path / "cov.npy", np.array([[2.0, 0.5], [0.5, 1.0]]))
    made = cli_targets.target_from("gaussian", [f"cov={tmp_path / 'cov.npy'}"], None)
    assert made.d == 2 and made.cov[0, 1] == 0.5
