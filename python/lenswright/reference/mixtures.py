"""Mixtures of experts in the oracle: which experts a token went to, and what each of them said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lenswright.reference.model import Reference


@dataclass(frozen=True)
class Mixture:
    """Module paths of a mixture layer, from the block; a layer without `router` is dense.

    The router returns logits, weights and indices; the experts take hidden states, indices and
    weights. shared_gate: a linear layer of one output whose sigmoid scales the shared expert.
    beside: the shared expert's output is added to that of the mixture's module, outside of it.
    on_inputs: weights multiply what experts read; the router returns a weight of every expert, zero
    for most, and logits, and the experts take every token once for each of them.
    """

    router: str = "mlp.gate"
    experts: str = "mlp.experts"
    shared: str | None = None
    shared_gate: str | None = None
    beside: bool = False
    on_inputs: bool = False


def hooks(ref: Reference, layer: int, raw: dict[str, Tensor]) -> Iterator[Any]:
    """The hooks of one mixture layer: they put tensors into `raw` under f"{layer}.name"."""
    mixture = ref.parts.mixture
    assert mixture is not None

    def routed(_: Any, __: Any, out: Any) -> None:
        raw[f"{layer}.router_logits"] = out[0]

    def mixed(experts: Any, args: tuple[Tensor, Tensor, Tensor], out: Tensor) -> Tensor:
        x, indices, weights = args
        said = _each(experts, x, indices)
        raw[f"{layer}.expert_indices"], raw[f"{layer}.expert_weights"] = indices, weights
        raw[f"{layer}.expert_out"] = said
        # Gradients reach every choice apart only through the sum written out.
        return (said * weights[..., None]).sum(1) if torch.is_grad_enabled() else out

    def keep(key: str) -> Callable[..., Tensor]:
        def hook(_: Any, __: Any, out: Tensor) -> Tensor:
            raw[f"{layer}.{key}"] = out
            return out.clone()  # some go on to change it in place

        return hook

    router, experts = ref.find(mixture.router, layer), ref.find(mixture.experts, layer)
    if mixture.on_inputs:
        yield from _hooks_on_inputs(router, experts, f"{layer}.", raw)
    else:
        yield router.register_forward_hook(routed)
        yield experts.register_forward_hook(mixed)
    for key, path in (("shared", mixture.shared), ("shared_gate", mixture.shared_gate)):
        if (module := ref.find(path, layer)) is not None:
            yield module.register_forward_hook(keep(key))


def _hooks_on_inputs(router: Any, experts: Any, at: str, raw: dict[str, Tensor]) -> Iterator[Any]:
    """The same hooks where every expert reads every token, most of them times zero."""

    def routed(_: Any, __: Any, out: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        scores, logits = out
        indices = logits.topk(router.top_k).indices
        weights = scores.gather(1, indices)
        raw[at + "router_logits"], raw[at + "expert_indices"] = logits, indices
        raw[at + "expert_weights"] = weights
        return torch.zeros_like(scores).scatter(1, indices, weights), logits

    def mixed(_: Any, __: Any, out: Tensor) -> Tensor:
        indices = raw[at + "expert_indices"]
        every = out.unflatten(0, (-1, len(indices))).transpose(0, 1)  # [tokens, experts, d_model]
        index = indices.unsqueeze(-1).expand(-1, -1, out.shape[-1])
        raw[at + "expert_out"] = said = every.gather(1, index)
        # What an expert says of zero is zero; gradients reach each choice apart through this.
        return torch.zeros_like(every).scatter(1, index, said).transpose(0, 1).flatten(0, 1)

    yield router.register_forward_hook(routed)
    yield experts.register_forward_hook(mixed)


def _each(experts: Any, x: Tensor, indices: Tensor) -> Tensor:
    """What each chosen expert says of each token, unweighted: [tokens, choices, d_model]."""
    one = x.new_ones(len(x), 1)
    said = [experts.forward(x, choice[:, None], one) for choice in indices.unbind(1)]
    return torch.stack(said, dim=1)


def points(
    ref: Reference, layer: int, raw: dict[str, Tensor], grads: bool
) -> dict[str, Callable[[], Tensor]]:
    """{point name without its layer: a call that computes it}; raw has keys without the layer.

    grads: `raw` holds gradients (and "tokens"), and only points that are linear in a raw tensor
    may be listed. With an empty `raw` the names must be right all the same.
    """
    mixture = ref.parts.mixture
    assert mixture is not None

    def by_token(key: str) -> Callable[[], Tensor]:
        return lambda: raw[key].reshape(*raw["tokens"].shape, *raw[key].shape[1:])

    def whole(key: str) -> Tensor:
        return raw[key].reshape(*raw["tokens"].shape, -1)

    def shared() -> Tensor:
        if grads:
            return whole("mlp_raw")  # it is only added there, so it has that gradient
        out = whole("shared")
        return out if mixture.shared_gate is None else whole("shared_gate").sigmoid() * out

    table = {
        "mlp.hook_router_logits": by_token("router_logits"),
        "mlp.hook_expert_weights": by_token("expert_weights"),
        "mlp.hook_expert_out": by_token("expert_out"),
    }
    if not grads:
        table["mlp.hook_expert_indices"] = by_token("expert_indices")
    if ref.find(mixture.shared, layer) is not None:
        table["mlp.hook_shared_out"] = shared
        if mixture.beside and not grads:
            table["mlp.hook_out"] = lambda: whole("mlp_raw") + shared()
            table["hook_mlp_out"] = lambda: table["mlp.hook_out"]() * ref.parts.residual
    return table
