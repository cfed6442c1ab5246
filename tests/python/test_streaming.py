"""Texts as they come: pieces that add up, nothing half, nothing behind a stop."""

from __future__ import annotations

import inspect

import pytest
import torch

import embedded
import lenswright as lw
from lenswright.generating.text_stream import TextStream, held_back
from support import random_tokens

PROMPT = "Once upon a time"


def streamed(model, x, rows=1, **how):
    """(texts, ids, ends) of what a stream yields."""
    texts, ids, ends = [""] * rows, [[] for _ in range(rows)], [None] * rows
    for chunk in model.generate_stream(x, **how):
        assert ends[chunk.row] is None  # nothing follows an end
        texts[chunk.row] += chunk.text
        ids[chunk.row] += chunk.ids
        ends[chunk.row] = chunk.end
    return texts, ids, ends


@pytest.mark.parametrize("how", [
    {}, {"stop": "play"}, {"stop": [" day", "ou"]}, {"temperature": 1.3, "seed": 4},
    {"stop": "never said"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", ["TinyStories-656K", "stories260K-hf"])
def test_chunks_add_up(data, name, how):
    model = lw.load(data / name)
    rows = [PROMPT, "The dog", PROMPT + ", there was"]
    made = model.generate(rows, 70, return_type="both", **how)
    assert streamed(model, rows, 3, max_new_tokens=70, **how) == (
        made.texts, made.tokens, made.ends,
    )  # fmt: skip
    seen = []
    model.generate(rows, 70, stream=seen.append, **how)
    assert ["".join(c.text for c in seen if c.row == row) for row in range(3)] == made.texts


def test_a_stream_is_made_step_by_step():
    model = embedded.model()
    tokens, passes = model.chat_tokens("make a kettle"), []
    with model.hooks(fwd_hooks=[("hook_embed", lambda x, hook: passes.append(x.shape[1]))]):
        stream = model.generate_stream(tokens, 10)
    assert passes == []
    first = next(stream)
    assert passes == [tokens.shape[1]]
    assert first.ids == model.generate(tokens, 1, return_type="tokens")[0]
    next(stream)
    assert passes == [tokens.shape[1], 1]
    stream.close()
    assert torch.is_grad_enabled()


def test_printed_as_it_comes(capsys):
    model = embedded.model()
    tokens = model.chat_tokens("make a kettle")
    text = model.generate(tokens, 14, stream=True, return_type="text")[0]
    assert capsys.readouterr().out == text + "\n"


def test_ids_alone_need_no_tokenizer(tiny):
    model = lw.load(tiny("llama"))
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        model.generate_stream(random_tokens(1, 3))
    made = model.generate(random_tokens(1, 3), 4, stop_at_eos=False, return_type="both")
    assert made.ends == ["length"]
    assert "1 rows, 4 tokens" in repr(made)


def test_a_stream_takes_the_arguments_of_generate_but_four(tiny):
    model = lw.load(tiny("llama"))
    whole, own = (inspect.signature(f).parameters for f in (model.generate, model.generate_stream))
    assert set(own) < set(whole)
    assert list(own.values()) == [whole[name] for name in whole if name in own]
    assert set(whole) - set(own) == {"return_type", "stream", "return_logits", "names_filter"}
    for name in set(whole) - set(own):
        with pytest.raises(TypeError, match=rf"generate_stream.. has no argument '{name}'"):
            model.generate_stream(random_tokens(1, 3), **{name: False})
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        model.generate_stream(random_tokens(1, 3), temprature=1.0)
    with pytest.raises(TypeError, match="'x'"):
        model.generate_stream()


class Bytes:
    """A tokenizer of single bytes, of which 0 is special."""

    special_ids = frozenset({0})

    def decode(self, ids, skip_special_tokens=False, keep=()):
        skipped = self.special_ids - set(keep) if skip_special_tokens else ()
        return bytes(i for i in ids if i not in skipped).decode("utf-8", errors="replace")


def pushed(text: bytes, stops=(), keep=()):
    stream = TextStream(Bytes(), stops, keep)
    pieces = [stream.push(i) for i in text]
    return [*pieces, stream.finish()], stream


def test_characters_of_several_bytes_come_whole():
    text = "a é 语言 🙂!"
    pieces, _ = pushed(text.encode())
    assert "".join(pieces) == text
    assert all("�" not in piece for piece in pieces)
    cut, _ = pushed("ab🙂".encode()[:-1])
    assert cut[:2] == ["a", "b"]
    assert cut[-1] == "�"  # the row ended inside a character
    assert "".join(pushed(b"a\0b")[0]) == "ab"
    assert "".join(pushed(b"a\0b", keep=[0])[0]) == "a\0b"


def test_what_may_become_a_stop_is_held_back():
    pieces, stream = pushed(b"one end, two END three", stops=["END", "end of"])
    assert "".join(pieces) == stream.text == "one end, two "
    assert stream.stopped
    assert pieces[4] == ""  # "e" of "end of"
    assert pieces[7] == "end,"
    pieces, stream = pushed(b"one EN", stops=["END"])
    assert pieces[-1] == "EN"
    assert not stream.stopped


def test_held_back():
    assert held_back("abc", []) == 0
    assert held_back("abc", ["cab", "bcd"]) == 2
    assert held_back("aaa", ["aab"]) == 2
    assert held_back("", ["a"]) == 0
    assert held_back("xy", ["y"]) == 0  # all of it is a match, not a beginning
