"""The oracle: a `transformers` model that hands out the tensor behind every point name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright.reference.capture import hooks
from lenswright.reference.families import FAMILIES
from lenswright.reference.points import is_expanded, values
from lenswright.reference.rotary import steady
from lenswright.reference.watch import AttentionWatch
from lenswright.verifying.lifted import lifted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lenswright.reference.parts import Parts


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


def _parts(config: Any) -> Parts:
    if config.model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise ValueError(f"no reference for model_type {config.model_type!r}; known: {known}")
    row = FAMILIES[config.model_type]
    return row(config.get_text_config()) if callable(row) else row


def _require_plain(config: Any) -> None:
    # transformers needs other packages for these, and reads fp8 with blocks of its own choosing.
    found = getattr(config, "quantization_config", None)
    if found:
        method = found.get("quant_method") if isinstance(found, dict) else found.quant_method
        raise ValueError(
            f"the weights are quantised ({method}), which the reference does not read; expected a "
            "folder that edit.commit wrote, where they are bfloat16"
        )


class Reference:
    """A `transformers` checkpoint whose every point can be read.

    path: folder in Hugging Face layout, or a hub id; only safetensors are read, never a pickle.
    dtype: float64 (default) runs lifted; any other type runs `transformers` as it is written.
    Raises ValueError for a family without a row in `FAMILIES` and for quantised weights,
    ImportError without transformers.
    """

    def __init__(self, path: str | Path, dtype: torch.dtype = torch.float64) -> None:
        try:
            import transformers
        except ImportError as error:
            raise ImportError(
                "the reference is transformers, which is not installed: pip install transformers"
            ) from error

        config = transformers.AutoConfig.from_pretrained(str(path))
        _require_plain(config)
        self.parts = _parts(config)
        # That path insists on float32; without it the arithmetic is the same, in `dtype`.
        if getattr(config, "reorder_and_upcast_attn", False) and dtype == torch.float64:
            config.reorder_and_upcast_attn = False
        self.dtype = dtype
        self.config = config
        with _quiet():
            model = getattr(transformers, self.parts.auto).from_pretrained(
                str(path),
                config=config,
                dtype=self.loaded_as(),
                attn_implementation="eager",
                experts_implementation="eager",
                use_safetensors=True,
            )
        self.model: Any = model.eval()
        if self.parts.mend:
            self.parts.mend(self.model)
        if dtype == torch.float64:
            steady(self.model)
            if self.parts.prepare:
                self.parts.prepare(self.model)
        text = config.get_text_config()
        self.n_layers: int = text.num_hidden_layers
        self.n_heads: int = text.num_attention_heads
        kv = self.parts.kv_heads or getattr(text, "num_key_value_heads", None)
        self.n_kv: int = kv or self.n_heads

    def loaded_as(self) -> Any:
        """The type weights have in memory."""
        return self.dtype

    def find(self, path: str | None, layer: int | None = None) -> Any:
        """The module at a path of the decoder or of one of its blocks; None where there is none."""
        if path is None:
            return None
        prefix = self.parts.base + ("" if layer is None else f".{self.parts.layers}.{layer}")
        module = self.model
        for name in f"{prefix}.{path}".strip(".").split("."):
            module = getattr(module, name, None)
        return module

    def in_attention(self, path: str | None, layer: int) -> Any:
        """The module at a path of a layer's attention; None where there is none."""
        if path is None:
            return None
        return self.find(f"{self.parts.attention}.{path}".strip("."), layer)

    def is_mixture(self, layer: int) -> bool:
        """Whether a layer's MLP is a mixture of experts."""
        mixture = self.parts.mixture
        return mixture is not None and self.find(mixture.router, layer) is not None

    def run(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """One forward of tokens [batch, pos], without padding; raw tensors under private names."""
        raw: dict[str, torch.Tensor] = {"tokens": tokens}
        watch = AttentionWatch()
        handles = list(hooks(self, raw, watch))
        try:
            precision = lifted() if self.dtype == torch.float64 else nullcontext()
            with watch, precision:
                raw["logits"] = self.model(tokens, use_cache=False).logits
        finally:
            for handle in handles:
                handle.remove()
        return raw

    def names(self) -> list[str]:
        """Every point this reference knows, expanded ones too."""
        return list(values(self, {}))

    def points(
        self, tokens: torch.Tensor, names: Iterable[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """{point name: tensor} of one forward; names None means all but the expanded ones.

        The name "logits" gives what the model returns, after any scale or cap of the logits.
        """
        with torch.no_grad():
            raw = self.run(tokens)
            table = values(self, raw)
            chosen = [n for n in table if not is_expanded(n)] if names is None else list(names)
            table["logits"] = lambda: raw["logits"]
            return {name: table[name]() for name in chosen}

    def gradients(
        self, tokens: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Gradients of loss(logits), by point (where it is linear in one there) and by weight."""
        raw = self.run(tokens)
        weights = dict(self.model.named_parameters())
        wanted = {key: value for key, value in raw.items() if value.requires_grad}
        found = torch.autograd.grad(
            loss(raw["logits"]), [*wanted.values(), *weights.values()], materialize_grads=True
        )
        by_key = dict(zip(wanted, found, strict=False))
        table = values(self, {"tokens": tokens, **by_key}, grads=True)
        names = dict(zip(weights, found[len(wanted) :], strict=True))
        return {name: value() for name, value in table.items()}, names

    def head_outputs(self, layer: int) -> torch.Tensor:
        """The attention output weight seen per head: [heads, d_head, d_model]."""
        out = self.in_attention(self.parts.out, layer)
        weight = out.weight.T if isinstance(out, torch.nn.Linear) else out.weight
        return weight.unflatten(0, (self.n_heads, -1))
