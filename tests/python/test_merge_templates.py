"""Chat templates of a merge: by name as their makers publish them, the commonest, one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lenswright as lw
from lenswright.cli import main
from lenswright.merging.templates import TEMPLATES
from lenswright.tokens import Tokenizer
from test_merge_vocabularies import recipe
from test_merge_vocabularies import two as two

TALK = [
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye"},
]  # fmt: skip
# What the makers' own pages show of this conversation, with <s> and </s> around.
WHOLE = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
    "<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
    "<|im_start|>assistant\n",
    "alpaca": "Be brief.\n\n### Instruction:\nHello\n\n### Response:\nHi.\n\n"
    "### Instruction:\nBye\n\n### Response:\n",
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHi.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s> [INST] Be brief.\n\nHello [/INST] Hi.</s> [INST] Bye [/INST]",
    "exaone": "[|system|]Be brief.[|endofturn|]\n[|user|]Hello\n[|assistant|]Hi.[|endofturn|]\n"
    "[|user|]Bye\n[|assistant|]",
}
WITHOUT_SYSTEM = {  # and without the question at its end
    "chatml": "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi.<|im_end|>\n",
    "alpaca": "### Instruction:\nHello\n\n### Response:\nHi.\n\n",
    "llama3": "<s><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHi.<|eot_id|>",
    "mistral": "<s> [INST] Hello [/INST] Hi.</s>",
    "exaone": "[|system|][|endofturn|]\n[|user|]Hello\n[|assistant|]Hi.[|endofturn|]\n",
}
ONE = "{% for m in messages %}one {{ m.content }}{% endfor %}"
TWO = ONE.replace("one", "two")


def settings(folder: Path, **more: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(more))


def written(folder: Path) -> Tokenizer:
    """Both places say the same."""
    found = json.loads((folder / "tokenizer_config.json").read_text())
    assert (folder / "chat_template.jinja").read_text() == found["chat_template"]
    return Tokenizer(folder)


@pytest.mark.parametrize("name", TEMPLATES)
def test_by_name(name: str, two: list[Path], tmp_path: Path) -> None:
    import transformers

    settings(two[0], bos_token="<s>", eos_token="</s>", of="a",
             tokenizer_class="PreTrainedTokenizerFast")  # fmt: skip
    lw.merge(recipe(two, tokenizer_source="base", chat_template=name), tmp_path / "out")
    tokenizer = written(tmp_path / "out")
    assert tokenizer.config["of"] == "a"
    assert tokenizer.render_chat(TALK) == WHOLE[name]
    assert tokenizer.render_chat(TALK[1:3], False) == WITHOUT_SYSTEM[name]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (
        theirs.apply_chat_template(TALK, tokenize=False, add_generation_prompt=True)
        == (WHOLE[name])
    )


def test_a_system_message_has_one_place(two: list[Path], tmp_path: Path) -> None:
    lw.merge(recipe(two, tokenizer_source="base", chat_template="mistral"), tmp_path / "out")
    with pytest.raises(ValueError, match="stands first"):
        Tokenizer(tmp_path / "out").render_chat(TALK[::-1])


def test_the_commonest(two: list[Path], tiny: Callable[..., Path], tmp_path: Path) -> None:
    """Of as many the first by the recipe; a file of its own and a key are the same thing."""
    third = tmp_path / "c"
    third.mkdir()
    for path in two[0].iterdir():
        (third / path.name).write_bytes(path.read_bytes())
    settings(two[0], chat_template=ONE)
    settings(two[1], chat_template=[{"name": "default", "template": TWO}])
    (third / "chat_template.jinja").write_text(TWO)
    models = [{"model": str(folder), "parameters": {"weight": 1.0}} for folder in (*two, third)]
    three = recipe(two, tokenizer_source="base", chat_template="auto") | {"models": models}
    done = lw.merge(three, tmp_path / "out")
    assert written(tmp_path / "out").chat_template == TWO
    assert f"chat template of '{two[1]}', which 2 of 3 models have" in done.notes
    lw.merge(three | {"models": models[:2]}, tmp_path / "first")
    assert written(tmp_path / "first").chat_template == ONE
    for folder in (*two, third):
        settings(folder)
        (folder / "chat_template.jinja").unlink(missing_ok=True)
    done = lw.merge(three, tmp_path / "none")
    assert "chat_template is 'auto', but no model has one" in done.notes
    assert not (tmp_path / "none/chat_template.jinja").exists()


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("chatmll", "did you mean 'chatml'?"),
        ("lama3", "did you mean 'llama3'?"),
        ("{% for m in messages %}{{ m.content }}", "chat_template, line 1: "),
        ("a text that is long enough but no template", "a Jinja template of 20"),
    ],
)
def test_mistakes(
    wish: str, said: str, two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.yml"
    path.write_text(json.dumps(recipe(two, tokenizer_source="base", chat_template=wish)))
    assert main(["merge", str(path), str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_tags_of_transformers_pass(two: list[Path], tmp_path: Path) -> None:
    text = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    lw.merge(recipe(two, tokenizer_source="base", chat_template=text), tmp_path / "out")
    assert (tmp_path / "out/chat_template.jinja").read_text() == text
