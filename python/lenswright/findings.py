"""What was looked at, chosen and baked, as the parts of a report."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from lenswright.jsonable import finite_or_none

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics
    from lenswright.directions import Directions
    from lenswright.edits import Edit
    from lenswright.model import Model
    from lenswright.selecting.choice import Choice

Matrix = list[list[float | None]]


def _matrix(values: torch.Tensor) -> Matrix:
    # [points, positions] -> [position][layer]; what was not measured is None
    return [[finite_or_none(v) for v in row] for row in values.t().tolist()]


def model_facts(model: Model) -> dict[str, Any]:
    """Name, family and sizes."""
    return {
        "name": model.cfg.model_name,
        "family": model.spec["family"],
        "parameters": model.core.size,
        "layers": model.cfg.n_layers,
        "d_model": model.cfg.d_model,
        "dtype": str(model.cfg.dtype).removeprefix("torch."),
    }


def run_facts(seed: int) -> dict[str, Any]:
    """Seed and versions."""
    import lenswright

    versions = {"lenswright": lenswright.__version__, "torch": torch.__version__}
    versions["tokenizers"] = importlib.metadata.version("tokenizers")
    return {"seed": seed, "versions": versions}


def separation(stats: Statistics, found: Directions) -> dict[str, Any]:
    """How far the classes lie apart at each layer and position."""
    layers = [row["layer"] for row in found.table()[:: len(found.positions)]]
    cosines = [
        torch.nn.functional.cosine_similarity(
            stats.mean("positive", point), stats.mean("negative", point), dim=-1
        )
        for point in found.points
    ]
    return {
        "positions": list(found.positions),
        "layers": layers,
        "separation": _matrix(found.measure("separation")),
        "norm": _matrix(found.measure("norm")),
        "standard_error": _matrix(found.measure("standard_error")),
        "split_half": _matrix(found.measure("split_cosine")),
        "cosine": _matrix(torch.stack(cosines)),
    }


def grid(choice: Choice, score: str) -> dict[str, Any]:
    """Every candidate, tried, and the one chosen."""
    positions = list(dict.fromkeys(row["position"] for row in choice.table))
    layers = sorted({row["layer"] for row in choice.table})
    places = {(row["position"], row["layer"]): row for row in choice.table}
    at = [[places.get((p, layer), {}) for layer in layers] for p in positions]
    part: dict[str, Any] = {
        "positions": positions,
        "layers": layers,
        "dropped": [[None if cell.get("kept") else cell.get("why") for cell in row] for row in at],
        "chosen": {"position": positions.index(choice.position), "layer": choice.layer},
        "null": {"metric": "bypass", "values": choice.null.bypass},
        "baseline": choice.null.base,
        "score": score,
        "rule": choice.reason,
    }
    part["front"] = [[bool(cell.get("front")) for cell in row] for row in at]
    for name in ("bypass", "induce", "kl", "cosmic"):
        part[name] = [[cell.get(name) for cell in row] for row in at]
    if choice.fallback:
        part["fallback"] = choice.reason
    return part


def matrix_of(tensor: torch.Tensor, site: Mapping[str, Any]) -> torch.Tensor:
    """[d_model, inputs] in float64, of a stored tensor that may hold one for each expert."""
    matrix = (tensor if site["slice"] < 0 else tensor[site["slice"]]).double()
    return torch.atleast_2d(matrix).t() if site["residual_axis"] == 1 else matrix


def writers(model: Model, edit: Edit, before: Mapping[str, torch.Tensor]) -> list[dict[str, Any]]:
    """What an applied edit changed in each writer's stored matrix, of what stood there before."""
    rows = []
    after = model.parameters()
    factors = edit.factors()
    sites = {site["name"]: site for site in model.writers()}
    for line in edit.describe():
        row: dict[str, Any] = {
            "name": line["writer"],
            "edited": line["edited"],
            "note": line["what"],
        }
        if line["edited"]:
            site = sites[line["writer"]]
            if site["weight"] in before:
                old, new = (matrix_of(each[site["weight"]], site) for each in (before, after))
            else:  # it was quantised: [d_model, inputs] as the model reads it
                old, new = (model.core.weight(site["name"], o).double() for o in (True, False))
            row["change"] = float((new - old).norm() / old.norm())
            own = factors[line["writer"]]
            v = own.get("V", own.get("A"))  # what is removed, or else what is added
            if v is not None:
                v = v.reshape(-1, v.shape[-1])
                v = v / v.norm(dim=-1, keepdim=True)
                row["along_before"] = float((v @ old).norm() / old.norm())
                row["along_after"] = float((v @ new).norm() / old.norm())
        rows.append(row)
    return rows


def criterion(
    name: str, demand: str, reached: float | str | None, passed: bool | None, note: str = ""
) -> dict[str, Any]:
    """One row of what was demanded and what was reached."""
    row: dict[str, Any] = {"name": name, "demand": demand, "reached": reached, "passed": passed}
    return row | ({"note": note} if note else {})


def effect(effects: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The effect of a name.

    Raises:
        KeyError: there is none.
    """
    for one in effects:
        if one["name"] == name:
            return one
    raise KeyError(f"effects has no '{name}', expected one of {[one['name'] for one in effects]}")
