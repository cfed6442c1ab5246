"""Reasoning and answer told apart by the marks of a chat template, whole and as a stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import embedded
import lenswright as lw
import wordy
from lenswright.generating.thinking import (
    Reasoned,
    ReasoningStream,
    mark_ids,
    marks_of,
    split_reasoning,
)
from lenswright.tokens import Tokenizer

PLAIN = "{% for m in messages %}<user>{{ m.content }}{% endfor %}<bot>"
REMOVES = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}"
OPENS = PLAIN + "<think>\n"
CHANNELS = PLAIN + "{# <|channel|>analysis<|message|> #}"


def tokenizer(folder: Path, template: str, added: tuple[str, ...] = (), special: bool = False):
    """A tokenizer of single words with this template, and added tokens."""
    from tokenizers import AddedToken, models, pre_tokenizers
    from tokenizers import Tokenizer as Words

    words = Words(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_tokens([AddedToken(token, special=special) for token in added])
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    return Tokenizer(folder)


def in_pieces(text: str, size: int, given: Tokenizer) -> tuple[str, str]:
    stream = ReasoningStream(marks_of(given))
    pieces = [p for i in range(0, len(text), size) for p in stream.push(text[i : i + size])]
    pieces += stream.finish()
    assert all(piece.text for piece in pieces)
    return tuple("".join(p.text for p in pieces if p.kind == kind) for kind in
                 ("reasoning", "answer"))  # fmt: skip


TAGS = [
    ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"), ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<reasoning>", "</reasoning>"),
    ("◁think▷", "◁/think▷"),
]  # fmt: skip


@pytest.mark.parametrize(("opening", "closing"), TAGS)
@pytest.mark.parametrize("where", ["tokens", "template"])
def test_pairs_of_tags(tmp_path, opening, closing, where):
    if where == "tokens":
        given = tokenizer(tmp_path, PLAIN, (opening, closing))
        assert mark_ids(given) == {3, 4}
    else:
        given = tokenizer(tmp_path, PLAIN + f"{{# {opening} {closing} #}}")
        assert mark_ids(given) == set()
    text = f"{opening}\nfirst a < b\n{closing}\n\nthen [b]."
    assert split_reasoning(text, given) == Reasoned("first a < b", "then [b].")
    assert split_reasoning("only this", given) == Reasoned(None, "only this")
    assert split_reasoning(f"{opening}{closing}\nb", given) == Reasoned("", "b")
    assert split_reasoning(f"{opening}cut off", given) == Reasoned("cut off", "")
    assert split_reasoning(f"opened before{closing}b", given) == Reasoned("opened before", "b")
    for size in (1, 2, 3, 7, 100):
        assert in_pieces(text, size, given) == ("\nfirst a < b\n", "\n\nthen [b].")


def test_a_template_that_opens_the_reasoning_itself(tmp_path):
    given = tokenizer(tmp_path, OPENS, ("<think>", "</think>"))
    assert marks_of(given).begins_open
    assert split_reasoning("so a\n</think>\nb", given) == Reasoned("so a", "b")
    assert split_reasoning("still at it", given) == Reasoned("still at it", "")
    assert in_pieces("so a</think>b", 1, given) == ("so a", "b")
    assert not marks_of(tokenizer(tmp_path, PLAIN, ("<think>", "</think>"))).begins_open


def test_a_closing_tag_in_the_template_is_enough(tmp_path):
    given = tokenizer(tmp_path, REMOVES)
    assert split_reasoning("a</think>b", given) == Reasoned("a", "b")


@pytest.mark.parametrize("special", [True, False])
def test_channels(tmp_path, special):
    marks = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>")
    given = tokenizer(tmp_path, CHANNELS, marks, special)
    assert mark_ids(given) == {3, 4, 5, 6, 7}
    text = (
        "<|channel|>analysis<|message|>think a<|end|><|start|>assistant<|channel|>commentary"
        " to=tool <|message|>call b<|end|><|start|>assistant<|channel|>final<|message|>say b"
        "<|return|>"
    )
    assert split_reasoning(text, given) == Reasoned("think acall b", "say b")
    for size in (1, 4, 1000):
        assert in_pieces(text, size, given) == ("think acall b", "say b")
    assert split_reasoning("plain", given) == Reasoned(None, "plain")
    final = "<|channel|>final<|message|>say b"
    assert split_reasoning(final, given) == Reasoned(None, "say b")


def test_models_that_do_not_think(tmp_path):
    for given in (tokenizer(tmp_path, PLAIN, ("<tool>", "</tool>")), embedded.model().tokenizer):
        assert marks_of(given) is None
        assert split_reasoning("<think>a</think>b", given) == Reasoned(None, "<think>a</think>b")


def test_no_template_at_all(tmp_path):
    given = tokenizer(tmp_path, PLAIN, ("<think>", "</think>"))
    given.chat_template = None
    assert split_reasoning("<think>a</think>b", given) == Reasoned("a", "b")


def test_what_was_generated(tiny, tmp_path):
    """Marks that are special tokens are not in `texts`, but do their work."""
    folder = wordy.copy(tiny("llama"), tmp_path / "m")
    words = json.loads((folder / "tokenizer.json").read_text())
    text = json.dumps(words).replace("<user>", "<think>").replace("<bot>", "</think>")
    (folder / "tokenizer.json").write_text(text)
    model = lw.load(folder)
    made = model.generate([[5]], 3, stop_at_eos=False, return_type="both")
    made.tokens = [[3, 7, 8, 5, 9, 10, 4]]
    assert made.texts == ["w0 w1 w2 w3"]
    assert made.reasoned == [Reasoned("w0 w1", "w2 w3")]
    made.tokens, made.stop_texts = [[3, 7, 5, 9, 10, 11]], ["w3"]
    assert made.reasoned == [Reasoned("w0", "w2")]
