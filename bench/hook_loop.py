"""The scores of a direction as most compute them: `transformers` and PyTorch forward hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


class HookLoop:
    """The scores of one direction, one pass each, with hooks of PyTorch."""

    def __init__(self, peer: Any, model: Any, splits: Any, careful: bool) -> None:
        self.peer, self.careful = peer, careful
        self.sides = [
            self._padded(model.prompt_tokens([p.text for p in side]))
            for side in (splits.select.positive, splits.select.negative)
        ]
        self.ids = [model.tokenizer.encode(word)[-1] for word in ("w5", "w8")]
        self.base = self.log_probs(1)

    @staticmethod
    def _padded(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, rows))
        tokens = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        return tokens, mask

    def log_probs(self, side: int) -> torch.Tensor:
        tokens, mask = self.sides[side]
        more = {"logits_to_keep": 1} if self.careful else {}
        logits = self.peer(tokens, attention_mask=mask, use_cache=False, **more).logits[:, -1]
        return torch.log_softmax(logits.double(), -1)

    def odds(self, side: int) -> float:
        table = self.log_probs(side)
        return float((table[:, self.ids[0]] - table[:, self.ids[1]]).mean())

    @contextmanager
    def ablated(self, v: torch.Tensor) -> Iterator[None]:
        """The direction out of every block's input and all that it writes."""

        def out_of(x: torch.Tensor) -> torch.Tensor:
            return x - (x @ v)[..., None] * v

        def before(_: Any, given: Any) -> Any:
            return (out_of(given[0]), *given[1:])

        def behind(_: Any, given: Any, made: Any) -> Any:
            return (out_of(made[0]), *made[1:]) if isinstance(made, tuple) else out_of(made)

        hooks = []
        for block in self.peer.model.layers:
            hooks.append(block.register_forward_pre_hook(before))
            hooks += [part.register_forward_hook(behind) for part in (block.self_attn, block.mlp)]
        yield
        for hook in hooks:
            hook.remove()

    @contextmanager
    def added(self, layer: int, v: torch.Tensor) -> Iterator[None]:
        def before(_: Any, given: Any) -> Any:
            return (given[0] + v, *given[1:])

        hook = self.peer.model.layers[layer].register_forward_pre_hook(before)
        yield
        hook.remove()

    def scores(self, layer: int, unit: torch.Tensor, raw: torch.Tensor) -> dict[str, float]:
        with self.ablated(unit):
            bypass = self.odds(0)
            moved = self.log_probs(1)
        with self.added(layer, raw):
            induce = self.odds(1)
        kl = float((self.base.exp() * (self.base - moved)).sum(-1).mean())
        return {"bypass": bypass, "induce": induce, "kl": kl}
