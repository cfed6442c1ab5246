"""`lenswright ablate` with an edit or a direction that is given: written, not measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import embedded
import lenswright as lw
from ablating import Said
from editing import direction, file_hashes, stored_as

Tiny = Callable[..., Path]


def test_a_vector_is_taken_out(tiny: Tiny, tmp_path: Path, said: Said) -> None:
    source = stored_as(tiny("llama"), tmp_path / "in", "float32")
    model = lw.load(source)
    v = direction(model)
    save_file({"v": v}, tmp_path / "v.safetensors")
    code, told = said(source, "--direction", tmp_path / "v.safetensors", "--writers", "mlp",
                      "--strength", "0.5", "--out", tmp_path / "out", "--journal",
                      "--save-edit", tmp_path / "e.safetensors")  # fmt: skip
    assert code == 0
    assert "3 tensors edited" in told.out
    edit = lw.edits.ablate(model, v, writers="mlp", strength=0.5)
    edit.commit(source, tmp_path / "by hand", progress=False, journal=True)
    assert file_hashes(tmp_path / "out") == file_hashes(tmp_path / "by hand")
    # The saved edit leads to the same folder.
    code, _ = said(source, "--edit", tmp_path / "e.safetensors", "--out", tmp_path / "again",
                   "--journal")  # fmt: skip
    assert code == 0
    assert file_hashes(tmp_path / "again") == file_hashes(tmp_path / "out")
    code, told = said(source, "--edit", tmp_path / "e.safetensors", "--in-place", "--dry-run")
    assert code == 0
    assert "writers  3" in told.out


def test_found_directions_are_taken_out(tmp_path: Path, said: Said) -> None:
    model = embedded.model()
    stats = model.collect(embedded.splits(8, 4, 4).fit, positions="last",
                          points="blocks.2.hook_resid_pre", progress=False)  # fmt: skip
    found = lw.directions.difference_of_means(stats)
    found.save(tmp_path / "found.safetensors")
    code, _ = said(embedded.MODEL, "--direction", tmp_path / "found.safetensors", "--out",
                   tmp_path / "out")  # fmt: skip
    assert code == 0
    step = json.loads((tmp_path / "out" / "lenswright.json").read_text())["steps"][0]
    assert step["provenance"]["direction"]["point"] == "blocks.2.hook_resid_pre"
    assert step["provenance"]["direction"]["fit"]["sha256"] == embedded.splits(8, 4, 4).fit.sha256


def test_one_of_several_directions(tmp_path: Path, said: Said) -> None:
    stats = embedded.model().collect(embedded.splits(8, 4, 4).fit, progress=False)
    found = lw.directions.difference_of_means(stats)
    found.save(tmp_path / "found.safetensors")
    call = (embedded.MODEL, "--direction", tmp_path / "found.safetensors", "--out")
    code, told = said(*call, tmp_path / "out")
    assert code == 2
    assert "--at POINT POSITION" in told.err
    assert said(*call, tmp_path / "out", "--at", "blocks.2.hook_resid_pre", "-1")[0] == 0
    edit = lw.edits.ablate(embedded.model(), found.only("blocks.2.hook_resid_pre", -1))
    edit.commit(embedded.MODEL, tmp_path / "by hand", progress=False)
    assert file_hashes(tmp_path / "out") == file_hashes(tmp_path / "by hand")
    code, told = said(*call, tmp_path / "no", "--at", "blocks.9.hook_resid_pre", "-1")
    assert code == 2
    assert "blocks.9.hook_resid_pre" in told.err


def test_of_an_unknown_family_tensors_are_edited_by_name(tmp_path: Path, said: Said) -> None:
    source = tmp_path / "in"
    source.mkdir()
    torch.manual_seed(0)
    tensors = {f"h.{i}.mix.o_proj.weight": torch.randn(40, 30).bfloat16() for i in range(3)}
    save_file(tensors | {"h.0.norm": torch.ones(40)}, source / "model.safetensors")
    config = {"model_type": "nobody-knows", "architectures": ["NobodyKnowsForCausalLM"]}
    (source / "config.json").write_text(json.dumps(config))
    v = torch.randn(40, dtype=torch.float64)
    torch.save(v, tmp_path / "v.pt")
    call = (source, "--direction", tmp_path / "v.pt", "--out", tmp_path / "out")
    code, told = said(*call, "--writers", "*.o_proj.weight")
    assert code == 0
    assert "nothing could be tried or measured: the architecture is unknown" in told.err
    after = load_file(tmp_path / "out" / "model.safetensors")
    for name, before in tensors.items():
        left = v @ after[name].double() / v.norm() / before.double().norm()
        assert float(left.norm()) < 5e-4
    assert torch.equal(after["h.0.norm"], torch.ones(40))
    record = json.loads((tmp_path / "out" / "lenswright.json").read_text())["steps"][0]
    assert record["provenance"]["remarks"]
    for more in (("--writers", "*.nothing"), ("--writers", "*.o_proj.weight", "--method",
                                              "row_norm"), ()):  # fmt: skip
        code, told = said(*call[:-1], tmp_path / "other", *more)
        assert code == 2
        assert "NobodyKnowsForCausalLM" in told.err
        assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("more", "message"), [
    (["--out", "x"], "given: none"),
    (["--direction", "v", "--edit", "e", "--out", "x"], "given: --direction and --edit"),
    (["--direction", "v", "--positive", "p", "--negative", "n"], "--direction and --positive"),
    (["--positive", "p", "--out", "x"], "--positive and --negative go together"),
    (["--edit", "e.safetensors"], "there is nothing to do"),
    (["--edit", "missing.safetensors", "--out", "x"], "missing.safetensors"),
    (["--direction", "missing.pt", "--out", "x"], "missing.pt"),
    (["--direction", "v.pt", "--method", "condition", "--out", "x"], "needs --positive"),
    (["--edit", "e", "--strength", "2", "--out", "x"], "--edit is made"),
    (["--direction", "v.pt", "--dry-run", "--save-edit", "e"], "--dry-run tells of writing"),
])  # fmt: skip
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch, more: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told = said(embedded.MODEL, *more)
    assert code == 2
    assert message in told.err
    assert len(told.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
