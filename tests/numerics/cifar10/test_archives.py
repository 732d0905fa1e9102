"""CIFAR-10's archives: small ones of the true format are made here, read, and damaged in every way."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.cifar10 import archives
from numerics.cifar10.archives import BATCHES, cifar10, restricted_loads
from numerics.cifar10.images import load_images
from wbound.errors import BadInput

ROWS = 6
Content = dict[str, tuple[np.ndarray, list[int]]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 6 images instead of 10,000."""
    monkeypatch.setattr(archives, "ROWS", ROWS)


@pytest.fixture(scope="module")
def content() -> Content:
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(0, 256, (ROWS, 3072), dtype=np.uint8), rng.integers(0, 10, ROWS).tolist())
        for name in BATCHES
    }


def python2(value: Any) -> bytes:
    """A pickle as Python 2 wrote it, protocol 2: every string a byte string, NumPy under its old names."""

    def whole(v: int) -> bytes:
        if 0 <= v < 1 << 16:
            return b"K" + struct.pack("<B", v) if v < 1 << 8 else b"M" + struct.pack("<H", v)
        if -(1 << 31) <= v < 1 << 31:
            return b"J" + struct.pack("<i", v)
        raw = v.to_bytes(v.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def written(v: Any) -> bytes:
        if v is None or isinstance(v, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[v]
        if isinstance(v, int):
            return whole(v)
        if isinstance(v, str | bytes):
            raw = v.encode("latin1") if isinstance(v, str) else v
            return (b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))) + raw
        if isinstance(v, tuple):
            return b"(" + b"".join(map(written, v)) + b"t"
        if isinstance(v, list):
            return b"](" + b"".join(map(written, v)) + b"e"
        if isinstance(v, dict):
            return b"}(" + b"".join(written(x) for item in v.items() for x in item) + b"u"
        if isinstance(v, np.ndarray | np.dtype):
            function, arguments, state = v.__reduce__()
            return written(function) + written(arguments) + b"R" + written(state) + b"b"
        module = v.__module__.replace("numpy._core", "numpy.core")
        return f"c{module}\n{v.__qualname__}\n".encode()

    return b"\x80\x02" + written(value) + b"."


def batch_of(images: np.ndarray, labels: list[int], name: str = "batch") -> dict[str, Any]:
    names = [f"image_{i}.png" for i in range(len(labels))]
    return {"batch_label": name, "labels": labels, "data": images, "filenames": names}


def files_of(content: Content, version: str) -> dict[str, bytes]:
    if version == "py":
        return {name: python2(batch_of(*batch, name)) for name, batch in content.items()}
    return {
        f"{name}.bin": np.concatenate((np.array(labels, np.uint8)[:, None], images), axis=1).tobytes()
        for name, (images, labels) in content.items()
    }


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder


def archive_of(folder: Path, version: str, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of the published name whose MD5 is taken for the published one."""
    name = "cifar-10-python.tar.gz" if version == "py" else "cifar-10-binary.tar.gz"
    path = folder / name
    with tarfile.open(path, "w:gz") as archive:
        for file, raw in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-{version}/{file}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    published = dict(archives.ARCHIVES)
    published[name] = (published[name][0], hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(archives, "ARCHIVES", published)
    return path


def test_the_published_sums() -> None:
    assert archives.ARCHIVES == {
        "cifar-10-python.tar.gz": ("cifar-10-batches-py", "c58f30108f718f92721af3b95e74349a"),
        "cifar-10-binary.tar.gz": ("cifar-10-batches-bin", "c32a1d4ab5d03f1284b67883e8d87530"),
    }


@pytest.mark.parametrize("form", ["archive", "folder", "files"])
@pytest.mark.parametrize("version", ["py", "bin"])
def test_every_form_is_read(
    version: str, form: str, content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(content, version)
    files["readme.html"] = b"not looked at"
    if form == "archive":
        archive_of(tmp_path, version, files, monkeypatch)
    else:
        put(tmp_path / f"cifar-10-batches-{version}" if form == "folder" else tmp_path, files)
    train, test = cifar10(tmp_path)
    wanted = np.concatenate([content[name][0] for name in BATCHES[:5]]).reshape(-1, 3, 32, 32)
    assert np.array_equal(train, wanted)
    assert np.array_equal(test, content["test_batch"][0].reshape(-1, 3, 32, 32))
    images = load_images("cifar10", tmp_path)
    assert (len(images), images.shape, images.held_out, images.flips) == (36, (3, 32, 32), 6, True)
    assert np.array_equal(images.split()[1].images.numpy(), test)


def test_pickles_of_python_3_are_read(content: Content) -> None:
    images, labels = content["test_batch"]
    raw = pickle.dumps({b"data": images, b"labels": labels}, protocol=3)
    assert np.array_equal(archives._python("batch", raw), images)


class Evil:
    def __init__(self, what: Callable[..., Any], *arguments: Any) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> Any:
        return self.what, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("inside", [False, True])
def test_a_malicious_pickle_runs_nothing(
    protocol: int, inside: bool, content: Content, tmp_path: Path
) -> None:
    """The same bytes make a file when they are unpickled, and none when they are read here."""
    trace = tmp_path / "trace"
    evil: Any = Evil(os.mkdir, str(trace))
    raw = pickle.dumps(batch_of(*content["test_batch"]) | {"data": evil} if inside else evil, protocol)
    if protocol in (2, 4):
        pickle.loads(raw)
        assert trace.exists()
        trace.rmdir()
    files = {name: raw for name in BATCHES}
    put(tmp_path / "root", files)
    with pytest.raises(BadInput, match=r"data_batch_1.*no pickle of arrays and bytes alone.*mkdir"):
        cifar10(tmp_path / "root")
    assert not trace.exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\ngetattr\n(cnumpy\nndarray\nS'tofile'\ntR.",
        b"(inumpy\nfromfile\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0andarray.tofile\x93.",
        b"Ppersistent\n.",
        b"\x80\x02\x82\x01.",
        b"(lp0\n",
        b"",
        b"garbage",
        b"I" + b"9" * 100_000 + b"\n.",
    ],
)
def test_no_other_name_is_admitted(raw: bytes) -> None:
    with pytest.raises(BadInput, match="no pickle of arrays and bytes alone"):
        restricted_loads(raw, "batch")


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"labels": [1] * ROWS},
        {"data": np.zeros((ROWS, 3072), np.uint8)},
        {"data": b"x" * 3072 * ROWS, "labels": [1] * ROWS},
        {"data": np.zeros((ROWS, 3072), np.uint8), "labels": ["1"] * ROWS},
        {"data": np.zeros((ROWS, 3072), np.uint8), "labels": [True] * ROWS},
        {"data": np.zeros((ROWS, 3072), np.uint8), "labels": [1] * (ROWS - 1) + [10]},
        {"data": np.zeros((ROWS, 3072), np.uint8), "labels": [1] * (ROWS - 1) + [-(10**30)]},
        {"data": np.zeros((ROWS, 3072), np.uint8), "labels": [1] * (ROWS - 1)},
        {"data": np.zeros((ROWS - 1, 3072), np.uint8), "labels": [1] * (ROWS - 1)},
        {"data": np.zeros((ROWS, 3071), np.uint8), "labels": [1] * ROWS},
        {"data": np.zeros((ROWS, 3072), np.int8), "labels": [1] * ROWS},
        {"data": np.zeros((ROWS, 384)), "labels": [1] * ROWS},
        {"data": np.full((ROWS, 3072), None), "labels": [1] * ROWS},
    ],
)
def test_pickles_of_something_else(value: Any, content: Content, tmp_path: Path) -> None:
    files = files_of(content, "py") | {"data_batch_3": python2(value)}
    with pytest.raises(BadInput, match="root = data_batch_3"):
        cifar10(put(tmp_path, files))


def test_an_array_that_lies_about_its_size(content: Content, tmp_path: Path) -> None:
    raw = python2(batch_of(*content["test_batch"]))
    at = raw.index(b"M\x00\x0c")  # the 3072 of the shape
    for shape in (b"M\x00\x0d", b"J\x00\x00\x00\x7f"):
        lying = raw[:at] + shape + raw[at + 3 :]
        with pytest.raises(BadInput, match="test_batch"):
            cifar10(put(tmp_path, files_of(content, "py") | {"test_batch": lying}))


@pytest.mark.parametrize("version", ["py", "bin"])
def test_truncated_missing_and_out_of_range(version: str, content: Content, tmp_path: Path) -> None:
    files = files_of(content, version)
    name = "data_batch_4" + (".bin" if version == "bin" else "")
    with pytest.raises(BadInput, match=name):
        cifar10(put(tmp_path / "cut", files | {name: files[name][:-7]}))
    with pytest.raises(BadInput, match=f"root = {name}: is missing from"):
        cifar10(put(tmp_path / "gone", {k: v for k, v in files.items() if k != name}))
    images, labels = content["data_batch_4"]
    wrong = files_of({"data_batch_4": (images, [*labels[:2], 11, *labels[3:]])}, version)
    with pytest.raises(BadInput, match=f"{name}: image 2 has a label outside 0 ... 9"):
        cifar10(put(tmp_path / "label", files | wrong))


@pytest.mark.parametrize("version", ["py", "bin"])
def test_an_archive_that_is_not_the_published_one(
    version: str, content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive_of(tmp_path, version, files_of(content, version), monkeypatch)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadInput, match=r"has the MD5 [0-9a-f]{32}, must have the published"):
        cifar10(tmp_path)


def test_archives_with_the_right_sum_and_the_wrong_content(
    content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the MD5 would let through is still read with care: nothing leaves the archive."""
    files = files_of(content, "bin")
    outside = {k: v for k, v in files.items() if k != "test_batch.bin"}
    outside["../../test_batch.bin"] = files["test_batch.bin"]
    archive_of(tmp_path, "bin", outside, monkeypatch)
    with pytest.raises(BadInput, match=r"cifar-10-binary.tar.gz: has no file test_batch.bin"):
        cifar10(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["cifar-10-binary.tar.gz"]
    assert not (tmp_path.parent / "test_batch.bin").exists()

    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:  # a link instead of a file
        for name, raw in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            if name == "test_batch.bin":
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
                archive.addfile(member)
            else:
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
    monkeypatch.setattr(archives, "_check_md5", lambda path, published: None)
    with pytest.raises(BadInput, match=r"has no file test_batch.bin"):
        cifar10(tmp_path)
    for raw in (b"", b"no archive", path.read_bytes()[:2000]):
        path.write_bytes(raw)
        with pytest.raises(BadInput, match="is no whole archive"):
            cifar10(tmp_path)


def test_folders_without_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="must be a folder"):
        cifar10(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"holds no cifar-10-python.tar.gz nor"):
        cifar10(tmp_path)
