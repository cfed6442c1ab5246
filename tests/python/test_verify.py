"""The verb that holds a checkpoint's numbers against transformers, and its comparison."""

from __future__ import annotations

import json

import pytest
import torch

from conftest import CONFIGS
from lenswright.cli import main
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error, verify


def test_relative_error():
    a = torch.tensor([1.0, 2.0, -torch.inf])
    assert relative_error(a, a) == 0
    assert relative_error(torch.tensor([1.0, 2.5, -torch.inf]), a) == 0.25
    assert relative_error(torch.tensor([1.0, 2.0, 0.0]), a) == float("inf")
    assert relative_error(torch.tensor([torch.nan, 2.0, -torch.inf]), a) == float("inf")
    assert relative_error(torch.ones(2), torch.zeros(2)) == float("inf")
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    with pytest.raises(ValueError, match=r"\[2\].*\[3\]"):
        relative_error(torch.ones(2), torch.ones(3))


@pytest.mark.parametrize("name", CONFIGS)
def test_everything_agrees(tiny, name):
    for dtype in ("float64", "float32"):
        found = verify(tiny(name), dtype=dtype, expanded=True)
        assert found.ok, str(found)
        assert set(found.errors) == {*Reference(tiny(name)).names(), "logits"}


def test_a_difference_is_found_where_it_begins(tiny, monkeypatch):
    load = Reference.__init__

    def spoilt(self, *args, **kwargs):
        load(self, *args, **kwargs)
        self.model.get_submodule("model.layers.1.mlp.down_proj").weight.data[0, 0] += 0.1

    monkeypatch.setattr(Reference, "__init__", spoilt)
    found = verify(tiny("llama"))
    assert not found.ok
    beyond = [name for name, error in found.errors.items() if error > found.tolerance]
    assert beyond[0] == found.first == "blocks.1.mlp.hook_out"
    assert "first that differs in a run: blocks.1.mlp.hook_out" in str(found)
    assert "DIFFERS" in str(found)
    assert "logits" in beyond


def test_points_that_one_side_lacks_are_a_difference(tiny, monkeypatch):
    names = Reference.names
    monkeypatch.setattr(
        Reference, "names", lambda self: [n for n in names(self) if n != "hook_embed"]
    )
    found = verify(tiny("llama"))
    assert found.only_here == ["hook_embed"]
    assert not found.ok
    assert "hook_embed" in str(found)


def test_arguments_are_checked(tiny):
    for wrong in ({"dtype": "int8"}, {"rows": -1}, {"length": 0}, {"rows": 0}, {"points": ["x"]}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            verify(tiny("llama"), **wrong)


AGAINST = ["--against", "transformers"]


def test_command(tiny, capsys):
    assert main(["verify", str(tiny("llama")), *AGAINST]) == 0
    assert "agrees with transformers" in capsys.readouterr().out
    assert main(["verify", str(tiny("gpt2")), *AGAINST, "--points", "blocks.1.*", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert "blocks.1.hook_resid_mid" in found["errors"]
    assert "blocks.0.hook_resid_mid" not in found["errors"]
    assert main(["verify", str(tiny("gpt2")), *AGAINST, "--tolerance", "0"]) == 1
    capsys.readouterr()


def test_command_names_what_is_wrong(tiny, tmp_path, capsys):
    for arguments, word in (
        ([str(tmp_path / "nowhere")], "nowhere"),
        ([str(tiny("llama")), *AGAINST, "--dtype", "float33"], "float33"),
        ([str(tiny("llama")), "--dtype", "float33"], "float33"),
        ([str(tiny("llama")), *AGAINST, "--points", "blocks.9.*"], "blocks.9."),
        ([str(tiny("llama")), "--points", "blocks.1.*"], "add --against transformers"),
        ([str(tiny("llama")), *AGAINST, "--text", "a.txt"], "--text"),
        ([str(tiny("llama")), "--rowz", "3"], "--rows"),
    ):
        assert main(["verify", *arguments]) == 2
        error = capsys.readouterr().err
        assert word in error
        assert len(error.strip().splitlines()) == 1


def test_prompts(data, capsys):
    folder = data / "TinyStories-656K"
    call = ["verify", str(folder), *AGAINST, "--prompt", "Once upon a time", "--rows", "0"]
    assert main(call) == 0
    assert "6 tokens" in capsys.readouterr().out
