"""A loaded model: run it, watch it, change what flows through it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.config import Config
from lenswright.generate_methods import GenerateMethods
from lenswright.names import PointNames
from lenswright.text_methods import TextMethods
from lenswright.watching import WatchMethods

if TYPE_CHECKING:
    from lenswright.prompts import PromptSet
    from lenswright.statistics import Statistics


def load(
    path_or_hub_id: str | Path,
    device: str = "cpu",
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    strict: bool = False,
) -> Model:
    """Load a checkpoint: a folder, or a hub id (safetensors and small files only).

    Args:
        path_or_hub_id: a folder with config.json and safetensors, or a hub id.
        device: where to compute.
        dtype: type of the computation: "auto", "float64", "float32", "bfloat16", "float16", or a
            torch.dtype. Weights stay as stored and are widened on use. "auto" is the stored type,
            or float32 for 16-bit weights on a CPU.
        revision: of a hub id.
        strict: config keys nobody knows are errors instead of a warning.

    Raises:
        FileNotFoundError: no such folder.
        CheckpointError: the files are not what they claim to be.
        ValueError: unknown family, quantised weights, a config key that asks for other arithmetic,
            a device or type that is not there.
    """
    from lenswright.checkpoint import Checkpoint

    checkpoint = Checkpoint(path_or_hub_id, revision=revision)
    name = str(dtype).removeprefix("torch.")
    core = _core.Model.load(
        checkpoint.native, device=_checked_device(device), dtype=name, strict=strict
    )
    return Model(core, checkpoint.folder)


def _checked_device(device: str) -> str:
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"device is '{device}', expected 'cpu', 'cuda' or 'cuda:N'") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is '{device}', but torch finds no CUDA device; expected 'cpu'")
    return device


class Model(TextMethods, WatchMethods, GenerateMethods):
    """A transformer language model whose every named point can be read and written.

    Names of points are TransformerLens's. Made by `lenswright.load`.
    """

    def __init__(self, core: _core.Model, folder: Path) -> None:
        self.core = core
        self.folder = folder
        self.spec: dict[str, Any] = core.spec
        self.cfg = Config.from_core(core, folder.name)
        shown, every = core.points(False), core.points(True)
        self.names = PointNames([n for n, _ in shown], [n for n, _ in every], self.cfg.n_layers)
        self._shapes = dict(every)
        self._hooks = []
        self._edits = []
        self._tokenizer = None
        if self.spec["unknown_keys"]:
            warnings.warn(
                f"config.json has keys nobody here knows: {', '.join(self.spec['unknown_keys'])}",
                stacklevel=3,
            )

    def points(self, expanded: bool = False) -> dict[str, tuple[str, ...]]:
        """Every point and its shape: sizes, or the words batch, pos, query, key.

        Args:
            expanded: also those that exist only when they are named.
        """
        names = self.names.all if expanded else self.names.default
        return {name: self._shapes[name] for name in names}

    def writers(self) -> list[dict[str, Any]]:
        """Every place that writes to the residual stream: point, stored weight, bias, layout."""
        return list(self.core.writers())

    def parameters(self) -> dict[str, torch.Tensor]:
        """The stored tensors by their names in the checkpoint; they may require gradients."""
        return dict(self.core.stored())

    def weights(self) -> dict[str, torch.Tensor]:
        """Canonical weights ("blocks.0.attn.W_Q") [outputs, inputs], as views of the stored."""
        return dict(self.core.weights())

    @property
    def W_E(self) -> torch.Tensor:
        """Token embedding [d_vocab, d_model], a view."""
        return self.core.weights()["embed.W_E"]

    @property
    def W_U(self) -> torch.Tensor:
        """Unembedding [d_model, d_vocab], a view."""
        weights = self.core.weights()
        return weights.get("unembed.W_U", weights["embed.W_E"]).t()

    def __repr__(self) -> str:
        c = self.cfg
        count = sum(t.numel() for t in self.core.stored().values())
        return (
            f"Model({c.model_name}: {self.spec['family']}, {count:,} parameters, "
            f"{c.n_layers} layers, d_model {c.d_model}, {c.n_heads} heads over "
            f"{c.n_key_value_heads}, d_vocab {c.d_vocab}, {c.dtype} on {c.device})"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{name}</code></td><td>[{', '.join(shape)}]</td></tr>"
            for name, shape in self.points().items()
            if not name.startswith("blocks.") or name.startswith("blocks.0.")
        )
        text = repr(self).replace("<", "&lt;")
        return f"<b>{text}</b><details><summary>points</summary><table>{rows}</table></details>"

    def collect(self, prompts: PromptSet, **arguments: Any) -> Statistics:
        """Streaming statistics of activations; see `lenswright.statistics.collect`."""
        from lenswright.statistics import collect

        return collect(self, prompts, **arguments)
