"""One row of the test table: a family's small config, and its settings tried one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

VOCAB = 97


@dataclass(frozen=True)
class Row:
    """A family in odd sizes.

    name: of the row, the family's model_type unless it says otherwise. architecture: the class
    config.json names. config: keyword arguments of the config class. knobs: {name: changes of
    `config`}, each a model of its own. tune: last changes to a random model. auto: which of
    `transformers`'s loaders makes the model.
    """

    name: str
    architecture: str
    config: dict[str, Any]
    knobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    model_type: str = ""
    tune: Callable[[Any], None] | None = None
    auto: str = "AutoModelForCausalLM"

    def settings(self, knob: str = "") -> dict[str, Any]:
        """The config's keyword arguments with a knob turned."""
        return self.config | (self.knobs[knob] if knob else {})

    def variants(self) -> list[str]:
        """Names of the row's models: "" is the config as it stands."""
        return ["", *self.knobs]


def sizes(**changes: Any) -> dict[str, Any]:
    """Three heads of 10 in three layers, in Llama's keys; the default of a row."""
    return {
        "hidden_size": 30, "num_attention_heads": 3, "intermediate_size": 37,
        "num_hidden_layers": 3, "vocab_size": VOCAB, "max_position_embeddings": 64,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None, "tie_word_embeddings": False,
    } | changes  # fmt: skip


def grouped(**changes: Any) -> dict[str, Any]:
    """Four heads of 10 over two heads of keys and values: changes of `sizes`."""
    return {"hidden_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2} | changes


def rope(theta: float = 10000.0, **more: Any) -> dict[str, Any]:
    """The config key of unscaled rotations."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta} | more}
