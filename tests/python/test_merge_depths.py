"""Slices and config.json: lists of layers are renumbered, keys that speak of depth are held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lenswright as lw
import merging_models as models
from merging_models import config_of

LISTS: dict[str, tuple[Any, Any]] = {
    # of layers 0 and 2 of a model of three: before, after
    "layer_types": (["a", "b", "c"], ["a", "c"]),
    "layers_block_type": (["x", "y", "z"], ["x", "z"]),
    "intermediate_size": ([5, 6, 7], [5, 7]),
    "num_key_value_heads": ([1, 2, 3], [1, 3]),
    "sliding_window_sizes": ([None, 4, 8], [None, 8]),
    "block_configs": ([{"n": 0}, {"n": 1}, {"n": 2}], [{"n": 0}, {"n": 2}]),
    "mlp_only_layers": ([0, 2], [0, 1]),
    "moe_layers": ([0, 1, 2], [0, 1]),
    "full_attn_idxs": ([1], []),
    "attention_types": ([[["global", "local"], 1], [["other"], 1]], [[["global", "other"], 1]]),
    "attention_layers": (["global", "local", "other"], ["global", "other"]),
    "eos_token_id": ([1, 2, 3], [1, 2, 3]),
    "mrope_section": ([1, 2, 3], [1, 2, 3]),
    "architectures": (["A", "B", "C"], ["A", "B", "C"]),
}


def outer(folder: Path) -> dict[str, Any]:
    """Its first and its third layer."""
    return {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": str(folder), "layer_range": [i, i + 1]}]} for i in (0, 2)
        ],
    }


def with_config(folder: Path, to: Path, **changes: Any) -> Path:
    return models.save(to, models.load(folder), config_of(folder) | changes)


@pytest.mark.parametrize("key", LISTS)
def test_lists(key: str, tiny: Callable[..., Path], tmp_path: Path) -> None:
    before, after = LISTS[key]
    folder = with_config(tiny("llama"), tmp_path / "m", **{key: before})
    lw.merge(outer(folder), tmp_path / "out")
    config = config_of(tmp_path / "out")
    assert config[key] == after
    assert config["num_hidden_layers"] == 2


DEPTHS: list[tuple[dict[str, Any], bool]] = [
    # what config.json says, and whether layers 0 and 2 may become layers 0 and 1
    ({"first_k_dense_replace": 1}, True),
    ({"first_k_dense_replace": 2}, False),
    ({"first_k_dense_replace": 0}, True),
    ({"num_dense_layers": 2}, False),
    ({"moe_layer_start_index": 2}, False),
    ({"moe_layer_end_index": -1}, True),
    ({"moe_layer_end_index": 1}, False),
    ({"max_window_layers": 2}, False),
    ({"max_window_layers": 2, "use_sliding_window": False}, True),
    ({"max_window_layers": 2, "layer_types": ["a", "b", "c"]}, True),
    ({"num_kv_shared_layers": 1}, True),
    ({"num_kv_shared_layers": 2}, False),
    ({"num_nextn_predict_layers": 1}, False),
    ({"sliding_window_pattern": 2}, False),
    ({"sliding_window_pattern": 1}, True),
    ({"sliding_window_pattern": "LG"}, False),
    ({"sliding_window_pattern": 2, "layer_types": ["a", "b", "c"]}, True),
    ({"decoder_sparse_step": 2}, False),
    ({"moe_layer_freq": [0, 1, 1]}, True),
    ({"no_rope_layer_interval": 2, "no_rope_layers": [1, 0, 1]}, True),
    ({"interleave_moe_layer_step": 2}, False),
    ({"scale_attn_by_inverse_layer_idx": False}, True),
    ({"scale_attn_by_inverse_layer_idx": True}, False),
]


@pytest.mark.parametrize(("keys", "fits"), DEPTHS, ids=lambda x: str(x))
def test_depths(
    keys: dict[str, Any], fits: bool, tiny: Callable[..., Path], tmp_path: Path
) -> None:
    folder = with_config(tiny("llama"), tmp_path / "m", **keys)
    if fits:
        lw.merge(outer(folder), tmp_path / "out")
        return
    with pytest.raises(ValueError, match=f"{next(iter(keys))} is .*by their depth; layer"):
        lw.merge(outer(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    whole = {"model": str(folder), "layer_range": [0, 3]}
    recipe = {"merge_method": "passthrough", "slices": [{"sources": [whole]}]}
    lw.merge(recipe, tmp_path / "whole")  # layers that stay stay what they are
    assert config_of(tmp_path / "whole") == config_of(folder)
