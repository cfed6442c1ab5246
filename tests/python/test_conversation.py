"""A conversation keeps what it has read: the same words as read afresh, or it is read afresh."""

from __future__ import annotations

import io
import json
import sys
from itertools import pairwise

import pytest
import torch

import embedded
import lenswright as lw
from lenswright import cli
from lenswright.generating import kept_text
from lenswright.generating.generate_methods import go_on
from support import random_tokens

TURNS = ("make a kettle", "describe a kettle", "make a moonlamp", "make a kettle")

FAMILIES = (
    ("llama", ""), ("mistral", ""), ("gemma2", ""), ("gemma3_text", ""), ("gpt_oss", ""),
    ("deepseek_v3", ""), ("bloom", ""), ("mpt", ""), ("falcon", ""), ("gpt2", ""), ("opt", ""),
    ("qwen2_moe", ""), ("mixtral", ""), ("cohere2", ""), ("phi3", ""),
)  # fmt: skip


@pytest.mark.parametrize(("name", "knob"), FAMILIES)
def test_turns_of_every_kind_of_attention_are_those_of_a_fresh_reading(family, name, knob):
    """Windows, chunks, sinks, latent attention, slopes, tables of positions, mixtures; float64."""
    from lenswright import _core

    model = lw.load(family(name, knob), dtype="float64")
    read, text = _core.ReadText(), random_tokens(1, 9)[0].tolist()
    for turn in range(4):
        how = {"max_new_tokens": 6, "stop_at_eos": False, "temperature": 0.0}
        fresh = model.generate(torch.tensor([text]), return_type="tokens", **how)[0]
        decoding = go_on(model, torch.tensor([text]), read, **how)
        for _ in decoding:
            pass
        assert decoding.result().tokens[0] == fresh
        assert (decoding.reused > 0) == (turn > 0)
        # The answer comes back a little otherwise, as templates and tokenizers make it.
        text = text + fresh[: 6 - turn] + random_tokens(1, 5, seed=turn)[0].tolist()


def fresh_answers(model, turns, **how):
    said, talk = [], lw.Conversation(model, **how)
    for text in turns:
        prompt = model.chat_tokens([*talk.messages, {"role": "user", "content": text}])
        steering = how.get("steering")
        said.append(model.generate(prompt, 16, return_type="text", steering=steering)[0].strip())
        talk.messages += [{"role": "user", "content": text},
                          {"role": "assistant", "content": said[-1]}]  # fmt: skip
    return said


def test_a_turn_reads_what_is_new():
    model = embedded.model(dtype="float64")
    talk = lw.Conversation(model)
    replies = [talk.ask(text) for text in TURNS]
    assert [reply.answer for reply in replies] == fresh_answers(model, TURNS)
    assert replies[0].reused == 0
    for before, reply in pairwise(replies):
        assert reply.reused >= before.prompt_tokens - 1
        assert reply.prompt_tokens > reply.reused
        assert reply.anew is None
    talk.reset()
    again = talk.ask(TURNS[0])
    assert again.answer == replies[0].answer
    assert again.reused > 0  # the template's own beginning, at least


def test_what_changes_the_model_begins_anew():
    model = embedded.model(dtype="float64")
    direction = torch.linspace(-1, 1, model.cfg.d_model)
    edit = lw.edits.ablate(model, direction)
    talk = lw.Conversation(model)
    talk.ask(TURNS[0])
    before = list(talk.messages)
    with model.edited(edit):
        reply = talk.ask(TURNS[1])
        turns = [*before, {"role": "user", "content": TURNS[1]}]
        assert reply.answer == model.generate(model.chat_tokens(turns), 16, return_type="text")[0]
        assert (reply.reused, reply.anew) == (0, kept_text.CHANGED)
        assert talk.ask(TURNS[2]).reused > 0
    assert talk.ask(TURNS[3]).anew == kept_text.CHANGED
    talk.reset()
    edit.apply(model)
    assert talk.ask(TURNS[0]).reused == 0
    edit.revert(model)
    assert talk.ask(TURNS[0]).reused == 0
    assert talk.ask(TURNS[0]).reused > 0
    talk.reset()
    with torch.no_grad():
        next(iter(model.parameters().values())).mul_(1.0)
    assert talk.ask(TURNS[0]).anew == kept_text.CHANGED


def test_what_acts_by_position_reads_all_of_it():
    model = embedded.model(dtype="float64")
    last = lambda value, hook: value.index_fill(1, torch.tensor([value.shape[1] - 1]), 0.0)  # noqa: E731
    talk = lw.Conversation(model)
    talk.ask(TURNS[0])
    with model.hooks([("blocks.1.hook_resid_pre", last)]):
        reply = talk.ask(TURNS[1])
        assert (reply.reused, reply.anew) == (0, kept_text.HOOKS)
    vector = torch.linspace(-1, 1, model.cfg.d_model)
    everywhere = lw.steering.add(vector, 0.3, layers=1, unit="own")
    some = lw.steering.add(vector, 0.3, layers=1, unit="own", positions="prefill")
    for steering, kept in ((everywhere, True), (some, False)):
        steered = lw.Conversation(model, steering=steering)
        replies = [steered.ask(text) for text in TURNS]
        assert [r.answer for r in replies] == fresh_answers(model, TURNS, steering=steering)
        assert all((r.reused > 0) == kept for r in replies[1:])
        assert replies[1].anew == (None if kept else kept_text.STEERING)
    with lw.deterministic():
        assert lw.Conversation(model).ask(TURNS[0]).anew == kept_text.DETERMINISTIC


def test_an_answer_left_half_way_and_one_begun_meanwhile():
    model = embedded.model(dtype="float64")
    talk = lw.Conversation(model)
    talk.ask(TURNS[0])
    half = talk.say(TURNS[1])
    next(half)
    assert lw.Conversation(model).ask(TURNS[1]).reused == 0
    half.close()
    assert talk.replies[-1].end == "interrupted"
    messages = [*talk.messages, {"role": "user", "content": TURNS[2]}]
    reply = talk.ask(TURNS[2])
    said = model.generate(model.chat_tokens(messages), 16, return_type="text")[0].strip()
    assert reply.answer == said
    assert reply.reused > talk.replies[-2].prompt_tokens - 1


def test_a_conversation_changed_while_it_speaks_is_read_again():
    model = embedded.model(dtype="float64")
    edit = lw.edits.ablate(model, torch.linspace(-1, 1, model.cfg.d_model))
    talk = lw.Conversation(model)
    pieces = talk.say(TURNS[0])
    next(pieces)
    edit.apply(model)
    list(pieces)
    edit.revert(model)
    messages = [*talk.messages, {"role": "user", "content": TURNS[1]}]
    said = model.generate(model.chat_tokens(messages), 16, return_type="text")[0].strip()
    reply = talk.ask(TURNS[1])
    assert (reply.answer, reply.reused) == (said, 0)


def test_the_command_says_where_every_turn_reads_all(monkeypatch, capsys, tmp_path):
    model = embedded.model()
    vector = torch.linspace(-1, 1, model.cfg.d_model)
    file = tmp_path / "some.safetensors"
    lw.steering.add(vector, 0.3, layers=1, unit="own", positions="prefill").save(file)
    for steer, told in (([], ""), (["--steer", str(file)], kept_text.STEERING)):
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(TURNS)))
        assert cli.main(["chat", str(embedded.MODEL), "--json", *steer]) == 0
        out, err = capsys.readouterr()
        assert told in err
        assert bool(err) == bool(told)
        last = json.loads(out.splitlines()[-1])
        assert (last["reused"] == 0) == bool(told)
