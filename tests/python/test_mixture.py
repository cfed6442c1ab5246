"""Mixtures of experts: layouts against transformers, and what is refused."""

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
from dense_models import dense, recipe_of
from lenswright.cli import main
from lenswright.verifying.lifted import lifted

LAYOUTS = [
    ("llama", "mixtral", 0), ("mistral", "mixtral", 0), ("qwen2", "qwen2_moe", 1),
    ("llama", "qwen2_moe", 1), ("qwen3", "qwen3_moe", 0), ("deepseek_v2", "deepseek", 1),
    ("deepseek_v3", "deepseek", 1), ("llama", "glm4_moe", 1), ("qwen2", "glm4_moe", 1),
    ("mistral without a window", "glm4_moe", 1), ("qwen3", "glm4_moe", 1),
    ("llama", "glm4_moe", 2),
]  # fmt: skip


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
