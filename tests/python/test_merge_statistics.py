"""What is measured of models for merges: against transformers' own gradients and inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import lenswright as lw
import merging_models as models
from lenswright.verifying.lifted import lifted

ROWS = [[3, 70, 40, 66, 12], [9, 8, 7], [5, 5, 90, 31, 2, 60, 17]]
FAMILIES = ["qwen2", "qwen3", "gemma", "phi", "phi3", "starcoder2"]


def reference_of(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager"
    ).eval()


def test_fisher_information(tiny: Any, tmp_path: Path) -> None:
    folder = tiny("llama-grouped")
    path = lw.merge_statistics(
        lw.load(folder, dtype="float64"), ROWS, tmp_path / "s.safetensors", ["fisher"]
    )
    got = models.load(path.parent)
    reference = reference_of(folder)
    sums: dict[str, torch.Tensor] = {}
    for row in ROWS:
        reference.zero_grad()
        with lifted():
            known = reference(torch.tensor([row])).logits[0].log_softmax(-1)
            known[:-1].gather(1, torch.tensor(row[1:])[:, None]).sum().backward()
        for name, value in reference.named_parameters():
            sums[name] = sums.get(name, 0) + value.grad.square() / len(ROWS)
    assert {f"fisher.{name}" for name in sums} == set(got)
    for name, want in sums.items():
        value = got[f"fisher.{name}"].double()
        assert (value - want).abs().max() <= 1e-6 * want.abs().max(), name


def test_drawn_labels(tiny: Any, tmp_path: Path) -> None:
    model = lw.load(tiny("llama"), dtype="float64")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        lw.merge_statistics(
            model, ROWS, tmp_path / f"{name}.safetensors", ["fisher"], labels="model", seed=seed
        )
    a, b, c = (lw.Checkpoint(tmp_path / f"{name}.safetensors") for name in "abc")
    name = "fisher.model.layers.1.mlp.up_proj.weight"
    assert torch.equal(a[name], b[name])
    assert not torch.equal(a[name], c[name])
    assert not any(value.requires_grad for value in model.parameters().values())


def check_grams(folder: Path, out: Path) -> int:
    path = lw.merge_statistics(lw.load(folder, dtype="float64"), ROWS, out, ["gram"])
    got = lw.Checkpoint(path)
    reference = reference_of(folder)
    sums: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, args: tuple[torch.Tensor, ...]) -> None:
            x = args[0].reshape(-1, args[0].shape[-1])
            sums[name] = sums.get(name, 0) + x.t() @ x

        return hook

    for name, module in reference.named_modules():
        if isinstance(module, torch.nn.Linear) and "layers" in name:
            module.register_forward_pre_hook(keep(name))
    for row in ROWS:
        with torch.no_grad(), lifted():
            reference(torch.tensor([row]))
    assert {f"gram.{name}.weight" for name in sums} == set(got)
    for name, want in sums.items():
        value = got[f"gram.{name}.weight"].double()
        assert (value - want).abs().max() <= 1e-6 * want.abs().max(), name
    return len(sums)


@pytest.mark.parametrize("name", FAMILIES)
def test_inputs_of_matrices(name: str, family: Any, tmp_path: Path) -> None:
    assert check_grams(family(name, ""), tmp_path / "s.safetensors") >= 12


def test_inputs_behind_biased_modules(tiny: Any, tmp_path: Path) -> None:
    assert check_grams(tiny("llama-grouped"), tmp_path / "s.safetensors") == 21


def test_from_measuring_to_merging(tiny: Any, tmp_path: Path) -> None:
    """Two models that saw different inputs: RegMean answers each one's better than the mean."""
    base = models.load(tiny("llama"))
    chance = torch.Generator().manual_seed(0)
    config = lw.Checkpoint(tiny("llama")).config
    folders, files = [], []
    texts = [[[i + 3, i + 4, i + 5, i + 3] for i in range(k, k + 12)] for k in (0, 40)]
    for i in range(2):
        tensors = {
            name: value + 0.3 * value.std() * torch.randn(value.shape, generator=chance)
            if name.endswith("up_proj.weight")
            else value
            for name, value in base.items()
        }
        folders.append(models.save(tmp_path / str(i), tensors, config))
        files.append(tmp_path / f"{i}.safetensors")
        lw.merge_statistics(lw.load(folders[i]), texts[i], files[i])
    entries = [{"model": str(f), "statistics": str(s)} for f, s in zip(folders, files, strict=True)]
    lw.merge({"merge_method": "regmean", "models": entries, "parameters": {"alpha": 1.0}},
             tmp_path / "regmean")  # fmt: skip
    lw.merge({"merge_method": "fisher", "models": entries}, tmp_path / "fisher")
    lw.merge({"merge_method": "linear", "parameters": {"weight": 1},
              "models": [{"model": str(f)} for f in folders]}, tmp_path / "mean")  # fmt: skip
    name = "model.layers.0.mlp.up_proj.weight"
    losses = {}
    for kind in ("regmean", "mean", "fisher"):
        merged = models.load(tmp_path / kind)[name].double()
        losses[kind] = sum(
            float(((merged - models.load(f)[name].double()) @ gram
                   @ (merged - models.load(f)[name].double()).t()).trace())
            for f, s in zip(folders, files, strict=True)
            for gram in [lw.Checkpoint(s)[f"gram.{name}"].double()]
        )  # fmt: skip
    assert losses["regmean"] < 0.8 * losses["mean"]
    assert losses["fisher"] != losses["mean"]


def test_refused(tiny: Any, family: Any, tmp_path: Path) -> None:
    model, out = lw.load(tiny("llama")), tmp_path / "s.safetensors"
    with pytest.raises(ValueError, match="texts is empty"):
        lw.merge_statistics(model, [], out)
    with pytest.raises(ValueError, match=r"texts\[1\] has fewer than two"):
        lw.merge_statistics(model, [[1, 2], [3]], out)
    with pytest.raises(ValueError, match="expected 'fisher' or 'gram'"):
        lw.merge_statistics(model, [[1, 2]], out, ["fischer"])
    with pytest.raises(ValueError, match="expected 'data' or 'model'"):
        lw.merge_statistics(model, [[1, 2]], out, labels="x")
    with pytest.raises(ValueError, match="are not known"):
        lw.merge_statistics(lw.load(family("mixtral", "")), [[1, 2]], out, ["gram"])
    with pytest.raises(ValueError, match=r"query_key_value.weight' is not known"):
        lw.merge_statistics(lw.load(family("gpt_neox", "")), [[1, 2]], out, ["gram"])
    with pytest.raises(ValueError, match="expected the reverse"):
        lw.merge_statistics(lw.load(tiny("gpt2")), [[1, 2]], out, ["gram"])
    assert not out.exists()
