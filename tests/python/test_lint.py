"""The lints find what they are there to find."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

LINT = Path(__file__).resolve().parents[1] / "lint"


def lint(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LINT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def layers() -> ModuleType:
    return lint("layers")


@pytest.mark.parametrize(
    ("folder", "name", "text", "expected"),
    [
        ("io", "a.cpp", '#include "spec/spec.h"', 'includes "spec/spec.h": io may include base'),
        ("base", "a.cpp", '#include "io/json.h"', "base may include nothing"),
        (
            "edits",
            "a.cpp",
            '#include "stats/moments.h"',
            "edits may include base, io, model, nn, spec",
        ),
        ("nn", "a.cpp", '#include "linear.h"', "paths start at csrc"),
        ("io", "a.cpp", "#include <c10/util/Half.h>", "this layer is torch-free"),
        ("bindings", "bindings/files/a.cpp", "#include <ATen/ATen.h>", "this layer is torch-free"),
        ("model", "a.cpp", "#include <torch/torch.h>", "banned"),
        ("model", "a.h", "#pragma once\n#include <ATen/ATen.h>", "<ATen/core/Tensor.h> is enough"),
        ("model", "a.cpp", "#include <pybind11/pybind11.h>", "only bindings may"),
        ("merge", "a.cpp", "#include <nlohmann/json.hpp>", "only io may"),
        ("io", "a.h", "#pragma once\n# include <nlohmann/json.hpp>", "only in .cpp files"),
        ("stats", "a.cpp", "#include <Eigen/Dense>", "only directions, edits, merge may"),
        ("io", "a.h", "int f();", "has no #pragma once"),
    ],
)
def test_breaches_in_cpp(
    layers: ModuleType, tmp_path: Path, folder: str, name: str, text: str, expected: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    [breach] = layers.cpp_breaches(path, folder)
    assert expected in breach


def test_what_is_allowed_in_cpp(layers: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.cpp"
    path.write_text('#include "model/model.h"\n#include "io/json.h"\n#include <ATen/ATen.h>\n')
    assert not list(layers.cpp_breaches(path, "edits"))


@pytest.mark.parametrize(
    ("module", "text", "breaches"),
    [
        ("checkpoints/checkpoint.py", "import torch", 1),
        (
            "checkpoints/checkpoint.py",
            "try:\n    from torch import nn\nexcept ImportError:\n    pass",
            2,
        ),
        (
            "checkpoints/checkpoint.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch",
            0,
        ),
        ("checkpoints/checkpoint.py", "def f():\n    import torch", 0),
        ("model.py", "import torch", 0),
        ("model.py", "import transformers", 1),
        ("model.py", "from lenswright._core import Model", 1),
        ("model.py", "from lenswright import _core", 0),
    ],
)
def test_breaches_in_python(
    layers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    module: str, text: str, breaches: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(layers, "ROOT", tmp_path)
    path = tmp_path / "python/lenswright" / module
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert len(list(layers.python_breaches(path))) == breaches


def test_this_tree_has_none(layers: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert layers.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("struct Part {\n};", "class Part final : public Base {\n};", True),
        ("enum class Part { a };", "struct Part {\n};", True),
        ("struct Part {\n};", "struct Part;", False),
        ("struct Part {\n};", "namespace {\nstruct Part {\n};\n}  // namespace", False),
        ("struct Part {\n};", "namespace merge {\nstruct Part {\n};\n}  // namespace merge", False),
        ("struct Part {\n};", "namespace {\n}  // namespace\nstruct Part {\n};", True),
    ],
)
def test_two_types_of_one_name(tmp_path: Path, one: str, other: str, found: bool) -> None:
    nouns = lint("nouns")
    (tmp_path / "csrc").mkdir()
    for name, text in (("a.h", one), ("b.cpp", other)):
        whole = f"namespace lenswright {{\n{text}\n}}  // namespace lenswright\n"
        (tmp_path / "csrc" / name).write_text(whole)
    expected = ["lenswright::Part: csrc/a.h, csrc/b.cpp"] if found else []
    assert nouns.breaches(tmp_path) == expected


def test_no_two_types_of_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint("nouns").main() == 0, capsys.readouterr().out
