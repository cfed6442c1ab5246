"""Models that also see: their decoders run on text, their vision towers are carried along."""

from __future__ import annotations

from typing import Any

from families.llama import scaled
from families.norms import LINEAR
from families.row import VOCAB, Row, grouped, rope, sizes

_SMALL = {
    "hidden_size": 16, "intermediate_size": 10, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 8, "patch_size": 2,
}  # fmt: skip
_SIGLIP = _SMALL | {"model_type": "siglip_vision_model"}
_CLIP = _SMALL | {"model_type": "clip_vision_model", "projection_dim": 8}
_PIXTRAL = _SMALL | {"model_type": "pixtral", "head_dim": 8}
_QWEN = {
    "depth": 1, "num_heads": 2, "patch_size": 2, "spatial_merge_size": 1, "in_channels": 3,
    "hidden_size": 16, "intermediate_size": 10, "out_hidden_size": 30,
}  # fmt: skip
_QWEN2 = _QWEN | {"embed_dim": 16, "hidden_size": 30, "mlp_ratio": 2}
_QWEN2_5 = _QWEN | {"fullatt_block_indexes": [0], "window_size": 4}
_QWEN3 = _QWEN | {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
_THREE = sizes(num_key_value_heads=3)
_SECTIONS = rope(100.0, mrope_section=[1, 2, 2])
_LATE_WINDOW = {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}
_GEMMA3 = sizes(
    num_hidden_layers=4, num_key_value_heads=3, head_dim=10, sliding_window=5,
    sliding_window_pattern=2, query_pre_attn_scalar=7, model_type="gemma3_text",
)  # fmt: skip
_MINISTRAL3 = _THREE | {"model_type": "ministral3", "head_dim": 10} | scaled(
    "yarn", factor=4.0, original_max_position_embeddings=4, llama_4_scaling_beta=0.4
)  # fmt: skip


def _text(of: dict[str, Any], **beside: Any) -> dict[str, Any]:
    return {"text_config": of} | beside


def _tower(name: str, architecture: str, text: dict[str, Any], vision: dict[str, Any],
           knobs: dict[str, dict[str, Any]], **beside: Any) -> Row:  # fmt: skip
    config = {"text_config": text, "vision_config": vision, "tie_word_embeddings": False} | beside
    return Row(name, architecture, config, knobs, auto="AutoModelForImageTextToText")


ROWS = [
    _tower("gemma3", "Gemma3ForConditionalGeneration", _GEMMA3, _SIGLIP, {
        "linear, tied": _text(_GEMMA3 | LINEAR, tie_word_embeddings=True),
    }, mm_tokens_per_image=4, image_token_index=VOCAB - 1),
    _tower("llava", "LlavaForConditionalGeneration", _THREE | {"model_type": "llama"}, _CLIP, {
        "mistral": _text(_THREE | {"model_type": "mistral", "sliding_window": 5}),
        "qwen2": _text(_THREE | {"model_type": "qwen2"}),
        "qwen3": _text(_THREE | {"model_type": "qwen3", "head_dim": 10}),
    }),
    _tower("mistral3", "Mistral3ForConditionalGeneration",
           _THREE | {"model_type": "mistral", "sliding_window": None}, _PIXTRAL, {
        "window, tied": _text(_THREE | {"model_type": "mistral", "sliding_window": 5},
                              tie_word_embeddings=True),
        "ministral3": _text(_MINISTRAL3),
    }),
    _tower("qwen2_vl", "Qwen2VLForConditionalGeneration", _THREE | _SECTIONS, _QWEN2, {
        "late window, tied": _text(_THREE | _SECTIONS | _LATE_WINDOW, tie_word_embeddings=True),
        "mrope": _text(_THREE | {"rope_scaling": {"type": "mrope", "mrope_section": [1, 2, 2]}}),
    }),
    _tower("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", _THREE | _SECTIONS, _QWEN2_5, {
        "late window, tied": _text(_THREE | _SECTIONS | _LATE_WINDOW, tie_word_embeddings=True),
    }),
    _tower("qwen3_vl", "Qwen3VLForConditionalGeneration",
           _THREE | _SECTIONS | {"head_dim": 10}, _QWEN3, {
        "grouped": _text(sizes(**grouped(head_dim=10, attention_bias=True)) | _SECTIONS,
                         vision_config=_QWEN3 | {"out_hidden_size": 40}),
        "tied": {"tie_word_embeddings": True},
    }),
]  # fmt: skip
