"""Tokenizers of a merge: every row of the result is the row of the same token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lenswright as lw
import merging_models as models

NAMES = ("model.embed_tokens.weight", "lm_head.weight")


def with_tokens(
    folder: Path, tokens: list[str], rows: int, seed: int, to: Path, added: tuple[str, ...] = ()
) -> Path:
    """A fine-tune of a checkpoint with a vocabulary of its own."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.randn(
            (rows, *value.shape[1:]) if name in NAMES else value.shape, generator=generator
        )
        for name, value in models.load(folder).items()
    }
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": rows}
    models.save(to, tensors, config)
    vocab = {token: i for i, token in enumerate(tokens) if token not in added}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {"id": tokens.index(t), "content": t, "special": True, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False}
            for t in added
        ],
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    }  # fmt: skip
    (to / "tokenizer.json").write_text(json.dumps(tokenizer))
    (to / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "X", "of": to.name}))
    return to


@pytest.fixture
def two(tiny: Callable[..., Path], tmp_path: Path) -> list[Path]:
    words = [f"w{i}" for i in range(90)]
    first = [*words, "only-a"]
    second = [*words[::-1], "<x>", "only-b"]
    return [
        with_tokens(tiny("llama"), first, 96, 1, tmp_path / "a"),
        with_tokens(tiny("llama"), second, 92, 2, tmp_path / "b", ("<x>",)),
    ]


def recipe(folders: list[Path], **more: Any) -> dict[str, Any]:
    return {
        "merge_method": "linear",
        "models": [
            {"model": str(f), "parameters": {"weight": w}}
            for f, w in zip(folders, (0.25, 0.75), strict=True)
        ],
        "base_model": str(folders[0]),
    } | more


def tables(folders: list[Path], name: str) -> list[dict[str, torch.Tensor]]:
    out = []
    for folder in folders:
        data = json.loads((folder / "tokenizer.json").read_text())
        ids = data["model"]["vocab"] | {t["content"]: t["id"] for t in data["added_tokens"]}
        rows = models.load(folder)[name].double()
        out.append({token: rows[i] for token, i in ids.items()})
    return out


@pytest.mark.parametrize("source", ["base", "second"])
def test_rows_follow_their_tokens(source: str, two: list[Path], tmp_path: Path) -> None:
    chosen = two[0] if source == "base" else two[1]
    where = "base" if source == "base" else str(two[1])
    lw.merge(recipe(two, tokenizer_source=where), tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_text() == (
        chosen / "tokenizer.json"
    ).read_text()
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["of"] == chosen.name
    for name in NAMES:
        a, b = tables(two, name)
        out = models.load(tmp_path / "out")[name].double()
        assert out.shape[0] == json.loads((tmp_path / "out/config.json").read_text())["vocab_size"]
        data = json.loads((chosen / "tokenizer.json").read_text())
        ids = data["model"]["vocab"] | {t["content"]: t["id"] for t in data["added_tokens"]}
        for token, row in tables([chosen], name)[0].items():
            mine, theirs = a.get(token, row), b.get(token, row)
            want = 0.25 * mine + 0.75 * theirs
            assert torch.allclose(out[ids[token]], want, atol=1e-6), token


def test_sizes(two: list[Path], tmp_path: Path) -> None:
    """strict keeps the rows behind the last token, compat cuts them off as mergekit does."""
    for mode, size in {"strict": 96, "compat": 91}.items():
        lw.merge(recipe(two, tokenizer={"source": "base"}), tmp_path / mode, mode)
        assert models.load(tmp_path / mode)[NAMES[0]].shape[0] == size
    section = {"source": "base", "pad_to_multiple_of": 64}
    lw.merge(recipe(two, tokenizer=section), tmp_path / "padded")
    out = models.load(tmp_path / "padded")[NAMES[0]].double()
    assert out.shape[0] == 128
    # the mean of what each model says of the result's rows: the first has all 96 of them, the
    # second 90 and, of the first, the one it lacks
    a, b = (models.load(folder)[NAMES[0]].double() for folder in two)
    means = [a.mean(0), torch.cat([b[:90], a[90:91]]).mean(0)]
    assert torch.allclose(out[127], 0.25 * means[0] + 0.75 * means[1], atol=1e-6)
    assert torch.allclose(out[95], 0.25 * a[95] + 0.75 * means[1], atol=1e-6)


def test_tokens_by_wish(two: list[Path], tmp_path: Path) -> None:
    section = {
        "source": str(two[1]),
        "tokens": {
            "<x>": {"source": {"kind": "model_token", "model": str(two[0]), "token": "w3"}},
            "only-b": {"source": {"kind": "zero"}, "force": True},
            "w5": {"source": str(two[0]), "force": True},
        },
    }
    lw.merge(recipe(two, tokenizer=section), tmp_path / "out")
    out = models.load(tmp_path / "out")[NAMES[0]].double()
    a, b = tables(two, NAMES[0])
    assert torch.allclose(out[90], 0.25 * a["w3"] + 0.75 * b["<x>"], atol=1e-6)
    assert not out[91].any()
    assert torch.allclose(out[89 - 5], a["w5"], atol=1e-6)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"source": "nobody"}, "expected 'union', 'base' or one of"),
        (
            {"source": "base", "tokens": {"w800": {"force": True}}},
            r"'w800' is no token .* source is needed; did you mean 'w80'\?",
        ),
        ({"source": "base", "tokens": {"w1": {"source": "nobody"}}}, "'nobody' is no model"),
        ({"source": "base", "tokens": {"w1": {"source": {"kind": "one"}}}}, "kind is 'one'"),
    ],
)
def test_mistakes(section: Any, said: str, two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        lw.merge(recipe(two, tokenizer=section), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_union(two: list[Path], tmp_path: Path) -> None:
    """D5: the base's tokens, then those of the others in order, whatever a set would say."""
    lw.merge(recipe(two, tokenizer_source="union"), tmp_path / "out")
    data = json.loads((tmp_path / "out" / "tokenizer.json").read_text())
    ids = data["model"]["vocab"] | {t["content"]: t["id"] for t in data["added_tokens"]}
    assert ids == {f"w{i}": i for i in range(90)} | {"only-a": 90, "only-b": 91, "<x>": 92}
    for name in NAMES:
        a, b = tables(two, name)
        out = models.load(tmp_path / "out")[name].double()
        assert out.shape[0] == 96
        for token, i in ids.items():
            row = a[token] if token in a else b[token]
            want = 0.25 * row + 0.75 * b.get(token, row)
            assert torch.allclose(out[i], want, atol=1e-6), token


def test_new_tokens(two: list[Path], tmp_path: Path) -> None:
    """Tokens that no model has come after all others; transformers reads them as whole tokens."""
    import transformers

    section = {
        "source": "base",
        "tokens": {
            "<|new|>": {"source": {"kind": "model_token", "model": str(two[1]), "token_id": 7}},
            "only-b": {"source": str(two[1])},
            "<|pad|>": {"source": {"kind": "zero"}},
        },
    }
    done = lw.merge(recipe(two, tokenizer=section), tmp_path / "out", "compat")
    out = models.load(tmp_path / "out")[NAMES[0]].double()
    b = models.load(two[1])[NAMES[0]].double()
    assert torch.allclose(out[91], b[7], atol=1e-6)
    assert torch.allclose(out[92], b[91], atol=1e-6)
    assert not out[93].any()
    assert out.shape[0] == 94 == config_size(tmp_path / "out")
    assert "token '<|new|>', which the tokenizer lacks, added as 91" in done.notes
    settings = json.loads((tmp_path / "out/tokenizer_config.json").read_text())
    assert settings["added_tokens_decoder"]["93"]["content"] == "<|pad|>"
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "out/tokenizer.json")
    )
    assert tokenizer.encode("<|pad|><|new|>") == [93, 91]


def config_size(folder: Path) -> int:
    return int(json.loads((folder / "config.json").read_text())["vocab_size"])


def test_the_bases_tokenizer_without_a_base(two: list[Path], tmp_path: Path) -> None:
    """The first model's, as for config.json."""
    bare = recipe(two[::-1], tokenizer_source="base")
    del bare["base_model"]
    done = lw.merge(bare, tmp_path / "out")
    assert json.loads((tmp_path / "out/tokenizer_config.json").read_text())["of"] == "b"
    assert any(f"tokenizer of '{two[1]}', the first model" in note for note in done.notes)


def test_a_token_without_any_row(two: list[Path], tmp_path: Path) -> None:
    """Its id lies beyond every model's table: the mean of the others, not zeros."""
    for folder in two:
        data = json.loads((folder / "tokenizer.json").read_text())
        data["model"]["vocab"]["nowhere"] = 97
        (folder / "tokenizer.json").write_text(json.dumps(data))
    lw.merge(recipe(two, tokenizer_source="base"), tmp_path / "out")
    out = models.load(tmp_path / "out")[NAMES[0]].double()
    a, b = (models.load(folder)[NAMES[0]].double() for folder in two)
    means = [a.mean(0), torch.cat([b[:90], a[90:91]]).mean(0)]
    assert torch.allclose(out[97], 0.25 * means[0] + 0.75 * means[1], atol=1e-6)


def test_an_id_beyond_the_embedding(two: list[Path], tmp_path: Path) -> None:
    """D31: a token whose id has no row is a token that the model lacks."""
    data = json.loads((two[1] / "tokenizer.json").read_text())
    data["model"]["vocab"]["only-a"] = 500
    (two[1] / "tokenizer.json").write_text(json.dumps(data))
    lw.merge(recipe(two, tokenizer_source="base"), tmp_path / "out")
    a = tables(two[:1], NAMES[0])[0]
    out = models.load(tmp_path / "out")[NAMES[0]].double()
    assert torch.allclose(out[90], a["only-a"], atol=1e-6)


def test_chat_template(two: list[Path], tmp_path: Path) -> None:
    template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    lw.merge(recipe(two, tokenizer_source="base", chat_template=template), tmp_path / "out")
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == template
    config = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert config["chat_template"] == template
    assert config["of"] == "a"
