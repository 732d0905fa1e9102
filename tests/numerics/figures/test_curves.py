"""Figures: one colour a process, labels apart and inside, bytes that do not change."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wbound
from numerics.figures import audits, few_calls, schedules, style
from numerics.figures import curves as figures
from numerics.figures import lower_bound as figures_lower_bound
from numerics.studies import curves, lower_bound
from numerics.studies.floors_by_sampler import floor_columns
from wbound.data.gaussian import Gaussian
from wbound.data.log_concave import LogConcave

DATA = LogConcave(3, 0.5, 0.5, 6.0, 0.0)


@pytest.fixture(scope="module")
def curve() -> curves.Curve:
    return curves.bound_curve(
        wbound.process("vp-linear"), DATA, curves.geometric(10, 1e3, 5), scheme="hf", M1="exact"
    )


class Made(NamedTuple):
    """What figures are drawn of, computed once."""

    curve: curves.Curve
    needed: curves.Curve
    check: lower_bound.Floor
    tuned: lower_bound.Cancellation
    gap: Any
    landscape: Any
    fading: Any
    clocks: Any
    ranking: Any
    audit: Any


@pytest.fixture(scope="module")
def made(curve: curves.Curve) -> Made:
    from numerics.recorders.audited import audit_tape
    from numerics.schedules.choice import choose
    from numerics.schedules.grid_comparison import side_by_side
    from numerics.studies.exact_over_horizons import landscape
    from numerics.studies.gap import gap_closed
    from numerics.studies.score_error import fading
    from numerics.studies.steps_needed import steps_curve
    from numerics.targets import datasets

    return Made(
        curve,
        steps_curve(wbound.process("vp-linear"), DATA, [1.0, 0.1, 0.01], scheme="hf", M1="exact"),
        lower_bound.floor_check(2, 1.0, [10, 30, 100]),
        lower_bound.cancellation(2, 1.0, 20),
        gap_closed(np.geomspace(0.1, 1e-3, 4)),
        landscape(wbound.process("vp-linear"), np.geomspace(0.3, 5.0, 12), np.array([1, 5, 20, 100])),
        fading(wbound.process("vp-linear"), [10, 100, 1000], T=3.4),
        side_by_side(LogConcave(10, 0.2, 5.0, 50.0, 0.0), 10, 5000.0),
        choose(datasets.load("digits"), 20, eps_rel=0.2, scheme="hf"),
        audit_tape(wbound.MULTISTEP["dpmpp-2m"].tape([100.0, 1.0, 0.1, 0.0]), datasets.digits()),
    )


def every(made: Made, width: str) -> dict[str, Any]:
    from numerics.studies.tapes import tape_curve
    from numerics.targets import datasets

    optimal = [wbound.process(name) for name in (*wbound.PUBLISHED, "optimal")]
    eps = np.array([1e-2, 1e-4, 1e-6])
    rows = [{"name": n, "eps": eps, "K": eps**-2.0, "power": -2.0} for n in wbound.PUBLISHED]
    lines = [line.key for line in made.gap.lines]
    falling = {
        name: ([2, 5, 20], [0.5, 0.1, 10.0 ** (-1.5 - 0.2 * i)]) for i, name in enumerate(few_calls.LOOKS)
    }
    heights = [4.0 ** np.arange(n, -1, -1.0) for n in (4, 9)]
    recorded = [(f"{K.size - 1}", wbound.MULTISTEP["dpmpp-2m"].tape([*K[:-1], 0.0])) for K in heights]
    tapes = tape_curve(recorded, datasets.from_spectrum([4.0, 1.0, 0.25]))
    few = {
        "kappa": 4.3e5,
        "lines": falling | {"affine": (list(range(1, 21)), [0.6**k for k in range(1, 21)])},
    }
    return {
        "bound": figures.bound_figure(made.curve, width),
        "steps": figures.steps_figure(made.needed, width),
        "processes": figures.processes_figure([made.curve], "exact", "exact W2", width),
        "floor": figures_lower_bound.floor_figure(made.check, width),
        "cancellation": figures_lower_bound.cancellation_figure(made.tuned, width),
        "gap": schedules.gap_figure(made.gap, lines, width),
        "over": schedules.gap_figure(made.gap, [k for k in lines if k != "theorem_1"], width, over=True),
        "landscape": schedules.landscape_figure(made.landscape, width),
        "fading": schedules.fading_figure(made.fading, width),
        "clocks": schedules.clock_figure(optimal, math.log(1000.0), 1.0, width),
        "nodes": schedules.nodes_figure(made.clocks, width, 5.0),
        "ranking": schedules.ranking_figure(made.ranking, 12, width),
        "orders": schedules.orders_figure(rows, "Theorem 1\nd = 10", (1.0, 1e13), width),
        "affine": figures_lower_bound.affine_figure(floor_columns(1e4, 200), width, kappa=1e4),
        "few calls": few_calls.few_calls_figure(few, width),
        "audit": audits.audit_figure(made.audit, width),
        "tapes": figures.tapes_figure(tapes, width),
    }


def plotting() -> dict[str, Any]:
    """Every public function of the figures' files that is called a figure."""
    import inspect
    import pkgutil
    from importlib import import_module

    import numerics.figures as room

    found = {}
    for info in pkgutil.iter_modules(room.__path__):
        module = import_module(f"numerics.figures.{info.name}")
        for name, value in vars(module).items():
            if name.endswith("_figure") and inspect.isfunction(value) and value.__module__ == module.__name__:
                found[name] = value
    return found


def test_every_plotting_function_stands_alone_and_draws_on_axes_of_the_caller_s(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Title with what was held, labels, at least two ticks on every logarithmic axis, a heading over the labels; and
    ``ax=`` draws there and nowhere else."""
    import inspect

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def remembering(module: Any, name: str, function: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            seen.setdefault(name, (arguments, named))
            return function(*arguments, **named)

        return wrapped

    known = plotting()
    for name, function in known.items():
        assert inspect.signature(function).parameters["ax"].default is None, name
        module = inspect.getmodule(function)
        monkeypatch.setattr(module, name, remembering(module, name, function))
    every(made, "report")
    assert set(seen) == set(known)  # the walk above is complete
    for name, (arguments, named) in seen.items():
        own = known[name](*arguments, **named)
        assert isinstance(own, Axes), name
        figure = style.figure_of(own)
        assert figure.axes == [own], name
        texts = [t.get_text() for t in (*own.texts, *figure.texts) if t.get_text()]
        bold = [t for t in (*own.texts, *figure.texts) if t.get_fontweight() == "bold"]
        small = [t for t in (*own.texts, *figure.texts) if t.get_fontsize() == style.SMALL]
        assert len(bold) == 1 and small, (name, texts)
        assert own.get_xlabel(), name
        for axis, scale in ((own.xaxis, own.get_xscale()), (own.yaxis, own.get_yscale())):
            low, high = sorted(axis.get_view_interval())
            ticks = [v for v in axis.get_majorticklocs() if low <= v <= high]
            assert scale != "log" or len(ticks) >= 2, (name, scale, ticks)
        canvas = Figure(figsize=(9.0, 4.0))
        left, right = canvas.subplots(1, 2)
        got = known[name](*arguments, **named, ax=right)
        assert got is right and not left.has_data() and (right.has_data() or right.collections), name
        assert got.get_title(loc="left") and got.get_xlabel() == own.get_xlabel(), name
        legend = got.get_legend()
        assert legend is None or legend.get_title().get_text() or name == "audit_figure", name


@given(st.floats(-12.0, 12.0), st.floats(0.02, 20.0), st.integers(2, 9))
def test_a_logarithmic_axis_has_two_ticks_at_least(low: float, decades: float, most: int) -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    ends = (10.0**low, 10.0 ** (low + decades))
    axes.set_yscale("log")
    axes.set_ylim(*ends)
    style.log_axis(axes.yaxis, *ends, most=most)
    ticks = [v for v in axes.yaxis.get_majorticklocs() if ends[0] * (1 - 1e-6) <= v <= ends[1] * (1 + 1e-6)]
    words = [axes.yaxis.get_major_formatter()(v) for v in ticks]
    assert 2 <= len(ticks) and len(set(words)) == len(words), (ends, ticks, words)


def test_a_vacuous_bound_is_marked_where_it_ends(curve: curves.Curve) -> None:
    one, trivial = curve.line("theorem_1"), curve.facts["trivial"]
    assert one is not None and np.nanmax(one.values) > trivial > np.nanmin(one.values)
    at, left = figures.useful_from(curve, "theorem_1") or (0.0, False)
    before, after = curve.at[one.values > trivial].max(), curve.at[one.values < trivial].min()
    assert left and before <= at <= after
    axes = figures.bound_figure(curve)
    assert [t.get_text() for t in axes.texts if "vacuous" in t.get_text()] == ["Theorem 1 vacuous"]
    assert any(
        np.ptp(line.get_xdata()) == 0.0 and line.get_xdata()[0] == pytest.approx(at) for line in axes.lines
    )
    assert figures.useful_from(curve, "exact") is None and figures.useful_from(curve, "theorem_3") is None


def test_every_process_has_one_colour_that_no_other_has() -> None:
    shades = [figures.colour(name) for name in wbound.PUBLISHED]
    assert len(set(shades)) == len(wbound.PUBLISHED)
    assert figures.colour("no such process") == figures.COLOURS["user"]


def _simulated(colour: str, matrix: np.ndarray) -> np.ndarray:
    """A colour as seen with a colour-vision deficiency, in linear light."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.clip(matrix @ linear, 0.0, 1.0) ** (1.0 / 2.2))


def test_the_colours_stay_apart_for_the_colour_blind() -> None:
    # Machado, Oliveira & Fernandes (2009), severity 1: deuteranomaly and protanomaly
    deuteran = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    )
    protan = np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    )
    shades = [figures.colour(name) for name in wbound.PUBLISHED]
    for matrix in (deuteran, protan):
        seen = [_simulated(shade, matrix) for shade in shades]
        for i in range(len(seen)):
            for j in range(i):
                assert np.linalg.norm(seen[i] - seen[j]) > 0.08, (wbound.PUBLISHED[i], wbound.PUBLISHED[j])


def test_saving_by_suffix_is_byte_stable(curve: curves.Curve, tmp_path: Path) -> None:
    figure = figures.bound_figure(curve, "column")
    for suffix, head in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        path = figures.save(figure, tmp_path / f"bound{suffix}", dpi=60)
        first = path.read_bytes()
        assert first.startswith(head)
        assert figures.save(figure, path, dpi=60).read_bytes() == first
    again = figures.bound_figure(curve, "column")
    assert figures.save(again, tmp_path / "b.svg").read_bytes() == (tmp_path / "bound.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "bound.svg").read_bytes()
    with pytest.raises(wbound.BadInput, match=r"\.svg"):
        figures.save(again, tmp_path / "b.gif")
    with pytest.raises(wbound.IOFailure):
        figures.save(again, tmp_path / "missing" / "b.svg")


def _ink(label: Any, width: int, height: int, dpi: float) -> np.ndarray:
    """The pixels of a label drawn alone, and those one below them, so that lines that touch overlap."""
    from matplotlib.backends.backend_agg import RendererAgg

    renderer = RendererAgg(width, height, dpi)
    label.draw(renderer)
    ink = np.asarray(renderer.buffer_rgba())[..., 3] > 64
    assert ink.any(), label
    return ink | np.roll(ink, 1, axis=0)


@pytest.mark.parametrize("named", sorted(style.WIDTHS))
def test_nothing_is_drawn_outside_the_figure_or_over_another_label(made: Made, named: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for name, drawn in every(made, named).items():
        figure = style.figure_of(drawn)
        assert figure.get_figwidth() == style.WIDTHS[named], name
        canvas = FigureCanvasAgg(figure)
        with style.styled():
            canvas.draw()
            renderer = canvas.get_renderer()
            width, height = canvas.get_width_height()
            axes = figure.axes[0]
            labels = [t for t in axes.texts if t.get_text()]
            labels += [t for t in (axes.xaxis.label, axes.yaxis.label, axes.title) if t.get_text()]
            labels += [t for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels() if t.get_text()]
            boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in labels]
            near = [
                (i, j)
                for i, (_, p) in enumerate(boxes)
                for j, (_, q) in enumerate(boxes[:i])
                if min(p.x1, q.x1) > max(p.x0, q.x0) and min(p.y1, q.y1) > max(p.y0, q.y0)
            ]
            inked = {i: _ink(labels[i], width, height, figure.dpi) for pair in near for i in pair}
        for text, box in boxes:
            assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, (
                name,
                text,
            )
        # boxes of mathtext are taller than its ink, and by several pixels more in the oldest matplotlib
        for i, j in near:
            assert not (inked[i] & inked[j]).any(), (name, boxes[i][0], boxes[j][0])


def test_an_svg_for_a_page_has_its_own_ids_and_the_page_s_ink(curve: curves.Curve) -> None:
    figure = figures.bound_figure(curve)
    one, two = figures.svg(figure, "one"), figures.svg(figure, "two")
    assert one.replace("one-", "two-") == two
    root = ElementTree.fromstring(one)
    ids = {e.get("id") for e in root.iter() if e.get("id")}
    assert ids and all(str(i).startswith("one-") for i in ids)
    links = {e.get("{http://www.w3.org/1999/xlink}href") for e in root.iter()} - {None}
    assert links and {str(link)[1:] for link in links} <= ids
    assert figures.INK not in one.replace(f"var(--ink, {figures.INK})", "")
    assert root.get("viewBox") and root.get("width") is None and root.get("height") is None


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8),
    st.floats(0.01, 0.12),
)
def test_labels_are_spread_apart_and_stay_near(wanted: list[float], gap: float) -> None:
    places = style.spread(wanted, gap, 0.0, 1.0)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(np.array(places)[order]) >= gap * (1.0 - 1e-9)).all()
    assert min(places) >= -1e-9 and max(places) <= 1.0 + 1e-9
    if len(wanted) == 1 or np.diff(np.sort(wanted)).min() >= gap:
        assert places == pytest.approx(wanted)


def test_bounds_out_of_sight_are_said(curve: curves.Curve) -> None:
    high = curves.bound_curve(wbound.process("ve-constant"), DATA, [10, 100, 1000], scheme="hf", M1="exact")
    texts = [t.get_text() for t in figures.bound_figure(high).texts]
    assert any("Theorem 1 (em) is above" in t or "does not apply" in t for t in texts)
    assert any("trivial error" in t.get_text() for t in figures.bound_figure(curve).texts)


def test_one_value_and_no_value_can_be_drawn() -> None:
    single = curves.bound_curve(wbound.process("ou"), DATA, [50], scheme="hf")
    figures.bound_figure(single, 2.5)
    singular = Gaussian(np.zeros(2), [1.0, 0.0])
    one = curves.exact_curve(wbound.process("ou"), singular, [5, 10])
    figures.processes_figure([one], "exact", "W2")


def test_widths(curve: curves.Curve) -> None:
    assert figures.width_of("column") == 3.4 and figures.width_of("5") == 5.0 and figures.width_of(6.5) == 6.5
    for wrong in ("broad", "0", "nan", "1e9"):
        with pytest.raises(wbound.BadInput):
            figures.width_of(wrong)
    assert style.figure_of(figures.bound_figure(curve, "page")).get_size_inches()[0] == 6.9


def test_csv_keeps_every_digit() -> None:
    values = np.array([1 / 3, math.nan, 1e300])
    text = figures.csv_text({"K": np.array([1.0, 2.0, 3.0]), "x": values, "name": ["a", "b", "c"]})
    lines = [line.split(",") for line in text.splitlines()]
    assert lines[0] == ["K", "x", "name"] and [line[0] for line in lines[1:]] == ["1", "2", "3"]
    assert float(lines[1][1]) == 1 / 3 and lines[2][1] == "" and float(lines[3][1]) == 1e300


def test_frames(made: Made) -> None:
    rows = made.ranking.to_frame()
    assert rows.index.name == "rank" and list(rows["error"]) == [row.error for row in made.ranking.rows]
    columns = made.curve.to_frame()
    assert columns.index.name == "K" and list(columns["exact"]) == made.curve.line("exact").values.tolist()  # type: ignore[union-attr]
    shown = made.ranking._repr_html_()
    assert shown.count("<tr>") == 13 and f"of {len(made.ranking.rows)}" in shown


@pytest.mark.parametrize("scheme", ["heun", "ddim", "random-midpoint"])
def test_a_curve_of_every_kind_of_scheme_is_drawn(scheme: str) -> None:
    """Theorem 7's line, Theorem 3's, and the two between which W2 lies where levels are drawn."""
    law = Gaussian(np.zeros(2), np.array([0.5, 2.0]))
    curve = curves.bound_curve(wbound.process("ou"), law, [8, 16, 32], T=3.0, scheme=scheme)
    keys = {"heun": "theorem_7", "ddim": "theorem_3", "random-midpoint": "at_most"}
    assert curve.line(keys[scheme]) is not None
    figures.bound_figure(curve)
