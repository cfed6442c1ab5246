"""Bad input to the command line: one clear line on stderr, and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import embedded
import lenswright as lw
import wordy
from lenswright import cli
from support import rewrite

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """fails(*arguments): the one line on stderr of a call that ends with 2."""

    def run(*argv: object) -> str:
        capsys.readouterr()  # what making the checkpoint said
        assert cli.main([str(a) for a in argv]) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert len(lines) == 1, captured.err
        assert captured.out == ""
        assert lines[0].startswith("lenswright")
        assert "Traceback" not in captured.err
        return lines[0]

    return run


@pytest.fixture
def prompts(tmp_path: Path) -> list[object]:
    """Two good files of prompts as arguments."""
    arguments: list[object] = []
    for name, kind in (("positive", "restricted"), ("negative", "benign")):
        path = tmp_path / f"{name}.jsonl"
        rows = embedded.rows("test", kind, 12)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        arguments += [f"--{name}", path]
    return arguments


def test_missing_folder(fails: Fails, prompts: list[object], tmp_path: Path) -> None:
    for argv in (["inspect"], ["ablate", *prompts], ["verify"]):
        assert "nowhere" in fails(argv[0], tmp_path / "nowhere", *argv[1:])


def test_no_config(fails: Fails, prompts: list[object], copy: Callable[..., Path]) -> None:
    folder = copy()
    (folder / "config.json").unlink()
    assert "config.json" in fails("ablate", folder, *prompts)
    assert "config.json" in fails("verify", folder)


def test_unknown_family(fails: Fails, prompts: list[object], copy: Callable[..., Path]) -> None:
    line = fails("ablate", copy(architectures=["LlamaForCausalLN"]), *prompts)
    assert "'LlamaForCausalLN'" in line
    assert "GPT2LMHeadModel, " in line
    assert "LlamaForCausalLM, " in line
    assert "did you mean 'LlamaForCausalLM'?" in line


def test_quantised(fails: Fails, prompts: list[object], copy: Callable[..., Path]) -> None:
    line = fails("ablate", copy(quantization_config={"quant_method": "gptq"}), *prompts)
    assert "quantization_config" in line
    assert "gptq" in line


def test_truncated_shard(fails: Fails, prompts: list[object], copy: Callable[..., Path]) -> None:
    folder = copy()
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    for line in (fails("ablate", folder, *prompts), fails("inspect", folder)):
        assert "model.safetensors" in line


def test_dtype_and_device(fails: Fails, prompts: list[object]) -> None:
    line = fails("ablate", embedded.MODEL, *prompts, "--dtype", "flaot32")
    assert "'flaot32'" in line
    assert "did you mean 'float32'?" in line
    assert "gpu" in fails("ablate", embedded.MODEL, *prompts, "--device", "gpu")


def test_misspelt_hook() -> None:
    model = embedded.model()
    for call in (
        lambda: model.run_with_cache([1, 2], names_filter="blocks.1.hook_resid_pots"),
        lambda: model.run_with_hooks([1, 2], fwd_hooks=[("blocks.1.hook_resid_pots", print)]),
        lambda: model.capture([1, 2], "blocks.1.hook_resid_pots"),
    ):
        with pytest.raises(KeyError, match=r"did you mean 'blocks\.1\.hook_resid_post'\?"):
            call()


@pytest.mark.parametrize(("given", "nearest"), [
    ("--positve", "--positive"), ("--strenght", "--strength"), ("--max-new-token", "--max-new"),
])  # fmt: skip
def test_misspelt_option(fails: Fails, prompts: list[object], given: str, nearest: str) -> None:
    assert f"did you mean '{nearest}" in fails("ablate", embedded.MODEL, *prompts, given, "1")


def test_misspelt_writer(fails: Fails, prompts: list[object]) -> None:
    line = fails("ablate", embedded.MODEL, *prompts, "--writers", "atention", "--null", 2)
    assert "did you mean 'attention'?" in line


@pytest.mark.parametrize(("name", "text", "said"), [
    ("a.jsonl", "", "a.jsonl: has no prompts"),
    ("a.txt", "\n\n", "a.txt: has no prompts"),
    ("a.jsonl", '{"prompt": "x y"}\n{"prompt": \n', "a.jsonl:2: not a JSON line"),
    ("a.jsonl", '{"prompt": "x y"}\n{"promt": "x"}\n', "a.jsonl:2: has no \"prompt\""),
    ("a.json", '["x", 3]', "a.json:1: is a int"),
    ("a.csv", "statement,label\nx,maybe\n", "a.csv:2: label is 'maybe'"),
])  # fmt: skip
def test_prompt_files(
    fails: Fails, prompts: list[object], tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    line = fails("ablate", embedded.MODEL, "--positive", path, *prompts[2:])
    assert said in line
    assert "no-such.jsonl" in fails(
        "ablate", embedded.MODEL, *prompts[:2], "--negative", tmp_path / "no-such.jsonl"
    )


def test_the_same_prompts_in_both_classes(fails: Fails, prompts: list[object]) -> None:
    line = fails("ablate", embedded.MODEL, *prompts[:2], "--negative", prompts[1])
    assert "every prompt in one part and one class only" in line


def test_output_folders(fails: Fails, prompts: list[object], tmp_path: Path) -> None:
    call = ("ablate", embedded.MODEL, *prompts, "--out")
    (tmp_path / "there").mkdir()
    assert "exists; expected a new one" in fails(*call, tmp_path / "there")
    assert "its parent folder does not exist" in fails(*call, tmp_path / "no" / "out")
    assert not (tmp_path / "no").exists()


def test_words_go_together(fails: Fails, prompts: list[object]) -> None:
    line = fails("ablate", embedded.MODEL, *prompts, "--positive-words", "sorry")
    assert "--positive-words and --negative-words go together" in line


def test_no_chat_template(fails: Fails, tiny: Callable[..., Path], tmp_path: Path) -> None:
    folder = wordy.copy(tiny("llama"), tmp_path / "plain", chat=False)
    prompts: list[object] = []
    for seed, name in enumerate(("positive", "negative")):
        path = tmp_path / f"{name}.txt"
        path.write_text("\n".join(f"{s} w{seed}" for s in wordy.sentences(12, seed)))
        prompts += [f"--{name}", path]
    line = fails("ablate", folder, *prompts, "--null", 2)
    assert "post_instruction" in line
    assert "chat template" in line


def test_numbers_out_of_range(fails: Fails, prompts: list[object]) -> None:
    call = ("ablate", embedded.MODEL, *prompts)
    assert "invalid int value: 'many'" in fails(*call, "--null", "many")
    assert "is 0" in fails(*call, "--batch-size", 0)
    assert "--own is -1" in fails(*call, "--own", -1)
    assert "null is -1" in fails(*call, "--null", -1)


def test_prompts_of_the_test_part_are_not_used_to_fit() -> None:
    model, splits = embedded.model(), embedded.splits(4, 4, 4)
    with pytest.raises(ValueError, match="'test' part of its splits, expected the 'fit' part"):
        model.collect(splits.test)
    found = lw.directions.difference_of_means(model.collect(splits.fit, progress=False))
    with pytest.raises(ValueError, match="expected the 'select' part"):
        lw.directions.select(model, found, splits.test)


def test_verify_and_diff(fails: Fails, tiny: Callable[..., Path]) -> None:
    against = ("verify", tiny("llama"), "--against", "transformers")
    assert "expected one of float64, float32" in fails(*against, "--dtype", "flaot64")
    assert "did you mean '--tolerance'?" in fails(*against, "--tolerence", "1")
    assert "blocks.9" in fails(*against, "--points", "blocks.9.*")
    assert "nowhere" in fails("diff", tiny("llama"), tiny("llama").parent / "nowhere")


def test_checkpoints_that_do_not_fit(fails: Fails, copy: Callable[..., Path]) -> None:
    folder = copy(rope_parameters={"rope_type": "spiral", "rope_theta": 1e4})
    assert "'spiral'" in fails("verify", folder)
    (folder / "config.json").unlink()
    assert "config.json" in fails("verify", folder)


@pytest.mark.parametrize(("change", "said"), [
    (lambda w: w.pop("model.norm.weight") is None, "the tensor is missing"),
    (lambda w: w.update(extra=w["model.norm.weight"].clone()), "does not account for: 'extra'"),
    (lambda w: w.update({"model.norm.weight": w["model.norm.weight"][:-1]}), "shape [29]"),
])  # fmt: skip
def test_tensors_that_do_not_fit(
    fails: Fails, copy: Callable[..., Path], change: Callable[..., object], said: str
) -> None:
    folder = copy()
    rewrite(folder, lambda weights: change(weights) and None)
    assert said in fails("verify", folder)
