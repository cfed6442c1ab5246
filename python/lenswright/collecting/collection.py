"""What collecting statistics is made of: prompts in an order of their own, samples, origin."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lenswright.checkpoints.fingerprint import fingerprint
from lenswright.collecting.positions import Positions
from lenswright.prompting.prompts import CLASSES, Prompt, PromptSet

if TYPE_CHECKING:
    from lenswright.model import Model

HALVES = 2


@dataclass(frozen=True)
class Item:
    """One prompt in a run: its class and half as one number, its ids, its place in the order."""

    group: int
    tokens: list[int]
    prompt: Prompt
    index: int

    @property
    def key(self) -> int:
        """The prompt's digest as a signed number of 64 bits."""
        return int.from_bytes(bytes.fromhex(self.prompt.digest), "big", signed=True)


def digest_of(key: int) -> str:
    """The digest that `Item.key` was made of."""
    return int(key).to_bytes(8, "big", signed=True).hex()


def items_of(model: Model, prompts: PromptSet) -> list[Item]:
    """Prompts to run, shortest first: an order that the prompts alone decide."""
    keyed = []
    for index, name in enumerate(CLASSES):
        # Every other prompt in the order of digests: equal halves, whatever order they came in.
        ordered = sorted(prompts.of(name), key=lambda p: p.digest)
        rows = model.prompt_tokens([p.text for p in ordered])
        for rank, (prompt, row) in enumerate(zip(ordered, rows, strict=True)):
            keyed.append((len(row), prompt.digest, index * HALVES + rank % HALVES, row, prompt))
    keyed.sort(key=lambda entry: entry[:2])
    return [Item(group, row, prompt, i) for i, (_, _, group, row, prompt) in enumerate(keyed)]


def vector_shape(model: Model, point: str) -> tuple[int, ...]:
    """Shape of what stands at each position of a point.

    Raises:
        ValueError: the point has no vector at every position.
    """
    shape = model.points(expanded=True)[point]
    if (
        len(shape) < 3
        or tuple(shape[:2]) != ("batch", "pos")
        or not all(size.isdigit() for size in shape[2:])
    ):
        raise ValueError(
            f"points has '{point}' of shape [{', '.join(shape)}], expected points with a vector at "
            "every position: [batch, pos, ...]"
        )
    return tuple(int(size) for size in shape[2:])


def samples_of(batch: Sequence[Item], positions: Positions) -> torch.Tensor:
    """Row, place, cell and prompt's key of every sample of a batch [4, samples] int64."""
    count = len(positions.labels)
    found = [
        (row, place, item.group * count + index, item.key)
        for row, item in enumerate(batch)
        for place, index in positions.places(len(item.tokens), item.index)
    ]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 4).t().contiguous()


def provenance_of(
    model: Model, prompts: PromptSet, where: Positions, deterministic: bool
) -> dict[str, Any]:
    """What statistics keep of how they came about."""
    import lenswright

    return {
        "lenswright": lenswright.__version__,
        "torch": torch.__version__,
        "model": model_identity(model),
        "fit": prompts.provenance,
        "suffix": where.suffix,
        "deterministic": deterministic,
    }


def model_identity(model: Model) -> dict[str, Any]:
    """Which model a result was made with: name, config, weights (a fingerprint), chat template,
    type of computation.
    """
    template = model.tokenizer.chat_template
    config = (model.folder / "config.json").read_bytes()
    return {
        "name": model.cfg.model_name,
        "config_sha256": hashlib.sha256(config).hexdigest(),
        "weights": fingerprint(model.folder),
        "template_sha256": None
        if template is None
        else hashlib.sha256(template.encode()).hexdigest(),
        "dtype": str(model.cfg.dtype).removeprefix("torch."),
        "n_layers": model.cfg.n_layers,
        "d_model": model.cfg.d_model,
    }
