"""The two families written out plainly in float64: no library's model code, one line per formula.

It validates the lifted oracle, gives gradients at every point, and says what a write at any point
must do: `forward(..., edits={name: fn})` replaces the tensor at a point by fn(tensor).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

Tensor = torch.Tensor
Edits = Mapping[str, Callable[[Tensor], Tensor]]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": lambda x: x / (1 + torch.exp(-x)),
    "relu": lambda x: x.clamp(min=0),
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_new": lambda x: x / (1 + torch.exp(-math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))),
}
ACTIVATIONS["gelu_pytorch_tanh"] = ACTIVATIONS["gelu_new"]


class Plain:
    """A checkpoint folder of the Llama or GPT-2 family, computed in float64."""

    def __init__(self, folder: Path) -> None:
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        stored = load_file(folder / "model.safetensors")
        self.weights = {name: value.double().requires_grad_() for name, value in stored.items()}

    def forward(self, tokens: Tensor, edits: Edits | None = None) -> dict[str, Tensor]:
        """{point name: tensor} for every point, `unembed.hook_out` being the logits."""
        run = _Run(self.config, self.weights, edits or {})
        with torch.enable_grad():
            run.all(tokens)
        return run.points


class _Run:
    def __init__(self, config: dict[str, Any], weights: dict[str, Tensor], edits: Edits) -> None:
        self.c, self.w, self.edits = config, weights, edits
        self.llama = llama = config["model_type"] == "llama"
        self.points: dict[str, Tensor] = {}
        self.d = config["hidden_size" if llama else "n_embd"]
        self.h = config["num_attention_heads" if llama else "n_head"]
        self.kv = (config.get("num_key_value_heads") or self.h) if llama else self.h
        self.e = config.get("head_dim") or self.d // self.h
        self.eps = config["rms_norm_eps" if llama else "layer_norm_epsilon"]

    def tap(self, name: str, value: Tensor) -> Tensor:
        value = self.edits[name](value) if name in self.edits else value
        self.points[name] = value
        return value

    def norm(self, name: str, x: Tensor, weight: str) -> Tensor:
        x = x if self.llama else x - x.mean(-1, keepdim=True)
        scale = self.tap(f"{name}.hook_scale", ((x * x).mean(-1, keepdim=True) + self.eps).sqrt())
        x = self.tap(f"{name}.hook_normalized", x / scale) * self.w[f"{weight}.weight"]
        return x if self.llama else x + self.w[f"{weight}.bias"]

    def linear(self, x: Tensor, name: str) -> Tensor:
        weight = self.w[f"{name}.weight"]
        y = x @ (weight.T if self.llama else weight)
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def all(self, tokens: Tensor) -> None:
        base = "model" if self.llama else "transformer"
        embed = "embed_tokens.weight" if self.llama else "wte.weight"
        self.points["hook_tokens"] = tokens
        x = self.tap("hook_embed", self.w[f"{base}.{embed}"][tokens])
        if not self.llama:
            places = torch.arange(tokens.shape[1]).expand_as(tokens)
            x = x + self.tap("hook_pos_embed", self.w["transformer.wpe.weight"][places])
        for layer in range(self.c["num_hidden_layers" if self.llama else "n_layer"]):
            x = self.block(x, layer, f"{base}.{'layers' if self.llama else 'h'}.{layer}")
        x = self.norm("ln_final", x, f"{base}.{'norm' if self.llama else 'ln_f'}")
        head = self.w.get("lm_head.weight", self.w[f"{base}.{embed}"])
        self.tap("unembed.hook_out", self.tap("unembed.hook_in", x) @ head.T)

    def block(self, x: Tensor, layer: int, at: str) -> Tensor:
        p = f"blocks.{layer}"
        x = self.tap(f"{p}.hook_resid_pre", x)
        x = x + self.tap(f"{p}.hook_attn_out", self.attention(x, layer, p, at))
        x = self.tap(f"{p}.hook_resid_mid", x)
        y = self.norm(f"{p}.ln2", self.tap(f"{p}.hook_mlp_in", x.clone()), self.name(at, "ln2"))
        x = x + self.tap(f"{p}.hook_mlp_out", self.mlp(y, p, at))
        return self.tap(f"{p}.hook_resid_post", x)

    def name(self, at: str, part: str) -> str:
        llama = {"ln1": "input_layernorm", "ln2": "post_attention_layernorm"}
        return f"{at}.{llama[part] if self.llama else part[:2] + '_' + part[2:]}"

    def mlp(self, y: Tensor, p: str, at: str) -> Tensor:
        act = ACTIVATIONS[self.c["hidden_act" if self.llama else "activation_function"]]
        if self.llama:
            gate = self.tap(f"{p}.mlp.hook_pre", self.linear(y, f"{at}.mlp.gate_proj"))
            up = self.tap(f"{p}.mlp.hook_pre_linear", self.linear(y, f"{at}.mlp.up_proj"))
            post, down = act(gate) * up, "down_proj"
        else:
            post = act(self.tap(f"{p}.mlp.hook_pre", self.linear(y, f"{at}.mlp.c_fc")))
            down = "c_proj"
        post = self.tap(f"{p}.mlp.hook_post", post)
        return self.tap(f"{p}.mlp.hook_out", self.linear(post, f"{at}.mlp.{down}"))

    def projections(self, x: Tensor, p: str, at: str) -> list[Tensor]:
        """Queries, keys and values [batch, pos, heads, d_head]; a head may read its own x."""
        names = ["hook_q_input", "hook_k_input", "hook_v_input"]
        sizes = [self.h, self.kv, self.kv]
        shared = self.tap(f"{p}.hook_attn_in", x.unsqueeze(2).expand(-1, -1, self.h, -1).clone())
        for name, size in zip(names, sizes, strict=True):
            self.points[f"{p}.{name}"] = x.unsqueeze(2).expand(-1, -1, size, -1)
        split = any(f"{p}.{name}" in self.edits for name in [*names, "hook_attn_in"])
        y = None if split else self.norm(f"{p}.ln1", x, self.name(at, "ln1"))
        found = []
        for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
            if y is None:
                own = self.tap(f"{p}.{name}", shared[:, :, :size].clone())
                every = self.linear_i(self.norm(f"{p}.ln1", own, self.name(at, "ln1")), at, i)
                every = every.unflatten(-1, (size, self.e))
                found.append(torch.stack([every[:, :, j, j] for j in range(size)], dim=2))
            else:
                found.append(self.linear_i(y, at, i).unflatten(-1, (size, self.e)))
        return [self.tap(f"{p}.attn.hook_{n}", t) for n, t in zip("qkv", found, strict=True)]

    def linear_i(self, y: Tensor, at: str, index: int) -> Tensor:
        if self.llama:
            return self.linear(y, f"{at}.self_attn.{'qkv'[index]}_proj")
        return self.linear(y, f"{at}.attn.c_attn").chunk(3, -1)[index]

    def rotate(self, x: Tensor) -> Tensor:
        rope = self.c.get("rope_parameters") or {}
        theta = rope.get("rope_theta", self.c.get("rope_theta", 10000.0))
        steps = torch.arange(0, self.e, 2, dtype=torch.float32) / self.e
        # In float32 first: its rounding is part of the model.
        frequency = (1.0 / theta**steps).double()
        angle = torch.arange(x.shape[1]).double()[:, None] * frequency
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, x: Tensor, layer: int, p: str, at: str) -> Tensor:
        q, k, v = self.projections(x, p, at)
        if self.llama:
            q = self.tap(f"{p}.attn.hook_rot_q", self.rotate(q))
            k = self.tap(f"{p}.attn.hook_rot_k", self.rotate(k))
        group = self.h // self.kv
        k, v = k.repeat_interleave(group, 2), v.repeat_interleave(group, 2)
        scale = self.e**-0.5 if self.llama or self.c.get("scale_attn_weights", True) else 1.0
        if self.c.get("scale_attn_by_inverse_layer_idx"):
            scale /= layer + 1
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) * scale
        future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = self.tap(f"{p}.attn.hook_attn_scores", scores.masked_fill(future, -torch.inf))
        weights = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
        pattern = self.tap(f"{p}.attn.hook_pattern", weights / weights.sum(-1, keepdim=True))
        z = self.tap(f"{p}.attn.hook_z", torch.einsum("bhqk,bkhe->bqhe", pattern, v))
        out = f"{at}.self_attn.o_proj" if self.llama else f"{at}.attn.c_proj"
        weight = self.w[f"{out}.weight"].T if self.llama else self.w[f"{out}.weight"]
        result = torch.einsum("bphe,hed->bphd", z, weight.unflatten(0, (self.h, self.e)))
        total = self.tap(f"{p}.attn.hook_result", result).sum(2)
        total = total + self.w[f"{out}.bias"] if f"{out}.bias" in self.w else total
        return self.tap(f"{p}.attn.hook_out", total)
