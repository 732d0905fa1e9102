"""What the audit says of real schedulers: parts of W2, faults it finds by itself, changes that help."""

from __future__ import annotations

import json
import math
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.cli.main import main
from numerics.laws.tape_parts import parts_of
from numerics.recorders.audited import SAYS, Audit, audit_plan, audit_tape
from numerics.recorders.callables import record
from numerics.recorders.diffusers_schedulers import plan_of
from numerics.recorders.remedies import remedies_of
from numerics.targets import datasets
from wbound.errors import BadInput
from wbound.exact.law_of_tape import tape_law

pytest.importorskip("diffusers")

#: make oldest-diffusers runs this file too.
OLD = tuple(int(part) for part in version("diffusers").split(".")[:2]) < (0, 31)
LIN = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
X = np.array([4.0, 1.0, 0.25, 0.04, 0.01])
DATA = datasets.from_spectrum(X)


def audited(kind: str, config: dict[str, Any], *steps: int) -> Audit:
    return audit_plan(plan_of(kind, steps[0], changes=config), DATA, steps)


def said(audit: Audit, words: str) -> str:
    found = [one for one in audit.findings if words in one]
    assert len(found) == 1, audit.findings
    return found[0]


# ---------------------------------------------------------------------- parts


def test_parts_of_ddim_in_closed_form() -> None:
    sigmas = np.append(np.geomspace(9.0, 0.4, 5), 0.0)

    def ddim(network: Any, x: Any, noise: Any) -> Any:
        for s, after in zip(sigmas[:-1], sigmas[1:], strict=True):
            D = network(x, s)
            x = D + (after / s) * (x - D)
        return x

    tape, mean = record(ddim, start_std=9.0), np.full(5, 0.7)
    gain = np.ones_like(X)
    for s, after in zip(sigmas[:-1], sigmas[1:], strict=True):
        gain *= (X + s * after) / (X + s**2)
    root = np.sqrt(X)
    own, exact = gain * 9.0, gain * np.sqrt(X + 81.0)
    last = X / np.sqrt(X + 0.16)  # the denoiser at σ = 0.4 of exact states
    p = parts_of(tape, X, mean)
    assert p.w2 == pytest.approx(np.sqrt(((own - root) ** 2 + (gain * 0.7) ** 2).sum()), rel=1e-10)
    assert p.start == pytest.approx(np.sqrt(((own - exact) ** 2 + (gain * 0.7) ** 2).sum()), rel=1e-10)
    assert p.last_jump == pytest.approx(np.sqrt(((last - root) ** 2).sum()), rel=1e-10)
    assert p.steps == pytest.approx(np.sqrt(((exact - last) ** 2).sum()), rel=1e-10)
    np.testing.assert_allclose(p.spreads, own / root, rtol=1e-10)
    assert parts_of(tape, X, mean, "exact").start == 0.0


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("DPMSolverMultistepScheduler", SD | {"use_karras_sigmas": True}),
        ("DPMSolverMultistepScheduler", SD | {"algorithm_type": "sde-dpmsolver++"}),
        ("HeunDiscreteScheduler", LIN),
        ("PNDMScheduler", LIN),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    ],
)
def test_parts_bound_the_whole_and_vanish_with_their_cause(kind: str, config: dict[str, Any]) -> None:
    mean = np.linspace(-1.0, 1.0, 5)
    few, many = (parts_of(record(kind, K, changes=config), X, mean) for K in (8, 64))
    for p in (few, many):
        assert p.w2 <= p.start + p.steps + p.last_jump + 1e-12
        assert min(p.start, p.steps, p.last_jump) >= 0.0
    assert many.steps < few.steps and many.last_jump <= few.last_jump * (1.0 + 1e-4)


def test_directions_without_spread_and_pure_noise() -> None:
    x = np.array([1.0, 0.0])
    p = parts_of(record("FlowMatchEulerDiscreteScheduler", 6), x, np.array([0.5, 2.0]))
    assert math.isnan(p.spreads[1]) and math.isfinite(p.w2) and p.start == 0.0


# ---------------------------------------------------------------------- what it finds without being told


def test_a_leading_schedule_that_begins_early() -> None:
    audit = audited("DDIMScheduler", LIN | {"clip_sample": False, "timestep_spacing": "leading"}, 10)
    assert "333 → 334: 0.012825 → 0.038072" in said(audit, "one more step makes it worse")
    # the fifth digit at 500 steps is the processor's: .0086935 and .0086932 were seen
    found = re.search(r"500 → 501: (\S+) → (\S+?);", said(audit, "one more step makes it worse"))
    assert found is not None
    assert [float(w2) for w2 in found.groups()] == pytest.approx([0.0086934, 0.20175], rel=1e-4)
    assert audit.rows[0].parts is not None and audit.rows[0].parts.w2 == pytest.approx(0.36841, abs=1e-5)
    best = audit.helps[0]
    assert best.w2 < audit.rows[0].parts.w2 and best.line.startswith("scheduler = ")


def test_log_linear_never_converges() -> None:
    audit = audited("EulerDiscreteScheduler", LIN | {"interpolation_type": "log_linear"}, 10)
    assert "1.1577 at 50, 1.1617 at 100, 1.1636 at 200" in said(audit, "does not converge")
    said(audit, "is not at the level that it is told")
    assert audit.helps[0].line.endswith("interpolation_type='linear')") and audit.helps[0].cost == 0


def test_the_fifteenth_step_of_a_schedule_that_ends_at_sigma_min() -> None:
    audit = audited("DPMSolverMultistepScheduler", SD | {"final_sigmas_type": "sigma_min"}, 16)
    assert "14 → 15: 0.093453 → 0.12708" in said(audit, "one more step makes it worse")
    assert any("it ends above zero" in one for one in audit.notes)


def test_nan_is_the_finding() -> None:
    audit = audited("UniPCMultistepScheduler", LIN | {"solver_type": "bh1"}, 5)
    found = said(audit, "the library fails")
    assert "NaN" in found and "diffusers 0" in found and "1–5" in found
    assert audit.rows[0].parts is None and audit.rows[0].to_dict()["w2"] is None
    assert (
        audit.helps[0].line
        == "scheduler = UniPCMultistepScheduler.from_config(scheduler.config, solver_type='bh2')"
    )


def test_a_number_of_steps_that_does_not_divide_the_training_steps() -> None:
    audit = audited("DDIMScheduler", LIN | {"clip_sample": False, "timestep_spacing": "trailing"}, 48)
    assert "47 → 48" in said(audit, "one more step makes it worse")
    assert "told σ/α = 0.0794 where its input is at 0.1299" in said(
        audit, "is not at the level that it is told"
    )
    steps = [h for h in audit.helps if h.cost == 1]
    assert (
        steps
        and steps[0].line == "scheduler.set_timesteps(50)"
        and steps[0].w2 == pytest.approx(0.08397, abs=1e-5)
    )


def test_a_shift_that_is_applied_twice() -> None:
    audit = audited("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, 20)
    assert "0.002994" in said(audit, "shift is applied twice")
    assert any("np.linspace(1, 1/20, 20)" in h.line for h in audit.helps)
    assert not [one for one in audited("FlowMatchEulerDiscreteScheduler", {}, 4).findings if "twice" in one]
    assert any("pure noise" in one for one in audit.notes)


def test_indices_that_clash() -> None:
    """Levels of 32 steps are rounded to training steps, two of them to one, where the library looks its index up."""
    if OLD:  # refused by name
        with pytest.raises(
            BadInput, match="use_beta_sigmas = True: DPMSolverMultistepScheduler takes no such key"
        ):
            audited("DPMSolverMultistepScheduler", SD | {"use_beta_sigmas": True}, 32)
        return
    audit = audited("DPMSolverMultistepScheduler", SD | {"use_beta_sigmas": True}, 32)
    found = said(audit, "the library fails")
    assert "K = 32, 50, 100, 200: IndexError: index 33 is out of bounds" in found and "diffusers 0" in found
    cured = [h for h in audit.helps if h.line == "scheduler.set_begin_index(0)"]
    assert len(cured) == 1 and 0.0 < cured[0].w2 < 0.5 and cured[0].cost == 0


def test_noise_that_only_hurts() -> None:
    found = said(audited("EDMEulerScheduler", {}, 20), "noise only hurts")
    assert "0.28899 at s_churn=0.25" in found and "0.275 without" in found
    # and noise that helps is offered
    helps = audited("EulerDiscreteScheduler", LIN, 20).helps
    assert [h.w2 for h in helps if "s_churn=0.25" in h.line] == [pytest.approx(0.06598, abs=1e-5)]


def test_what_helps_is_what_the_line_gives() -> None:
    """The first lines, pasted, give the W2 that is said of them."""
    import diffusers

    audit = audited("DPMSolverMultistepScheduler", SD, 8)
    pasted = 0
    for one in audit.helps[:6]:
        scheduler = diffusers.DPMSolverMultistepScheduler(**SD)
        names = {
            "scheduler": scheduler,
            **{n: getattr(diffusers, n) for n in dir(diffusers) if n in one.line},
        }
        if not one.line.startswith("scheduler = ") or ";" in one.line:
            continue
        exec(one.line, names)  # our own line, as a user pastes it
        law = tape_law(record(names["scheduler"], one.steps), X, output="raw")
        assert law.w2() == pytest.approx(one.w2, rel=1e-9), one.line
        pasted += 1
    assert pasted >= 2 and audit.tried > 10


def test_remedies_differ_from_the_plan_and_are_named_once() -> None:
    plan = plan_of("EulerDiscreteScheduler", 12, s_churn=2.0, **LIN)
    lines = [one.line for one in remedies_of(plan)]
    assert len(lines) == len(set(lines)) and "scheduler.step(..., s_churn=0.0)" in lines
    assert any("use_karras_sigmas=True" in line for line in lines)


def test_data_far_from_scale_one_are_named() -> None:
    large = datasets.from_spectrum(X * 1e4)
    audit = audit_plan(plan_of("EDMEulerScheduler", 3), large, [3])
    assert any("the data's scale is" in one for one in audit.findings)


def test_a_tape_is_audited_too() -> None:
    tape = record("EDMEulerScheduler", 6)
    audit = audit_tape(tape, DATA, "exact")
    assert audit.rows[0].parts is not None and audit.rows[0].parts.start == 0.0 and audit.rows[0].calls == 6


# ---------------------------------------------------------------------- the command


def test_audit_in_json_and_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "curve.csv"
    common = ["audit", "--diffusers", "EDMEulerScheduler", "--data", "4,1,0.25,0.04,0.01", "--steps", "3,6"]
    assert main([*common, "--json", "--figure", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    row = found["rows"][1]
    for key in (
        "steps",
        "calls",
        "w2",
        "w2_relative",
        "start_share",
        "last_jump_share",
        "steps_share",
        "spreads",
    ):
        assert row[key] is not None, key
    assert row["w2_relative"] == pytest.approx(row["w2"] / DATA.spread) and len(row["spreads"]) == 5
    assert found["says"] == SAYS and found["figure"] == str(out)
    assert out.read_text().startswith("steps,w2") and len(found["curve"]) >= 8
    assert main([*common, "--figure", str(tmp_path / "curve.svg")]) == 0
    text = capsys.readouterr().out
    assert (
        "Exact for the Gaussian" in text
        and "What helps at K = 6" in text
        and (tmp_path / "curve.svg").stat().st_size
    )


def test_audit_of_a_tape_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "tape.json"
    record("FlowMatchEulerDiscreteScheduler", 28, shift=3.0).save(file)
    assert main(["audit", "--tape", str(file), "--data", "1,0.25", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["w2"] == pytest.approx(0.08173793, abs=1e-7) and found["rows"][0]["calls"] == 28
    content = json.loads(file.read_text())
    content["start_std"] = 2.0
    file.write_text(json.dumps(content))
    assert main(["audit", "--tape", str(file)]) == 2
    assert "edited" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --diffusers"),
        (["--diffusers", "DDIMScheduler", "--tape", "x.json"], "one of them"),
        (["--diffusers", "DDIMSchedler"], "did you mean DDIMScheduler"),
        (["--diffusers", "DDIMScheduler"], "clip_sample=False"),
        (["--diffusers", "DDIMScheduler", "--set", "clip_sample"], "KEY=VALUE"),
        (["--diffusers", "DDIMScheduler", "--set", "clip=1"], "takes no such key: clip_sample"),
        (
            ["--diffusers", "DDIMScheduler", "--set", "clip_sample=false", "--set", "clip_sample=true"],
            "twice",
        ),
        (["--diffusers", "DDIMScheduler", "--set", "clip_sample=false", "--set", "eta=NaN"], "finite"),
        (["--diffusers", "EDMEulerScheduler", "--start", "mine"], "start"),
        (["--diffusers", "EDMEulerScheduler", "--steps", "5,0"], "K = 0"),
        (["--diffusers", "EDMEulerScheduler", "--eta", "1"], "eta"),
        (["--diffusers", "EDMEulerScheduler", "--steps", "3", "--sigmas", "3,1"], "give --K"),
        (["--diffusers", "EDMEulerScheduler", "--data", "1,-1"], "spectrum"),
        (["--diffusers", "EDMEulerScheduler", "--data", "1,nan"], "nan"),
        (["--diffusers", "EDMEulerScheduler", "--figure", "x.bmp"], "figure"),
        (["--tape", "x.json", "--steps", "3"], "goes with --diffusers"),
        (
            ["--diffusers", "DDIMScheduler", "--set", "clip_sample=false", "--timesteps", "3,2"],
            "takes no timesteps",
        ),
    ],
)
def test_bad_input_exits_with_two(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    data = [] if "--data" in arguments else ["--data", "1,0.25"]
    assert main(["audit", *data, *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and said.out == ""


def test_sigmas_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    line = [
        "audit",
        "--diffusers",
        "EulerDiscreteScheduler",
        "--data",
        "1,0.25",
        "--sigmas",
        "14,3,1,0.1,0",
        "--json",
    ]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["steps"] for row in found["rows"]] == [4] and found["tried"] > 0


def test_without_the_library_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert main(["audit", "--diffusers", "DDIMScheduler", "--data", "1,0.25"]) == 2
    assert "wbound[diffusers]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("DDIMScheduler", "beta_start=-1"),
        ("DDIMScheduler", "beta_start=null"),
        ("DDIMScheduler", "trained_betas=[2,3]"),
        ("DDIMScheduler", "num_train_timesteps=1e12"),
        ("DDIMScheduler", "steps_offset=100000"),
        ("EDMEulerScheduler", "sigma_max=1e300"),
        ("EDMEulerScheduler", "num_train_timesteps=2"),
        ("EDMEulerScheduler", "rho=0"),
        ("EulerDiscreteScheduler", "begin_index=x"),
        ("EulerDiscreteScheduler", "s_noise=1e200"),
        ("FlowMatchEulerDiscreteScheduler", "shift=-1"),
    ],
)
def test_extreme_configurations_are_a_finding_or_a_line(
    capsys: pytest.CaptureFixture[str], kind: str, key: str
) -> None:
    line = ["audit", "--diffusers", kind, "--data", "1,0.25", "--steps", "3", "--json", "--set", key]
    code = main([*line, *(["--set", "clip_sample=false"] if kind == "DDIMScheduler" else [])])
    out, err = capsys.readouterr()
    if code == 0:
        json.loads(out, parse_constant=pytest.fail)
    else:
        assert code == 2 and out == "" and err.count("\n") == 1 and len(err) < 600
