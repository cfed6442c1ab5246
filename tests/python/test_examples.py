"""The C++ examples build against an installed Lenswright and run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / sys.implementation.cache_tag

pytestmark = pytest.mark.skipif(
    not (BUILD / "CMakeCache.txt").exists(), reason="Lenswright was not built in this checkout"
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built examples; what they link to lies in a prefix of its own."""
    prefix = tmp_path_factory.mktemp("prefix")
    build = tmp_path_factory.mktemp("examples")
    for command in (
        ["cmake", "--install", BUILD, "--prefix", prefix],
        [
            "cmake",
            "-S",
            ROOT / "examples",
            "-B",
            build,
            f"-DCMAKE_PREFIX_PATH={prefix}",
            "-G",
            "Ninja",
        ],
        ["cmake", "--build", build],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert not list(prefix.glob("*.so")), "a C++ installation has nothing of the Python package"
    return build


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    tensors = {"a.weight": np.ones((3, 2), np.float32), "b": np.zeros(5, np.float16)}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return tmp_path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, text=True, capture_output=True, check=False)


def test_list_tensors(programs: Path, checkpoint: Path) -> None:
    done = run(programs / "list_tensors", checkpoint)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["a.weight F32 [3, 2]", "b F16 [5]"]


def test_list_tensors_says_what_is_wrong(programs: Path, checkpoint: Path) -> None:
    with (checkpoint / "model.safetensors").open("r+b") as file:
        file.truncate(20)
    done = run(programs / "list_tensors", checkpoint)
    assert done.returncode == 2
    assert "model.safetensors" in done.stderr


def test_list_tensors_needs_no_torch(programs: Path) -> None:
    if shutil.which("ldd") is None:
        pytest.skip("no ldd here")
    assert "torch" not in run("ldd", programs / "list_tensors").stdout


def test_next_token(programs: Path, tiny: Callable[..., Path]) -> None:
    import torch
    import transformers

    folder, ids = tiny("gpt2"), [5, 17, 96, 3]
    done = run(programs / "next_token", folder, *map(str, ids))
    assert done.returncode == 0, done.stderr
    norm, following = (line.split()[1] for line in done.stdout.splitlines())
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    states: list[torch.Tensor] = []
    model.transformer.h[-1].register_forward_hook(
        lambda module, inputs, output: states.append(
            output[0] if isinstance(output, tuple) else output
        )
    )
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits
    assert int(following) == int(logits[0, -1].argmax())
    assert float(norm) == pytest.approx(float(states[0][..., -1, :].norm()), rel=1e-4)
