"""The same questions for single heads and single neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lenswright.collecting.accumulators import CLASSES_OF, Parts

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics


def heads(stats: Statistics, which: dict[str, list[int]] | None = None) -> Statistics:
    """Statistics in which every head of every point is a point of its own: "...hook_z.3".

    Any estimator then gives a direction [d_head] for each head.

    Example:
        >>> stats = model.collect(splits.fit, points="z")
        >>> lw.directions.difference_of_means(lw.directions.heads(stats)).table()

    Args:
        stats: of points with a shape [heads, d_head] at every position (hook_z, hook_q ...).
        which: heads of some points only, {point: [head, ...]}.

    Raises:
        ValueError: a point without heads.
        IndexError: no such head.
    """
    from lenswright.collecting.statistics import Statistics as Made

    parts: Parts = {kind: {} for kind in stats.parts if kind in ("moments", "covariance", "kept")}
    shapes = {}
    for point in stats.points if which is None else which:
        shape = stats.shapes[stats._known(point)]
        if len(shape) != 2:
            raise ValueError(
                f"stats has '{point}' of shape {list(shape)} at each position, expected "
                "[heads, d_head]"
            )
        count, width = shape
        for head in range(count) if which is None else which[point]:
            if not 0 <= head < count:
                raise IndexError(f"which has head {head} of '{point}', expected 0 to {count - 1}")
            name, part = f"{point}.{head}", slice(head * width, (head + 1) * width)
            shapes[name] = (width,)
            for kind, made in parts.items():
                made[name] = _sliced(kind, stats.parts[kind][point], part)
    moments = parts.pop("moments")
    kept = ("mean", "variance", "covariance", "samples")
    what = [name for name in stats.what if name in kept]
    return Made(moments, shapes, stats.positions, stats.offsets, what, stats.provenance, parts)


def _sliced(kind: str, whole: Any, part: slice) -> Any:
    state = {name: value.clone() for name, value in whole.state().items()}
    for name in ("mean", "m2", "values"):
        if name in state:
            state[name] = state[name][:, part].contiguous()
    if "comoment" in state:
        state["comoment"] = state["comoment"][:, part, part].contiguous()
    return CLASSES_OF[kind].from_state(state)


def neurons(
    stats: Statistics,
    position: str | int,
    n: int = 20,
    positive: str = "positive",
    negative: str = "negative",
) -> list[dict[str, Any]]:
    """The single coordinates that tell the classes apart best, over all points, best first.

    Each row has point, index, separation (d', signed: (m+ - m-) / sqrt((var+ + var-) / 2)), t
    (Welch: (m+ - m-) / sqrt(var+ / n+ + var- / n-)) and both means. Of many coordinates some look
    good by chance: compare with `null`, or judge on other prompts.

    Example:
        >>> stats = model.collect(splits.fit, points="mlp.post")
        >>> lw.directions.neurons(stats, -1)

    Args:
        stats: with variances; of points such as "mlp.post", where a coordinate is a neuron.
        position: label or offset.
        n: rows.

    Raises:
        KeyError: no such class or position.
        ValueError: no variances.

    Source: Welch 1947 for t; Cohen 1988 for d'.
    """
    index = stats.position_index(position)
    rows = []
    for point in stats.points:
        means = [stats.mean(name, point)[index].flatten() for name in (positive, negative)]
        spreads = [stats.variance(name, point)[index].flatten() for name in (positive, negative)]
        counts = [float(stats.n(name)[index]) for name in (positive, negative)]
        away = means[0] - means[1]
        apart = away / ((spreads[0] + spreads[1]) / 2).sqrt()
        t = away / (spreads[0] / counts[0] + spreads[1] / counts[1]).sqrt()
        order = torch.argsort(apart.abs().nan_to_num(0.0), descending=True, stable=True)[:n]
        for at in order.tolist():
            rows.append({
                "point": point, "index": at, "separation": float(apart[at]), "t": float(t[at]),
                "positive": float(means[0][at]), "negative": float(means[1][at]),
            })  # fmt: skip
    rows = [row for row in rows if row["separation"] == row["separation"]]
    return sorted(rows, key=lambda row: -abs(row["separation"]))[:n]
