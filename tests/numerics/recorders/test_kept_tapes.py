"""Tapes that are kept: read where they fit, made anew where they are damaged or where anything is another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.recorders import kept_tapes
from numerics.recorders.diffusers_schedulers import plan_of, record_plan
from numerics.recorders.kept_tapes import kept_tape, tapes_folder
from numerics.recorders.recording import NotRecorded

pytest.importorskip("diffusers")

DDIM: dict[str, Any] = {"clip_sample": False}


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """A folder of its own, and the runs that were made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Any] = []

    def counted(plan: Any) -> Any:
        made.append(plan)
        return record_plan(plan)

    monkeypatch.setattr(kept_tapes, "record_plan", counted)
    return made


def test_the_second_time_nothing_runs(runs: list[Any], tmp_path: Path) -> None:
    plan = plan_of("DDIMScheduler", 6, changes=DDIM)
    first, second = kept_tape(plan), kept_tape(plan)
    assert len(runs) == 1 and tapes_folder() == tmp_path / "wbound" / "tapes"
    assert first.to_dict() == second.to_dict() and len(list(tapes_folder().iterdir())) == 1


def test_another_key_class_step_or_version_runs_again(
    runs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [
        plan_of("DDIMScheduler", 6, changes=DDIM),
        plan_of("DDIMScheduler", 7, changes=DDIM),
        plan_of("DDIMScheduler", 6, changes=DDIM | {"beta_end": 0.03}),
        plan_of("DDIMScheduler", 6, changes=DDIM, eta=0.5),
        plan_of("EulerDiscreteScheduler", 6),
        plan_of("EulerDiscreteScheduler", 6, begin_index=0),
    ]
    tapes = [kept_tape(plan) for plan in plans]
    assert len(runs) == 6 and [kept_tape(plan).to_dict() for plan in plans] == [t.to_dict() for t in tapes]
    monkeypatch.setattr(kept_tapes, "_code", lambda: "another")
    kept_tape(plans[0])
    assert len(runs) == 7


DAMAGES = ["", "{", "[]\n[]\n", "shorter", "edited", "nan", "list", "no shape", "too few", "another"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(runs: list[Any], damage: str) -> None:
    plan = plan_of("DDIMScheduler", 5, changes=DDIM)
    good = kept_tape(plan)
    (file,) = tapes_folder().iterdir()
    data = file.read_bytes()
    _, line, numbers = data.split(b"\n", 2)
    head, values = json.loads(line), np.frombuffer(numbers, "<f8").copy()
    if damage == "shorter":
        data = data[:-40]
    elif damage == "edited":
        data = data.replace(b"DDIM", b"DDPM", 1)
    elif damage in DAMAGES[5:]:  # by somebody who makes a digest that fits
        if damage == "nan":
            values[7] = np.nan
        elif damage == "list":
            head = [head]
        elif damage == "no shape":
            head["shapes"] = {**head["shapes"], "start": "six"}
        elif damage == "too few":
            values = values[:20]
        else:
            head["key"] = head["key"][::-1]
        content = json.dumps(head).encode() + b"\n" + values.tobytes()
        data = hashlib.sha256(content).hexdigest().encode() + b"\n" + content
    else:
        data = damage.encode()
    assert data != file.read_bytes()
    file.write_bytes(data)
    assert kept_tape(plan).to_dict() == good.to_dict() and len(runs) == 2
    assert kept_tape(plan).to_dict() == good.to_dict() and len(runs) == 2


def test_what_the_library_refuses_is_kept_with_its_words(runs: list[Any]) -> None:
    plan = plan_of("UniPCMultistepScheduler", 5, changes={"solver_type": "bh1"})
    said = []
    for _ in range(2):
        with pytest.raises(NotRecorded) as caught:
            kept_tape(plan)
        said.append((str(caught.value), caught.value.kind))
    assert said[0] == said[1] and said[0][1] == "nan" and len(runs) == 1


def test_objects_and_long_ones_are_not_kept(runs: list[Any]) -> None:
    import diffusers

    live = plan_of(diffusers.DDIMScheduler(clip_sample=False), 4)
    long = plan_of("DDIMScheduler", kept_tapes.LONGEST + 1, changes=DDIM)
    for plan in (live, live, long):
        kept_tape(plan)
    assert len(runs) == 3 and not tapes_folder().exists()


def test_a_folder_that_cannot_be_written_is_no_error(
    runs: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wbound").write_text("a file where the folder would be")
    tape = kept_tape(plan_of("DDIMScheduler", 4, changes=DDIM))
    assert tape.K == 4 and np.isfinite(tape.answers).all()
