"""Old dotted names still give their modules, and the names that files of old gave, a room gives."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import numerics
import wbound
from numerics import moved as moved_numerics
from wbound import moved as moved_wbound

ROOT = Path(__file__).resolve().parent.parent
MOVED = {**moved_wbound.MOVED, **moved_numerics.MOVED}
ELSEWHERE = {**moved_wbound.ELSEWHERE, **moved_numerics.ELSEWHERE}

#: Rooms that bear the name that a file had.
DOORS = (
    "wbound.data",
    "wbound.forward",
    "wbound.complexity",
    "wbound.certified",
    "numerics.samplers",
    "numerics.targets",
    "numerics.transport",
    "numerics.schedules",
    "numerics.sweep",
    "numerics.figures",
)


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_gives_the_module_and_a_warning(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new = MOVED[old]
    package, _, name = old.rpartition(".")
    parent = importlib.import_module(package)
    monkeypatch.delitem(sys.modules, old, raising=False)
    before = vars(parent).get(name)
    module = importlib.import_module(new)
    spec = module.__spec__
    with pytest.warns(DeprecationWarning, match=rf"{old} is now {new}$"):
        found = importlib.import_module(old)
    assert found is module and module.__spec__ is spec and module.__name__ == new
    for name_there, home in ELSEWHERE.get(old, {}).items():
        assert getattr(found, name_there) is getattr(importlib.import_module(home), name_there)
    if callable(before):  # a function of the front door is not hidden by the module
        assert getattr(parent, name) is before


def test_names_elsewhere_belong_to_old_modules() -> None:
    assert ELSEWHERE and ELSEWHERE.keys() <= MOVED.keys()


def test_no_old_name_is_a_file() -> None:
    for old in MOVED:
        assert not ROOT.joinpath(*old.split(".")).with_suffix(".py").exists(), old
        assert not ROOT.joinpath(*old.split("."), "__init__.py").exists(), old


@pytest.mark.parametrize("door", DOORS)
def test_a_room_gives_the_names_of_the_file_it_is_called_after(door: str) -> None:
    room = importlib.import_module(door)
    assert len(room._HOME) >= 2
    for name, home in room._HOME.items():
        assert getattr(room, name) is getattr(importlib.import_module(home), name), name
        assert name in dir(room)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = room.nothing


def test_the_front_doors_give_what_they_list() -> None:
    for package in (wbound, numerics):
        assert all(getattr(package, name) is not None for name in package.__all__)


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, where no old name was asked for yet."""
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, cwd=ROOT
    )


def test_an_attribute_of_old_still_works() -> None:
    """As in ``wbound.NAME.numerical_grid`` after ``import wbound`` alone."""
    old = "wbound." + "optimal"
    done = run(f"import wbound\nassert {old}.numerical_grid is wbound.numerical_grid")
    assert done.returncode == 0, done.stderr
    assert f"{old} is now wbound.design." in done.stderr
    for package in (wbound, numerics):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = package.nothing


def test_a_program_of_old_runs() -> None:
    """In a process of its own: a from-import of an old module, and its function of the front door after it."""
    old = "wbound." + "setting"
    program = (
        f"from {old} import Setting\nimport wbound\n"
        "assert callable(wbound.setting) and wbound.Setting is Setting\n"
    )
    done = run(program)
    assert done.returncode == 0, done.stderr
    assert f"{old} is now wbound.sampler." in done.stderr
