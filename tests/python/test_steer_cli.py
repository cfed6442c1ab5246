"""`lenswright steer`: the same value as in Python; answers with it and without; wrong calls."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

import embedded
import lenswright as lw
from lenswright import cli

MODEL = str(embedded.MODEL)
PROMPT, OTHER = "make a kettle", "describe a moonlamp"


@pytest.fixture
def steer(capsys):
    """steer(*arguments): exit code, stdout, stderr."""

    def run(*argv):
        code = cli.main(["steer", MODEL, *map(str, argv)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def vectors(tmp_path):
    """Two directions and a row a layer, as files."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 96, generator=generator)
    rows[0] = 0
    torch.save(rows, tmp_path / "rows.pt")
    save_file({"a": rows[1], "b": rows[2]}, tmp_path / "two.safetensors")
    return rows


def answers(prompts, steering=None):
    model = embedded.model()
    rows = model.prompt_tokens(prompts)
    return [t.strip() for t in model.generate(rows, 16, return_type="text", steering=steering)]


def test_answers_with_and_without(steer, vectors, tmp_path):
    arguments = ["--direction", f"{tmp_path}/two.safetensors:a", "--layers", 1, "2..3",
                 "--strength", 60, "--positions", "last", "decode",
                 "--max-new-tokens", 16]  # fmt: skip
    saved = tmp_path / "s.safetensors"
    code, out, err = steer(
        *arguments, "--prompt", PROMPT, "--prompt", OTHER, "--json", "--save", saved
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    value = lw.steering.add(vectors[1], 60.0, layers=[1, 2, 3], positions=["last", "decode"])
    assert found["id"] == value.id == lw.steering.load(saved).id
    assert found["steering"] == str(value)
    plain, steered = answers([PROMPT, OTHER]), answers([PROMPT, OTHER], value)
    assert [a["plain"] for a in found["answers"]] == plain
    assert [a["steered"] for a in found["answers"]] == steered
    assert plain != steered
    code, out, _ = steer("--steering", saved, "--prompt", PROMPT, "--max-new-tokens", 16)
    assert code == 0
    assert out.splitlines() == [str(value), "", f"prompt   {PROMPT}", f"plain    {plain[0]}",
                                f"steered  {steered[0]}"]  # fmt: skip
    assert steer(*arguments, "--save", saved)[0] == 2


def test_every_option_reaches_the_value(steer, vectors, tmp_path):
    two = f"{tmp_path}/two.safetensors"
    (tmp_path / "prompts.txt").write_text(f"{PROMPT}\n{OTHER}\n")
    norms = lw.steering.residual_norms(embedded.model(), [PROMPT, OTHER])
    rows = {layer: vectors[layer] for layer in (1, 2, 3)}
    cases = [
        (["--direction", f"{two}:a", "--operation", "swap", "--other", f"{two}:b", "--layers",
          "all", "--at", "writes"],
         lw.steering.swap(vectors[1], vectors[2], layers="all", at="writes")),
        (["--direction", tmp_path / "rows.pt", "--strength", "0.2", "--unit", "token",
          "--over-tokens", "0:0", "4:1", "--preserve-norm"],
         lw.steering.add(rows, 0.2, "token", over_tokens={0: 0.0, 4: 1.0}, preserve_norm=True)),
        (["--direction", f"{two}:b", "--strength", "0.3", "--unit", "relative", "--layers", "-2",
          "--norm-prompts", tmp_path / "prompts.txt", "--positions", "1:-1", "0"],
         lw.steering.add(vectors[2], 0.3, "relative", norms, layers=-2,
                         positions=[slice(1, -1), 0])),
        (["--direction", f"{two}:b", "--operation", "clamp", "--strength", "2", "--layers", "2",
          "--when", f"{two}:a", "--threshold", "0.1", "--threshold-unit", "token", "--below"],
         lw.steering.clamp(vectors[2], 2.0, layers=2,
                           when=lw.steering.when(vectors[1], 0.1, "token", below=True))),
        (["--direction", f"{two}:b", "--operation", "project", "--layers", "1..3", "--over-layers",
          "1:0", "3:1", "--at", "resid_mid"],
         lw.steering.project(vectors[2], layers=[1, 2, 3], at="resid_mid",
                             over_layers={1: 0.0, 3: 1.0})),
    ]  # fmt: skip
    for arguments, value in cases:
        code, out, err = steer(*arguments, "--prompts", tmp_path / "prompts.txt", "--json",
                               "--max-new-tokens", 2)  # fmt: skip
        assert (code, err) == (0, ""), arguments
        assert json.loads(out)["id"] == value.id, arguments


def test_chat_takes_what_steer_saved(steer, vectors, tmp_path, monkeypatch, capsys):
    import io
    import sys

    value = lw.steering.add(vectors[1], 30.0, layers=[1, 2], positions="decode")
    value.save(tmp_path / "s.safetensors")
    expected = [answers([PROMPT], scale * value)[0] for scale in (1.0, 3.0)]
    for more, answer in zip(([], ["--scale", "3"]), expected, strict=True):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PROMPT}\n"))
        code = cli.main(["chat", MODEL, "--steer", str(tmp_path / "s.safetensors"), *more])
        assert (code, capsys.readouterr().out.strip()) == (0, answer)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PROMPT}\n"))
    assert (
        cli.main(["chat", MODEL, "--steer", str(tmp_path / "s.safetensors"), "--layer", "1"]) == 2
    )
    assert "says itself where it acts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "expected one of --direction (to make a steering) and --steering"),
        (["--direction", "v.pt", "--steering", "s"], "expected one of --direction"),
        (["--steering", "s", "--layers", "1"], "--layers says how --direction acts"),
        (["--direction", "v.pt", "--layers", "1", "--strength", "1"], "no vector at 'v.pt'"),
        (["--direction", "rows.pt"], "--strength is missing, and --operation add needs one"),
        (["--direction", "rows.pt", "--operation", "ad", "--layers", "1"], "did you mean 'add'?"),
        (
            ["--direction", "rows.pt", "--strength", "1", "--layers", "0"],
            "direction has vectors of [1",
        ),
        (["--direction", "rows.pt", "--strength", "1", "--layers", "x"], "expected 3, 4..7 or all"),
        (["--direction", "rows.pt", "--strength", "1", "--layers", "9"], "layers has 9"),
        (
            ["--direction", "rows.pt", "--strength", "1", "--positions", "lst"],
            "did you mean 'last'?",
        ),
        (["--direction", "rows.pt", "--when", "rows.pt"], "--when and --threshold go together"),
        (["--direction", "rows.pt", "--strength", "1", "--over-tokens", "x"], "PLACE:FACTOR"),
        (["--steering", "rows.pt"], "rows.pt"),
        (["--strenght", "1"], "did you mean '--strength'?"),
    ],
)
def test_wrong_calls_take_one_line(steer, vectors, tmp_path, monkeypatch, argv, line):
    monkeypatch.chdir(tmp_path)
    code, out, err = steer(*argv, "--prompt", PROMPT)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert line in err


def test_nothing_to_do(steer, vectors, tmp_path):
    code, _, err = steer("--direction", tmp_path / "rows.pt", "--strength", 1)
    assert code == 2
    assert "there is nothing to do" in err


def test_control_vectors_in_and_out(steer, vectors, tmp_path):
    model, made = embedded.model(), tmp_path / "v.gguf"
    code, _, err = steer(
        "--direction", f"{tmp_path}/two.safetensors:a", "--layers", 2, 3, "--strength", 60,
        "--save", made,
    )  # fmt: skip
    assert (code, err) == (0, "")
    unit = 60 * vectors[1].double() / vectors[1].double().norm()
    found = lw.edits.load_control_vector(made, model)
    assert sorted(found) == [2, 3]
    assert all(torch.allclose(v, unit, atol=1e-5) for v in found.values())
    arguments = ["--prompt", PROMPT, "--max-new-tokens", 16, "--json"]
    value = lw.steering.add(vectors[1], 60.0, layers=[2, 3])
    for how in (["--direction", made], ["--steering", made]):
        code, out, err = steer(*how, *arguments)
        assert (code, err) == (0, "")
        assert json.loads(out)["answers"][0]["steered"] == answers([PROMPT], value)[0]
    half = json.loads(steer("--direction", made, "--strength", -1, *arguments)[1])
    assert half["answers"][0]["steered"] == answers([PROMPT], -1 * value)[0]
    assert answers([PROMPT], -1 * value) != answers([PROMPT], value)
    for wrong, message in (
        (["--at", "resid_mid"], "--at is resid_mid, but --direction is a control vector, expected"),
        (["--operation", "project"], "--operation is project, but --direction is a control vector"),
    ):
        code, _, err = steer("--direction", made, *wrong, *arguments)
        assert (code, message in err) == (2, True)
    code, _, err = steer(
        "--direction", f"{tmp_path}/two.safetensors:a", "--layers", 2, "--operation", "project",
        "--save", tmp_path / "w.gguf",
    )  # fmt: skip
    assert code == 2
    assert "depends on the token, which no control vector does" in err
    assert not (tmp_path / "w.gguf").exists()


def test_words_as_positions(steer, vectors, tmp_path):
    arguments = ["--direction", f"{tmp_path}/two.safetensors:a", "--layers", 1, "--strength", 60,
                 "--prompt", PROMPT, "--max-new-tokens", 16, "--json"]  # fmt: skip
    code, out, err = steer(*arguments, "--positions", "text:kettle", "pre_instruction")
    assert (code, err) == (0, "")
    value = lw.steering.add(
        vectors[1], 60.0, layers=1, positions=["text:kettle", "pre_instruction"]
    )
    assert json.loads(out)["answers"][0]["steered"] == answers([PROMPT], value)[0]
    code, _, err = steer(*arguments, "--positions", "text:teapot")
    assert code == 2
    assert "positions is 'text:teapot', which finds no token in any prompt" in err
