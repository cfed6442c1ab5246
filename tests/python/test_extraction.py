"""Adapters extracted from tuned models: the best factors by NumPy, logits by peft."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.verifying.lifted import lifted

TOKENS = torch.randint(3, 97, (2, 13), generator=torch.Generator().manual_seed(3))
Change = Callable[[str, torch.Tensor, torch.Generator], torch.Tensor]


def tuned(base: Path, folder: Path, change: Change, seed: int = 0) -> Path:
    """A copy of a checkpoint whose tensors were changed."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: change(name, value.double(), generator).to(value.dtype)
        for name, value in models.load(base).items()
    }
    models.save(folder, tensors, json.loads((base / "config.json").read_text()))
    return folder


def thin(name: str, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Of rank three, of linear modules only."""
    if value.ndim < 2 or "embed" in name or "wte" in name or "wpe" in name:
        return value
    a = torch.randn(value.shape[0], 3, generator=generator, dtype=torch.float64)
    b = torch.randn(3, value.shape[1], generator=generator, dtype=torch.float64)
    return value + 0.02 * a @ b


def full(name: str, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Everything, by decaying singular values."""
    noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
    if value.ndim < 2:
        return value + 0.05 * noise
    u, s, vt = torch.linalg.svd(noise, full_matrices=False)
    decay = 0.8 ** torch.arange(len(s), dtype=torch.float64)
    return value + 0.1 * (u * (s * decay)) @ vt


def linear_only(change: Change) -> Change:
    def only(name: str, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        changed = change(name, value, generator)
        return value if value.ndim < 2 or "embed" in name else changed

    return only


def by_peft(base: Path, adapter: Path) -> torch.Tensor:
    reference = transformers.AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float64, attn_implementation="eager"
    )
    adapted = peft.PeftModel.from_pretrained(reference, adapter).double().eval()
    with torch.no_grad(), lifted():
        return adapted(TOKENS).logits


@pytest.mark.parametrize("kind", ["llama", "llama-grouped", "gpt2"])
@pytest.mark.parametrize("method", ["exact", "randomised"])
def test_a_thin_change_comes_back(
    kind: str, method: str, tiny: Callable[..., Path], tmp_path: Path
) -> None:
    base = tiny(kind)
    other = tuned(base, tmp_path / "tuned", thin)
    done = lw.extract_adapter(base, other, tmp_path / "lora", 8, method=method)
    assert set(done.ranks.values()) <= {3, 4, 5, 6, 7, 8}  # stored in float32: a tail of rounding
    assert done.error < 1e-5
    want = lw.load(other, dtype="float64")(TOKENS)
    got = by_peft(base, tmp_path / "lora")
    assert (got - want).abs().max() <= 1e-5 * want.abs().max()
    recipe = {"merge_method": "passthrough", "models": [{"model": f"{base}+{tmp_path}/lora"}]}
    lw.merge(recipe, tmp_path / "merged")
    again = lw.load(tmp_path / "merged", dtype="float64")(TOKENS)
    assert (again - want).abs().max() <= 1e-5 * want.abs().max()


def test_errors_are_the_least_there_are(tiny: Callable[..., Path], tmp_path: Path) -> None:
    """Exact: Eckart and Young's to rounding. Randomised: within one part in a hundred of it."""
    base = tiny("llama")
    other = tuned(base, tmp_path / "tuned", linear_only(full))
    a, b = models.load(base), models.load(other)
    for method, slack in (("exact", 1e-6), ("randomised", 1e-2)):
        done = lw.extract_adapter(base, other, tmp_path / method, 5, method=method)
        missing = total = 0.0
        for module, error in done.errors.items():
            change = (b[f"{module}.weight"].double() - a[f"{module}.weight"].double()).numpy()
            values = np.linalg.svd(change, compute_uv=False)
            want = np.sqrt((values[5:] ** 2).sum() / (values**2).sum())
            assert want * (1 - 1e-6) <= error <= want * (1 + slack), module
            missing, total = missing + (values[5:] ** 2).sum(), total + (values**2).sum()
        assert done.error == pytest.approx(np.sqrt(missing / total), rel=max(slack, 1e-6))
        stored = models.load(tmp_path / method)
        for module, error in done.errors.items():  # what is stated is of what is stored
            name = f"base_model.model.{module}"
            left, right = (stored[f"{name}.lora_{x}.weight"].double() for x in "BA")
            change = b[f"{module}.weight"].double() - a[f"{module}.weight"].double()
            assert float((change - left @ right).norm() / change.norm()) == pytest.approx(error)


@pytest.mark.parametrize("kind", ["llama", "llama-grouped"])
def test_norms_embeddings_and_biases_are_saved_whole(
    kind: str, tiny: Callable[..., Path], tmp_path: Path
) -> None:
    """llama-grouped: biases, and embeddings that are the unembedding, too."""
    base = tiny(kind)
    other = tuned(base, tmp_path / "tuned", full)
    done = lw.extract_adapter(base, other, tmp_path / "lora", 64, method="exact")
    assert "model.norm" in done.saved
    assert "model.embed_tokens" in done.saved
    want = lw.load(other, dtype="float64")(TOKENS)
    got = by_peft(base, tmp_path / "lora")
    assert (got - want).abs().max() <= 1e-5 * want.abs().max()


def test_what_is_asked_for_of_others(tiny: Callable[..., Path], tmp_path: Path) -> None:
    base = tiny("llama")
    other = tuned(base, tmp_path / "tuned", full)
    with pytest.raises(ValueError, match="no product of thin factors; expected others='save'"):
        lw.extract_adapter(base, other, tmp_path / "lora", others="refuse")
    assert not (tmp_path / "lora").exists()
    done = lw.extract_adapter(base, other, tmp_path / "lora", others="leave")
    assert "model.norm.weight" in done.left
    assert not done.saved


def test_refused(tiny: Callable[..., Path], tmp_path: Path) -> None:
    base = tiny("llama")
    with pytest.raises(ValueError, match="does not differ"):
        lw.extract_adapter(base, base, tmp_path / "lora")
    with pytest.raises(ValueError, match="expected at least 1"):
        lw.extract_adapter(base, base, tmp_path / "lora", 0)
    with pytest.raises(ValueError, match="'exact' or 'randomised'"):
        lw.extract_adapter(base, base, tmp_path / "lora", method="svd")
    with pytest.raises(ValueError, match="has no tensor"):
        lw.extract_adapter(base, tiny("gpt2"), tmp_path / "lora")
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError):
        lw.extract_adapter(base, base, tmp_path / "there")


def test_verb(tiny: Callable[..., Path], tmp_path: Path, capsys: Any) -> None:
    base = tiny("llama")
    other = tuned(base, tmp_path / "tuned", thin)
    code = main(["extract", str(base), str(other), str(tmp_path / "lora"), "-r", "4", "--json"])
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rank"] == 4
    assert told["error"] < 1e-3
