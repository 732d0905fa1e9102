"""What the tests of images share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread a worker: the workers share the cores, and threads that wait for each other are slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _no_bf16_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on every machine: auto is float32, unless a test says otherwise."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
