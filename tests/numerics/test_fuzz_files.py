"""Damaged and hostile files: every reader takes them or says one line; nothing hangs, and nothing in them runs."""

from __future__ import annotations

import copy
import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from numerics.cli import data_options, options
from numerics.io import reading
from numerics.io.writing import write
from numerics.schedules import schedule_formats
from numerics.schedules.diffusers_config import from_diffusers
from numerics.sweep import config
from numerics.targets import datasets
from wbound.certified import certificate as certified
from wbound.certified import certificate_file
from wbound.errors import BadInput, IOFailure, WboundError


def many(share: float = 1.0) -> Any:
    """So many times the profile's examples; the file that they overwrite may be one."""
    return settings(
        max_examples=round(share * settings.default.max_examples),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


#: Seconds of the processor that a damaged file may take, and bytes of new memory.
SECONDS, ROOM = 10.0, 1 << 30


def judged(read: Callable[[], Any]) -> str:
    """What a reader says of a file ("" where it takes it), within the limits; anything but a line is an error."""
    with hostile.limits(SECONDS, ROOM), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read()
        except WboundError as error:
            said = str(error)
            assert said.strip() and "\n" not in said and len(said) < 6000, said
            return said
    return ""


# ---------------------------------------------------------------------- damage

#: Bytes that mean something to one format or another.
TELLING = (0x00, 0xFF, 0x7F, 0x80, 0x0A, 0x22, 0x28, 0x2C, 0x2D, 0x39, 0x5B, 0x65, 0x7B, 0x93)
damage = st.lists(
    st.tuples(
        st.sampled_from(("set", "cut", "drop", "double", "insert", "zero")),
        st.floats(0.0, 1.0),
        st.sampled_from(TELLING) | st.integers(0, 255),
    ),
    max_size=4,
)


def damaged(content: bytes, how: list[tuple[str, float, int]]) -> bytes:
    """The bytes with some of them changed, left out, put in, or cut off."""
    out = bytearray(content)
    for kind, where, value in how:
        # half of the damage goes into the first bytes, where headers are
        at = int(
            (2.0 * where if where < 0.5 else 2.0 * where - 1.0)
            * (min(len(out), 128) if where < 0.5 else len(out))
        )
        at = min(at, max(len(out) - 1, 0))
        if kind == "set" and out:
            out[at] = value
        elif kind == "cut":
            del out[at:]
        elif kind == "drop":
            del out[at : at + 1 + value % 16]
        elif kind == "double":
            out[at:at] = out[at : at + 64]
        elif kind == "insert":
            out[at:at] = bytes([value]) * (1 + value % 8)
        elif kind == "zero":
            out[at : at + 4] = b"\0" * len(out[at : at + 4])
    return bytes(out)


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), **options)
    return stream.getvalue()


def npz(compressed: bool = False, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def header(descr: str, shape: str) -> bytes:
    """A .npy file whose header promises more than follows."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 800


ARRAYS: tuple[tuple[str, bytes], ...] = (
    (".npy", npy([3.0, 2.0, 1.0, 0.0])),
    (".npy", npy(np.arange(24.0).reshape(6, 4))),
    (".npy", npy(np.arange(5, dtype=np.uint8))),
    (".npy", npy(np.array([1 + 2j, 0]))),
    (".npy", npy(np.array(["a", "b"]))),
    (".npy", npy(np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]))),
    (".npy", npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)),
    (".npy", npy(np.zeros((0, 3)))),
    (".npy", npy(np.array(4.0))),
    (".npy", npy(np.array(["2020-01-01"], dtype="datetime64[D]"))),
    (".npy", header("'<f8'", "(1000000000000,)")),
    (".npy", header("'<f8'", "(9223372036854775807, 9223372036854775807)")),
    (".npy", header("'<f8'", "(-1,)")),
    (".npy", header("'|S2147483647'", "(2147483647,)")),
    (".npy", header("[('a', '<f8', (100000, 100000))]", "(9,)")),
    (".npy", header("(" * 200 + ")" * 200, "(9,)")),
    (".npz", npz(sigmas=[3.0, 2.0, 1.0], lam=[9.0, 4.0, 1.0])),
    (".npz", npz(True, x=np.arange(12.0).reshape(4, 3))),
    (".npz", npz()),
)
TEXTS = (
    "3 2 1 0",
    "3,2;1\n0 # end",
    "",
    "#",
    "1e400 2",
    "nan",
    "1 2 x",
    "0x10",
    "1_0",
    "\ufeff3,2,1",
    "٣",
    "3\x002",
)


@pytest.fixture
def drop(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Puts bytes into a file of the suffix."""

    def put(suffix: str, content: bytes) -> Path:
        path = tmp_path / f"file{suffix}"
        path.write_bytes(content)
        return path

    return put


@many(3)
@given(st.sampled_from(ARRAYS), damage)
def test_arrays(drop: Any, seed: tuple[str, bytes], how: Any) -> None:
    path = drop(seed[0], damaged(seed[1], how))
    judged(lambda: reading.load_numpy(path, "sigmas"))
    judged(lambda: options.array_from("grid_t", str(path)))
    judged(lambda: data_options.dataset_from(str(path)))
    for form in ("sigmas", "betas", "alphas_cumprod"):
        judged(lambda form=form: schedule_formats.read(path, form))


@many()
@given(st.sampled_from(TEXTS), damage, st.sampled_from((".txt", ".csv", ".json")))
def test_numbers_in_text(drop: Any, seed: str, how: Any, suffix: str) -> None:
    path = drop(suffix, damaged(seed.encode(), how))
    judged(lambda: reading.text_numbers(path))
    judged(lambda: options.array_from("data", str(path)))
    judged(lambda: datasets.from_spectrum(path))
    judged(lambda: schedule_formats.read(path, "sigmas"))
    judged(lambda: data_options.vector_from("sigmas", str(path)))


# ---------------------------------------------------------------------- structured text

#: What may stand where another value stood.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 10**12, -(10**30), 1e-300, 1e300, 0.5, float("nan"), float("inf")),
    *(
        "",
        "x",
        "1/2",
        "9**9**9",
        "exact",
        [],
        [1],
        [[]],
        {},
        {"a": 1},
        "a" * 300,
        [0.5] * 3,
        "\x00",
        "\udcff",
    ),
)


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of a JSON value."""
    yield path
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(body: Any, changes: list[tuple[float, int]]) -> Any:
    """The value with others in some of its places; number −1 takes the place away."""
    out = copy.deepcopy(body)
    for where, number in changes:
        every = list(places(out))
        path = every[min(int(where * len(every)), len(every) - 1)]
        if not path:
            out = copy.deepcopy(VALUES[number]) if number >= 0 else out
            continue
        holder = out
        for key in path[:-1]:
            holder = holder[key]
        if number < 0:
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(VALUES[number])
    return out


changes = st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(-1, len(VALUES) - 1)), max_size=3)

SCHEDULERS: tuple[dict[str, Any], ...] = (
    {"_class_name": "DDIMScheduler", "num_train_timesteps": 50, "beta_start": 1e-4, "beta_end": 0.02,
     "beta_schedule": "linear", "timestep_spacing": "leading", "steps_offset": 1, "clip_sample": False},
    {"_class_name": "EulerDiscreteScheduler", "trained_betas": [0.1, 0.2, 0.3], "use_karras_sigmas": True},
    {"_class_name": "DPMSolverMultistepScheduler", "num_train_timesteps": 20, "beta_schedule": "sigmoid"},
    {"_class_name": "EDMEulerScheduler", "sigma_min": 0.002, "sigma_max": 80.0, "rho": 7, "num_train_timesteps": 9},
)  # fmt: skip


@many()
@given(
    st.sampled_from(SCHEDULERS), changes, damage | st.just([]), st.none() | st.sampled_from((1, 7, 10**12))
)
def test_configurations_of_schedulers(drop: Any, seed: Any, change: Any, how: Any, steps: int | None) -> None:
    text = json.dumps(replaced(seed, change)).encode("utf-8", "surrogatepass")
    judged(lambda: from_diffusers(drop(".json", damaged(text, how)), steps))


@many()
@given(st.sampled_from(SCHEDULERS), changes)
def test_schedules_in_json(drop: Any, seed: Any, change: Any) -> None:
    body = {"sigmas": [3.0, 2.0, 1.0, 0.0], "name": "x", "K": 3, "lam": [9, 4, 1, 0]}
    path = drop(".json", json.dumps(replaced(body, change)).encode("utf-8", "surrogatepass"))
    judged(lambda: schedule_formats.read(path, "sigmas"))
    judged(lambda: data_options.vector_from("sigmas", str(path)))


PLANS: tuple[dict[str, Any], ...] = (
    {"process": [{"name": "vp-linear", "a": [1, 2]}, {"f": "0", "g": "1+t"}], "T": [1, 2], "K": [10], "d": [1, 10]},
    {"process": "ou", "target": [{"name": "power-law", "exponent": [1, 2]}], "outputs": ["iterations"], "eps": [0.1]},
    {"processes": ["ou"], "schemes": ["hf"], "T": 1, "K": 3, "seeds": [0, 1], "outputs": ["sample"], "n": 10},
)  # fmt: skip
TOML = """
outputs = ["bound", "exact"]
scheme = ["hf", "em"]
d = [1, 10]
T = [2, 4]
K = [10, 100, 1000]
[[process]]
name = "vp-linear"
a = [1, 2]
[[target]]
name = "power-law"
exponent = [1, 2]
"""


@many()
@given(st.sampled_from(PLANS), changes)
def test_plans_of_sweeps(seed: Any, change: Any) -> None:
    body = replaced(seed, change)
    if isinstance(body, dict):
        judged(lambda: config.read(body))


@many()
@example(how=[], tail="T = " + "[" * 5000)
@example(how=[], tail="d = [" + "1, " * 40_000 + "1]\nK = [" + "1, " * 40_000 + "1]")
@example(how=[], tail="seed = " + "9" * 5000)
@given(damage, st.sampled_from(("", "n = 1e999", "d = 1979-05-27", "T = inf", "x.y.z = 1", "[process]")))
def test_sweeps_in_toml(drop: Any, how: Any, tail: str) -> None:
    judged(lambda: config.read(drop(".toml", damaged(TOML.encode(), how) + b"\n" + tail.encode())))


@pytest.fixture(scope="module")
def certificate() -> dict[str, Any]:
    """A certificate as JSON: proved once for all."""
    import wbound

    data = wbound.LogConcave(2, 1.0, 1.0, 2.0, 0.0)
    made = wbound.certify(wbound.process("ou"), data, T=2.0, K=2, scheme="hf")
    body = json.loads(made.to_json())
    assert isinstance(body, dict) and certified.verify(made.to_json()).holds is True
    return body


def signed(body: Any) -> str:
    """As JSON, the digest made anew: what is changed is then read all the same."""
    text = json.dumps(body)
    if isinstance(body, dict) and "digest" in body and "NaN" not in text and "Infinity" not in text:
        text = json.dumps(body | {"digest": certificate_file.digest(body)})
    return text


@many()
@given(changes, damage | st.just([]))
def test_certificates(certificate: dict[str, Any], change: Any, how: Any) -> None:
    text = signed(replaced(certificate, change))
    judged(lambda: certified.verify(damaged(text.encode(), how).decode("utf-8", "replace")))


# ---------------------------------------------------------------------- images


def image(form: str, mode: str, size: int = 6) -> bytes:
    stream = io.BytesIO()
    depth = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.arange(size * size * (depth[0] if depth else 1), dtype=np.uint8).reshape(size, size, *depth)
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


IMAGES = [
    (suffix, image(form, mode))
    for suffix, form, mode in (
        (".png", "PNG", "L"), (".png", "PNG", "RGBA"), (".jpg", "JPEG", "RGB"), (".bmp", "BMP", "RGB"),
        (".gif", "GIF", "L"), (".webp", "WEBP", "RGB"), (".tif", "TIFF", "RGB"), (".ppm", "PPM", "RGB"),
    )
]  # fmt: skip


@many(2)
@given(st.sampled_from(IMAGES), damage)
def test_folders_of_images(tmp_path_factory: Any, seed: tuple[str, bytes], how: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "images"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in (("a", seed[1]), ("b", damaged(seed[1], how)), ("c", seed[1])):
        (folder / f"{name}{seed[0]}").write_bytes(content)
    judged(lambda: datasets.samples_of(folder))


# ---------------------------------------------------------------------- known tricks


def test_an_archive_that_unpacks_to_more_than_there_is(tmp_path: Path) -> None:
    """Ten gigabytes of zeros in a file of ten megabytes, without writing them."""
    path, size = tmp_path / "bomb.npz", 10 << 30
    head = header("'<f8'", f"({size // 8},)")[:-800]
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head + b"\0" * 1000)
    content = bytearray(path.read_bytes())
    declared = (len(head) + 1000).to_bytes(4, "little")
    assert content.count(declared) >= 2 and packer is not None
    path.write_bytes(bytes(content).replace(declared, (0xFFFFFFF0).to_bytes(4, "little")))
    assert "memory" in judged(lambda: reading.load_numpy(path))


def test_files_that_never_end(tmp_path: Path) -> None:
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    (tmp_path / "endless.npy").symlink_to("/dev/zero")
    assert "at most" in judged(lambda: reading.text_numbers(tmp_path / "endless.txt"))
    assert "at most" in judged(lambda: reading.load_json(tmp_path / "endless.txt"))
    assert "at most" in judged(lambda: config.read(tmp_path / "endless.txt"))
    assert "numbers" in judged(lambda: reading.load_numpy(tmp_path / "endless.npy"))


@pytest.mark.parametrize(
    "name", ["\x00", "a\x00.npy", "a" * 300 + ".npy", "a" * 5000, "\ud800.npy", ".", "/"]
)
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    for read in (
        lambda: reading.load_numpy(Path(name)),
        lambda: reading.text_of(Path(name)),
        lambda: options.array_from("grid_t", name),
        lambda: data_options.dataset_from(name),
        lambda: data_options.vector_from("sigmas", name),
        lambda: config.read(name),
    ):
        assert judged(read)
    with pytest.raises((BadInput, IOFailure)):
        write(tmp_path / name if name not in (".", "/") else Path(name), b"x")


def test_what_a_deep_search_found(drop: Any, certificate: dict[str, Any]) -> None:
    assert "largest value 1e+200" in judged(
        lambda: data_options.dataset_from(str(drop(".npy", npy([[0.0, 1e200], [1.0, 2.0]]))))
    )
    edm = {"_class_name": "EDMEulerScheduler", "sigma_min": 0.002, "sigma_max": 80.0}
    assert "steps" in judged(lambda: from_diffusers(edm, 10**12))
    for rho in (1e-300, 1e-3, 1e300):  # an answer, or a line
        judged(lambda rho=rho: from_diffusers(edm | {"rho": rho}, 9))
    small = np.exp(
        0.5 * from_diffusers(edm | {"rho": 1e-3}, 9).log_lam[:-1]
    )  # to the first level's left: a long way
    assert (
        small[0] == pytest.approx(80.0) and small[-1] == pytest.approx(0.002) and (np.diff(small) < 0.0).all()
    )
    karras = np.exp(0.5 * from_diffusers(edm, 9).log_lam[:-1])
    assert karras == pytest.approx(
        (80 ** (1 / 7) + np.linspace(0, 1, 9) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    )
    euler = {
        "_class_name": "EulerDiscreteScheduler",
        "trained_betas": [1e-300, 0.2, 0.3],
        "use_karras_sigmas": True,
    }
    assert np.isfinite(from_diffusers(euler).log_lam[:-1]).all()
    less = copy.deepcopy(certificate)
    del less["inputs"]["parameters"]["theta"]
    assert "theta: has no value" in judged(lambda: certified.verify(signed(less)))
