"""Numbers of a recipe: gradients, filters, and which of several holds."""

from __future__ import annotations

from pathlib import Path

import torch

import lenswright as lw
import merging_models as models
from merging_models import linear, same


def test_gradients_reach_the_last_tensors(pair: list[Path], tmp_path: Path) -> None:
    """D2: mergekit gives the first value to the final norm and the head; compat does, too."""
    recipe = linear(pair, [[0, 1], [1, 0]])
    a, b = (models.load(folder) for folder in pair)
    for mode, last in {"strict": a, "compat": b}.items():
        lw.merge(recipe, tmp_path / mode, mode)
        out = models.load(tmp_path / mode)
        for name in ("model.norm.weight", "lm_head.weight"):
            assert torch.equal(out[name], last[name])
        assert torch.equal(out["model.embed_tokens.weight"], b["model.embed_tokens.weight"])
        name = "model.layers.{}.mlp.up_proj.weight"
        assert torch.equal(out[name.format(0)], b[name.format(0)])
        assert torch.equal(out[name.format(2)], a[name.format(2)])
        same(out[name.format(1)], (a[name.format(1)].double() + b[name.format(1)]) / 2)


def test_filters(pair: list[Path], tmp_path: Path) -> None:
    weight = [
        {"filter": "mlp.up", "value": 0.25},
        {"filter": "glob:*.self_attn.?_proj.weight", "value": [0, 1]},
        {"filter": "regex:.*layernorm.*", "value": 0.75},
        {"filter": "*", "value": 1.0},
    ]
    recipe = linear(pair, [weight, 1.0]) | {"parameters": {"normalize": False}}
    lw.merge(recipe, tmp_path / "out")
    out, a, b = (models.load(f) for f in (tmp_path / "out", *pair))
    for name, share in {
        "model.layers.1.mlp.up_proj.weight": 0.25,
        "model.layers.1.mlp.down_proj.weight": 1.0,
        "model.layers.0.self_attn.q_proj.weight": 0.0,
        "model.layers.1.self_attn.o_proj.weight": 0.5,
        "model.layers.2.self_attn.k_proj.weight": 1.0,
        "model.layers.2.input_layernorm.weight": 0.75,
        "model.norm.weight": 1.0,
    }.items():
        same(out[name], share * a[name].double() + b[name].double())


def test_precedence(pair: list[Path], tmp_path: Path) -> None:
    """Source before slice before top; what a filter leaves open falls to the next."""
    sources = [{"model": str(f), "layer_range": [0, 3]} for f in pair]
    sources[1]["parameters"] = {"weight": [{"filter": "mlp", "value": 3.0}]}
    recipe = {
        "merge_method": "linear", "parameters": {"weight": 1.0, "normalize": False},
        "slices": [
            {"sources": sources, "parameters": {"weight": [{"filter": "attn", "value": 2.0}]}}
        ],
    }  # fmt: skip
    lw.merge(recipe, tmp_path / "out")
    out, a, b = (models.load(f) for f in (tmp_path / "out", *pair))
    for name, (u, v) in {
        "model.layers.1.mlp.up_proj.weight": (1, 3),
        "model.layers.1.self_attn.q_proj.weight": (2, 2),
        "model.norm.weight": (1, 1),
    }.items():
        same(out[name], u * a[name].double() + v * b[name].double())
