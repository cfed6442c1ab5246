"""GPT-2 and the families that branched off before Llama: each has names of its own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lenswright.reference.packing import codegen, consecutive, per_group, per_head
from lenswright.reference.parts import Parts, Row


def _angles(table: Tensor, frequencies: Tensor) -> Tensor:
    return torch.arange(len(table)).double()[:, None] * frequencies.double()


def _exact_rotations(model: Any) -> None:
    # Sines and cosines are kept in float32. As elsewhere, only the frequencies shall be so.
    for block in model.transformer.h:
        table = block.attn.embed_positions
        exponents = torch.arange(0, table.shape[1], 2) / table.shape[1]
        angles = _angles(table, 1.0 / torch.pow(10000, exponents))
        block.attn.embed_positions = torch.cat([angles.sin(), angles.cos()], dim=1)


def _exact_positions(model: Any) -> None:
    module = model.model.embed_positions
    half = module.embedding_dim // 2
    steps = torch.arange(half).float() * -(math.log(10000) / (half - 1))
    angles = _angles(module.weights, steps.exp())
    table = torch.cat([angles.sin(), angles.cos()], dim=1)
    module.weights = torch.nn.functional.pad(table, (0, module.embedding_dim % 2))


def _without_biases(_: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, given | {"alibi": torch.zeros_like(given["alibi"])}


def _biases_once(model: Any) -> None:
    # The mask holds them already (transformers 5.23); eager attention, and it alone, adds them to
    # that a second time.
    for block in model.transformer.h:
        block.self_attention.register_forward_pre_hook(_without_biases, with_kwargs=True)


_GPT2 = Parts(
    base="transformer", layers="h", embed="wte", positions="wpe", final_norm="ln_f", ln1="ln_1",
    ln2="ln_2", attention="attn", qkv=("c_attn",), rotary=False, out="c_proj", gate=None,
    up="mlp.c_fc", down="mlp.c_proj",
)  # fmt: skip

_GPTJ = Parts(
    base="transformer", layers="h", final_norm="ln_f", ln1="ln_1", ln2=None, parallel=True,
    attention="attn", out="out_proj", gate=None, up="mlp.fc_in", down="mlp.fc_out",
    prepare=_exact_rotations,
)  # fmt: skip

_NEOX = Parts(
    base="gpt_neox", final_norm="final_layer_norm", attention="attention",
    qkv=("query_key_value",), packing=per_head, out="dense", gate=None, up="mlp.dense_h_to_4h",
    down="mlp.dense_4h_to_h",
)  # fmt: skip

_BLOOM = replace(
    _NEOX, base="transformer", layers="h", embed_norm="word_embeddings_layernorm",
    final_norm="ln_f", attention="self_attention", rotary=False,
)  # fmt: skip

_OPT = Parts(
    base="model.decoder", positions="embed_positions", final_norm="final_layer_norm",
    ln1="self_attn_layer_norm", ln2="final_layer_norm", rotary=False, out="out_proj", mlp="fc1",
    gate=None, up="fc1", down="fc2",
)  # fmt: skip


def _gpt_bigcode(config: Any) -> Parts:
    return replace(_GPT2, packing=consecutive if config.multi_query else per_head)


def _opt(config: Any) -> Parts:
    narrow = config.word_embed_proj_dim != config.hidden_size
    before = config.do_layer_norm_before
    kept = before and not config._remove_final_layer_norm
    return replace(
        _OPT, embed="project_in" if narrow else "embed_tokens", behind=not before,
        final_norm="final_layer_norm" if kept else None,
    )  # fmt: skip


def _falcon(config: Any) -> Parts:
    new = config.new_decoder_architecture
    two = new and config.num_ln_in_parallel_attn != 1
    parallel = new or config.parallel_attn
    if new:
        packing, kv = per_group, config.num_kv_heads
    elif config.multi_query:
        packing, kv = consecutive, 1
    else:
        packing, kv = per_head, config.num_attention_heads
    return replace(
        _BLOOM, embed_norm=None, rotary=not config.alibi, packing=packing, kv_heads=kv,
        parallel=parallel, ln1="ln_attn" if two else "input_layernorm",
        ln2="ln_mlp" if two else None if parallel else "post_attention_layernorm",
        mend=_biases_once if config.alibi else None,
    )  # fmt: skip


ROWS: dict[str, Row] = {
    "bloom": _BLOOM,
    "codegen": replace(_GPTJ, qkv=("qkv_proj",), packing=codegen),
    "falcon": _falcon,
    "gpt2": _GPT2,
    "gpt_bigcode": _gpt_bigcode,
    "gpt_neo": replace(
        _GPT2, attention="attn.attention", qkv=("q_proj", "k_proj", "v_proj"), out="out_proj"
    ),
    "gpt_neox": lambda config: replace(_NEOX, parallel=config.use_parallel_residual),
    "gptj": _GPTJ,
    "mpt": lambda config: replace(
        _BLOOM, layers="blocks", embed_norm=None, final_norm="norm_f", ln1="norm_1", ln2="norm_2",
        attention="attn", qkv=("Wqkv",), packing=consecutive, clip=config.attn_config.clip_qkv,
        out="out_proj", mlp="ffn", up="ffn.up_proj", down="ffn.down_proj",
    ),
    "opt": _opt,
    "xglm": replace(_OPT, base="model", final_norm="layer_norm", prepare=_exact_positions),
}  # fmt: skip
