"""Parts of the residual stream: what every layer, head and component added to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lenswright.model import Model

Labelled = torch.Tensor | tuple[torch.Tensor, list[str]]


class Decomposition:
    """The analyses a cache of residual contributions allows, under TransformerLens's names.

    Weights are never folded here, so where a norm is applied its gain is applied too.
    """

    model: Model
    tensors: dict[str, torch.Tensor]
    has_batch_dim: bool

    def __getitem__(self, key: str | tuple[Any, ...]) -> torch.Tensor:
        raise KeyError(key)

    def _layer(self, layer: int | None) -> int:
        n = self.model.cfg.n_layers
        if layer is None or layer == -1:
            return n
        if not 0 <= layer <= n:
            raise IndexError(f"layer is {layer}, expected 0 to {n}")
        return layer

    @staticmethod
    def _cut(tensor: torch.Tensor, pos_slice: Any) -> torch.Tensor:
        return tensor if pos_slice is None else tensor[..., pos_slice, :]

    def _embeddings(self) -> tuple[list[torch.Tensor], list[str]]:
        parts, labels = [self["hook_embed"]], ["embed"]
        if self.model.cfg.positional_embedding_type == "standard":
            parts.append(self["hook_pos_embed"])
            labels.append("pos_embed")
        return parts, labels

    def accumulated_resid(
        self,
        layer: int | None = None,
        incl_mid: bool = False,
        apply_ln: bool = False,
        pos_slice: Any = None,
        mlp_input: bool = False,
        return_labels: bool = False,
    ) -> Labelled:
        """The residual before each block (and the last one after), [parts, batch, pos, d_model].

        Args:
            layer: up to the residual before this block; None: up to the end.
            incl_mid: also between attention and MLP.
            apply_ln: as the unembedding would read each of them: through the final norm, its scale
                taken anew (the logit lens), gain and bias included.
            pos_slice: positions to keep.
            mlp_input: also the residual that block `layer`'s MLP reads.
            return_labels: also names.
        """
        last = self._layer(layer)
        parts, labels = [], []
        for i in range(min(last + 1, self.model.cfg.n_layers)):
            parts.append(self["resid_pre", i])
            labels.append(f"{i}_pre")
            if (incl_mid and i < last) or (mlp_input and i == last):
                parts.append(self["resid_mid", i])
                labels.append(f"{i}_mid")
        if last == self.model.cfg.n_layers:
            parts.append(self["resid_post", last - 1])
            labels.append("final_post")
        stack = torch.stack([self._cut(part, pos_slice) for part in parts])
        if apply_ln:
            stack = self.final_norm(stack)
        return (stack, labels) if return_labels else stack

    def final_norm(self, residual: torch.Tensor) -> torch.Tensor:
        """The final norm of complete residuals [..., d_model]: what the unembedding reads."""
        if self.model.cfg.normalization_type == "LN":
            residual = residual - residual.mean(-1, keepdim=True)
        scale = (residual.square().mean(-1, keepdim=True) + self.model.cfg.eps).sqrt()
        return self._gain(residual / scale, bias=True)

    def _gain(self, normalized: torch.Tensor, bias: bool) -> torch.Tensor:
        core = self.model.core
        result = normalized * core.weight("ln_final.w").to(normalized)
        if bias and core.has_weight("ln_final.b"):
            result = result + core.weight("ln_final.b").to(normalized)
        return result

    def apply_ln_to_stack(self, stack: torch.Tensor, pos_slice: Any = None) -> torch.Tensor:
        """Parts of the last residual as the unembedding reads them, by the scale of the whole.

        Linear: the parts' sum is the final norm's output without its bias.
        """
        if self.model.cfg.normalization_type == "LN":
            stack = stack - stack.mean(-1, keepdim=True)
        return self._gain(stack / self._cut(self["ln_final.hook_scale"], pos_slice), bias=False)

    def logit_lens(self, pos_slice: Any = None) -> torch.Tensor:
        """Logits of the residual before each block and after, [layers + 1, batch, pos, d_vocab]."""
        stack = self.accumulated_resid(apply_ln=True, pos_slice=pos_slice)
        assert isinstance(stack, torch.Tensor)
        return stack @ self.model.W_U.to(stack)

    def decompose_resid(
        self,
        layer: int | None = None,
        mode: str = "all",
        apply_ln: bool = False,
        pos_slice: Any = None,
        incl_embeds: bool = True,
        mlp_input: bool = False,
        return_labels: bool = False,
    ) -> Labelled:
        """Embeddings and every layer's attention and MLP; they sum to the residual before `layer`.

        Args:
            mode: "all", "attn" or "mlp".
            apply_ln: as the unembedding reads them; only for the last residual (layer None).
            incl_embeds: with the embeddings.
            mlp_input: also block `layer`'s attention.
        """
        if mode not in ("all", "attn", "mlp"):
            raise ValueError(f"mode is '{mode}', expected 'all', 'attn' or 'mlp'")
        last = self._layer(layer)
        parts, labels = self._embeddings() if incl_embeds else ([], [])
        for i in range(last + (1 if mlp_input else 0)):
            if mode in ("all", "attn"):
                parts.append(self["attn_out", i])
                labels.append(f"{i}_attn_out")
            if mode in ("all", "mlp") and i < last:
                parts.append(self["mlp_out", i])
                labels.append(f"{i}_mlp_out")
        stack = torch.stack([self._cut(part, pos_slice) for part in parts])
        stack = self._maybe_ln(stack, apply_ln, last, pos_slice)
        return (stack, labels) if return_labels else stack

    def _maybe_ln(
        self, stack: torch.Tensor, apply: bool, layer: int, pos_slice: Any
    ) -> torch.Tensor:
        if not apply:
            return stack
        if layer != self.model.cfg.n_layers:
            raise ValueError(
                f"apply_ln with layer {layer}; expected the last residual (layer=None), which the "
                "final norm reads"
            )
        return self.apply_ln_to_stack(stack, pos_slice)

    def head_results(self, layer: int) -> torch.Tensor:
        """What each head of a block wrote, without the bias: [batch, pos, heads, d_model]."""
        name = f"blocks.{layer}.attn.hook_result"
        if name in self.tensors:  # also right where an edit was in force
            return self.tensors[name]
        z = self["z", layer]
        weight = self.model.core.weight(f"blocks.{layer}.attn.W_O").to(z)
        w = weight.unflatten(1, (self.model.cfg.n_heads, -1))  # [d_model, heads, d_value]
        return torch.einsum("...he,dhe->...hd", z, w)

    def stack_head_results(
        self,
        layer: int = -1,
        return_labels: bool = False,
        incl_remainder: bool = False,
        pos_slice: Any = None,
        apply_ln: bool = False,
    ) -> Labelled:
        """What each head before `layer` wrote, [layers * heads, batch, pos, d_model].

        Args:
            incl_remainder: with the rest of the residual as a last part, so that they sum to it.
        """
        last = self._layer(layer)
        if last == 0:
            raise ValueError("layer is 0, expected at least 1: no head writes before it")
        heads = range(self.model.cfg.n_heads)
        per_layer = [self._cut(self.head_results(i).movedim(-2, 0), pos_slice) for i in range(last)]
        stack = torch.cat(per_layer)
        labels = [f"L{i}H{h}" for i in range(last) for h in heads]
        if incl_remainder:
            whole = self["resid_post", last - 1]
            stack = torch.cat([stack, (self._cut(whole, pos_slice) - stack.sum(0))[None]])
            labels.append("remainder")
        stack = self._maybe_ln(stack, apply_ln, last, pos_slice)
        return (stack, labels) if return_labels else stack

    def logit_attrs(
        self,
        residual_stack: torch.Tensor,
        tokens: int | str | Sequence[int] | torch.Tensor,
        incorrect_tokens: int | str | Sequence[int] | torch.Tensor | None = None,
        pos_slice: Any = None,
    ) -> torch.Tensor:
        """What each part of the last residual adds to the logit of a token, [parts, batch, pos].

        Args:
            residual_stack: parts before the final norm, [parts, batch, pos, d_model].
            tokens: one token, or one for each row of the batch.
            incorrect_tokens: the difference to these tokens' logits instead.
            pos_slice: the positions the parts were cut to.
        """
        parts = self.apply_ln_to_stack(residual_stack, pos_slice)
        direction = self._unembedding(tokens).to(parts)
        if incorrect_tokens is not None:
            direction = direction - self._unembedding(incorrect_tokens).to(parts)
        if direction.dim() == 2:
            direction = direction[:, None]  # [batch, 1, d_model]
        return (parts * direction).sum(-1)

    def _unembedding(self, tokens: int | str | Sequence[int] | torch.Tensor) -> torch.Tensor:
        ids: Any = self.model.to_single_token(tokens) if isinstance(tokens, str) else tokens
        index = torch.as_tensor(ids)
        return self.model.W_U.t()[index]
