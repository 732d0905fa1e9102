"""The commands: their numbers are the library's."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wbound
from numerics.tables import complexity, formulas
from wbound.complexity.tables import complexity_table
from wbound.data.gaussian import Gaussian
from wbound.exact.gaussian_law import exact_w2
from wbound.forward import closed_forms

DATA = ["--d", "3", "--m0", "0.5", "--L0", "0.5", "--second-moment", "6"]
BOUND = ["bound", "--process", "vp-linear", "-p", "a=1", "-p", "b=0.5", "--T", "4", "--K", "100", *DATA]
RUN = "import sys; from numerics.cli.main import run; run()"


@pytest.fixture(scope="module")
def frame() -> Any:
    return complexity_table(d=2, eps=1.0)


# ---------------------------------------------------------------------- processes, show, check


def test_processes_lists_them_all(wb: Any) -> None:
    rows = wb.ask("processes")["processes"]
    assert [row["process"] for row in rows] == list(wbound.NAMED)
    code, out, _ = wb("processes")
    assert code == 0 and all(name in out for name in wbound.NAMED)


def test_show_gives_formulas_and_values(wb: Any) -> None:
    out = wb.ask("show", "vp-linear", "-p", "a=2")
    p = wbound.process("vp-linear", a=2.0)
    assert out["values"]["log_lam"] == p.log_lam(out["values"]["t"]).tolist()
    assert out["closed_form"] and "Integral" not in json.dumps(out["formulas"])
    code, text, _ = wb("show", "optimal", "-p", "form=ve")
    assert code == 0 and "λ  = " in text


def test_show_finds_a_closed_form_of_ones_own(wb: Any) -> None:
    out = wb.ask("show", "--f", "(b+a*t)/2", "--g", "sqrt(b+a*t)", "-p", "a=1", "-p", "b=0.5")
    assert out["closed_form"] and out["formulas"]["lam"] == "exp(t*(a*t + 2*b)/2) - 1"
    assert out["formulas"]["alpha"] == "exp(-t*(a*t + 2*b)/4)"


def test_a_closed_form_has_a_real_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[str]] = []

    class Kept(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            children.append(self)

    monkeypatch.setattr("wbound.forward.closed_forms.subprocess.Popen", Kept)
    found, why = closed_forms.closed_form("0", "exp(-t**2)*cosh(t)*sin(t)**2+t**t", {}, 1.0, 0.0)
    assert found == {} and why is not None and "within 0 s" in why
    assert [child.returncode for child in children] != [0]  # ended, not waited for


def test_a_closed_form_that_is_wrong_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    import sympy

    printed: list[str] = []
    monkeypatch.setattr("builtins.print", lambda text, **named: printed.append(text))
    closed_forms._find("0", "exp(t)", {}, 1.0)
    assert json.loads(printed[0])["lam"] == "exp(2*t)/2 - 1/2"
    true = sympy.integrate
    monkeypatch.setattr(sympy, "integrate", lambda *a: true(*a) * sympy.Rational(1001, 1000))
    with pytest.raises(closed_forms._NotFound, match="where quadrature gives"):
        closed_forms._find("0", "exp(t)", {}, 1.0)


def test_check_accepts_what_fits_and_flags_what_does_not(wb: Any) -> None:
    vp = ["check", "--f", "(b+a*t)/2", "--g", "sqrt(b+a*t)", "-p", "a=1", "-p", "b=0.5"]
    assert wb.ask(*vp, "--marginal-std", "sqrt(1-exp(-(b*t+a*t**2/2)))")["consistent"]
    # section 9's v1: g = std √(2 log(σ_max/σ_min)) is too large by 8.517 at t = 0.5
    std = "sqrt(a**2+(b**2-a**2)*t)"
    v1 = ["check", "--f", "0", "--g", f"{std}*sqrt(2*log(b/a))", "-p", "a=0.01", "-p", "b=50"]
    code, out, err = wb(*v1, "--marginal-std", std, "--json")
    assert code == 3 and err.count("\n") == 1 and err.startswith("wbound: inconsistent")
    findings = {finding["name"]: finding for finding in wb.strict(out)["findings"]}
    assert findings["g against the marginal"]["value"] == pytest.approx(8.517, abs=5e-4)
    assert wb.ask("check", "--sigmas", "10,3,1,0.1")["consistent"]
    code, _, _ = wb("check", "--sigmas", "10,3,5,0.1")
    assert code == 3


# ---------------------------------------------------------------------- bound


def test_bound_is_the_library_s(wb: Any) -> None:
    out = wb.ask(*BOUND, "--scheme", "em", "--theorem", "sharp")
    p, data = wbound.process("vp-linear", a=1.0, b=0.5), wbound.LogConcave(3, 0.5, 0.5, 6.0)
    b = wbound.w2_bound(p, data, T=4.0, K=100, scheme="em", theorem="sharp")
    for name in ("total", "initialisation", "discretisation", "score", "vacuous", "trivial"):
        assert out[name] == getattr(b, name)
    assert out["exact"] == exact_w2(p, data, T=4.0, K=100)
    assert out["ratio"] == b.total / out["exact"] > 1.0
    assert out["scale"] == pytest.approx(math.sqrt(6.0)) and out["null_because"] == {
        "M1": "Theorem 2 needs no M1"
    }


def test_bound_of_ones_own_process_equals_the_named_one(wb: Any) -> None:
    own = ["--f", "(b+a*t)/2", "--g", "sqrt(b+a*t)"]
    mine = wb.ask("bound", *own, *BOUND[3:])
    assert mine["total"] == pytest.approx(wb.ask(*BOUND)["total"], rel=1e-10)


def test_bound_takes_every_option(wb: Any, tmp_path: Path) -> None:
    p, data = wbound.process("ou"), wbound.LogConcave(2, 0.5, 1.0, 3.0, 0.5)
    facts = ["--d", "2", "--m0", "1/2", "--L0", "1", "--second-moment", "3", "--mean-norm", "0.5"]
    score = ["--score-bias", "0.1", "--score-noise", "0.2"]
    out = wb.ask("bound", "--process", "ou", "--grid-t", "3,2,1,0", *facts, *score, "--scheme", "ei")
    b = wbound.w2_bound(
        p, data, grid=wbound.Grid.from_t([3, 2, 1, 0]), scheme="ei", score_bias=0.1, score_noise=0.2
    )
    assert out["total"] == b.total and out["K"] == 3 and out["exact"] is None
    assert "p_0 is not known to be Gaussian" in out["null_because"]["exact"]
    out = wb.ask(
        "bound",
        "--process",
        "ou",
        "--T",
        "3",
        "--K",
        "1e3",
        *facts,
        "--start",
        "exact",
        "--grid",
        "optimal",
    )
    assert out["total"] == wbound.w2_bound(p, data, T=3.0, K=1000, start="exact", grid="optimal").total
    lam = wb.ask("bound", "--process", "ou", "--grid-lam", "4,1,0", *facts)
    assert wb.ask("bound", "--process", "ou", "--grid-sigma", "2,1,0", *facts)["total"] == lam["total"]


def test_theorem_1_with_its_exact_constant(wb: Any) -> None:
    out = wb.ask(*BOUND, "--theorem", "published", "--M1", "exact")
    p, data = wbound.process("vp-linear", a=1.0, b=0.5), Gaussian(np.zeros(3), 2.0)
    assert out["M1"] == data.M1(p, 4.0)
    assert out["total"] == wbound.w2_bound(p, data, T=4.0, K=100, theorem="published", M1="exact").total
    code, text, _ = wb(*BOUND, "--theorem", "published", "--M1", "exact")
    assert code == 0 and "vacuous" in text and "ratio" in text


def test_an_infinite_bound_is_null_with_a_reason(wb: Any) -> None:
    out = wb.ask("bound", "--process", "vp-polynomial", "--T", "40", "--K", "1", *DATA)
    assert out["total"] is None and "total" in out["null_because"] and out["vacuous"]


# ---------------------------------------------------------------------- iterations, orders, table


def test_iterations_is_the_library_s(wb: Any) -> None:
    p, data = wbound.process("vp-linear"), wbound.LogConcave(3, 0.5, 0.5, 6.0)
    need = wbound.iterations(p, data, eps=0.1, scheme="hf")
    out = wb.ask("iterations", "--process", "vp-linear", "--eps", "0.1", *DATA, "--scheme", "hf")
    assert (out["K"], out["T"]) == (need.K, need.T)
    relative = 0.1 / math.sqrt(6.0)
    again = wb.ask(
        "iterations", "--process", "vp-linear", "--eps-rel", repr(relative), *DATA, "--scheme", "hf"
    )
    assert again["eps"] == pytest.approx(0.1, rel=1e-14) and again["K"] == need.K
    code, text, _ = wb("iterations", "--process", "vp-linear", "--eps", "0.1", *DATA, "--scheme", "hf")
    assert code == 0 and "the data's scale" in text and "2.44949" in text


@pytest.mark.parametrize(("scheme", "number"), [("hf", 2), ("ddim", 3), ("heun", 7)])
def test_a_tolerance_names_its_scheme_s_theorem(scheme: str, number: int, wb: Any) -> None:
    facts = ("--d", "10", "--m0", "1", "--L0", "1", "--mean-norm", "0")
    code, text, _ = wb("tolerance", "--process", "ou", "--eps", "0.1", *facts, "--scheme", scheme)
    assert code == 0 and f"Theorem {number};" in text


def test_orders_of_an_unseen_process(wb: Any) -> None:
    out = wb.ask("orders", "--f", "0", "--g", "(1+t)**3", "--theorem", "sharp")
    assert out["recognised"] and out["K"] == "d**(4/7)/epsilon**(8/7)"


@pytest.mark.parametrize("kind", ["text", "markdown", "latex", "csv"])
def test_the_table_in_every_format(
    kind: str, frame: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wb: Any
) -> None:
    asked: dict[str, Any] = {}

    def cached(progress: Any = None, **values: Any) -> Any:
        asked.update(values)
        return frame.to_dict("records")

    monkeypatch.setattr("wbound.complexity.tables.complexity_rows", cached)
    target = tmp_path / "table"
    code, out, _ = wb("table", "--d", "2", "--eps", "1", "--format", kind, "-o", str(target))
    assert code == 0 and out == "" and asked == {"d": 2, "eps": 1.0, "m0": 0.25, "L0": 1.0}
    text = target.read_text("utf-8")
    for name, K in zip(frame["process"], frame["K_published"], strict=True):
        shown = f"{K:,}".replace(",", r"\,") if kind == "latex" and K >= 10**4 else str(K)
        assert any(name in line and shown in line for line in text.splitlines())
    if kind == "latex":
        assert r"\toprule" in text and r"\bottomrule" in text and r"\varepsilon^{2}" in text
        assert all(line.count("&") == 11 for line in text.splitlines() if line.endswith(r"\\"))
    elif kind == "csv":
        lines = text.splitlines()
        assert lines[0].split(",") == list(frame.columns)
        row = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
        assert float(row["T_sharp"]) == frame["T_sharp"][0]
    payload = wb.ask("table", "--d", "2", "--eps", "1")
    assert [row["K_exact"] for row in payload["rows"]] == frame["K_exact"].tolist()


def test_a_narrow_terminal_gets_several_tables(frame: Any) -> None:
    values = {"d": 2, "eps": 1.0, "m0": 1.0, "L0": 1.0}
    rows = frame.to_dict("records")
    wide, narrow = (complexity.complexity_text(rows, "text", values, width) for width in (None, 80))
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines()))
    assert wide.count("process ") == 1 < narrow.count("process ")
    assert sorted(set(wide.split())) == sorted(set(narrow.split()) | set(re.findall(r"-{9,}", wide)))


def test_formulas_are_set_as_mathml_without_a_word_lost() -> None:
    from xml.etree import ElementTree

    from wbound.complexity.orders_published import published_orders

    for row in published_orders().values():
        for cell in row.values():
            tree = ElementTree.fromstring(formulas.formula_mathml(cell.expr))
            said = "".join(tree.itertext())
            names = {symbol.name for symbol in cell.expr.free_symbols}
            assert all({"epsilon": "ε", "rho": "ρ"}.get(name, name) in said for name in names)
            assert not tree.findall(".//mtext")


# ---------------------------------------------------------------------- lower-bound, curve


def test_lower_bound_shows_the_check(wb: Any) -> None:
    out = wb.ask("lower-bound", "--d", "3", "--sigma0", "1", "--eps", "0.1", "--K-to", "1e3")
    assert out["K"] == wbound.lower_bound(3, 1.0, 0.1).K and out["steps"] == math.ceil(out["K"])
    check = out["check"]
    assert check["closest"] >= 1.0 and all(
        a >= b for a, b in zip(check["exact"], check["floor"], strict=True)
    )
    tuned = wb.ask("lower-bound", "--sigma0", "2**0.5", "--K-to", "100")["cancellation"]
    assert tuned["lam_T"] == pytest.approx(9.883060988, rel=1e-9) and tuned["prior"] < 1e-6
    assert tuned["exact"] > tuned["floor"]
    code, text, _ = wb("lower-bound", "--K-to", "100")
    assert code == 0 and "slope" in text and "Cancellation" in text


def test_lower_bound_says_for_whom(wb: Any, tmp_path: Path) -> None:
    """Three samplers side by side; for affine ones κ, or data with κ's uncertainty."""
    out = wb.ask("lower-bound", "--kappa", "1e6", "--eps-rel", "0.01", "--K-to", "100")
    assert (
        [row["evaluations"] for row in out["samplers"]]
        == [
            wbound.lower_bound(1, 1.0, 0.01).steps,
            wbound.ddim_iterations(1, 1.0, 0.01).steps,
            wbound.affine_iterations(0.01, 1e6),
        ]
        == [200, 123, 5]
    )
    alone = wb.ask("lower-bound", "--sampler", "affine", "--kappa", "1e6", "--eps-rel", "0.01")
    assert alone["K"] == 5 and alone["floor"][5] == wbound.affine_floor(1e6, 5) and "check" not in alone
    two = wb.ask("lower-bound", "--K-to", "100")
    assert [row["sampler"] for row in two["samplers"]] == ["hf", "ddim"] and two["conditioning"] is None
    x = np.random.default_rng(0).normal(size=(400, 3)) * [1.0, 2.0, 30.0]
    np.save(tmp_path / "x.npy", x)
    known = wb.ask(
        "lower-bound", "--sampler", "affine", "--data", str(tmp_path / "x.npy"), "--eps-rel", "1e-3"
    )
    kappa = known["conditioning"]
    assert kappa["low"] < kappa["kappa"] < kappa["high"] and kappa["low"] < 900.0 < kappa["high"]
    assert kappa["n"] == 400 and kappa["alone"] == pytest.approx(1.41, abs=0.01)
    for suffix in (".svg", ".csv"):
        path = tmp_path / f"floors{suffix}"
        wb.ask("lower-bound", "--sampler", "affine", "--kappa", "1e6", "--eps-rel", "0.01", "-o", str(path))
        assert path.stat().st_size > 1000
    header, *body = path.read_text().splitlines()
    assert header == "K,hf,ddim,affine"
    rows = np.array([[float(v) for v in line.split(",")] for line in body])
    assert rows[0, 3] == pytest.approx(wbound.affine_floor(1e6, 1)) and (rows[20:, 1] > rows[20:, 2]).all()
    assert (rows[8:, 2] > rows[8:, 3]).all()
    code, text, _ = wb("lower-bound", "--sampler", "affine", "--data", "9,1", "--eps", "0.1")
    assert code == 0 and "κ = 9 over 2 directions" in text and "0.03162 √(tr Σ)" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sampler", "affine"], "kappa = (not given)"),
        (["--sampler", "em"], "sampler = em: must be one of hf, ddim, affine"),
        (["--sampler", "affine", "--kappa", "0.5"], "kappa = 0.5: must be >= 1"),
        (["--kappa", "2", "--data", "4,1"], "give --kappa or --data"),
        (["--eps", "0.1", "--eps-rel", "0.1"], "give --eps or --eps-rel"),
        (["--scheme", "em", "--kappa", "4"], "kappa = 4: is for hf"),
        (["--sampler", "ddim", "-o", "x.svg"], "draws hf's check or affine's floor"),
    ],
)
def test_lower_bound_refuses(wb: Any, options: list[str], said: str) -> None:
    code, _, err = wb("lower-bound", *options)
    assert code == 2 and said in err


def test_curve_draws_and_prints(wb: Any, tmp_path: Path) -> None:
    common = ["curve", "--process", "ou", "--to", "300", "--points", "4"]
    for suffix in (".svg", ".png", ".pdf", ".csv"):
        path = tmp_path / f"curve{suffix}"
        option = "out" if suffix == ".csv" else "figure"
        out = wb.ask(*common, f"--{option}", str(path))
        assert out[option] == str(path) and path.stat().st_size > 100
    header = (tmp_path / "curve.csv").read_text().splitlines()[0]
    assert header == "K,theorem_1,theorem_2,exact,exact_em,lower"
    assert out["theorem_2"][-1] > out["exact"][-1]
    code, text, _ = wb(*common)
    assert code == 0 and "slope" in text
    mixed = wb.ask(*common, "--m0", "0.5", "--L0", "1", "--second-moment", "4")
    assert "exact" not in mixed and "Gaussian" in mixed["refusals"]["exact"]
    for axis, more in (("T", ["--K", "50", "--from", "1", "--to", "4"]), ("d", ["--K", "50", "--T", "3"])):
        along = wb.ask("curve", "--process", "ou", "--against", axis, "--points", "3", *more)
        assert len(along[axis]) == 3 and all(v > 0 for v in along["theorem_2"])


def test_curve_on_real_data(wb: Any, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 2.0, 3.0]
    np.save(tmp_path / "x.npy", x)
    common = ["curve", "--data", str(tmp_path / "x.npy"), "--process", "ou", "--to", "40", "--points", "2"]
    out = wb.ask(*common, "--figure", str(tmp_path / "x.svg"))
    assert out["data"]["d"] == 3 and out["ou"][0] > out["ou"][1] > 0.0
    code, text, _ = wb(*common)
    assert code == 0 and "scale" in text


def test_bound_takes_data(wb: Any, tmp_path: Path) -> None:
    from numerics.targets import datasets

    given = ["bound", "--process", "vp-linear", "--T", "4", "--K", "50", "--scheme", "em-point"]
    file = tmp_path / "samples.npy"
    np.save(file, np.random.default_rng(3).standard_normal((40, 3)) * [1.0, 2.0, 0.3] + 1.0)
    for data, made in (("4,1,0.25", datasets.from_spectrum([4, 1, 0.25])), (str(file), datasets.load(file))):
        got = wb.ask(*given, "--data", data)
        p = wbound.process("vp-linear")
        assert got["total"] == wbound.w2_bound(p, made.gaussian, T=4, K=50, scheme="em-point").total
        assert got["exact"] == exact_w2(p, made.gaussian, T=4, K=50, scheme="em-point")
        assert got["d"] == 3 and got["scale"] == pytest.approx(made.spread)
    em = [word if word != "em-point" else "em" for word in given]
    assert wb.ask(*em, "--data", "4,1", "--theorem", "published", "--M1", "exact")["M1"] > 0.0
    assert "--data" in wb.refused(*given, "--data", "4,1", "--d", "2")
    assert "A1" in wb.refused(*given, "--data", "4,1,0")
    assert "certify" in wb.refused(*given, "--data", "4,1", "--certify")
    assert "key" in wb.refused(*given, "--d", "2", "--m0", "1", "--L0", "1", "--mean-norm", "0", "--key", "x")
