"""Pictures: well-formed, escaped, the same every time, legible on light and on dark."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lenswright import plots
from lenswright.plots import canvas, colour, values
from lenswright.plots.effects_row import against_null

SVG = "{http://www.w3.org/2000/svg}"
NASTY = ["<script>alert('x')</script>", '"&amp;"', "a\x00b\x1b", "\u202eabc", "\ud800", "\ufffe"]
EFFECT = {
    "name": "declines", "before": 1.0, "after": 0.008, "interval": [0.002, 0.028],
    "interval_kind": "Wilson 95 %", "null": [1.0, 0.996] * 10, "n": 256, "better": "lower",
}  # fmt: skip
SMALL = {
    "name": "KL", "unit": "nats", "before": 0.0, "after": 0.0094, "interval": [0.006, 0.013],
    "null": [1e-5, 2e-4],
}  # fmt: skip

FIGURES: dict[str, Callable[[float], plots.Figure]] = {
    "heatmap": lambda w: plots.heatmap(
        [[1.0, 2.5, None], [-3.0, 0.0, float("nan")]], rows=["a", "b"], columns=[0, 1, 2],
        row_name="token", column_name="layer", title="d", unit="nats", width=w, marked=(0, 1),
        hatched=[["", None, ""], ["too far", "", ""]], tips=[["x"] * 3] * 2,
    ),
    "heatmaps": lambda w: plots.heatmaps(
        [plots.Panel([[0.1] * 24] * 5, title="p"), plots.Panel([[1e-6, 1.0] * 12] * 5, log=True)],
        width=w,
    ),
    "diverging": lambda w: plots.heatmap(
        [[-1.0, 4.0]], scale="diverging", ends=("no", "yes"), width=w
    ),
    "effects": lambda w: plots.effects([EFFECT, SMALL, {"name": "plain", "after": 0.3}], width=w),
    "strip": lambda w: plots.strip(
        {"random": [8.0, 8.1, 8.1, 8.1], "kept": [1.0, None]}, width=w, name="bypass",
        marks=[("no edit", 8.2, "ink"), ("chosen", -4.0, "accent"), ("other", 8.1, "warm")],
    ),
    "lines": lambda w: plots.lines(
        {f"<{i}>": [0.1 * i, None, 0.3 * i] for i in range(8)}, x=["a", "b", "c"], x_name="layer",
        y_name="cosine", reference=("demand", 0.95), width=w,
    ),
    "attention": lambda w: plots.attention([[[1.0, 0.0], [0.4, 0.6]]] * 4, ["a", "b"], width=w),
    "logit_lens": lambda w: plots.logit_lens(
        [[0.1, 0.2], [0.3, 0.4]], texts=[[" a", "\n"], ["b", "c"]], positions=["x", "y"], width=w
    ),
    "tokens": lambda w: plots.tokens(
        ["a", " b", "\n", "c"] * 30, [0.1, -0.2, None, 0.4] * 30, width=w
    ),
    "chain": lambda w: plots.chain(
        [
            {"left": "tried", "right": "applied", "difference": 3e-7, "demand": 1e-5},
            {"left": "applied", "right": "committed", "difference": 0.0, "demand": 0.0},
            {"left": "x", "right": "y", "difference": 1.0, "demand": 0.1},
            {"left": "y", "right": "z"},
        ],
        width=w,
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", [342, 860])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_xml_and_says_what_it_is(name: str, width: float) -> None:
    figure = FIGURES[name](width)
    root = ElementTree.fromstring(figure.svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == figure.description
    assert re.findall(r"https?://[^\"]*", figure.svg) == ["http://www.w3.org/2000/svg"]
    assert "http" not in figure.inline
    assert figure.width <= width
    assert FIGURES[name](width).svg == figure.svg


@pytest.mark.parametrize("width", [342, 860])
@pytest.mark.parametrize("name", FIGURES)
def test_everything_lies_inside_the_picture(name: str, width: float) -> None:
    figure = FIGURES[name](width)
    for element in ElementTree.fromstring(f"<svg>{figure.body}</svg>"):
        a = {key: float(v) for key, v in element.attrib.items() if re.fullmatch(r"-?[\d.]+", v)}
        if element.tag == "rect":
            spans = [(a["x"], a["x"] + a["width"]), (a["y"], a["y"] + a["height"])]
        elif element.tag == "circle":
            spans = [(a["cx"] - a["r"], a["cx"] + a["r"]), (a["cy"] - a["r"], a["cy"] + a["r"])]
        elif element.tag == "line":
            spans = [(min(a["x1"], a["x2"]), max(a["x1"], a["x2"])), (a["y1"], a["y2"])]
        elif element.tag == "text" and "transform" not in element.attrib:
            long = canvas.text_width(element.text or "", a.get("font-size", 12)) * 0.9
            start = {"start": 0.0, "middle": 0.5, "end": 1.0}[element.get("text-anchor", "start")]
            spans = [(a["x"] - start * long, a["x"] + (1 - start) * long), (a["y"] - 8, a["y"])]
        else:
            continue
        for (low, high), size in zip(spans, (figure.width, figure.height), strict=True):
            assert low >= -3, ElementTree.tostring(element)
            assert high <= size + 3, ElementTree.tostring(element)


def test_text_is_escaped_and_control_characters_are_shown() -> None:
    figures = [
        plots.heatmap([[1.0] * 6], columns=NASTY, rows=["<r>"], title=NASTY[0], tips=[NASTY]),
        plots.tokens(NASTY, range(6)),
        plots.lines({text: [1, 2] for text in NASTY}, x=NASTY[:2], y_name=NASTY[0]),
        plots.effects([{**EFFECT, "name": text, "note": text} for text in NASTY]),
        plots.strip({text: [1.0] for text in NASTY}, marks=[(NASTY[0], 1.0, "ink")]),
        plots.attention([[[1.0] * 6] * 6], NASTY, heads=[NASTY[0]]),
        plots.chain([{"left": NASTY[0], "right": NASTY[1]}]),
        plots.logit_lens([[1.0] * 6], texts=[NASTY], positions=NASTY),
    ]
    for figure in figures:
        figure.svg.encode("utf-8")
        root = ElementTree.fromstring(figure.svg)
        assert not list(root.iter(f"{SVG}script"))
        assert "\u202e" not in figure.svg
    assert "a\\u0000b\\u001b" in plots.tokens(NASTY, range(6)).svg


def test_tensors_are_taken_as_lists_are() -> None:
    import torch

    tensor = torch.tensor([[1.0, -2.0], [0.5, 4.0]], dtype=torch.bfloat16, requires_grad=True)
    assert plots.heatmap(tensor).svg == plots.heatmap([[1.0, -2.0], [0.5, 4.0]]).svg
    assert plots.tokens(["a", "b"], tensor[0]).svg == plots.tokens(["a", "b"], [1.0, -2.0]).svg
    assert plots.lines({"a": tensor[1]}).svg == plots.lines({"a": [0.5, 4.0]}).svg


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.heatmap([[1, 2], [3]]), r"values\[1\]: has 1 values where row 0 has 2"),
        (lambda: plots.heatmap([]), "values: expected a matrix"),
        (lambda: plots.heatmap([["a"]]), r"values\[0\]\[0\]: expected a number or None, got 'a'"),
        (lambda: plots.heatmap([[1]], rows=["a", "b"]), "rows: 2 labels for 1 values"),
        (lambda: plots.heatmap([[1]], hatched=[["", ""]]), "hatched: is 1 by 2, expected 1 by 1"),
        (lambda: plots.heatmap([[1]], marked=(0, 1)), r"marked: \(0, 1\) lies outside 1 rows by 1"),
        (lambda: plots.heatmap([[1]], scale="jet"), "scale: 'jet' is unknown; expected one of"),
        (lambda: plots.effects([]), "rows: expected at least one effect"),
        (lambda: plots.effects([{"name": "x"}]), r"rows\[0\]: 'after' is missing"),
        (lambda: plots.effects([EFFECT | {"nul": 1}]), r"rows\[0\]: unknown field 'nul'"),
        (lambda: plots.effects([EFFECT | {"interval": [2, 1]}]), r"interval: expected \[low, "),
        (lambda: plots.effects([EFFECT | {"better": "up"}]), "better: 'up' is unknown"),
        (lambda: plots.lines({"a": [1], "b": [1, 2]}), r"series\['b'\]: has 2 values"),
        (lambda: plots.lines({"a": []}), "series: the lines have no values"),
        (lambda: plots.strip({}), "groups: expected at least one"),
        (lambda: plots.strip({"a": [1]}, marks=[("x", 1, "red")]), "paint 'red' is unknown"),
        (lambda: plots.tokens(["a"], [1, 2]), "values: 2 values for 1 tokens"),
        (lambda: plots.attention([1.0]), "pattern: expected a tensor"),
        (lambda: plots.attention([[[1.0]], [[1.0, 2.0]]]), "pattern: the heads differ in size"),
        (lambda: plots.attention([[1.0]], ["a", "b"]), "tokens: 2 labels for 1 values"),
        (lambda: plots.attention([[1.0]], high=0), "high: is 0, expected a value above 0"),
        (lambda: plots.chain([]), "links: expected at least one"),
        (lambda: plots.chain([{"left": "a"}]), r"links\[0\]: 'right' is missing"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_values_are_written_where_they_fit() -> None:
    wide = plots.heatmap([[1.25, -2.5]], unit="nats", title="d").svg
    assert ">1.25<" in wide
    assert f">{values.MINUS}2.50<" in wide
    assert "<title>column 0, row 0\nd 1.25 nats</title>" in wide
    crowded = plots.heatmap([[1.25] * 60], width=342).svg
    assert (
        ">1.25<"
        not in re.sub(r"<title>.*?</title>", "", crowded, flags=re.S).split("</text>", 3)[3]
    )
    assert ElementTree.fromstring(crowded) is not None


def test_dropped_cells_are_hatched_and_say_why() -> None:
    figure = plots.heatmap([[1.0, 2.0]], hatched=[["KL above 0.1", ""]], marked=(0, 1))
    assert figure.body.count("<path") == 1
    assert figure.body.count("dropped: KL above 0.1") == 1
    assert figure.body.count('stroke-width="2.2"') == 1


def test_effects_show_value_interval_and_null() -> None:
    text = plots.effects([EFFECT, SMALL]).svg
    for shown in ("100\u202f% → 0.8\u202f%", "0.2\u202f–\u202f2.8\u202f%", "n = 256 · should fall",
                  "random 99.6\u202f–\u202f100\u202f%", "20 random directions", "Wilson 95 %",
                  "nats (log scale)", "0 of 20 random directions moved it as far"):  # fmt: skip
        assert shown in text, shown
    assert "0 at the left edge" in plots.effects([SMALL | {"null": [0.0, 1e-5]}]).svg


def test_against_null_counts_what_moved_as_far() -> None:
    assert against_null({"before": 1.0, "after": 0.5, "null": [1.0, 0.5, 0.4, 1.6]}) == (3, 4)
    assert against_null({"before": 1.0, "after": 0.5}) is None
    assert against_null({"after": 0.5, "null": [0.1]}) is None


def test_dark_rules_cover_every_class_used() -> None:
    for name, draw in FIGURES.items():
        figure = draw(860)
        used = set(
            re.findall(r"\b[fs]-[\w-]+", " ".join(re.findall(r'class="([^"]*)"', figure.body)))
        )
        rules = colour.dark_rules([figure.body])
        assert all(f".{c}{{" in rules for c in used), name


def test_saving_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = FIGURES["heatmap"](860)
    path = figure.save(tmp_path / "new" / "a.svg")
    assert path.read_text(encoding="utf-8") == figure.svg + "\n"
    assert figure.svg in figure.save(tmp_path / "a.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"ends in '\.png'; expected \.svg or \.html"):
        figure.save(tmp_path / "a.png")

    def fail(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk"):
        figure.save(tmp_path / "b.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "new"]


def test_notebooks_get_the_picture_and_people_a_line() -> None:
    figure = FIGURES["heatmap"](860)
    assert figure._repr_svg_() == figure.svg
    assert figure.svg in figure._repr_html_()
    assert repr(figure) == f"Figure({figure.width} x {figure.height} px: {figure.description})"
