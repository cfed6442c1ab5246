"""Gates of mixtures against a float64 rewrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

import lenswright as lw
import merging_models as models
from dense_models import PROMPTS, recipe_of
from lenswright.demo import folder as demo_folder
from lenswright.verifying.lifted import lifted

DEMO = Path(demo_folder.__file__).parent / "model"


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demonstration model and three that are near it."""
    out = [DEMO]
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        tensors = {
            name: value + 0.02 * value.std() * torch.randn(value.shape, generator=generator)
            if value.ndim > 1
            else value
            for name, value in models.load(DEMO).items()
        }
        folder = tmp_path_factory.mktemp("near") / str(seed)
        config = json.loads((DEMO / "config.json").read_text())
        models.save(folder, tensors, config)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            (folder / name).write_bytes((DEMO / name).read_bytes())
        out.append(folder)
    return out


def reference_states(folder: Path, prompt: str) -> torch.Tensor:
    """What stands before each layer, by transformers in float64 [layers, pos, d_model]."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager"
    )
    tokens = lw.load(folder).to_tokens(prompt)
    with torch.no_grad(), lifted():
        states = model.eval()(tokens, output_hidden_states=True).hidden_states
    return torch.stack(states[:-1])[:, 0]


def reference_row(folder: Path, mode: str, prompt: str) -> torch.Tensor:
    if mode == "cheap_embed":
        tokens = lw.load(folder).to_tokens(prompt)[0]
        table = models.load(folder)["model.embed_tokens.weight"].double()
        return table[tokens].sum(0).expand(4, -1)
    states = reference_states(folder, prompt)
    return states.mean(1) if mode == "hidden_avg" else states[:, -1]


@pytest.mark.parametrize("mode", ["hidden", "hidden_avg", "cheap_embed"])
def test_gates_of_prompts(mode: str, four: list[Path], tmp_path: Path) -> None:
    recipe = recipe_of(four, mode, dtype="float64")
    done = lw.mixture_of_experts(recipe, tmp_path / "out", progress=False)
    out = models.load(tmp_path / "out")
    worst = 0.0
    for index, expert in enumerate(recipe["experts"]):
        sides = [
            torch.stack([reference_row(DEMO, mode, p) for p in expert[key]]).mean(0)
            for key in ("positive_prompts", "negative_prompts")
        ]
        want = sides[0] - sides[1]
        want = want / want.norm(dim=-1, keepdim=True)
        for layer in range(4):
            got = out[f"model.layers.{layer}.block_sparse_moe.gate.weight"][index]
            worst = max(worst, float((got - want[layer]).abs().max() / want[layer].abs().max()))
    assert worst <= 1e-12
    assert len(done.conditions) == 4


def test_a_mixture_of_four_demonstration_models_generates(four: list[Path], tmp_path: Path) -> None:
    lw.mixture_of_experts(recipe_of(four, "hidden"), tmp_path / "out", progress=False)
    model = lw.load(tmp_path / "out")
    assert model.spec["family"] == "mixtral"
    logits, cache = model.run_with_cache(PROMPTS[0])
    assert torch.isfinite(logits).all()
    chosen = cache["blocks.1.mlp.hook_expert_indices"]
    assert chosen.shape[-1] == 2
    tokens = model.to_tokens(PROMPTS[0])
    new = model.generate(tokens, max_new_tokens=12, stop_at_eos=False)
    reference = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    reference.generation_config.eos_token_id = None
    want = reference.generate(tokens, max_new_tokens=12, do_sample=False, pad_token_id=0)
    assert torch.equal(new, want)
