"""All readers of schedules and data: what is in a file is used, or a word says what became of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from numerics.cli import data_options, options
from numerics.io import reading
from numerics.schedules import checked_arrays, schedule_formats
from numerics.schedules.doctor import check_schedule
from numerics.targets import datasets
from wbound.errors import BadInput

FEW = settings(
    max_examples=2 * settings.default.max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Array = np.ndarray[Any, np.dtype[Any]]

# ---------------------------------------------------------------------- schedules

#: λ at the nodes above 0, from the largest down.
clocks = st.lists(st.floats(-4.0, 4.0), min_size=2, max_size=8, unique=True).map(
    lambda logs: np.exp(np.sort(np.round(logs, 3))[::-1])
)


def as_form(lam: Array, form: str) -> Array:
    """σ = √λ from the largest down; ᾱ = 1/(1+λ) and β from the data outward."""
    bar = 1.0 / (1.0 + lam[::-1])
    return {
        "sigmas": np.sqrt(lam),
        "alphas_cumprod": bar,
        "betas": 1.0 - bar / np.concatenate(([1.0], bar[:-1])),
    }[form]


def put(path: Path, values: Array, form: str, kind: str) -> str:
    """Written to a file of this kind, or as a list; what the option is given."""
    file = path / f"array.{kind}"
    if kind == "list":
        return ",".join(repr(v) for v in values.tolist())
    if kind == "npy":
        np.save(file, values)
    elif kind == "npz":
        np.savez(file, **{form: values, "else": np.ones(3)})
    elif kind == "json":
        file.write_text(json.dumps({form: values.tolist(), "else": [1.0, 2.0]}))
    else:
        head = f"{form}\n" if kind == "csv" else "# levels\n"
        file.write_text(head + "\n".join(repr(v) for v in values.tolist()))
    return str(file)


@FEW
@given(
    clocks,
    st.sampled_from(("sigmas", "betas", "alphas_cumprod")),
    st.sampled_from(("list", "npy", "npz", "json", "csv", "txt")),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_number_of_a_schedule_is_a_node_or_a_word(
    tmp_path: Path, lam: Array, form: str, kind: str, reverse: bool, end: bool, infinite: bool
) -> None:
    """Whatever the order, with the data's own level (ᾱ = 1, σ = 0) and with λ = ∞ (ᾱ = 0, β = 1) or without."""
    assume(np.unique(lam).size == lam.size and (np.diff(lam) < 0.0).all())
    values = as_form(lam, form)
    if end and form != "betas":
        values = np.append(values, 0.0) if form == "sigmas" else np.concatenate(([1.0], values))
    if infinite and form != "sigmas":
        values = np.append(values, 1.0 if form == "betas" else 0.0)
    if reverse and form != "betas":
        values = values[::-1]
    text = put(tmp_path, values, form, kind)
    read, said, stop = data_options.vector_from(form, text)
    assert stop is None
    assert np.array_equal(np.asarray(read), values)
    assert ("else" in " ".join(said)) == (kind in ("npz", "json"))
    rest, at = checked_arrays.without_infinity(read, form)
    made = schedule_formats.from_array(rest, form)
    np.testing.assert_allclose(made.lam[:-1], lam, rtol=1e-9)
    assert made.places is not None
    np.testing.assert_allclose(
        np.asarray(rest)[made.places], as_form(lam, form)[:: 1 if form == "sigmas" else -1]
    )
    found = check_schedule(**{form: read}, notes=said)  # type: ignore[arg-type]
    words = " ".join((*found.notes, *(f.detail for f in found.findings)))
    used = set((made.places + (at == 0)).tolist())
    for index in set(range(values.size)) - used:
        assert f"{form}[{index}]" in words or (form == "sigmas" and values[index] == 0.0), (values, words)
    assert found.consistent and (at is not None) == ("lam(T) is infinite" in words)
    if at is None:
        assert found.findings[0].name == "signal at T"


@FEW
@given(clocks, st.permutations(("sigmas", "betas", "alphas_cumprod")), st.data())
def test_two_arrays_that_disagree_are_told_apart_where_they_do(lam: Array, forms: Any, data: Any) -> None:
    """One level of one array moved by a known share: an error above 1e-5 that names both values, a warning with
    the difference below, nothing below 1e-7; never "no forward SDE"."""
    assume(np.unique(lam).size == lam.size)
    k = data.draw(st.integers(0, lam.size - 1))
    share = data.draw(st.sampled_from((0.0, 1e-9, 1e-6, 1e-3)))
    moved = lam.copy()
    moved[k] *= 1.0 + share
    assume((np.diff(moved) < 0.0).all())
    one, two = forms[0], forms[1]
    found = check_schedule(**{one: as_form(lam, one), two: as_form(moved, two)})
    finding = found["agreement"]
    size = share * (lam[k] / (1.0 + lam[k]) if "alphas_cumprod" in (one, two) else 1.0)
    assert finding.value == pytest.approx(size, rel=2e-3, abs=2e-10)
    assert finding.ok == (finding.value <= 1e-7)
    assert found.consistent == (finding.value <= 1e-5)
    if not found.consistent:
        assert found.verdict == "INCONSISTENT: the arrays are not of one schedule"
    if not finding.ok:
        for form, values in ((one, as_form(lam, one)), (two, as_form(moved, two))):
            index = k if form == "sigmas" else lam.size - 1 - k
            held = re.search(rf"{form}\[{index}\] = (\S+?)[, ]", finding.detail)
            assert held and float(held.group(1)) == pytest.approx(values[index], rel=1e-8), finding.detail


@FEW
@given(
    st.floats(1e-5, 1e-3),
    st.floats(5e-3, 5e-2),
    st.integers(10, 1000),
    st.sampled_from((np.float16, np.float32, np.float64)),
    st.booleans(),
)
def test_rounding_of_short_floats_is_no_contradiction(
    low: float, high: float, K: int, dtype: Any, round_betas: bool
) -> None:
    betas = np.linspace(low, high, K)
    held = betas.astype(dtype) if round_betas else betas
    bar = np.cumprod(1.0 - held.astype(float))
    if dtype is not np.float16:
        bar = np.cumprod(1 - betas.astype(dtype), dtype=dtype)
    found = check_schedule(betas=held, alphas_cumprod=bar)
    assert found.consistent, found["agreement"].detail
    assert dtype is not np.float64 or found["agreement"].ok


def test_one_name_for_two_things_is_refused(tmp_path: Path) -> None:
    def said(name: str, text: str, read: Callable[[Path], Any]) -> str:
        (tmp_path / name).write_text(text)
        with pytest.raises(BadInput) as caught:
            read(tmp_path / name)
        return str(caught.value)

    twice = said(
        "a.json", '{"sigmas": [2, 1], "sigmas": [3, 1]}', lambda p: schedule_formats.read(p, "sigmas")
    )
    assert twice == "file = a.json: gives 'sigmas' twice"
    other = said(
        "b.json", '{"sigmas": [2, 1, 0], "lam": [4, 2, 0]}', lambda p: schedule_formats.read(p, "sigmas")
    )
    assert other == "lam = b.json: is 2 at index 1 where sigmas has 1"
    table = said("c.csv", "k,sigma\n0,3\n1,2\n", lambda p: schedule_formats.read(p, "sigmas"))
    assert "has 2 lines of 2 columns: must be one column, or one line" in table
    np.savez(tmp_path / "d.npz", noise=[3.0, 1.0], other=[1.0])
    with pytest.raises(BadInput, match="holds noise, other: must hold one array, or sigmas; --key NAME"):
        schedule_formats.read(tmp_path / "d.npz", "sigmas")
    made = schedule_formats.read(tmp_path / "d.npz", "sigmas", key="noise")
    assert made.lam[:-1] == pytest.approx([9.0, 1.0]) and "noise was read, and not other" in made.notes[0]
    with pytest.raises(BadInput, match="key = nose: is not in d.npz, which holds noise, other"):
        schedule_formats.read(tmp_path / "d.npz", "sigmas", key="nose")


# ---------------------------------------------------------------------- data


@FEW
@given(
    st.integers(2, 7),
    st.integers(1, 4),
    st.sampled_from((",", ";", " ", "\t", ", ")),
    st.sampled_from(("none", "words", "quoted", "index", "comment")),
    st.integers(0, 2**31),
)
def test_a_table_is_samples_and_a_vector_a_spectrum(
    tmp_path: Path, n: int, d: int, sign: str, head: str, seed: int
) -> None:
    a = np.random.default_rng(seed).uniform(0.5, 2.0, (n, d)).round(6)
    words = [f"x{i}" for i in range(d)]
    lines = [sign.join(map(repr, row)) for row in a.tolist()]
    if head == "index":
        sign = sign if sign.strip() else ","
        lines = [
            sign.join(["", *words]),
            *(f"{i}{sign}{sign.join(map(repr, r))}" for i, r in enumerate(a.tolist())),
        ]
    elif head != "none":
        lines.insert(0, {"words": "", "quoted": "", "comment": "# "}[head] + sign.join(
            f'"{w}"' if head == "quoted" and sign in ",;" else w for w in words
        ))  # fmt: skip
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines) + "\n")
    data = data_options.dataset_from(str(path))
    said = " ".join(data.notes)
    if d == 1:
        assert np.array_equal(data.eigenvalues, np.sort(a.ravel())) and data.n is None
        assert f"read as a covariance spectrum, {n} eigenvalues" in said
    else:
        same = datasets.from_samples(a)
        np.testing.assert_allclose(data.eigenvalues, same.eigenvalues)
        assert data.n == n and f"read as {n} samples of {d} numbers" in said
    assert ("counts the rows: it was left out" in said) == (head == "index")
    assert ("columns x0" in said) == (head in ("words", "quoted", "index"))
    assert datasets.load(path).to_dict() == data.to_dict()


@pytest.mark.parametrize(
    ("text", "values"),
    [("1", [1.0]), ("0.25", [0.25]), ("1/4", [0.25]), ("2^-2", [0.25]), ("4,1,0.25", [0.25, 1.0, 4.0])],
)
def test_numbers_are_no_names_of_files(text: str, values: list[float]) -> None:
    data = data_options.dataset_from(text)
    assert data.eigenvalues.tolist() == values
    assert f"read as a covariance spectrum, {len(values)} eigenvalue" in data.notes[0]
    assert np.sort(options.array_from("variances", text)).tolist() == values
    if len(values) == 1:
        (made,) = data_options.schedules_from(text, None, None, None)
        assert made.lam[0] == pytest.approx(values[0] ** 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,5;2,5\n", "has both , and ;"),
        ("1,,2\n3,4,5\n", "empty cell in line 1"),
        ("a,b\n1\n", "line 2 has 1 numbers, the first line 2"),
        ("1,2\n3\n", "line 2 has 1 numbers, the first line 2"),
        ("x,1\n2,3\n", "words and numbers in its first line"),
        (",x\n5,1\n5,2\n", "a first column without a name that does not count the rows"),
        ("x,y\n1,2\na,3\n", "must hold numbers only, not 'a'"),
    ],
)
def test_tables_that_could_be_misread(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BadInput, match=said):
        reading.text_table(tmp_path / "t.csv")


def test_a_first_line_that_may_be_a_header_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("0,1\n0.5,0.2\n0.1,0.7\n")
    assert "the first line, 0, 1, ..., is read as numbers" in " ".join(
        datasets.load(tmp_path / "t.csv").notes
    )
    (tmp_path / "u.csv").write_text("3,0.5\n4,0.2\n5,0.9\n")
    assert "the first column counts the rows" in " ".join(datasets.load(tmp_path / "u.csv").notes)


def test_an_archive_of_several_arrays_takes_a_key(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    x = np.random.default_rng(0).standard_normal((9, 2))
    np.savez(path, x=x, y=np.arange(9.0))
    with pytest.raises(BadInput, match="holds x, y: must hold one array; --key NAME"):
        data_options.dataset_from(str(path))
    assert data_options.dataset_from(str(path), "x").n == 9
    assert data_options.dataset_from(str(path), "y").n is None
    for text in ("4,1", "digits", str(tmp_path)):
        with pytest.raises(BadInput, match="key = x: goes with an .npz file"):
            data_options.dataset_from(text, "x")


def test_class_folders_are_read_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (6, 3, 3, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        folder = tmp_path / "set" / ("cats" if i < 3 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    (tmp_path / "set" / "labels.csv").write_text("0")
    (tmp_path / "set" / ".hidden").mkdir()
    data = datasets.load(tmp_path / "set")
    assert data.n == 6 and np.array_equal(datasets.samples_of(tmp_path / "set"), pixels / 127.5 - 1.0)
    said = " ".join(data.notes)
    assert (
        "read 6 images from 2 folders: cats, dogs" in said
        and "1 files that are no images were not read" in said
    )
    for i in range(2):
        Image.fromarray(np.dstack((pixels[i], pixels[i, ..., :1]))).save(tmp_path / "set" / f"top{i}.png")
    above = datasets.load(tmp_path / "set")
    assert above.n == 2 and "6 images in folders inside set were not read" in " ".join(above.notes)
    assert "transparency was left out" in above.notes
    deep = tmp_path / "deep"
    deep.mkdir()
    for i in range(2):
        Image.fromarray(np.full((3, 3), 300 + i, np.uint16)).save(deep / f"{i}.png")
    with pytest.raises(BadInput, match="must have 8 bits a value"):  # their conversion would clip at 255
        datasets.load(deep)
