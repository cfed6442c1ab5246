"""compat against mergekit 0.1.5 as installed: tokenizers, adapters, stages, files, modules.

The commands themselves are run, in one process; `test_merge_mergekit.py` has the methods, slices,
filters and gradients.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

import against_mergekit
import lenswright as lw
import merging_models as models
import test_merge_adapters as adapters
from lenswright.tokens import Tokenizer

TALK = [
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye"},
]  # fmt: skip
TEMPLATES = ("chatml", "mistral", "llama3", "alpaca", "exaone")


def with_words(folder: Path, tokens: list[str], added: list[str], seed: int, to: Path) -> Path:
    """A fine-tune, float32, with a tokenizer that transformers loads."""
    import tokenizers
    import transformers

    generator = torch.Generator().manual_seed(seed)
    rows = len(tokens) + len(added)
    tensors = {}
    for name, value in models.load(folder).items():
        shape = (rows, *value.shape[1:]) if len(value) == 97 else value.shape
        noise = torch.randn(shape, generator=generator)
        tensors[name] = noise if len(value) == 97 else value + 0.1 * noise
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": rows}
    models.save(to, tensors, config)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    model = tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(model), unk_token="<unk>", bos_token="<s>"
    )
    fast.add_tokens(added, special_tokens=True)
    fast.save_pretrained(to)
    return to


def seeing(to: Path, seed: int) -> Path:
    """A small Gemma 3 that sees, named as the published ones are."""
    import transformers

    torch.manual_seed(seed)
    heads = {"num_attention_heads": 4, "hidden_size": 32}
    text = heads | {
        "intermediate_size": 48, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8,
        "vocab_size": 99, "layer_types": ["sliding_attention", "full_attention"] * 2,
    }  # fmt: skip
    text["layer_types"] = text["layer_types"][:3]
    vision = heads | {
        "intermediate_size": 40, "num_hidden_layers": 2, "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=96,
        boi_token_index=97, eoi_token_index=98,
    )  # fmt: skip
    model = transformers.Gemma3ForConditionalGeneration(config)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.05 * torch.randn_like(value)
    model.save_pretrained(to)
    plain, full = "vision_tower.", "vision_tower.vision_model."
    tensors = {
        name if full in name else name.replace(plain, full): value
        for name, value in models.load(to).items()
        if ".head." not in name
    }
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return to


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., Path]) -> Path:
    """A folder with models a, b, c, d, an adapter of a, and two that see."""
    against_mergekit.needed()
    room = tmp_path_factory.mktemp("grammar")
    words = ["<unk>", "<s>", *(f"w{i}" for i in range(80))]
    with_words(tiny("llama"), words, [], 1, room / "a")
    with_words(tiny("llama"), words, [], 2, room / "b")
    with_words(tiny("llama"), words, [], 3, room / "c")
    with_words(tiny("llama"), words, ["<|im_start|>", "hello"], 4, room / "d")
    base, factors = models.load(room / "a"), {}
    for i, module in enumerate((adapters.UP, adapters.Q)):
        factors |= adapters.named(module, adapters.pair(base, module, 4, i))
    adapters.adapter(room / "lora", factors, lora_alpha=8, base_model_name_or_path=str(room / "a"),
                     target_modules=["up_proj", "q_proj"], task_type="CAUSAL_LM")  # fmt: skip
    for i, name in enumerate("xy"):
        seeing(room / name, i)
    return room


def grammar(home: Path) -> dict[str, Any]:
    """Recipes by what they show; several documents are a list."""
    a, b, c, d = (str(home / name) for name in "abcd")
    x, y = str(home / "x"), str(home / "y")
    half = {"parameters": {"weight": 0.5}}
    uneven = [{"model": a, "parameters": {"weight": 1.0}}, {"model": d} | half]
    two = {"merge_method": "linear", "dtype": "float32", "base_model": a, "models": uneven}
    wishes = {
        "<|im_start|>": {"source": d},
        "<|x|>": {"source": {"kind": "model_token", "model": a, "token": "<s>"}, "force": True},
        "<|pad|>": {"source": {"kind": "zero"}},
        "w3": {"source": {"kind": "model_token", "model": d, "token_id": 7}, "force": True},
    }
    named = [
        {"model": m, "parameters": {"weight": w}} for m, w in ((f"{a}+{home}/lora", 1), (b, 2))
    ]
    named[0]["parameters"]["weight"] = [{"filter": "lm_head", "value": 0}, {"value": 1.0}]
    stage = {"name": "stage1", "merge_method": "slerp", "base_model": a, "dtype": "float32",
             "models": [{"model": a}, {"model": b}], "parameters": {"t": 0.5}}  # fmt: skip
    last = {"merge_method": "linear", "dtype": "float32",
            "models": [{"model": "stage1", "parameters": {"weight": 1}},
                       {"model": c, "parameters": {"weight": 1}}]}  # fmt: skip
    files = [{"model": f"{m}/model.safetensors", "parameters": {"weight": 1.0}} for m in (a, b)]
    both = [{"model": x, "parameters": {"weight": [0.2, 1]}}, {"model": y} | half]
    ranged = [one | {"layer_range": [0, 3]} for one in both]
    return {
        "union": two | {"tokenizer_source": "union"},
        "base's": two | {"tokenizer_source": "base"},
        "another's": two | {"tokenizer": {"source": d}},
        "padded": two | {"tokenizer": {"source": "union", "pad_to_multiple_of": 64}},
        "tokens": two | {
            "tokenizer": {"source": "union", "pad_to_multiple_of": 64, "tokens": wishes}},
        "an adapter": {"merge_method": "linear", "dtype": "float32", "out_dtype": "bfloat16",
                       "models": named, "tokenizer_source": "base", "chat_template": "auto"},
        "stages": [stage, last],
        "files": {"merge_method": "linear", "dtype": "float32", "models": files},
        "modules, frankenmerge": {
            "merge_method": "passthrough", "dtype": "float32",
            "modules": {
                "text_decoder": {"slices": [
                    {"sources": [{"model": x, "layer_range": [0, 2]}]},
                    {"sources": [{"model": y, "layer_range": [1, 3]}]}]},
                "multi_modal_projector": {"models": [{"model": y}]},
                "vision_tower": {"models": [{"model": x}]}}},
        "modules": {
            "merge_method": "linear", "dtype": "float32",
            "modules": {
                "text_decoder": {"slices": [{"sources": ranged}]},
                "multi_modal_projector": {"models": [{"model": y} | half]},
                "vision_tower": {"models": both, "parameters": {"normalize": False}}}},
    } | {
        name: two | {"models": [{"model": m} | half for m in (a, b)], "chat_template": name,
                     "tokenizer_source": "base"}
        for name in TEMPLATES
    }  # fmt: skip


@pytest.fixture(scope="module")
def recipes(home: Path) -> dict[str, Path]:
    out = {}
    for label, recipe in grammar(home).items():
        documents = recipe if isinstance(recipe, list) else [recipe]
        out[label] = home / f"{label}.yml"
        out[label].write_text(yaml.safe_dump_all(documents))
    return out


@pytest.fixture(scope="module")
def theirs(home: Path, recipes: dict[str, Path]) -> Path:
    """Where mergekit's results are."""
    room = home / "theirs"
    room.mkdir()
    jobs = []
    for label, path in recipes.items():
        arguments = [str(path), str(room / label)]
        module = {"stages": "multimerge", "files": "merge_raw_pytorch"}.get(label, "run_yaml")
        if module == "multimerge":
            arguments = [str(path), "-I", str(home / "between"), "--out-path", str(room / label)]
        if label == "an adapter":
            arguments += ["--lora-merge-cache", str(home / "cache")]
        jobs.append((label, module, arguments))
    answers = against_mergekit.run(jobs, home, against_mergekit.COMMANDS)
    assert set(answers.values()) == {""}, answers
    return room


LABELS = ["union", "base's", "another's", "padded", "tokens", "an adapter", "stages", "files",
          "modules, frankenmerge", "modules"]  # fmt: skip


@pytest.mark.parametrize("label", LABELS)
def test_tensors(label: str, recipes: dict[str, Path], theirs: Path, tmp_path: Path) -> None:
    lw.merge(recipes[label], tmp_path / "out", "compat")
    ours, reference = models.load(tmp_path / "out"), models.load(theirs / label)
    assert set(ours) == set(reference)
    for name, want in reference.items():
        assert (ours[name].dtype, ours[name].shape) == (want.dtype, want.shape), name
        a, b = ours[name].double(), want.double()
        error = float((a - b).norm() / b.norm().clamp(min=1e-30))
        limit = {"stages": 1e-5, "an adapter": 2e-4}.get(label, 2e-6)  # one slerps, one rounds
        assert error <= limit, f"{name}: {error:.2e}"


@pytest.mark.parametrize("label", ["union", "tokens", "another's"])
def test_ids_of_tokens(label: str, recipes: dict[str, Path], theirs: Path, tmp_path: Path) -> None:
    """Every token is in both, and has the same row where only one order makes sense."""
    import tokenizers

    lw.merge(recipes[label], tmp_path / "out", "compat")
    found = [
        tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
        for folder in (tmp_path / "out", theirs / label)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", TEMPLATES)
def test_chat_templates(name: str, recipes: dict[str, Path], theirs: Path, tmp_path: Path) -> None:
    """Theirs have blanks and new lines that the makers' formats have not."""
    lw.merge(recipes[name], tmp_path / "out", "compat")
    texts = [Tokenizer(folder).render_chat(TALK) for folder in (tmp_path / "out", theirs / name)]
    assert "".join(texts[0].split()) == "".join(texts[1].split())
    if name == "chatml":
        assert texts[0] == texts[1]
