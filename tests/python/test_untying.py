"""A tied embedding that is edited: the unembedding stays what it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import lenswright as lw
from editing import (
    ablation,
    stored_as,
    transformers_logits,
)
from lenswright.verifying.verify import relative_error
from support import random_tokens, same

Tiny = Callable[..., Path]


def test_untying_adds_the_unembedding(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("llama-grouped"), tmp_path / "in", "bfloat16", shards=2)
    text = (source / "config.json").read_text()
    assert '"tie_word_embeddings": true' in text
    done = ablation(lw.load(source), writers="token_embedding").commit(
        source, tmp_path / "out", False
    )
    assert done.added == "lm_head.weight"
    changed = text.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false')
    assert (tmp_path / "out/config.json").read_text() == changed
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    old = json.loads((source / "model.safetensors.index.json").read_text())
    place = old["weight_map"]["model.embed_tokens.weight"]
    assert index["weight_map"] == old["weight_map"] | {"lm_head.weight": place}
    assert index["metadata"]["total_size"] == old["metadata"]["total_size"] + 97 * 40 * 2
    head = load_file(tmp_path / "out" / place)["lm_head.weight"]
    assert same(head, load_file(source / place)["model.embed_tokens.weight"])
    assert lw.load(tmp_path / "out").spec["tied"] is False


def test_untying_where_the_key_is_absent(tiny: Tiny, tmp_path: Path) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "float32")
    config = json.loads((source / "config.json").read_text())
    config.pop("tie_word_embeddings", None)
    for i, text in enumerate((json.dumps(config, indent=2) + "\n", json.dumps(config))):
        (source / "config.json").write_text(text)
        ablation(lw.load(source)).commit(source, tmp_path / f"{i}", progress=False)
        written = (tmp_path / f"{i}/config.json").read_text()
        assert json.loads(written) == config | {"tie_word_embeddings": False}
        assert len(written) - len(text) < 40


def test_a_stored_copy_of_the_tied_embedding_becomes_the_unembedding(
    tiny: Tiny, tmp_path: Path
) -> None:
    source = stored_as(tiny("gpt2"), tmp_path / "in", "float32")
    tensors = load_file(source / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    model = lw.load(source)
    edit = ablation(model)
    assert edit.commit(source, tmp_path / "out", progress=False).added is None
    edit.apply(model)
    tokens = random_tokens(1, 6)
    assert same(lw.load(tmp_path / "out")(tokens), model(tokens))
    assert (
        relative_error(model(tokens), transformers_logits(tmp_path / "out", tokens, torch.float32))
        < 1e-5
    )
