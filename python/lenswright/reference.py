"""The oracle: a `transformers` model that hands out the tensor behind every point name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from lenswright.lifted import lifted
from lenswright.reference_points import gradients, is_expanded, values

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRODUCTS = frozenset({torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__})


@dataclass(frozen=True)
class Parts:
    """Where a family of `transformers` keeps the parts of its decoder (module paths)."""

    base: str
    embed: str
    layers: str
    ln1: str
    attention: str
    qkv: tuple[str, ...]
    out: str
    ln2: str
    up: str
    down: str
    final_norm: str
    gate: str | None = None
    positions: str | None = None


FAMILIES: dict[str, Parts] = {
    "llama": Parts(
        base="model", embed="embed_tokens", layers="layers", ln1="input_layernorm",
        attention="self_attn", qkv=("q_proj", "k_proj", "v_proj"), out="o_proj",
        ln2="post_attention_layernorm", gate="mlp.gate_proj", up="mlp.up_proj",
        down="mlp.down_proj", final_norm="norm",
    ),
    "gpt2": Parts(
        base="transformer", embed="wte", positions="wpe", layers="h", ln1="ln_1", attention="attn",
        qkv=("c_attn",), out="c_proj", ln2="ln_2", up="mlp.c_fc", down="mlp.c_proj",
        final_norm="ln_f",
    ),
}  # fmt: skip


class _Attention(TorchFunctionMode):
    """Notes rotated queries and keys, scores and pattern of the attention that is running."""

    def __init__(self) -> None:
        super().__init__()
        self.now: dict[str, torch.Tensor] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if self.now is not None:
            if func in _PRODUCTS and "rot_q" not in self.now:
                self.now["rot_q"], self.now["rot_k"] = args[0], args[1]
            elif func is torch.nn.functional.softmax:
                self.now["scores"], self.now["pattern"] = args[0], out
        return out


@contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


class Reference:
    """A `transformers` checkpoint whose every point can be read.

    path: folder in Hugging Face layout, or a hub id; only safetensors are read, never a pickle.
    dtype: float64 (default) runs lifted; any other type runs `transformers` as it is written.
    Raises ValueError for a family without a row in `FAMILIES`, ImportError without transformers.
    """

    def __init__(self, path: str | Path, dtype: torch.dtype = torch.float64) -> None:
        try:
            from transformers import AutoConfig, AutoModelForCausalLM
        except ImportError as error:
            raise ImportError(
                "the reference is transformers, which is not installed: pip install transformers"
            ) from error

        config = AutoConfig.from_pretrained(str(path))
        if config.model_type not in FAMILIES:
            known = ", ".join(sorted(FAMILIES))
            raise ValueError(f"no reference for model_type {config.model_type!r}; known: {known}")
        # That path insists on float32; without it the arithmetic is the same, in `dtype`.
        if getattr(config, "reorder_and_upcast_attn", False) and dtype == torch.float64:
            config.reorder_and_upcast_attn = False
        self.parts = FAMILIES[config.model_type]
        self.dtype = dtype
        self.config = config
        with _quiet():
            model = AutoModelForCausalLM.from_pretrained(
                str(path),
                config=config,
                dtype=dtype,
                attn_implementation="eager",
                use_safetensors=True,
            )
        self.model: Any = model.eval()
        self.n_layers: int = config.num_hidden_layers
        self.n_heads: int = config.num_attention_heads
        self.n_kv: int = getattr(config, "num_key_value_heads", None) or self.n_heads

    def _module(self, path: str, layer: int | None = None) -> Any:
        prefix = self.parts.base + ("" if layer is None else f".{self.parts.layers}.{layer}")
        return self.model.get_submodule(f"{prefix}.{path}" if path else prefix)

    def run(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """One forward of tokens [batch, pos], without padding; raw tensors under private names."""
        raw: dict[str, torch.Tensor] = {"tokens": tokens}
        watch = _Attention()
        handles = list(self._hooks(raw, watch))
        try:
            precision = lifted() if self.dtype == torch.float64 else nullcontext()
            with watch, precision:
                raw["logits"] = self.model(tokens, use_cache=False).logits
        finally:
            for handle in handles:
                handle.remove()
        return raw

    def _hooks(self, raw: dict[str, torch.Tensor], watch: _Attention) -> Iterator[Any]:
        def keep(key: str, source: str) -> Callable[..., None]:
            def hook(_: Any, args: Any, kwargs: Any, out: Any) -> None:
                value = out if source == "out" else args[0] if args else kwargs["hidden_states"]
                raw[key] = value[0] if isinstance(value, tuple) else value

            return hook

        def on(module: Any, key: str, source: str = "out") -> Any:
            return module.register_forward_hook(keep(key, source), with_kwargs=True)

        p = self.parts
        yield on(self._module(p.embed), "embed")
        if p.positions:
            yield on(self._module(p.positions), "pos_embed")
        yield on(self._module(p.final_norm), "ln_final", "in")
        yield on(self._module(p.final_norm), "unembed")
        for layer in range(self.n_layers):
            yield on(self._module("", layer), f"{layer}.resid_pre", "in")
            yield on(self._module("", layer), f"{layer}.resid_post")
            yield on(self._module(p.ln2, layer), f"{layer}.resid_mid", "in")
            attention = self._module(p.attention, layer)
            for name, path in zip("qkv", p.qkv, strict=False):
                yield on(attention.get_submodule(path), f"{layer}.{name}")
            yield on(attention.get_submodule(p.out), f"{layer}.z", "in")
            yield on(attention, f"{layer}.attn_out")
            yield on(self._module(p.up, layer), f"{layer}.up")
            if p.gate:
                yield on(self._module(p.gate, layer), f"{layer}.gate")
            yield on(self._module(p.down, layer), f"{layer}.post", "in")
            yield on(self._module(p.down, layer), f"{layer}.mlp_out")
            yield from self._watch(attention, layer, raw, watch)

    @staticmethod
    def _watch(
        attention: Any, layer: int, raw: dict[str, torch.Tensor], watch: _Attention
    ) -> Iterator[Any]:
        def begin(*_: Any) -> None:
            watch.now = {}

        def end(*_: Any) -> None:
            raw.update({f"{layer}.{key}": value for key, value in (watch.now or {}).items()})
            watch.now = None

        yield attention.register_forward_pre_hook(begin)
        yield attention.register_forward_hook(end)

    def names(self) -> list[str]:
        """Every point this reference knows, expanded ones too."""
        return list(values(self, {}))

    def points(
        self, tokens: torch.Tensor, names: Iterable[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """{point name: tensor} of one forward; names None means all but the expanded ones."""
        with torch.no_grad():
            table = values(self, self.run(tokens))
            chosen = [n for n in table if not is_expanded(n)] if names is None else list(names)
            return {name: table[name]() for name in chosen}

    def gradients(
        self, tokens: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Gradients of loss(logits), by point (where it is a tensor there) and by weight."""
        raw = self.run(tokens)
        weights = dict(self.model.named_parameters())
        wanted = {key: value for key, value in raw.items() if value.requires_grad}
        found = torch.autograd.grad(loss(raw["logits"]), [*wanted.values(), *weights.values()])
        by_key = dict(zip(wanted, found, strict=False))
        for layer in range(self.n_layers):
            by_key[f"{layer}.rot_k"] = self._ungroup(by_key[f"{layer}.rot_k"])
        table = gradients(self, raw, by_key)
        names = dict(zip(weights, found[len(wanted) :], strict=True))
        return {name: value() for name, value in table.items()}, names

    def _ungroup(self, grad: torch.Tensor) -> torch.Tensor:
        # Repeated keys gave their gradients to one key per group; hand the sum to every repeat.
        group = self.n_heads // self.n_kv
        return grad.unflatten(1, (self.n_kv, group)).sum(2).repeat_interleave(group, dim=1)

    @property
    def rotary(self) -> bool:
        """Whether queries and keys are rotated."""
        return self.parts.positions is None

    def norm(self, layer: int | None = None, path: str | None = None) -> Any:
        """A norm module: of a layer by its path, or the final one."""
        return self._module(path or self.parts.final_norm, layer)

    def head_outputs(self, layer: int) -> torch.Tensor:
        """The attention output weight seen per head: [heads, d_head, d_model]."""
        out = self._module(f"{self.parts.attention}.{self.parts.out}", layer)
        weight = out.weight.T if isinstance(out, torch.nn.Linear) else out.weight
        return weight.unflatten(0, (self.n_heads, -1))
