"""Models in other orders: what was shuffled is found, and the function stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from scipy.optimize import linear_sum_assignment

import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.merging.alignment.matching import best_order

TOKENS = torch.randint(3, 97, (2, 13), generator=torch.Generator().manual_seed(3))
BASE: dict[str, Any] = {
    "hidden_size": 48, "num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 10,
    "intermediate_size": 37, "num_hidden_layers": 3, "vocab_size": 97, "tie_word_embeddings": False,
}  # fmt: skip
KINDS = {
    "llama": ("LlamaConfig", BASE | {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", BASE | {"num_key_value_heads": 6}),
    "qwen2": ("Qwen2Config", BASE | {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", BASE),
}


@pytest.fixture(scope="module", params=KINDS)
def model(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, settings = KINDS[request.param]
    torch.manual_seed(0)
    made = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**settings))
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in made.parameters():
            noise = torch.randn(value.shape, generator=chance)
            value.copy_(1 + 0.3 * noise if value.ndim == 1 else noise / value.shape[-1] ** 0.5)
    folder = tmp_path_factory.mktemp(request.param)
    made.save_pretrained(folder)
    return folder


def shuffled(folder: Path, out: Path, parts: Sequence[str], noise: float = 0.0) -> Path:
    """A copy with its units in another order, written out module by module."""
    config = json.loads((folder / "config.json").read_text())
    chance = torch.Generator().manual_seed(5)
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    width, inner, d = config.get("head_dim", 8), config["intermediate_size"], config["hidden_size"]
    tensors = models.load(folder)

    def order(n: int, part: str) -> torch.Tensor:
        return torch.randperm(n, generator=chance) if part in parts else torch.arange(n)

    stream = order(d, "residual")
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        mlp, key = order(inner, "mlp"), order(groups, "heads")
        each = heads // groups
        query = torch.cat([g * each + order(each, "heads") for g in key])
        rows = {
            "mlp.gate_proj": mlp, "mlp.up_proj": mlp,
            "self_attn.q_proj": (query[:, None] * width + torch.arange(width)).flatten(),
            "self_attn.k_proj": (key[:, None] * width + torch.arange(width)).flatten(),
        }  # fmt: skip
        rows["self_attn.v_proj"] = rows["self_attn.k_proj"]
        columns = {"mlp.down_proj": mlp, "self_attn.o_proj": rows["self_attn.q_proj"]}
        for name, places in rows.items():
            tensors[f"{at}{name}.weight"] = tensors[f"{at}{name}.weight"][places][:, stream]
            if f"{at}{name}.bias" in tensors:
                tensors[f"{at}{name}.bias"] = tensors[f"{at}{name}.bias"][places]
        for name, places in columns.items():
            tensors[f"{at}{name}.weight"] = tensors[f"{at}{name}.weight"][stream][:, places]
            if f"{at}{name}.bias" in tensors:
                tensors[f"{at}{name}.bias"] = tensors[f"{at}{name}.bias"][stream]
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{name}.weight"] = tensors[f"{at}{name}.weight"][stream]
    tensors["model.norm.weight"] = tensors["model.norm.weight"][stream]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in tensors:
            tensors[name] = tensors[name][:, stream]
    for name, value in tensors.items():
        extra = torch.randn(value.shape, generator=chance)
        tensors[name] = (value + noise * value.std() * extra).contiguous()
    return models.save(out, tensors, config)


def test_assignment_against_scipy() -> None:
    chance = np.random.default_rng(0)
    for n in (1, 2, 7, 60, 211):
        for costs in (chance.normal(size=(n, n)), chance.integers(0, 5, (n, n)).astype(float)):
            got = best_order(torch.tensor(costs))
            rows, columns = linear_sum_assignment(-costs)
            assert sorted(got.tolist()) == list(range(n))
            assert costs[np.arange(n), got.numpy()].sum() == pytest.approx(
                costs[rows, columns].sum()
            )


@pytest.mark.parametrize("parts", [("mlp",), ("heads",), ("residual",),
                                   ("mlp", "heads", "residual")])  # fmt: skip
def test_what_was_shuffled_is_found(model: Path, parts: tuple[str, ...], tmp_path: Path) -> None:
    other = shuffled(model, tmp_path / "other", parts)
    done = lw.align(other, model, tmp_path / "out", parts)
    assert done.before > 0.1
    assert done.after == 0
    got, want = models.load(tmp_path / "out"), models.load(model)
    assert all(torch.equal(got[name], want[name]) for name in want)
    assert set(done.moved) == set(parts)
    assert all(share > 0.3 for share in done.moved.values())


def test_the_function_stays(model: Path, tmp_path: Path) -> None:
    """Noise over the shuffled copy: it is found all the same, and computes what it computed."""
    other = shuffled(model, tmp_path / "other", ("mlp", "heads", "residual"), 0.05)
    done = lw.align(other, model, tmp_path / "out")
    assert done.after < 0.06
    want = lw.load(other, dtype="float64")(TOKENS)
    got = lw.load(tmp_path / "out", dtype="float64")(TOKENS)
    assert (got - want).abs().max() <= 1e-12 * want.abs().max()


def test_merged_after_aligning(model: Path, tmp_path: Path) -> None:
    """The mean with a shuffled copy of itself is another model; with the aligned one it is it."""
    other = shuffled(model, tmp_path / "other", ("mlp", "heads", "residual"))
    lw.align(other, model, tmp_path / "aligned")
    want = lw.load(model, dtype="float64")(TOKENS)
    apart = {}
    for name in ("other", "aligned"):
        entries = [{"model": str(f), "parameters": {"weight": 1}} for f in (model, tmp_path / name)]
        lw.merge({"merge_method": "linear", "models": entries}, tmp_path / f"mean-{name}")
        got = lw.load(tmp_path / f"mean-{name}", dtype="float64")(TOKENS)
        apart[name] = float((got - want).abs().max() / want.abs().max())
    assert apart["aligned"] < 1e-12 < 0.1 < apart["other"]


def test_refused(model: Path, tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'heads'"):
        lw.align(model, model, tmp_path / "out", ["head"])
    with pytest.raises(ValueError, match="parts is empty"):
        lw.align(model, model, tmp_path / "out", [])
    with pytest.raises(ValueError, match=r"of family|has no tensor|is \["):
        lw.align(model, tiny("llama"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_verb(model: Path, tmp_path: Path, capsys: Any) -> None:
    other = shuffled(model, tmp_path / "other", ("mlp",))
    code = main(["align", str(other), str(model), str(tmp_path / "out"), "--parts", "mlp",
                 "--json"])  # fmt: skip
    assert code == 0
    assert json.loads(capsys.readouterr().out)["after"] == 0
