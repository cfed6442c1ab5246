"""What is no decoder of attention and MLP blocks, and config keys we lack the arithmetic for."""

from __future__ import annotations

import json
import shutil

import pytest
from safetensors.torch import load_file

import lenswright as lw
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import LIMITS, random_tokens, rewrite

STATE, LINEAR, RECURRENT = "state-space layers", "linear attention", "recurrent layers"
ENCODER, CODE, BOTH = "an encoder", "its own code", "attention in both directions"

BEYOND = {
    "MambaForCausalLM": ("mamba", STATE),
    "Mamba2ForCausalLM": ("mamba2", STATE),
    "FalconMambaForCausalLM": ("falcon_mamba", STATE),
    "JambaForCausalLM": ("jamba", STATE),
    "BambaForCausalLM": ("bamba", STATE),
    "FalconH1ForCausalLM": ("falcon_h1", STATE),
    "GraniteMoeHybridForCausalLM": ("granitemoehybrid", STATE),
    "NemotronHForCausalLM": ("nemotron_h", STATE),
    "ZambaForCausalLM": ("zamba", STATE),
    "Qwen3NextForCausalLM": ("qwen3_next", LINEAR),
    "Lfm2ForCausalLM": ("lfm2", "short convolutions"),
    "RwkvForCausalLM": ("rwkv", RECURRENT),
    "RecurrentGemmaForCausalLM": ("recurrent_gemma", RECURRENT),
    "Gemma3nForConditionalGeneration": ("gemma3n", "four residual streams"),
    "Gemma3nForCausalLM": ("gemma3n_text", "per-layer inputs"),
    "T5ForConditionalGeneration": ("t5", ENCODER),
    "MT5ForConditionalGeneration": ("mt5", ENCODER),
    "BartForConditionalGeneration": ("bart", ENCODER),
    "MarianMTModel": ("marian", ENCODER),
    "PegasusForConditionalGeneration": ("pegasus", ENCODER),
    "WhisperForConditionalGeneration": ("whisper", ENCODER),
    "BertForMaskedLM": ("bert", BOTH),
}
"""{architecture: (its model_type, what is missing)}."""


def refusal(**config):
    with pytest.raises(ValueError, match=r"config\.json") as caught:
        lw._files.read_spec(json.dumps(config))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("architecture", BEYOND)
def test_refused_by_name(architecture):
    model_type, missing = BEYOND[architecture]
    whole = refusal(architectures=[architecture], model_type=model_type)
    assert missing in whole
    assert architecture in whole
    assert missing in refusal(model_type=model_type)
    if architecture != "MarianMTModel":
        assert missing in refusal(architectures=[architecture])


def test_nothing_refused_by_name_is_known():
    assert not set(BEYOND) & set(lw._files.families())


def test_an_encoder_of_unknown_name():
    assert ENCODER in refusal(architectures=["NewForX"], is_encoder_decoder=True)


def test_code_of_its_own():
    config = {"architectures": ["NewForCausalLM"], "model_type": "new"}
    assert CODE in refusal(**config, auto_map={"AutoModelForCausalLM": "modeling_new.New"})
    assert "expected one of the families known" in refusal(**config)


def test_code_beside_a_known_architecture(family):
    config = json.loads((family("phi3") / "config.json").read_text())
    lw._files.read_spec(json.dumps(config | {"auto_map": {"AutoConfig": "configuration_phi3.P"}}))


def test_a_decoder_that_does_not_stand_in_this_tower(family):
    config = json.loads((family("llava") / "config.json").read_text())
    config["text_config"]["model_type"] = "olmo2"
    assert "'olmo2'" in (said := refusal(**config))
    assert "llama, mistral, qwen2, qwen3" in said


KEYS = {
    "window is null": ("gemma2", {"sliding_window": None}, "sliding_window"),
    "window is null in sliding layers": (
        "qwen2", {"layer_types": ["sliding_attention"] * 3}, "sliding_window"),
    "a window of nothing": ("mistral", {"sliding_window": 0}, "sliding_window"),
    "too few layer types": ("ministral", {"layer_types": ["full_attention"]}, "layer_types"),
    "an unknown layer type": (
        "ministral", {"layer_types": ["full_attention"] * 3 + ["new"]}, "layer_types.*'new'"),
    "no head_dim": ("ministral", {"head_dim": None}, "head_dim"),
    "heads not as wide as the model": ("helium", {"head_dim": 8}, "24|width|wide"),
    "both directions": ("gemma", {"use_bidirectional_attention": True}, "bidirectional"),
    "another activation": ("gemma", {"hidden_activation": "silu"}, "hidden_activation"),
    "capped scores": ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
    "a cap of zero": ("gemma2", {"final_logit_softcapping": 0.0}, "final_logit_softcapping"),
    "flat ropes": ("olmo3", {"rope_parameters": {"rope_type": "default"}}, "rope_type"),
    "sections without sight": (
        "llama", {"rope_parameters": {"rope_type": "mrope"}}, "rope_type.*mrope"),
    "another scaling": (
        "phi3", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "linear"),
    "part of a head": ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    "queries that do not grow": (
        "ministral3", {"rope_parameters": {"rope_type": "default"}}, "llama_4_scaling_beta"),
    "no pattern": ("exaone4", {"sliding_window": None, "layer_types": None}, "layer_types"),
    "too few rotating layers": ("smollm3", {"no_rope_layers": [1]}, "no_rope_layers"),
    "no norms of heads": ("hunyuan_v1_dense", {"use_qk_norm": False}, "use_qk_norm"),
    "shared keys": ("hunyuan_v1_dense", {"use_cla": True}, "use_cla"),
    "norms behind": ("apertus", {"post_norm": True}, "post_norm"),
}  # fmt: skip
"""{what is wrong: (row, changes of config.json, what the error names)}."""


@pytest.mark.parametrize("wrong", KEYS)
def test_keys_that_ask_for_what_we_lack(family, wrong):
    name, changes, match = KEYS[wrong]
    config = json.loads((family(name) / "config.json").read_text()) | changes
    with pytest.raises(ValueError, match=match):
        lw._files.read_spec(json.dumps(config))


_ATTENTION = "model.layers.0.self_attn."

STRAY = [
    ("llama", "", _ATTENTION + "q_proj"),
    ("qwen2", "", "model.layers.1.self_attn.o_proj"),
    ("olmo2", "", "model.layers.0.mlp.up_proj"),
    ("glm", "", _ATTENTION + "o_proj"),
    ("mistral", "", "model.layers.2.input_layernorm"),
    ("qwen3", "", _ATTENTION + "q_norm"),
    ("exaone4", "", "model.norm"),
    ("cohere", "", _ATTENTION + "k_proj"),
    ("cohere", "grouped", "model.layers.1.mlp.gate_proj"),
    ("cohere", "untied", "model.layers.1.input_layernorm"),
    ("cohere2", "", _ATTENTION + "o_proj"),
    ("falcon", "", "transformer.h.0.self_attention.query_key_value"),
    ("falcon", "40b", "transformer.h.1.self_attention.dense"),
    ("falcon", "11b", "transformer.h.2.mlp.dense_4h_to_h"),
    ("gpt_neox", "serial", "gpt_neox.layers.0.attention.query_key_value"),
    ("gpt_neox", "serial", "gpt_neox.layers.2.attention.dense"),
    ("nemotron", "", _ATTENTION + "v_proj"),
    ("nemotron", "wide heads", "model.layers.1.mlp.down_proj"),
    ("olmo", "", _ATTENTION + "q_proj"),
    ("olmo", "grouped", "model.layers.0.mlp.down_proj"),
    ("opt", "untied", "model.decoder.layers.0.self_attn.out_proj"),
    ("opt", "untied", "model.decoder.layers.2.fc1"),
    ("stablelm", "", _ATTENTION + "q_proj"),
    ("stablelm", "grouped", _ATTENTION + "o_proj"),
    ("stablelm", "grouped", "model.layers.1.mlp.up_proj"),
    ("starcoder2", "grouped", _ATTENTION + "q_proj"),
    ("starcoder2", "grouped", "model.layers.2.mlp.c_fc"),
    ("deepseek_v2", "", "model.layers.0.mlp.up_proj"),
    ("deepseek_v3", "", _ATTENTION + "o_proj"),
    ("dots1", "", _ATTENTION + "k_proj"),
    ("ernie4_5_moe", "", "lm_head"),
    ("glm4_moe", "groups", _ATTENTION + "o_proj"),
    ("gpt_oss", "full", _ATTENTION + "q_proj"),
    ("granitemoe", "", _ATTENTION + "q_proj"),
    ("granitemoeshared", "", _ATTENTION + "v_proj"),
    ("hunyuan_v1_moe", "", _ATTENTION + "o_proj"),
    ("llama4_text", "", _ATTENTION + "q_proj"),
    ("mixtral", "", _ATTENTION + "q_proj"),
    ("olmoe", "", _ATTENTION + "o_proj"),
    ("phimoe", "", _ATTENTION + "q_proj"),
    ("phimoe", "", "lm_head"),
    ("qwen2_moe", "", _ATTENTION + "o_proj"),
    ("qwen3_moe", "", _ATTENTION + "q_proj"),
]
"""(row, knob, what has no bias there)."""


@pytest.mark.parametrize(("name", "knob", "module"), STRAY)
def test_biases_that_the_family_or_its_config_has_not(family, tmp_path, name, knob, module):
    folder = shutil.copytree(family(name, knob), tmp_path / "stray")

    def add(tensors):
        weight = tensors[module + ".weight"]
        tensors[module + ".bias"] = weight.clone() if weight.ndim == 1 else weight[:, 0].clone()

    rewrite(folder, add)
    with pytest.raises(ValueError, match=f"does not account for: '{module}.bias'"):
        lw.load(folder)


def test_gains_that_the_config_has_not(family, tmp_path):
    """OPT's layer_norm_elementwise_affine is false, but the file has every norm's gain and bias."""
    plain, gained = family("opt", "plain norms"), family("opt")
    folder = shutil.copytree(plain, tmp_path / "stray")
    extra = {n: w for n, w in load_file(gained / "model.safetensors").items() if "layer_norm" in n}
    rewrite(folder, lambda tensors: tensors | extra)
    with pytest.raises(ValueError, match=r"does not account for.*layer_norm"):
        lw.load(folder)


def test_gains_that_the_checkpoint_has_not(family, tmp_path):
    folder = shutil.copytree(family("opt", "plain norms"), tmp_path / "without")
    config = json.loads((folder / "config.json").read_text())
    config["layer_norm_elementwise_affine"] = True
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(lw.CheckpointError, match=r"layer_norm.*missing"):
        lw.load(folder)


def test_biases_that_the_checkpoint_has_not(family, tmp_path):
    """Qwen2 as a Llama: attention_bias is true, but o_proj has none."""
    folder = shutil.copytree(family("llama", "grouped"), tmp_path / "without")

    def remove(tensors):
        for name in [n for n in tensors if n.endswith("o_proj.bias")]:
            del tensors[name]

    rewrite(folder, remove)
    tokens = random_tokens(2, 9)
    theirs = Reference(folder).points(tokens, ["logits"])["logits"]
    assert relative_error(lw.load(folder, dtype="float64")(tokens), theirs) <= LIMITS["float64"]
