"""Configs as transformers 4 wrote them and as they are published, read as transformers 5 does."""

from __future__ import annotations

import json
import shutil

import pytest

import lenswright as lw
from families.llama import LONG, SHORT
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from support import LIMITS, random_tokens

YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 24}
# transformers 5 reads the early name "su" only where the length stands inside.
SU = {"type": "su", "short_factor": SHORT, "long_factor": LONG,
      "original_max_position_embeddings": 8}  # fmt: skip
TYPES = ["full_attention", "sliding_attention"] * 2

CASES = {
    "llama, theta": ("llama", {"rope_theta": 77.0}),
    "llama, linear": ("llama", {"rope_theta": 77.0, "rope_scaling": {"type": "linear",
                                                                     "factor": 2.5}}),
    "llama, yarn": ("llama", {"rope_scaling": YARN}),
    "llama, both": ("llama", {"rope_scaling": YARN, "rope_parameters": {"rope_theta": 5.0}}),
    "llama, length beside": ("llama", {"rope_scaling": YARN,
                                       "original_max_position_embeddings": 11}),
    "llama, zeros": ("llama", {"rope_scaling": YARN | {"beta_fast": 0, "factor": None}}),
    "llama, empty": ("llama", {"rope_theta": 77.0, "rope_scaling": {}}),
    "apertus": ("apertus", {}),
    "gemma": ("gemma", {"hidden_act": "gelu", "hidden_activation": None, "rope_theta": 77.0}),
    "gemma2": ("gemma2", {"layer_types": None, "sliding_window_size": 5, "rope_theta": 77.0}),
    "gemma3": ("gemma3_text", {"layer_types": None, "sliding_window_pattern": 3}),
    "gemma3, thetas": ("gemma3_text", {"rope_theta": 77.0, "rope_local_base_freq": 33.0,
                                       "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
    "glm": ("glm", {"rope_theta": 77.0, "partial_rotary_factor": 0.34}),
    "helium": ("helium", {}),
    "hunyuan": ("hunyuan_v1_dense", {"rope_scaling": {"type": "dynamic", "alpha": 50.0,
                                                      "factor": 1.0, "beta_fast": 32,
                                                      "beta_slow": 1, "mscale": 1.0}}),
    "ministral3": ("ministral3", {}),
    "mistral": ("mistral", {"rope_theta": 77.0, "sliding_window": None}),
    "mistral with layer types": ("mistral", {"head_dim": 10, "layer_types": [*TYPES[:3]]}),
    "olmo3": ("olmo3", {"rope_theta": 77.0, "rope_scaling": YARN | {"rope_type": "yarn"}}),
    "phi3": ("phi3", {"rope_scaling": SU, "original_max_position_embeddings": 8}),
    "phi3, early name": ("phi3", {"rope_scaling": SU | {"type": "yarn"},
                                  "original_max_position_embeddings": 8}),
    "qwen2_vl": ("qwen2_vl", {"rope_theta": 77.0, "rope_scaling": {"type": "mrope",
                                                                   "mrope_section": [1, 2, 2]}}),
    "smollm3": ("smollm3", {"no_rope_layers": None, "layer_types": None, "rope_theta": 77.0}),
}  # fmt: skip
"""{case: (row, changes of the config from which the newer keys are gone)}."""


def rewritten(source, target, change):
    """A copy of a checkpoint whose config.json was changed."""
    shutil.copytree(source, target)
    file = target / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(change(config)))
    return target


def agrees(folder):
    tokens = random_tokens(2, 13)
    theirs = Reference(folder).points(tokens, ["logits"])["logits"]
    assert relative_error(lw.load(folder, dtype="float64")(tokens), theirs) <= LIMITS["float64"]


@pytest.mark.parametrize("case", CASES)
def test_older_keys(family, tmp_path, case):
    row, changes = CASES[case]

    def older(config):
        text = config.get("text_config", config)
        del text["rope_parameters"]
        text |= changes
        if changes.get("layer_types", "") is None:
            del text["layer_types"]
        return config

    agrees(rewritten(family(row), tmp_path / "older", older))


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl"])
def test_a_decoders_keys_may_stand_beside_the_others(family, tmp_path, name):
    def flat(config):
        text = config.pop("text_config")
        text.pop("model_type")
        return text | config

    folder = rewritten(family(name), tmp_path / "flat", flat)
    assert "text_config" not in json.loads((folder / "config.json").read_text())
    agrees(folder)


@pytest.mark.parametrize(("name", "tied"), [("qwen2_vl", True), ("llava", True), ("gemma3", False)])
def test_where_tied_embeddings_are_said(family, tmp_path, name, tied):
    """Some towers ask the decoder's config as well, others only their own."""

    def inside(config):
        del config["tie_word_embeddings"]
        config["text_config"]["tie_word_embeddings"] = tied
        return config

    folder = rewritten(family(name, "linear, tied" if name == "gemma3" else ""),
                       tmp_path / "inside", inside)  # fmt: skip
    assert lw._files.read_spec((folder / "config.json").read_text())["tied"]


def test_published_text_configs_leave_sizes_out():
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
            "num_hidden_layers": 34, "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "vision_config": {"model_type": "siglip_vision_model"},
    }  # fmt: skip
    spec = lw._files.read_spec(json.dumps(config))
    assert (spec["n_heads"], spec["n_kv_heads"], spec["d_head"]) == (8, 4, 256)
    assert (spec["d_vocab"], spec["n_ctx"], spec["tied"]) == (262208, 131072, True)
    assert spec["unknown_keys"] == []
