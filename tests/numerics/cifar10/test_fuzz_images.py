"""Damaged and hostile files of images and runs: one line each, no memory blow-up, nothing of a file runs."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from test_fuzz_files import changes, damage, damaged, judged, many, replaced

from numerics.cifar10 import archives, checkpoints, evaluation
from numerics.cifar10.images import load_images
from numerics.cifar10.runs import Run, make_config

BATCH = {b"data": np.arange(40, dtype=np.uint8).reshape(2, 20), b"labels": [1, 2], b"batch_label": b"x"}


@many()
@given(st.sampled_from((0, 2, 4, 5)), damage)
def test_pickled_batches(protocol: int, how: Any) -> None:
    content = damaged(pickle.dumps(BATCH, protocol), how)
    judged(lambda: archives._python("batch", content))


def bomb(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


@pytest.mark.parametrize(
    "content",
    [
        bomb(pickle.NONE, pickle.LONG_BINPUT, struct.pack("<I", 10**9)),  # C would make room for 2e9 positions
        bomb(pickle.NONE, pickle.LONG_BINPUT, struct.pack("<I", 2**32 - 1)),
        bomb(pickle.BYTEARRAY8, struct.pack("<Q", 10 << 30)),
        bomb(pickle.BINBYTES8, struct.pack("<Q", 1 << 62)),
        bomb(pickle.FRAME, struct.pack("<Q", 1 << 62)),
        bomb(pickle.LONG4, struct.pack("<i", 2**31 - 1)),
        bomb(b"I" + b"9" * 100_000 + b"\n"),
        bomb(pickle.EMPTY_LIST * 100_000),
        bomb(pickle.MARK * 100_000),
        bomb(b"cnumpy\ndtype\n}U\x04text\x4e\x73", pickle.BUILD),  # a state for the admitted name itself
        bomb(b"cnumpy.core.multiarray\n_reconstruct\n}", pickle.BUILD),
        bomb(b"cbuiltins\neval\n(X\x01\x00\x00\x001tR"),
        bomb(b"\x82\x01"),  # an extension code
        bomb(b"Pid\n"),  # a persistent id
    ],
    ids=[f"bomb {i}" for i in range(14)],
)  # fmt: skip
def test_pickles_that_ask_for_too_much(content: bytes) -> None:
    assert judged(lambda: archives._python("batch", content))
    batch = archives.restricted_loads(pickle.dumps(BATCH, 4), "batch")  # what is admitted is as it was
    assert batch[b"data"].array("batch").tolist() == BATCH[b"data"].tolist()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    """A small file of the right format."""
    header = {"format": checkpoints.FORMAT, "step": "3", "architecture": json.dumps({"channels": 1})}
    return bytes(save({"network.a": torch.zeros(2), "average.a": torch.ones(2)}, header))


@many()
@given(damage)
def test_checkpoints(checkpoint: bytes, tmp_path: Path, how: Any) -> None:
    path = tmp_path / "step-000000003.safetensors"
    path.write_bytes(damaged(checkpoint, how))
    judged(lambda: checkpoints.load_checkpoint(path))


@pytest.mark.parametrize("size", [0, 7, 1 << 40, (1 << 64) - 1])
def test_checkpoints_whose_header_is_too_long(size: int, tmp_path: Path) -> None:
    path = tmp_path / "step-000000003.safetensors"
    path.write_bytes(struct.pack("<Q", size) + b"{}" * 20)
    assert judged(lambda: checkpoints.load_checkpoint(path))


@many()
@given(changes, damage | st.just([]))
def test_configurations_of_runs(tmp_path: Path, change: Any, how: Any) -> None:
    config = make_config("vp-original", "digits", "smoke")
    body = {
        "config": config.to_dict(),
        "architecture": config.architecture(1, 8).to_dict(),
        "versions": {"torch": "x"},
    }
    text = json.dumps(replaced(body, change)).encode("utf-8", "surrogatepass")
    (tmp_path / "config.json").write_bytes(damaged(text, how))
    judged(lambda: Run(tmp_path).read())


@many()
@given(st.booleans(), damage)
def test_weights_of_inception(tmp_path: Path, zipped: bool, how: Any) -> None:
    path, stream = tmp_path / "weights.pth", io.BytesIO()
    torch.save(
        {"fc.weight": torch.ones(3, 2), "n": torch.zeros(0)}, stream, _use_new_zipfile_serialization=zipped
    )
    path.write_bytes(damaged(stream.getvalue(), how))
    judged(lambda: evaluation._weights(path))


def test_weights_that_never_end_or_are_words(tmp_path: Path) -> None:
    (tmp_path / "endless.pth").symlink_to("/dev/zero")
    (tmp_path / "words.csv").write_text("a,b\n1,2\n", "utf-8")
    assert "at most 400 MB" in judged(lambda: evaluation._weights(tmp_path / "endless.pth"))
    assert "state_dict" in judged(lambda: evaluation._weights(tmp_path / "words.csv"))
    assert "no name of a file" in judged(lambda: evaluation._weights("\x00"))


@many()
@given(st.sampled_from((0, 1, 2)), damage)
def test_files_of_images(tmp_path: Path, kind: int, how: Any) -> None:
    path = tmp_path / ("images.npz" if kind else "images.npy")
    images = np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
    save_: Callable[..., Any] = np.savez if kind else np.save
    save_(path, images if kind < 2 else images.astype(float))
    path.write_bytes(damaged(path.read_bytes(), how))
    judged(lambda: load_images(str(path)))
