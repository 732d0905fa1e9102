"""The command line of certificates."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

FACTS = ("--process", "vp-linear", "-p", "a=1", "-p", "b=0.1", "--d", "3", "--m0", "0.3", "--L0", "0.3")
WHERE = (*FACTS, "--mean-norm", "0", "--T", "4", "--K", "30", "--scheme", "hf")


def test_a_certificate_is_written_and_rechecked(tmp_path: Path, wb: Any) -> None:
    file = tmp_path / "certificate.json"
    answer = wb.ask("certify", *WHERE, "--eps", "1/10", "-o", str(file))
    assert answer["holds"] is True and answer["bound"]["lower"] > answer["exact"]["upper"]
    # what was typed is kept as typed: 0.1 is 1/10, not the double
    assert (
        answer["inputs"]["parameters"] == {"a": "1", "b": "0.1"} and answer["inputs"]["data"]["m0"] == "0.3"
    )
    assert answer["steps"]["radius"] < 1e-12 and answer["floor"] is None
    assert wb.ask("certify", "--check", str(file))["bits"] > answer["bits"]
    code, out, _ = wb("certify", "--check", str(file))
    assert code == 0 and "proved" in out
    body = json.loads(file.read_text("utf-8"))
    body["inputs"]["T"] = "4.0001"
    file.write_text(json.dumps(body), "utf-8")
    assert "has been edited" in wb.refused("certify", "--check", str(file), code=3)
    del body["digest"]
    body["format"] = "wbound-certificate-1"
    file.write_text(json.dumps(body), "utf-8")
    assert "recorded" in wb.refused("certify", "--check", str(file), code=3)
    body["inputs"]["T"] = "4"
    file.write_text(json.dumps(body), "utf-8")
    code, out, _ = wb("certify", "--check", str(file))
    assert code == 0 and "has no digest" in out and "proved" in out
    assert "would not be noticed" in wb.ask("certify", "--check", str(file))["caveat"]
    file.write_text("{", "utf-8")
    assert "JSON" in wb.refused("certify", "--check", str(file))
    file.write_bytes(b"\xff\xfe")
    assert "JSON" in wb.refused("certify", "--check", str(file))
    assert "cannot read" in wb.refused("certify", "--check", str(tmp_path / "none"), code=4)


@pytest.mark.parametrize("grid", ["uniform", "edm"])
def test_bound_certifies_what_it_prints(grid: str, wb: Any) -> None:
    answer = wb.ask("bound", *WHERE, "--grid", grid, "--certify")
    for name in ("bound", "exact"):
        certified = answer["certified"][name]
        value = answer["total" if name == "bound" else "exact"]
        assert abs(value - certified["mid"]) <= certified["radius"] + 1e-11 * certified["mid"]
    code, out, _ = wb("bound", *WHERE, "--grid", grid, "--certify")
    assert code == 0 and "proved" in out


def test_bad_options(wb: Any) -> None:
    assert "bits" in wb.refused("certify", *WHERE, "--bits", "8")
    assert "ddpm" in wb.refused("certify", *WHERE[:-1], "em-point")
    assert "theta" in wb.refused("certify", *WHERE[:-1], "ddpm", "--theta", "-1")


NEARLY = ("--T", "2.841803", "--K", "10", "--d", "3", "--scheme", "em", "--start", "exact")


def test_a_small_mean_is_as_given(wb: Any) -> None:
    """A mean of 7e-5 beside a standard deviation of 1.4 was taken as 0, and 2.23e-9 was proved; in mpmath it is 4.9113e-6."""
    where = ("--process", "vp-linear", "-p", "a=1", "-p", "b=0.5", *NEARLY, "--m0", "0.5", "--L0", "0.5")
    second = ("--second-moment", "6.000000005")
    for mean in (("--mean-norm", "7.0710678e-5"), ()):
        proved = wb.ask("certify", *where, *second, *mean)["exact"]
        assert proved["mid"] == pytest.approx(4.91127150e-6, rel=1e-8, abs=0.0)
        beside = wb.ask("bound", *where, *second, *mean, "--certify")
        assert beside["exact"] == pytest.approx(proved["mid"], rel=1e-7, abs=0.0)
        assert beside["certified"]["exact"] == proved
    wrong = (*where, *second, "--mean-norm", "0")
    assert "6.000000005" in wb.refused("certify", *wrong)
    said = wb.ask("bound", *wrong)
    assert (
        said["exact"] is None
        and "second_moment = 6.000000005, but d/m0 = 6.0" in said["null_because"]["exact"]
    )
    assert said["total"] > 1.0


def test_a_mean_that_no_digit_says_is_not_certified(wb: Any) -> None:
    """3/0.7 in doubles is not 30/7: the difference is no mean, and a certificate does not guess."""
    where = (
        "--process",
        "vp-linear",
        *NEARLY,
        "--m0",
        "0.7",
        "--L0",
        "0.7",
        "--second-moment",
        "4.285714285714286",
    )
    answer = wb.ask("bound", *where, "--certify")
    assert answer["exact"] > 0.0 and answer["certified"]["exact"] is None
    assert "give mean_norm" in answer["null_because"]["certified.exact"]
    code, out, _ = wb("bound", *where, "--certify")
    assert code == 0 and "give mean_norm" in " ".join(out.split())
    assert wb.ask("certify", *where, "--mean-norm", "0")["exact"]["mid"] == pytest.approx(
        answer["exact"], rel=1e-11
    )


def test_sections_16_and_17(wb: Any, tmp_path: Path) -> None:
    """E_K with the closed form's sampler, a sampler and a spectrum as exact text, Eq. 17; files check, and what does not fit
    is refused."""
    of_class = wb.ask("certify", "--kappa", "10", "--K", "1")
    assert of_class["floor"]["lower"] <= 0.0110164356 * (1 + 1e-8) and of_class["attained"] < 1e-6
    # nodes 1, 1, 1: λ = 3, z = 1/3, ν = 3; exact at x = 1, and at 4 the gain is 3 (4 + 1/3)/7
    own = ("--kappa", "8", "--K", "1", "--levels", "3", "--zeros", "1/3", "--nu", "3")
    out = str(tmp_path / "c.json")
    given = wb.ask("certify", *own, "--spectrum", "1, 4", "-o", out)
    assert given["w2"]["mid"] == pytest.approx(2.0 - 13.0 / 7.0, rel=1e-14)
    assert given["worst"]["lower"] >= given["floor"]["upper"]
    assert wb.ask("verify-certificate", out)["w2"] == given["w2"]
    assert wb.ask("certify", *own, "--spectrum", "1")["w2"]["upper"] < 1e-40
    ddim = wb.ask("certify", "--sigma0", "2", "--d", "3", "--K", "7", "--lam-max", "4")["ddim"]
    assert ddim["mid"] == pytest.approx(2 * 3**0.5 * (1 - math.cos(math.pi / 28) ** 7), rel=1e-14)
    code, text, _ = wb("certify", "--sigma0", "1", "--K", "20")
    assert code == 0 and "Eq. 17" in text and "E_K" not in text
    for words, said in (
        (("--kappa", "8", "--K", "1", "--levels", "3"), "zeros = (not given)"),
        (("--levels", "3", "--K", "1"), "levels = 3: goes with --kappa"),
        (("--sigma0", "1", "--K", "2", "--spectrum", "1"), "spectrum = 1: goes with --kappa"),
        (("--kappa", "8", "--K", "1", "--lam-max", "3"), "lam-max = 3: goes with --sigma0"),
        (("--kappa", "8", "--K", "1", "--d", "3"), "d = 3: is not for --kappa"),
        (("--kappa", "8", "--K", "1", "--T", "3"), "T = 3: is not for --kappa"),
        (("--sigma0", "1", "--K", "2", "--m0", "3"), "m0 = 3: is not for --sigma0"),
        (("--kappa", "8", "--K", "2", *own[4:]), "levels = 1: must be K = 2 levels"),
        ((*own[:8], "--nu", "x"), "nu"),
    ):
        assert said in wb.refused("certify", *words), words


@pytest.mark.parametrize("grid", ["uniform", "edm"])
def test_a_bound_and_its_proof_make_the_process_once(
    monkeypatch: pytest.MonkeyPatch, wb: Any, grid: str
) -> None:
    from wbound.forward.forward_process import Process
    from wbound.sampler import description

    description._process_of.cache_clear()
    made: list[str] = []
    setup = Process._setup
    monkeypatch.setattr(Process, "_setup", lambda self, *a, **k: made.append(a[0]) or setup(self, *a, **k))
    assert wb.ask("bound", *WHERE, "--grid", grid, "--certify")["certified"]["holds"] is True
    assert made == ["vp-linear"]
