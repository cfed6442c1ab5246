"""The oracle's mixtures and latent attention, judged by the checkpoint's tensors themselves."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from families import CASES, ROWS, mixtures
from lenswright.reference import Reference
from lenswright.verifying.verify import relative_error
from routers import ROUTERS
from support import next_token_loss, random_tokens, rewrite

LIMIT = 1e-12
MIXED = [case for case in CASES if (ROWS[case[0]].model_type or case[0]) in ROUTERS]
ROUTER_WEIGHTS = [
    "mlp.gate.weight", "mlp.gate.wg.weight", "mlp.router.weight", "block_sparse_moe.gate.weight",
    "block_sparse_moe.router.layer.weight", "block_sparse_moe.router.weight",
    "feed_forward.router.weight",
]  # fmt: skip
PER_EXPERT = [case for case in MIXED if not case[0].startswith(("gpt_oss", "llama4", "qwen3_vl"))]


class Run:
    """One forward of the oracle, and the tensors of its checkpoint."""

    def __init__(self, folder):
        self.ref = Reference(folder)
        self.at = self.ref.points(random_tokens(2, 13))
        self.config = self.ref.config.get_text_config()
        self.on_inputs = self.ref.parts.mixture.on_inputs
        self.kind = json.loads((folder / "config.json").read_text())["model_type"]
        stored = load_file(folder / "model.safetensors")
        self.tensors = {name: value.double() for name, value in stored.items()}

    def mixtures(self):
        """(layer, its points, its tensors) of the layers that are mixtures."""
        for layer in range(self.ref.n_layers):
            if self.ref.is_mixture(layer):
                yield layer, self.points(layer), self.block(layer)

    def points(self, layer):
        start = f"blocks.{layer}."
        return {n.removeprefix(start): v for n, v in self.at.items() if n.startswith(start)}

    def block(self, layer):
        start = f"{self.ref.parts.base}.layers.{layer}."
        return {n.removeprefix(start): v for n, v in self.tensors.items() if n.startswith(start)}


@pytest.fixture(scope="module", params=MIXED, ids=lambda case: "-".join(filter(None, case)))
def run(family, request):
    return Run(family(*request.param))


def close(ours, theirs):
    assert relative_error(ours, theirs) <= LIMIT


def test_the_output_is_the_weighted_sum_of_what_experts_say(run):
    assert list(run.mixtures())
    for _, at, _ in run.mixtures():
        weights = 1.0 if run.on_inputs else at["mlp.hook_expert_weights"].unsqueeze(-1)
        out = (weights * at["mlp.hook_expert_out"]).sum(2)
        close(out + at.get("mlp.hook_shared_out", 0), at["mlp.hook_out"])
        assert "mlp.hook_post" not in at
        assert "mlp.hook_pre" not in at


def test_weights_follow_the_familys_rule(run):
    for layer, at, tensors in run.mixtures():
        logits, indices = at["mlp.hook_router_logits"], at["mlp.hook_expert_indices"]
        bias = next((v for n, v in tensors.items() if n.endswith("e_score_correction_bias")), None)
        k = run.config.num_experts_per_tok
        k = k[layer] if isinstance(k, list) else k
        assert indices.shape[-1] == k
        assert (indices.sort(-1).values.diff() > 0).all()
        weights = torch.zeros_like(logits).scatter(-1, indices, at["mlp.hook_expert_weights"])
        close(weights, ROUTERS[run.kind](logits, bias, k, run.config))


def test_logits_are_the_routers_product(run):
    for layer, at, tensors in run.mixtures():
        weight = next(tensors[name] for name in ROUTER_WEIGHTS if name in tensors)
        bias = tensors.get("mlp.router.bias")
        logits = functional.linear(_input(run, layer, at), weight, bias)
        close(at["mlp.hook_router_logits"], logits)


def _input(run, layer, at):
    norm = run.ref.find(run.ref.parts.ln2, layer)
    normalized = at["ln2.hook_normalized"] * norm.weight
    return normalized + (0 if getattr(norm, "bias", None) is None else norm.bias)


def test_experts_are_what_the_file_says(run):
    _check_experts(run)


@pytest.mark.parametrize("case", PER_EXPERT, ids="-".join)
def test_fused_files_hold_the_same_model(family, case):
    old, new = Reference(family(*case)), Run(family(*case, fused=True))
    tokens = random_tokens(2, 13)
    theirs = old.points(tokens, ["logits"])["logits"]
    assert torch.equal(new.ref.points(tokens, ["logits"])["logits"], theirs)
    assert any(name.endswith("experts.gate_up_proj") for name in new.tensors)
    _check_experts(new)


def test_published_vision_models_hold_their_experts_transposed(family, tmp_path):
    def transpose(weights):
        return {n: w.mT if ".experts." in n else w for n, w in weights.items()}

    folder = shutil.copytree(family("qwen3_vl_moe"), tmp_path / "published")
    tokens = random_tokens(2, 13)
    theirs = Reference(folder).points(tokens, ["logits"])["logits"]
    rewrite(folder, transpose)
    assert torch.equal(Reference(folder).points(tokens, ["logits"])["logits"], theirs)


def _check_experts(run):
    """Every expert's output for every token that chose it, from the file's tensors."""
    for layer, at, tensors in run.mixtures():
        x = _input(run, layer, at)
        indices = at["mlp.hook_expert_indices"]
        scale = torch.ones_like(at["mlp.hook_router_logits"])
        if run.on_inputs:
            scale.scatter_(-1, indices, at["mlp.hook_expert_weights"])
        every = torch.stack(
            [_expert(run, tensors, e, x * scale[..., e, None]) for e in range(_count(at))], dim=-2
        )
        index = indices.unsqueeze(-1).expand(-1, -1, -1, x.shape[-1])
        close(at["mlp.hook_expert_out"], every.gather(-2, index))


def _count(at):
    return at["mlp.hook_router_logits"].shape[-1]


def _expert(run, tensors, e, x):
    if run.kind == "gpt_oss":
        return _clamped(run.config, {n: v[e] for n, v in tensors.items() if ".experts." in n}, x)
    gate, up, down = _weights(tensors, e)
    act = {"silu": functional.silu, "gelu": functional.gelu}[run.config.hidden_act]
    return (act(x @ gate.T) * (x @ up.T)) @ down.T


def _weights(tensors, e):
    """Gate, up and down of one expert in any of the layouts that files have."""
    for mlp in ("mlp", "block_sparse_moe"):
        for names in (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2")):
            if f"{mlp}.experts.{e}.{names[0]}.weight" in tensors:
                return [tensors[f"{mlp}.experts.{e}.{name}.weight"] for name in names]
        for both, down in (("experts.gate_up_proj", "experts.down_proj"),
                           ("input_linear.weight", "output_linear.weight")):  # fmt: skip
            if f"{mlp}.{both}" in tensors:
                return *tensors[f"{mlp}.{both}"][e].chunk(2), tensors[f"{mlp}.{down}"][e]
    if "feed_forward.experts.gate_up_proj" in tensors:
        own = {
            name: tensors[f"feed_forward.experts.{name}_proj"][e].T for name in ("gate_up", "down")
        }
        return *own["gate_up"].chunk(2), own["down"]
    raise AssertionError(sorted(tensors))


def _clamped(config, tensors, x):
    own = {name.removeprefix("mlp.experts."): value for name, value in tensors.items()}
    both = x @ own["gate_up_proj"] + own["gate_up_proj_bias"]
    limit = config.swiglu_limit
    gate, up = both[..., 0::2].clamp(max=limit), both[..., 1::2].clamp(-limit, limit)
    inner = (up + 1) * gate * (config.swiglu_alpha * gate).sigmoid()
    return inner @ own["down_proj"] + own["down_proj_bias"]


def test_gradients_of_a_mixture_are_those_of_its_sum(run):
    tokens = random_tokens(2, 13)
    grads, _ = run.ref.gradients(tokens, lambda logits: next_token_loss(logits, tokens))
    for layer, at, _ in run.mixtures():
        start = f"blocks.{layer}.mlp.hook_"
        out = grads[start + "out"].unsqueeze(2)
        said, weights = at["mlp.hook_expert_out"], at["mlp.hook_expert_weights"].unsqueeze(-1)
        if run.on_inputs:
            close(grads[start + "expert_out"], out.expand_as(said))
        else:
            close(grads[start + "expert_out"], out * weights)
            close(grads[start + "expert_weights"], (out * said).sum(-1))
        if "mlp.hook_shared_out" in at:
            close(grads[start + "shared_out"], out.squeeze(2))
        assert grads[start + "router_logits"].abs().max() > 0


def test_sinks_take_their_share_of_the_softmax(run):
    if not run.ref.parts.sinks:
        assert not any(name.endswith("hook_sink") for name in run.at)
        return
    for _, at, tensors in run.mixtures():
        scores, sink = at["attn.hook_attn_scores"], tensors["self_attn.sinks"]
        sink = sink.view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        whole = torch.cat([scores, sink], dim=-1).softmax(-1)
        close(at["attn.hook_pattern"], whole[..., :-1])
        close(at["attn.hook_sink"], whole[..., -1])


def test_keys_and_values_come_from_the_compressed_state(run):
    if run.ref.parts.latent is None:
        assert not any(name.endswith("_latent") for name in run.at)
        return
    nope = run.config.qk_nope_head_dim
    for layer in range(run.ref.n_layers):
        at, tensors = run.points(layer), run.block(layer)
        made = (at["attn.hook_kv_latent"] @ tensors["self_attn.kv_b_proj.weight"].T).unflatten(
            -1, (run.ref.n_heads, -1)
        )
        close(at["attn.hook_k"][..., :nope], made[..., :nope])
        close(at["attn.hook_v"], made[..., nope:])
        close(at["attn.hook_rot_k"][..., :nope], made[..., :nope])
        turning = at["attn.hook_k"][..., nope:]
        close(turning, turning[:, :, :1].expand_as(turning))
        if "attn.hook_q_latent" in at:
            q = at["attn.hook_q_latent"] @ tensors["self_attn.q_b_proj.weight"].T
            close(at["attn.hook_q"].flatten(2), q)
        _check_scale(run, at)


def _check_scale(run, at):
    rope, width = run.config.rope_parameters, at["attn.hook_q"].shape[-1]
    stretch = 1.0
    if rope["rope_type"] == "yarn":
        stretch = 0.1 * rope["mscale_all_dim"] * math.log(rope["factor"]) + 1.0
    q, k = (at[f"attn.hook_rot_{name}"].transpose(1, 2) for name in "qk")
    scores = at["attn.hook_attn_scores"]
    seen = scores.isfinite()
    close((q @ k.mT * (stretch**2 / width**0.5))[seen], scores[seen])


def test_every_family_with_a_mixture_is_here():
    assert {row.model_type or row.name for row in mixtures.ROWS} == set(ROUTERS)
