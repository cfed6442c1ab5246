"""Shared fixtures: the optional data folder, and tiny random checkpoints of odd sizes."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

LLAMA: dict[str, Any] = {
    "hidden_size": 30, "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 37,
    "num_hidden_layers": 3, "vocab_size": 97, "max_position_embeddings": 64, "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2: dict[str, Any] = {
    "n_embd": 30, "n_head": 3, "n_layer": 3, "n_inner": 47, "vocab_size": 97, "n_positions": 64,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def pytest_configure() -> None:
    """Ctrl-C is Ctrl-C for tests and what they start, even where we run in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


CONFIGS: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "llama-grouped": LLAMA | {
        "hidden_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "mlp_bias": True,
        "attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
    },
    "llama-wide-heads": LLAMA | {
        "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 10,
        "attention_bias": True, "hidden_act": "gelu", "rope_theta": 1234.5,
    },
    "gpt2": GPT2,
    "gpt2-untied": GPT2 | {
        "n_embd": 40, "n_head": 4, "n_inner": None, "activation_function": "gelu",
        "tie_word_embeddings": False, "layer_norm_epsilon": 1e-3,
    },
    "gpt2-flags": GPT2 | {
        "scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False,
        "reorder_and_upcast_attn": True, "activation_function": "relu",
    },
}  # fmt: skip
"""Every setting that changes the arithmetic of the two families appears in one of these."""


def make(folder: Path, family: str, config: dict[str, Any], seed: int = 0) -> Path:
    """Save a random model: weights large enough that attention, norms and biases all matter."""
    import torch
    import transformers

    settings = {key: value for key, value in config.items() if key != "rope_theta"}
    kind = transformers.LlamaConfig if family == "llama" else transformers.GPT2Config
    if "rope_theta" in config:
        settings["rope_parameters"] = {"rope_type": "default", "rope_theta": config["rope_theta"]}
    model = transformers.AutoModelForCausalLM.from_config(kind(**settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim == 1:
                value.copy_(0.3 * noise + float(name.endswith("weight")))
            else:
                embeds = "embed" in name or "wte" in name
                value.copy_(noise * (1.0 if embeds else 1.0 / value.shape[-1] ** 0.5))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """tiny(name, **changes): folder of the random checkpoint `CONFIGS[name]`, made once."""
    made: dict[str, Path] = {}

    def get(name: str, **changes: Any) -> Path:
        key = name + json.dumps(changes, sort_keys=True)
        if key not in made:
            folder = tmp_path_factory.mktemp(name)
            made[key] = make(folder, name.partition("-")[0], CONFIGS[name] | changes)
        return made[key]

    return get


@pytest.fixture(scope="session")
def wordy_llama(tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grouped llama with a tokenizer of words and a chat template."""
    import wordy

    return wordy.copy(tiny("llama-grouped"), tmp_path_factory.mktemp("wordy") / "model")


@pytest.fixture(scope="session")
def fit() -> Any:
    """Prompts of two classes in such words, to collect from."""
    from collected import prompts

    return prompts()


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """family(name, knob, **changes): folder of a random checkpoint of a row of `families`."""
    from families import ROWS, build

    made: dict[str, Path] = {}

    def get(name: str, knob: str = "", **changes: Any) -> Path:
        key = f"{name}-{knob}" + json.dumps(changes, sort_keys=True)
        if key not in made:
            made[key] = build(tmp_path_factory.mktemp(name), ROWS[name], knob, **changes)
        return made[key]

    return get


@pytest.fixture(scope="session")
def data() -> Path:
    """Small trained models and texts beside the checkout; skips where they are absent."""
    folder = Path(os.environ.get("LENSWRIGHT_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder} (set LENSWRIGHT_DATA)")
    return folder


@pytest.fixture
def pair(tiny: Callable[..., Path], tmp_path: Path) -> list[Path]:
    """A small llama and a fine-tune of it, to be merged."""
    from merging_models import near

    return [tiny("llama"), near(tiny("llama"), 1, tmp_path / "b")]


@pytest.fixture
def copy(tiny: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """copy(name, config changes): a checkpoint of the test's own, to be spoilt."""

    def make(name: str = "llama", **changes: Any) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny(name), folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Runs `lenswright ablate`: its exit code, and what it said."""

    def run(*argv: object) -> tuple[int, Any]:
        from lenswright import cli

        code = cli.main(["ablate", *map(str, argv)])
        return code, capsys.readouterr()

    return run
