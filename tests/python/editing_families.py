"""Which random models of every family the tests of edits take, and the edits they make of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lenswright as lw
from editing import direction, general_factors, stored_as
from families import ROWS

Family = Callable[..., Path]

KNOBS: dict[str, list[str]] = {
    "bloom": ["untied"], "falcon": ["40b", "rw"], "gpt_neox": ["serial"], "gpt2": ["untied"],
    "opt": ["350m", "narrow", "plain norms"], "xglm": ["untied"],
    "deepseek_v2": ["low rank", "groups"], "deepseek_v3": ["yarn"], "gpt_oss": ["full"],
    "granitemoeshared": ["unshared"], "mixtral": ["wide heads"], "olmoe": ["clipped"],
    "phimoe": ["biased"], "qwen2_moe": ["some dense"], "gemma2": ["grouped"], "glm4": ["grouped"],
    "olmo2": ["grouped"], "gemma3": ["linear, tied"], "mistral3": ["window, tied"],
    "qwen2_vl": ["late window, tied"], "qwen2_5_vl": ["late window, tied"], "qwen3_vl": ["tied"],
}  # fmt: skip
"""Knobs that matter to what writes, beside every row as it stands."""

MIXTURES = {
    "deepseek_v2", "deepseek_v3", "dots1", "ernie4_5_moe", "glm4_moe", "gpt_oss", "granitemoe",
    "granitemoeshared", "hunyuan_v1_moe", "llama4", "llama4_text", "mixtral", "olmoe", "phimoe",
    "qwen2_moe", "qwen3_moe", "qwen3_vl_moe",
}  # fmt: skip
NORM_AFTER = {"exaone4", "gemma2", "gemma3", "gemma3_text", "glm4", "olmo2", "olmo3"}

CASES = [(name, knob, False) for name in ROWS for knob in ["", *KNOBS.get(name, [])]] + [
    (name, "", True) for name in ROWS if name in MIXTURES
]
"""(row, knob, whether all experts of a layer are kept in one tensor)."""

TRIED = {"float64": 1e-12, "float32": 1e-5}


def prepared(
    family: Family, tmp: Path, case: tuple[str, str, bool], dtype: str = "float64", shards: int = 1
) -> Path:
    name, knob, fused = case
    return stored_as(family(name, knob, fused=fused), tmp / "in", dtype, shards)


def edits_of(model: lw.Model) -> dict[str, lw.edits.Edit]:
    return {
        "plain": lw.edits.ablate(model, direction(model)),
        "general": lw.edits.from_factors(model, general_factors(model)),
    }
