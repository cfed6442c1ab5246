"""`lenswright inspect`: what it says, how fast, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from lenswright import _files
from lenswright.checkpoints.inspecting import human_bytes, inspect
from lenswright.cli import main

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "intermediate_size": 172, "num_attention_heads": 8, "num_hidden_layers": 5, "vocab_size": 512,
    "num_key_value_heads": 4, "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True,
}  # fmt: skip


def folder(path: Path, config: dict[str, Any] | None = None, **files: str) -> Path:
    safetensors.torch.save_file(
        {"w": torch.zeros(2, 3, dtype=torch.bfloat16)}, path / "model.safetensors"
    )
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def test_a_trained_model(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(data / "TinyStories-656K")]) == 0
    text = capsys.readouterr().out
    for part in ("LlamaForCausalLM", "656,000 in 20 tensors", "BF16, 1.31 MB", "2 layers", "yes"):
        assert part in text
    assert "tokenizer.json" in text
    assert "loads it" in text


def test_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(data / "stories260K-hf"), "--json", "--check"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["architecture"] == "LlamaForCausalLM"
    assert found["supported"] is True
    assert found["tied"] is True
    assert found["quantisation"] is None
    assert found["parameters"] == 260_032
    assert found["dtypes"] == {"F32": {"tensors": 47, "parameters": 260_032, "bytes": 1_040_128}}
    assert found["sizes"]["n_layers"] == 5
    assert len(found["all_tensors"]) == 47
    assert len(found["all_tensors"][0]["sha256"]) == 64


@pytest.mark.parametrize("verb", ["inspect", "diff"])
def test_fast_and_without_torch(verb: str, data: Path) -> None:
    path = str(data / "TinyStories-656K")
    code = f"""
import sys, time
start = time.process_time()
from lenswright.cli import main
code = main({[verb, path, path][: 2 + (verb == "diff")]!r})
heavy = {{"torch", "numpy", "transformers", "huggingface_hub"}} & set(sys.modules)
assert code == 0 and not heavy, (code, heavy)
print("SECONDS", time.process_time() - start)
"""
    wall, cpu = [], []
    for _ in range(3):
        start = time.monotonic()
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        wall.append(time.monotonic() - start)
        assert out.returncode == 0, out.stderr
        cpu.append(float(out.stdout.split("SECONDS")[1]))
    print(f"{verb}: {min(wall):.3f} s in all, {min(cpu):.3f} s of the processor")
    assert min(cpu) < 0.3  # the processor's time: others may be busy on this machine


def test_the_size_of_the_weights_does_not_matter(tmp_path: Path) -> None:
    """A terabyte of holes, headers only."""
    header = _files.make_header([("w", "F32", [250_000_000_000])])
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 1_000_000_000_000)
    start = time.monotonic()
    found = inspect(tmp_path)
    assert time.monotonic() - start < 0.5
    assert found.parameters == 250_000_000_000
    assert "1 TB" in str(found)


def test_no_config(tmp_path: Path) -> None:
    found = inspect(folder(tmp_path))
    assert not found.supported
    assert found.problem is not None
    assert "no config.json" in found.problem
    assert found.tied is None


def test_unknown_family_lists_the_known_ones(tmp_path: Path) -> None:
    found = inspect(folder(tmp_path, {"architectures": ["LLamaForCausalLM"], "model_type": "x"}))
    assert not found.supported
    assert found.problem is not None
    for name in _files.families():
        assert name in found.problem


def test_quantised_is_named(tmp_path: Path) -> None:
    config = LLAMA | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    found = inspect(folder(tmp_path, config))
    assert found.quantisation == "gptq, 4 bits"
    assert found.problem is not None
    assert "gptq" in found.problem


def test_missing_tensors_are_named(tmp_path: Path) -> None:
    found = inspect(folder(tmp_path, LLAMA))
    assert found.sizes["d_vocab"] == 512
    assert found.problem is not None
    assert "47 tensors are missing, such as 'model.embed_tokens.weight'" in found.problem


def test_tokenizer_and_template(tmp_path: Path) -> None:
    folder(tmp_path, LLAMA, tokenizer__json="{}", merges__txt="")
    assert inspect(tmp_path).tokenizer == ["tokenizer.json", "merges.txt"]
    assert inspect(tmp_path).chat_template is None
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    assert inspect(tmp_path).chat_template == "tokenizer_config.json"
    (tmp_path / "chat_template.jinja").write_text("x")
    assert inspect(tmp_path).chat_template == "chat_template.jinja"
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json"):
        inspect(tmp_path)


def test_unused_weights_and_8_bit_types(tmp_path: Path) -> None:
    tensors = {"w": torch.zeros(4, dtype=torch.float8_e4m3fn), "s": torch.ones(1)}
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "consolidated.safetensors").write_bytes(b"")
    found = inspect(tmp_path)
    assert found.unused_weights == ["consolidated.safetensors"]
    assert found.quantisation == "stored as F8_E4M3"
    assert "F32 (1), F8_E4M3 (4)" in str(found)


def test_check_finds_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = {"w": torch.tensor([1.0, float("nan")])}
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    assert main(["inspect", str(tmp_path), "--check"]) == 1
    assert "w: 1 NaN, 0 infinite" in capsys.readouterr().out


def test_lenient_is_named_when_it_was_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path)
    with (tmp_path / "model.safetensors").open("ab") as file:
        file.write(b"xxxx")
    assert main(["inspect", str(tmp_path)]) == 2
    assert "4 bytes after the last tensor" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path), "--lenient"]) == 0
    assert "needed: 4 bytes after the last tensor" in capsys.readouterr().out


def bad_inputs(path: Path) -> dict[str, tuple[str, str]]:
    folder(path)
    good = (path / "model.safetensors").read_bytes()
    for name in ("empty", "pickle", "truncated", "dtype"):
        (path / name).mkdir()
    (path / "pickle" / "pytorch_model.bin").write_bytes(b"")
    (path / "truncated" / "model.safetensors").write_bytes(good[:-1])
    (path / "dtype" / "model.safetensors").write_bytes(good.replace(b"BF16", b"BF61"))
    return {
        "absent": (str(path / "absent"), "there is no such folder or file"),
        "empty": (str(path / "empty"), "no .safetensors file"),
        "pickle": (str(path / "pickle"), "never opened here; convert them"),
        "truncated": (str(path / "truncated"), "truncated: the data end at byte"),
        "dtype": (str(path / "dtype"), "unknown dtype 'BF61'; did you mean 'BF16'?"),
    }


def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, message in bad_inputs(tmp_path).values():
        assert main(["inspect", path]) == 2
        streams = capsys.readouterr()
        assert streams.out == ""
        assert streams.err.count("\n") == 1
        assert message in streams.err


def test_names_cannot_write_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    safetensors.torch.save_file({"\x1b[31mred\n": torch.ones(1)}, tmp_path / "model.safetensors")
    assert main(["inspect", str(tmp_path), "--tensors"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["llama", "llama-grouped", "gpt2", "gpt2-untied"])
def test_every_family_is_known(name: str, tiny: Callable[..., Path]) -> None:
    found = inspect(tiny(name))
    assert found.supported, found.problem
    assert found.tied is (name in ("llama-grouped", "gpt2"))


def test_bytes_as_people_write_them() -> None:
    assert [human_bytes(n) for n in (0, 999, 1000, 1_310_000, 10**12)] == [
        "0 bytes", "999 bytes", "1 kB", "1.31 MB", "1 TB",
    ]  # fmt: skip
