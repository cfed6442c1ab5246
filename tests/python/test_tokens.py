"""Text to tokens and back, chat templates, and texts against transformers' tokenizers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
import wordy
from lenswright.tokens import Tokenizer

# transformers rebuilds this tokenizer from its class and departs from the file beyond plain text.
TEXTS = ["Once upon a time", 'She said: "No!"', "the big red ball"]


def test_a_word_tokenizer(tiny: Callable[..., Path], tmp_path: Path) -> None:
    tokenizer = Tokenizer(wordy.copy(tiny("llama"), tmp_path / "m"))
    assert tokenizer.encode("w1 w2") == wordy.ids("w1 w2")
    assert tokenizer.encode("w1 w2", prepend_bos=True) == wordy.ids("<begin> w1 w2")
    assert tokenizer.encode("<begin> w1", prepend_bos=False) == wordy.ids("w1")
    assert tokenizer.encode_verbatim("<begin> w1") == wordy.ids("<begin> w1")
    assert tokenizer.bos_id == 1
    assert tokenizer.eos_id == 2
    assert tokenizer.vocab_size == 97
    chat = [{"role": "user", "content": "w3 w4"}]
    assert tokenizer.encode_verbatim(tokenizer.render_chat(chat)) == wordy.chat_ids("w3 w4")
    assert not tokenizer.render_chat(chat, add_generation_prompt=False).endswith("<bot>")
    with pytest.raises(IndexError, match="token id 97 is unknown, expected 0 to 96"):
        tokenizer.token(97)


def test_against_transformers(data: Path) -> None:
    from transformers import AutoTokenizer

    folder = data / "TinyStories-656K"
    ours, theirs = Tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert ours.encode("Once upon a time") == [1, 80, 147, 201, 282, 57]
    for text in TEXTS:
        assert ours.encode(text) == theirs(text)["input_ids"]
        ids = ours.encode(text)
        assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(
            ids, skip_special_tokens=True
        )
    pieces = ours.pieces(ours.encode("Once upon a time", prepend_bos=False))
    assert "".join(pieces).strip() == "Once upon a time"


def test_chat_against_transformers() -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(embedded.MODEL)
    model = embedded.model()
    turns = [
        {"role": "user", "content": "make a bench"}, {"role": "assistant", "content": "take sand"},
        {"role": "user", "content": "create a pie"},
    ]  # fmt: skip
    for add in (True, False):
        text = theirs.apply_chat_template(turns, tokenize=False, add_generation_prompt=add)
        assert model.tokenizer.render_chat(turns, add) == text
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert model.chat_tokens(turns, add).tolist() == [ids]


def test_bos_is_the_tokenizers_decision(data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data / "TinyStories-656K", tmp_path / "m")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    for key in ("add_bos_token", "bos_token"):
        config.pop(key, None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(folder)
    assert tokenizer.bos_id is None
    with pytest.raises(ValueError, match="names no bos_token"):
        tokenizer.encode("a", prepend_bos=True)
    assert tokenizer.encode("Once upon a time") == [1, 80, 147, 201, 282, 57]
    assert tokenizer.encode("Once upon a time", prepend_bos=False) == [80, 147, 201, 282, 57]


def test_templates(tiny: Callable[..., Path], tmp_path: Path) -> None:
    folder = wordy.copy(tiny("llama"), tmp_path / "m", chat=False)
    with pytest.raises(ValueError, match="has no chat template"):
        Tokenizer(folder).render_chat([])
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}!")
    assert Tokenizer(folder).render_chat([{"role": "user", "content": "w1"}]) == "w1!"
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    named = {"tools": "no", "default": "{{ bos_token }} yes"}
    config["chat_template"] = [{"name": n, "template": t} for n, t in named.items()]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert Tokenizer(folder).render_chat([]) == "<begin> yes"
    config["chat_template"] = "{{ raise_exception('only two turns') }}"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="only two turns"):
        Tokenizer(folder).render_chat([{"role": "user", "content": "w1"}])


def test_templates_are_run_in_a_sandbox(tiny: Callable[..., Path], tmp_path: Path) -> None:
    folder = wordy.copy(tiny("llama"), tmp_path / "m", chat=False)
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__ }}")
    with pytest.raises(ValueError, match="chat template"):
        Tokenizer(folder).render_chat([])


def test_no_tokenizer(tiny: Callable[..., Path]) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape("has no tokenizer.json")):
        lw.load(tiny("llama")).to_tokens("w1")


def test_the_models_own_methods(tiny: Callable[..., Path], tmp_path: Path) -> None:
    model = lw.load(wordy.copy(tiny("llama"), tmp_path / "m"))
    assert model.to_tokens("w1 w2").tolist() == [wordy.ids("w1 w2")]  # type: ignore[union-attr]
    assert model.to_tokens(["w1", "w2 w3"]) == [wordy.ids("w1"), wordy.ids("w2 w3")]
    ids = torch.tensor(wordy.ids("w1 w2"))
    assert model.to_string(ids) == "w1 w2"
    assert model.to_string(ids[None]) == ["w1 w2"]
    assert model.to_string(ids[0]) == "w1"
    assert [piece.strip() for piece in model.to_str_tokens(ids)] == ["w1", "w2"]
    assert model.to_single_token("w5") == wordy.ids("w5")[0]
    with pytest.raises(ValueError, match=r"'w1 w2' is 2 tokens .*, expected one"):
        model.to_single_token("w1 w2")
