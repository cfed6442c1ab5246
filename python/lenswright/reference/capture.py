"""Hooks that keep the tensors of a `transformers` run under private names ("3.attn_raw")."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lenswright.reference import latent, mixtures
from lenswright.reference.watch import AttentionWatch

if TYPE_CHECKING:
    from lenswright.reference.model import Reference

Raw = dict[str, Tensor]


def first_tensor(values: Any) -> Any:
    """The first tensor of an argument list, or of an output that may be a tuple."""
    if isinstance(values, Tensor):
        return values
    return next(value for value in values if isinstance(value, Tensor))


def keep_input(module: Any, raw: Raw, key: str) -> Iterator[Any]:
    """Keep a module's input; nothing where there is no such module."""

    def hook(_: Any, args: Any, kwargs: Any) -> None:
        raw[key] = first_tensor((*args, *kwargs.values()))

    if module is not None:
        yield module.register_forward_pre_hook(hook, with_kwargs=True)


def keep_output(module: Any, raw: Raw, key: str) -> Iterator[Any]:
    """Keep a module's output; nothing where there is no such module."""

    def hook(_: Any, args: Any, out: Any) -> Any:
        raw[key] = first_tensor(out)
        # Some families go on to change it in place; they get a copy.
        return out.clone() if isinstance(out, Tensor) else None

    if module is not None:
        yield module.register_forward_hook(hook)


def keep_turns(module: Any, raw: Raw, at: str, names: tuple[str, ...]) -> Iterator[Any]:
    """Keep input and output of a norm that reads several tensors, one after another."""
    turns = cycle(names)

    def hook(_: Any, args: Any, out: Tensor) -> None:
        name = next(turns)
        raw[f"{at}{name}_unnormed"], raw[f"{at}{name}_normed"] = args[0], out

    if module is not None:
        yield module.register_forward_hook(hook)


def hooks(ref: Reference, raw: Raw, watch: AttentionWatch) -> Iterator[Any]:
    """Every hook of one run. Removing them is the caller's."""
    p = ref.parts
    if p.positions:
        yield from keep_output(ref.find(p.embed), raw, "embed")
        yield from keep_output(ref.find(p.positions), raw, "pos_embed")
    yield from keep_input(ref.find(p.embed_norm), raw, "embed_norm")
    yield from keep_input(ref.find(p.final_norm), raw, "ln_final")
    head = ref.model.get_output_embeddings()
    yield from keep_input(head, raw, "unembed_in")
    yield from keep_output(head, raw, "unembed_out")
    for layer in range(ref.n_layers):
        yield from _block(ref, layer, raw)
        yield from _attention(ref, layer, raw, watch)
        yield from _mlp(ref, layer, raw)


def _block(ref: Reference, layer: int, raw: Raw) -> Iterator[Any]:
    p = ref.parts
    block = ref.find("", layer)
    yield from keep_input(block, raw, f"{layer}.resid_pre")
    yield from keep_output(block, raw, f"{layer}.resid_post")
    if p.behind:
        yield from keep_output(ref.find(p.ln1, layer), raw, f"{layer}.resid_mid")
    elif not p.parallel:
        yield from keep_input(ref.find(p.ln2 or p.mlp, layer), raw, f"{layer}.resid_mid")
    yield from keep_output(ref.find(p.ln1_post, layer), raw, f"{layer}.attn_out")
    yield from keep_output(ref.find(p.ln2_post, layer), raw, f"{layer}.mlp_out")


def _attention(ref: Reference, layer: int, raw: Raw, watch: AttentionWatch) -> Iterator[Any]:
    p = ref.parts
    names = ("qkv",) if len(p.qkv) == 1 else ("q", "k", "v")
    if p.latent is None:
        for name, path in zip(names, p.qkv, strict=True):
            yield from keep_output(ref.in_attention(path, layer), raw, f"{layer}.{name}")
    else:
        yield from latent.hooks(ref, layer, raw)
    one = p.q_norm is not None and p.q_norm == p.k_norm
    if one:
        yield from keep_turns(ref.in_attention(p.q_norm, layer), raw, f"{layer}.", ("q", "k"))
    for name, norm in (("q", p.q_norm), ("k", p.k_norm)):
        module = None if one else ref.in_attention(norm, layer)
        yield from keep_output(module, raw, f"{layer}.{name}_normed")
        if p.norm_after_rotation:
            yield from keep_input(module, raw, f"{layer}.{name}_unnormed")
    out = ref.in_attention(p.out, layer)
    yield from keep_input(out, raw, f"{layer}.z")
    yield from keep_output(out, raw, f"{layer}.attn_raw")
    yield from watch.over(ref.in_attention("", layer), f"{layer}.", raw)


def _mlp(ref: Reference, layer: int, raw: Raw) -> Iterator[Any]:
    p = ref.parts
    if ref.is_mixture(layer):
        yield from mixtures.hooks(ref, layer, raw)
        yield from keep_output(ref.find(p.mlp, layer), raw, f"{layer}.mlp_raw")
        return
    if p.gate_up:
        yield from keep_output(ref.find(p.gate_up, layer), raw, f"{layer}.gate_up")
    else:
        yield from keep_output(ref.find(p.gate, layer), raw, f"{layer}.gate")
        yield from keep_output(ref.find(p.up, layer), raw, f"{layer}.up")
    down = ref.find(p.down, layer)
    yield from keep_input(down, raw, f"{layer}.post")
    yield from keep_output(down, raw, f"{layer}.mlp_raw")
