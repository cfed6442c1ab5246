"""The pictures and the page of a merge's report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenswright import plots
from lenswright.plots.values import number
from lenswright.report.html import Markup, join, table, tag
from lenswright.report.page import document
from lenswright.report.parts import facts, picture

if TYPE_CHECKING:
    from lenswright.merging.report import MergeReport

CAPTIONS = {
    "sizes": "How far each model, and the merged one, lies from the base: |δ| / |base|, by layer.",
    "changed": "The share of elements that differ from the base at all.",
    "agreement": "Cosines of the differences to the base: 1, the same way; 0, apart; below 0, one "
    "undoes the other.",
    "conflicts": "Of the elements that more than one model changed: the share that one raised and "
    "another lowered.",
    "weights": "Weights of a least-squares fit, layer by layer: what of each model is in the "
    "merged one.",
    "losses": "The loss of each model, and what two rules foretell of the merged one.",
}


def _names(report: MergeReport) -> list[str]:
    return [*(Path(name).name for name in report.tasks.models[:-1]), "merged"]


def figures(report: MergeReport, width: float) -> dict[str, plots.Figure]:
    """Every picture that there are values for."""
    layers = report.tasks.layers()
    labels, names = [layer for layer, _ in layers], _names(report)
    sides: dict[str, Any] = {"rows": labels, "row_name": "layer", "width": width}
    count = len(names)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    between = [f"{names[i]}, {names[j]}" for i, j in pairs]
    fits = report.lineage.layers
    drawn = {
        "sizes": plots.heatmap(
            [row["relative"] for _, row in layers], columns=names, title="|δ| / |base|", **sides
        ),
        "changed": plots.heatmap(
            [row["changed"] for _, row in layers], columns=names, title="share changed", low=0.0,
            high=1.0, **sides,
        ),
        "agreement": plots.heatmap(
            [row["cosines"] for _, row in layers], columns=between, title="cosine",
            scale="diverging", low=-1.0, high=1.0, **sides,
        ),
        "conflicts": plots.lines(
            {"signs in conflict": [row["conflicts"] for _, row in layers]}, x=labels,
            x_name="layer", unit="rate", low=0.0, width=width, height=200,
        ),
        "weights": plots.heatmap(
            [fits[layer].weights for layer in fits], rows=list(fits), row_name="layer",
            columns=[Path(name).name for name in report.lineage.candidates], title="weight",
            scale="diverging", width=width,
        ),
    }  # fmt: skip
    if report.losses:
        measured = [value for name, value in report.losses.items() if name != report.folder]
        marks = [("merged, measured", report.losses[report.folder], "accent")]
        marks += [(how, value, "ink") for how, value in report.predicted.items()]
        drawn["losses"] = plots.strip(
            {"models": measured}, marks=marks, name="loss, nats a token", width=width
        )
    return drawn


def _figure(report: MergeReport, name: str, width: float) -> plots.Figure:
    return figures(report, width)[name]


def page(report: MergeReport) -> str:
    """The page as HTML: one file that loads nothing."""
    sections = [
        tag("section", picture(partial(_figure, report, name), CAPTIONS[name]))
        for name in figures(report, 860)
    ]
    body = join(
        tag(
            "header",
            tag("p", f"{report.method} · {len(_names(report)) - 1} models", class_="facts-line"),
            tag("h1", f"Merged: {Path(report.folder).name}"),
            facts({
                "base": report.tasks.base,
                "left unexplained by weights": f"{report.lineage.whole.residual:.2%}",
            }),
        ),
        tag("main", sections, _loss_table(report), _tensor_table(report)),
        tag("footer", "Made with Lenswright. The JSON file beside this page holds its numbers."),
        tag("div", id="tip", hidden=""),
    )  # fmt: skip
    return document(f"Merged: {Path(report.folder).name}", body)


def _loss_table(report: MergeReport) -> Markup:
    if not report.losses:
        return join()
    rows = [[Path(name).name, "measured", number(v)] for name, v in report.losses.items()]
    rows += [["merged", f"predicted: {how}", number(v)] for how, v in report.predicted.items()]
    return tag("section", tag("h2", "Loss"), table(["model", "", "nats a token"], rows,
                                                   numbers=(2,)))  # fmt: skip


def _tensor_table(report: MergeReport) -> Markup:
    """Every tensor: of the merged model's difference, and of the models' conflicts."""
    rows = []
    for tensor in report.tasks.tensors:
        relative = tensor.norms[-1] / tensor.base_norm if tensor.base_norm else 0.0
        rows.append([
            tensor.name, number(relative), f"{tensor.changed[-1] / max(1, tensor.elements):.1%}",
            number(tensor.densities[-1]),
            f"{tensor.conflicts / tensor.shared:.1%}" if tensor.shared else "–",
        ])  # fmt: skip
    columns = ["tensor", "|δ| / |base|", "changed", "effective density", "conflicts"]
    return tag("section", tag("h2", "Every tensor, merged against the base"),
               table(columns, rows, numbers=(1, 2, 3, 4)))  # fmt: skip
