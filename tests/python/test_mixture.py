"""Mixtures of experts: layouts against transformers, gates against a float64 rewrite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.demo import folder as demo_folder
from lenswright.verifying.lifted import lifted

DEMO = Path(demo_folder.__file__).parent / "model"
SIZES: dict[str, Any] = {
    "hidden_size": 30, "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 37,
    "num_hidden_layers": 3, "vocab_size": 97, "max_position_embeddings": 64,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "kv_lora_rank": 14, "q_lora_rank": 18, "qk_rope_head_dim": 6, "qk_nope_head_dim": 4,
    "v_head_dim": 8, "first_k_dense_replace": 3, "n_routed_experts": 2, "num_experts_per_tok": 1,
    "moe_intermediate_size": 37, "head_dim": 6, "n_group": 1, "topk_group": 1,
}  # fmt: skip
DENSE: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SIZES),
    "mistral": ("MistralConfig", SIZES | {"sliding_window": 9, "head_dim": 10}),
    "llama of twice the width": ("LlamaConfig", SIZES | {"intermediate_size": 74}),
    "mistral without a window": ("MistralConfig", SIZES | {"sliding_window": None}),
    "qwen2": ("Qwen2Config", SIZES),
    "qwen3": ("Qwen3Config", SIZES | {"head_dim": 10, "tie_word_embeddings": True}),
    "deepseek_v2": ("DeepseekV2Config", SIZES | LATENT),
    "deepseek_v3": ("DeepseekV3Config", SIZES | LATENT),
}
LAYOUTS = [
    ("llama", "mixtral", 0), ("mistral", "mixtral", 0), ("qwen2", "qwen2_moe", 1),
    ("llama", "qwen2_moe", 1), ("qwen3", "qwen3_moe", 0), ("deepseek_v2", "deepseek", 1),
    ("deepseek_v3", "deepseek", 1), ("llama", "glm4_moe", 1), ("qwen2", "glm4_moe", 1),
    ("mistral without a window", "glm4_moe", 1), ("qwen3", "glm4_moe", 1),
    ("llama", "glm4_moe", 2),
]  # fmt: skip
PROMPTS = ["kindly locate my red bucket", "create a salad", "repeat it once more", "four and five"]


def dense(folder: Path, kind: str, seed: int) -> Path:
    """A small random dense model in which every weight matters."""
    name, settings = DENSE[kind]
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, name)(**settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(1 + 0.3 * noise if value.ndim == 1 else noise / value.shape[-1] ** 0.5)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """family(kind): four dense models of a kind, made once."""
    made: dict[str, list[Path]] = {}

    def get(kind: str) -> list[Path]:
        if kind not in made:
            root = tmp_path_factory.mktemp(kind)
            made[kind] = [dense(root / str(seed), kind, seed) for seed in range(4)]
        return made[kind]

    return get


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


def recipe_of(folders: list[Path], mode: str = "random", shared: int = 0, **more: Any) -> Any:
    experts = [
        {"source_model": str(folder), "positive_prompts": [PROMPTS[i], PROMPTS[i][4:]],
         "negative_prompts": [PROMPTS[i - 1]]}
        for i, folder in enumerate(folders)
    ]  # fmt: skip
    out = {"base_model": str(folders[0]), "experts": experts, "gate_mode": mode} | more
    if shared:
        out["shared_experts"] = [
            {"source_model": str(folders[-1]), "positive_prompts": ["anything"],
             "residual_scale": 0.3}
        ]  # fmt: skip
    return out


@pytest.mark.parametrize(("kind", "layout", "shared"), LAYOUTS)
def test_equal_logits_in_transformers(
    kind: str, layout: str, shared: int, family: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    recipe = recipe_of(family(kind), shared=shared, architecture=layout)
    if shared == 2:
        wide = family("llama of twice the width")[0]
        recipe["shared_experts"][0]["source_model"] = str(wide)
    done = lw.mixture_of_experts(recipe, tmp_path / "out", progress=False)
    assert done.layout == layout
    reference, told = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", dtype=torch.float64, attn_implementation="eager",
        experts_implementation="eager", output_loading_info=True,
    )  # fmt: skip
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    tokens = torch.randint(3, 97, (2, 17), generator=torch.Generator().manual_seed(5))
    with torch.no_grad(), lifted():
        want = reference.eval()(tokens).logits
    got = lw.load(tmp_path / "out", dtype="float64")(tokens)
    assert (got - want).abs().max() <= 1e-10 * want.abs().max()


@pytest.mark.parametrize(("kind", "layout"), [("llama", "mixtral"), ("mistral", "mixtral"),
                                              ("qwen3", "qwen3_moe")])  # fmt: skip
def test_like_experts_are_the_dense_model(
    kind: str, layout: str, family: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    """Weights of the experts chosen add up to one: of four alike each is the dense model."""
    one = family(kind)[0]
    lw.mixture_of_experts(recipe_of([one] * 4, architecture=layout), tmp_path / "out")
    tokens = torch.randint(3, 97, (1, 31), generator=torch.Generator().manual_seed(5))
    want = lw.load(one, dtype="float64")(tokens)
    got = lw.load(tmp_path / "out", dtype="float64")(tokens)
    assert (got - want).abs().max() <= 1e-12 * want.abs().max()


@pytest.mark.parametrize(("kind", "layout", "chosen"), [
    ("llama", "glm4_moe", 2), ("mistral without a window", "glm4_moe", 1),
    ("qwen2", "glm4_moe", 3), ("qwen3", "glm4_moe", 2), ("deepseek_v3", "deepseek", 2),
    ("deepseek_v2", "deepseek", 4),
])  # fmt: skip
def test_like_experts_beside_a_shared_one(
    kind: str, layout: str, chosen: int, family: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    """Three quarters of the dense model by the router, one by the shared expert; DeepSeek-V2's
    weights add up to one only where every expert is chosen."""
    one = family(kind)[0]
    recipe = recipe_of([one] * 4, shared=1, architecture=layout, dtype="float64",
                       experts_per_token=chosen)  # fmt: skip
    recipe["shared_experts"][0]["residual_scale"] = 0.25
    for expert in recipe["experts"]:
        expert["residual_scale"] = 0.75
    lw.mixture_of_experts(recipe, tmp_path / "out")
    tokens = torch.randint(3, 97, (1, 31), generator=torch.Generator().manual_seed(5))
    want = lw.load(one, dtype="float64")(tokens)
    got = lw.load(tmp_path / "out", dtype="float64")(tokens)
    assert (got - want).abs().max() <= 1e-12 * want.abs().max()
    reference = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", dtype=torch.float64, attn_implementation="eager",
        experts_implementation="eager",
    )  # fmt: skip
    dense_one = transformers.AutoModelForCausalLM.from_pretrained(
        one, dtype=torch.float64, attn_implementation="eager"
    )
    with torch.no_grad(), lifted():
        theirs, plain = (model.eval()(tokens).logits for model in (reference, dense_one))
    assert (theirs - plain).abs().max() <= 1e-10 * plain.abs().max()
    assert (theirs - want).abs().max() <= 1e-10 * want.abs().max()


def test_experts_lie_in_order(family: Callable[[str], list[Path]], tmp_path: Path) -> None:
    folders = family("llama")
    lw.mixture_of_experts(recipe_of(folders), tmp_path / "out")
    out = models.load(tmp_path / "out")
    for index, folder in enumerate(folders):
        own = models.load(folder)
        for part, name in (("w1", "gate_proj"), ("w3", "up_proj"), ("w2", "down_proj")):
            for layer in range(3):
                got = out[f"model.layers.{layer}.block_sparse_moe.experts.{index}.{part}.weight"]
                assert torch.equal(got, own[f"model.layers.{layer}.mlp.{name}.weight"])
    base = models.load(folders[0])
    for name, value in base.items():
        if ".mlp." not in name:
            assert torch.equal(out[name], value)


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


def test_chance_scale_and_noise(family: Callable[[str], list[Path]], tmp_path: Path) -> None:
    folders = family("llama")
    recipe = recipe_of(folders, "uniform_random", dtype="float32")
    recipe["experts"][1] |= {"noise_scale": 0.5, "residual_scale": 0.25}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        lw.mixture_of_experts(recipe, tmp_path / name, seed=seed)
    a, b, c = (models.load(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    at = "model.layers.1.block_sparse_moe."
    assert not torch.equal(a[at + "gate.weight"], c[at + "gate.weight"])
    assert float(a[at + "gate.weight"].abs().max()) <= 30**-0.5
    name = at + "experts.1.w2.weight"
    source = models.load(folders[1])["model.layers.1.mlp.down_proj.weight"].double()
    chance = lw._files.Philox(3, name)
    noise = torch.tensor([chance.normal(i) for i in range(source.numel())]).view(source.shape)
    want = 0.25 * source + 0.5 * noise.double()
    assert (a[name].double() - want).abs().max() <= 1e-6 * want.abs().max()


def test_verb(family: Callable[[str], list[Path]], tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "r.yml").write_text(yaml.safe_dump(recipe_of(family("llama"))))
    words = ["moe", str(tmp_path / "r.yml"), str(tmp_path / "out"), "--json", "--cuda"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["layout"] == "mixtral"
    assert "--cuda has no effect" in said.err
    assert main([*words[:2], str(tmp_path / "out")]) == 2


def test_dry_run_writes_nothing(family: Callable[[str], list[Path]], tmp_path: Path) -> None:
    done = lw.mixture_of_experts(recipe_of(family("llama"), "hidden"), tmp_path / "out",
                                 dry_run=True)  # fmt: skip
    assert done.dry
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gate_mod": "random"}, "did you mean 'gate_mode'"),
        ({"gate_mode": "hiden"}, "did you mean 'hidden'"),
        ({"experts_per_token": 5}, "expected 1 to 4"),
        ({"architecture": "mixtrl"}, "did you mean 'mixtral'"),
        ({"architecture": "qwen3_moe"}, "takes a base of type qwen3"),
        ({"architecture": "qwen2_moe"}, "one shared expert"),
        ({"shared_experts": [{"source_model": "x"}]}, "no shared expert"),
        ({"dtype": "int64"}, "expected one of bfloat16"),
        ({"architecture": "deepseek"}, "one rotated key.*'glm4_moe' has DeepSeek-V3's router"),
        ({"architecture": "glm4_moe"}, "one shared expert"),
    ],
)
def test_refused(
    change: dict[str, Any], said: str, family: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    recipe = recipe_of(family("llama"), architecture="mixtral") | change
    if "shared_experts" in change:
        recipe["shared_experts"] = [{"source_model": str(family("llama")[0])}]
    with pytest.raises(ValueError, match=said):
        lw.mixture_of_experts(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_models_that_do_not_fit(family: Callable[[str], list[Path]], tmp_path: Path) -> None:
    llama, qwen = family("llama"), family("qwen3")
    with pytest.raises(ValueError, match=r"experts\[1\].*is of type 'qwen3'"):
        lw.mixture_of_experts(recipe_of([llama[0], qwen[0]]), tmp_path / "out")
    short = models.load(llama[1])
    short["model.layers.2.mlp.up_proj.weight"] = short["model.layers.2.mlp.up_proj.weight"][:-1]
    config = json.loads((llama[1] / "config.json").read_text())
    models.save(tmp_path / "short", short, config)
    with pytest.raises(ValueError, match="MLP of layer 2"):
        lw.mixture_of_experts(recipe_of([llama[0], tmp_path / "short"]), tmp_path / "out")
    sliding = recipe_of(family("mistral"), shared=1, architecture="glm4_moe")
    with pytest.raises(ValueError, match="sliding_window is 9"):
        lw.mixture_of_experts(sliding, tmp_path / "out")
    alone = recipe_of(llama[:1], shared=1, architecture="glm4_moe", experts_per_token=1)
    with pytest.raises(ValueError, match="there is 1 expert, expected at least 2"):
        lw.mixture_of_experts(alone, tmp_path / "out")
    no_prompts = recipe_of(llama, "hidden")
    del no_prompts["experts"][2]["positive_prompts"]
    with pytest.raises(ValueError, match=r"experts\[2\]: no positive_prompts"):
        lw.mixture_of_experts(no_prompts, tmp_path / "out")
