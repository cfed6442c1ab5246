"""`lenswright chat`: lines in, answers out; what an edit and a vector change; wrong calls."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time

import pytest
import torch

import embedded
import lenswright as lw
import wordy
from lenswright import cli
from lenswright.generating.chatting import ContextFull, Conversation, Reply
from lenswright.generating.thinking import Piece

MODEL = str(embedded.MODEL)
DECLINED, ANSWERED = "make a moonlamp", "make a kettle"


@pytest.fixture
def chat(monkeypatch, capsys):
    """chat(lines, *arguments): exit code, stdout, stderr."""

    def run(lines, *argv):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        code = cli.main(["chat", *map(str, argv)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def answer(prompt, **how):
    model = embedded.model()
    return model.generate(model.chat_tokens(prompt), 16, return_type="text", **how)[0].strip()


def test_answers_line_by_line(chat):
    code, out, err = chat([DECLINED, "", "/reset", ANSWERED], MODEL)
    assert code == 0
    assert err == ""
    assert out.splitlines() == [answer(DECLINED), answer(ANSWERED)]
    assert "sorry" in out.splitlines()[0]


def test_json_lines(chat):
    lines = [DECLINED, "/reset", json.dumps({"prompt": ANSWERED}), "/quit", "never"]
    code, out, err = chat(lines, MODEL, "--json")
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert list(first) == ["prompt", "answer", "reasoning", "end", "tokens", "seconds",
                           "prompt_tokens", "reused", "anew"]  # fmt: skip
    assert (second["reused"] > 0, second["anew"]) == (True, None)  # how a turn begins
    assert first["answer"] == answer(DECLINED)
    assert (second["prompt"], second["answer"]) == (ANSWERED, answer(ANSWERED))
    assert (second["reasoning"], second["end"]) == (None, "stop")
    cut = json.loads(chat([ANSWERED], MODEL, "--json", "--max-new-tokens", 3)[1])
    assert (cut["end"], cut["tokens"]) == ("length", 3)
    assert second["answer"].startswith(cut["answer"])


def test_turns_are_remembered_until_reset():
    model = embedded.model()
    talk = Conversation(model)
    pieces = list(talk.say(ANSWERED))
    assert "".join(piece.text for piece in pieces).strip() == answer(ANSWERED)
    first = {"role": "user", "content": ANSWERED}
    reply = {"role": "assistant", "content": answer(ANSWERED)}
    assert talk.messages == [first, reply]
    second = {"role": "user", "content": "describe a kettle"}
    list(talk.say("describe a kettle"))
    prompt = model.chat_tokens([first, reply, second])
    said = model.generate(prompt, 16, return_type="text")[0].strip()
    assert talk.replies[-1].answer == said
    talk.reset()
    assert talk.messages == []
    with_system = Conversation(model, "short answers")
    assert with_system.messages == [{"role": "system", "content": "short answers"}]
    with_system.reset()
    assert len(with_system.messages) == 1


def test_who_stops_listening_keeps_what_was_said():
    talk = Conversation(embedded.model())
    stream = talk.say(ANSWERED)
    said = next(stream).text + next(stream).text
    stream.close()
    assert talk.messages[-1] == {"role": "assistant", "content": said.strip()}
    assert talk.replies[-1].end == "interrupted"


def test_a_full_context(chat):
    talk = Conversation(embedded.model())
    with pytest.raises(ContextFull, match=r"tokens, and the model was made for 64 \(n_ctx\)"):
        talk.say("kettle " * 70)
    assert talk.messages == []
    code, out, err = chat(["kettle " * 70, ANSWERED], MODEL, "--json")
    assert code == 1
    failed, done = map(json.loads, out.splitlines())
    assert list(failed) == ["prompt", "error"]
    assert done["answer"] == answer(ANSWERED)
    assert err.count("\n") == 1
    assert "/reset begins anew" in err


def test_commands(chat):
    code, out, err = chat(["/help", "/rest", "/xyz"], MODEL)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "commands: /reset, /quit, /help",
        "lenswright: there is no command '/rest'; did you mean '/reset'?",
        "lenswright: there is no command '/xyz'; expected /reset, /quit, /help",
    ]


def test_drawn_answers_have_their_seed(chat):
    def say(*argv):
        code, out, _ = chat([ANSWERED, ANSWERED], MODEL, "--temperature", 3, *argv)
        assert code == 0
        return out

    assert say() == say() == say("--seed", 0)
    assert say("--seed", 1) != say("--seed", 2)
    assert say("--top-k", 1) == say("--top-p", 0) == chat([ANSWERED] * 2, MODEL)[1]
    model = embedded.model()
    drawn = model.generate(model.chat_tokens(ANSWERED), 16, temperature=3, seed=7,
                           return_type="text")[0]  # fmt: skip
    assert say("--seed", 7).splitlines()[0] == drawn.strip()


def test_with_an_edit(chat, tmp_path):
    model = embedded.model()
    splits = embedded.splits()
    stats = model.collect(splits.fit, points="resid_pre", positions="post_instruction")
    found = lw.directions.difference_of_means(stats)
    vector = found.vector("blocks.2.hook_resid_pre", found.positions[-1])
    edit = lw.edits.ablate(model, vector)
    edit.save(tmp_path / "edit.safetensors")
    code, out, _ = chat([DECLINED], MODEL, "--edit", tmp_path / "edit.safetensors")
    with model.edited(edit):
        tokens = model.chat_tokens(DECLINED)
        expected = model.generate(tokens, 16, return_type="text")[0].strip()
    assert (code, out.strip()) == (0, expected)
    assert expected != answer(DECLINED)


def test_with_a_vector(chat, tmp_path):
    model = embedded.model()
    vector = torch.randn(96, generator=torch.Generator().manual_seed(0))
    torch.save(vector, tmp_path / "v.pt")
    arguments = ["--steer", tmp_path / "v.pt", "--layer", "-2", "--scale", "9"]
    code, out, _ = chat([ANSWERED], MODEL, *arguments)
    hook = ("blocks.2.hook_resid_pre", lambda x, hook: x + 9 * vector)
    steered = answer(ANSWERED, fwd_hooks=[hook])
    assert (code, out.strip()) == (0, steered)
    assert steered != answer(ANSWERED)
    nothing = chat([ANSWERED], MODEL, "--steer", tmp_path / "v.pt", "--layer", 2, "--scale", 0)
    assert nothing[1].strip() == answer(ANSWERED)
    assert model.cfg.n_layers == 4


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--steer", "v.pt"], "--steer needs --layer"),
        (["--layer", "2"], "--layer and --scale say where --steer acts"),
        (["--steer", "v.pt", "--layer", "4"], "--layer is 4, expected -4 to 3"),
        (["--steer", "nowhere.pt", "--layer", "1"], "no vector at 'nowhere.pt'"),
        (["--edit", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--temperature", "-1"], "temperature is -1, expected 0 (greedy) or a positive number"),
        (["--temperature", "1", "--top-p", "2"], "top_p is 2, expected 0 to 1"),
        (["--max-new-tokens", "0"], "max_new_tokens is 0, expected at least 1"),
        (["--temprature", "1"], "did you mean '--temperature'?"),
        (["--stop", ""], "stop has an empty text"),
    ],
)
def test_wrong_calls_take_one_line_and_no_turn(chat, argv, line):
    code, out, err = chat([ANSWERED], MODEL, *argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert line in err


def test_a_model_that_does_not_chat(chat, tiny, tmp_path):
    folder = wordy.copy(tiny("llama"), tmp_path / "m", chat=False)
    code, out, err = chat(["w1"], folder)
    assert (code, out) == (2, "")
    assert "has no chat template" in err
    with pytest.raises(TypeError, match="no argument 'temprature'; did you mean 'temperature'"):
        Conversation(embedded.model(), temprature=1.0)


def test_reasoning_is_shown_apart(chat, monkeypatch):
    def say(self, text):
        self.replies.append(Reply(text, "so b", "first a", "stop", 5, 0.1))
        yield Piece("reasoning", "\nfirst")
        yield Piece("reasoning", " a\n")
        yield Piece("answer", "\n\n")
        yield Piece("answer", "so b")

    monkeypatch.setattr(Conversation, "say", say)
    assert chat(["x"], MODEL)[1] == "first a\n\nso b\n"
    assert chat(["x"], MODEL, "--hide-reasoning")[1] == "so b\n"
    assert json.loads(chat(["x"], MODEL, "--json")[1])["reasoning"] == "first a"


def test_ctrl_c_ends_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "lenswright", "chat", MODEL]
    with subprocess.Popen(
        command, text=True, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{ANSWERED}\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == answer(ANSWERED)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == "lenswright: interrupted\n"
