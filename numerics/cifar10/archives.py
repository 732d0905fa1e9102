"""CIFAR-10 as published: the python and the binary version, archive or extracted, checked, nothing executed.

The python version is a pickle. It is read by an unpickler in which every name but the three that a pickled
array consists of is refused, and those three stand for inert records of this file: no code of the pickle's
choosing runs, NumPy's included. Archives are read in memory; nothing is extracted to the disk.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wbound.errors import BadInput, IOFailure

__all__ = ["ARCHIVES", "cifar10", "restricted_loads"]

#: Published archives: name → (folder inside, MD5).
ARCHIVES: dict[str, tuple[str, str]] = {
    "cifar-10-python.tar.gz": ("cifar-10-batches-py", "c58f30108f718f92721af3b95e74349a"),
    "cifar-10-binary.tar.gz": ("cifar-10-batches-bin", "c32a1d4ab5d03f1284b67883e8d87530"),
}
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
#: Images in a batch, and bytes of one image: 3 × 32 × 32.
ROWS = 10_000
PIXELS = 3072
CLASSES = 10
#: No batch is as large as this.
MOST_BYTES = 64_000_000

Bytes = NDArray[np.uint8]


def cifar10(root: Path | str) -> tuple[Bytes, Bytes]:
    """Training images (50000, 3, 32, 32) and test images (10000, 3, 32, 32), uint8, in the published order.

    ``root`` holds an archive of `ARCHIVES`, its extracted folder or that folder's files. Raises `BadInput`
    (nothing there, MD5, size, count, label range, a pickle of anything but arrays and bytes), `IOFailure`.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise BadInput("root", str(root), "must be a folder with the CIFAR-10 archive or its files")
    read, suffix = _source(folder)
    parse = _binary if suffix else _python
    batches = [parse(name + suffix, read(name + suffix)) for name in BATCHES]
    images = [batch.reshape(-1, 3, 32, 32) for batch in batches]
    return np.concatenate(images[:-1]), images[-1]


def _source(folder: Path) -> tuple[Callable[[str], bytes], str]:
    """How to read a batch by its file name, and the suffix of such names: extracted files first."""
    for inside, suffix in (("cifar-10-batches-py", ""), ("cifar-10-batches-bin", ".bin")):
        for place in (folder, folder / inside):
            if any((place / (name + suffix)).is_file() for name in BATCHES):
                return _in_folder(place), suffix
    for name, (inside, md5) in ARCHIVES.items():
        path = folder / name
        if path.is_file():
            _check_md5(path, md5)
            return _in_archive(path, _members(path, inside)), "" if "python" in path.name else ".bin"
    raise BadInput(
        "root", str(folder), f"holds no {' nor '.join(ARCHIVES)}, nor their files data_batch_1 ... test_batch"
    )


def _in_folder(folder: Path) -> Callable[[str], bytes]:
    return lambda name: _file(folder / name)


def _in_archive(path: Path, members: dict[str, bytes]) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        if name not in members:
            raise BadInput("root", path.name, f"has no file {name}")
        return members[name]

    return read


def _file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput("root", path.name, f"is larger than {MOST_BYTES} bytes: no CIFAR-10 batch")
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput("root", path.name, f"is missing from {path.parent}") from None
    except OSError as error:
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None


def _check_md5(path: Path, published: str) -> None:
    try:
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    if found != published:
        raise BadInput(
            "root", path.name, f"has the MD5 {found}, must have the published {published}: fetch it again"
        )


def _members(path: Path, inside: str) -> dict[str, bytes]:
    """The batches of an archive, by file name; other members are not looked at."""
    wanted = {f"{inside}/{name}{suffix}" for name in BATCHES for suffix in ("", ".bin")}
    held: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name in wanted and member.isreg() and member.size <= MOST_BYTES:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        held[member.name.rpartition("/")[2]] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise BadInput("root", path.name, f"is no whole archive: {error}") from None
    except OSError as error:
        if error.errno is None:  # gzip's own: not a gzip file, a wrong checksum
            raise BadInput("root", path.name, f"is no whole archive: {error}") from None
        raise IOFailure(f"cannot read {path}: {error.strerror}") from None
    return held


def _binary(name: str, content: bytes) -> Bytes:
    """Rows of one label byte and 3072 of the image."""
    size = ROWS * (PIXELS + 1)
    if len(content) != size:
        raise BadInput(
            "root", name, f"has {len(content)} bytes, must have {size}: {ROWS} images of 3 x 32 x 32"
        )
    rows = np.frombuffer(content, np.uint8).reshape(ROWS, PIXELS + 1)
    _check_labels(name, rows[:, 0])
    return rows[:, 1:]


def _python(name: str, content: bytes) -> Bytes:
    """A pickled dictionary of b"data", uint8 (n, 3072), and b"labels"."""
    batch = restricted_loads(content, name)
    data = batch.get(b"data") if isinstance(batch, dict) else None
    labels = batch.get(b"labels") if isinstance(batch, dict) else None
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise BadInput("root", name, "must hold an array data and a list labels")
    images = data.array(name)
    if images.shape != (ROWS, PIXELS) or len(labels) != ROWS:
        raise BadInput(
            "root",
            name,
            f"holds {images.shape} bytes and {len(labels)} labels, must hold {(ROWS, PIXELS)} and {ROWS}",
        )
    if not all(type(label) is int for label in labels):
        raise BadInput("root", name, "must have integer labels")
    _check_labels(name, np.array([min(max(label, -1), CLASSES) for label in labels]))
    return images


def _check_labels(name: str, labels: NDArray[Any]) -> None:
    if int(labels.min()) < 0 or int(labels.max()) >= CLASSES:
        bad = int(np.flatnonzero((labels < 0) | (labels >= CLASSES))[0])
        raise BadInput("root", name, f"image {bad} has a label outside 0 ... {CLASSES - 1}")


# ---------------------------------------------------------------------- the restricted unpickler


class _Array:
    """What a pickled array says of itself: shape, dtype, order, bytes. Inert."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self, name: str) -> Bytes:
        """The array, if it is one of bytes. Raises `BadInput`."""
        state = self.state
        if not (isinstance(state, tuple) and len(state) == 5):
            raise BadInput("root", name, "holds a damaged array")
        _, shape, dtype, fortran, raw = state
        right = (
            isinstance(shape, tuple)
            and all(type(n) is int and n >= 0 for n in shape)
            and isinstance(dtype, _DType)
            and dtype.text in (b"u1", "u1")
            and isinstance(raw, bytes)
        )
        if not right or len(raw) != int(np.prod(shape, dtype=object)):
            raise BadInput("root", name, "must hold its images as an array of bytes (uint8)")
        return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


class _DType:
    """What a pickled dtype says of itself. Inert."""

    __slots__ = ("text",)

    def __init__(self, text: Any, align: Any = False, copy: Any = False) -> None:
        self.text = text

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment: bytes have neither."""


class _NDArray:
    """The name numpy.ndarray as an argument."""

    __slots__ = ()


def _reconstruct(subtype: Any, shape: Any, code: Any) -> _Array:
    return _Array()


class _Name:
    """An admitted name: to be called, not to be changed."""

    __slots__ = ("made",)

    def __init__(self, made: Any) -> None:
        self.made = made

    def __call__(self, *arguments: Any) -> Any:
        return self.made(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it gives a state to what is no array")


_ADMITTED: dict[tuple[str, str], _Name] = {
    ("numpy.core.multiarray", "_reconstruct"): _Name(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): _Name(_reconstruct),
    ("numpy", "ndarray"): _Name(_NDArray),
    ("numpy", "dtype"): _Name(_DType),
}


#: Room made before it is filled, buffers from elsewhere, and names as types: no batch has them.
REFUSED = frozenset({"BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER", "NEWOBJ", "NEWOBJ_EX"})


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _ADMITTED[module, name]


def _looked_through(content: bytes) -> None:
    """Refuse what would take memory before it is read: lengths beyond the file's end (`pickletools` reads all that
    is announced), and positions to be remembered beyond what could have been counted up to."""
    for i, (code, argument, _) in enumerate(pickletools.genops(content)):
        if code.name in REFUSED:
            raise pickle.UnpicklingError(f"it has the code {code.name}")
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= i + 1:
            raise pickle.UnpicklingError(f"it remembers a value at position {argument}")


def restricted_loads(content: bytes, name: str) -> Any:
    """The value of a pickle of plain values and arrays (as inert records). Raises `BadInput` on any other
    name."""
    try:
        _looked_through(content)
        return _Restricted(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may fail in any way, and runs nothing
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInput(
            "root", name, f"is no pickle of arrays and bytes alone, and is not loaded: {said}"
        ) from None
