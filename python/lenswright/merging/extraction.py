"""LoRA adapters from fine-tuned models: what a tuned model has that its base lacks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.editing.adapter_file import (
    PREFIX,
    Change,
    adapter_config,
    adapter_tensors,
    save_adapter,
)
from lenswright.merging.assembling import checked_target
from lenswright.merging.factoring import factored
from lenswright.progress import Progress

METHODS = ("exact", "randomised")
OTHERS = ("save", "refuse", "leave")
_EMBEDDINGS = ("embed_tokens", "wte", "wpe", "word_embeddings", "embed_in", "tok_embeddings")
_TOKENS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings")
_TRANSPOSED = ("gpt2",)  # whose blocks store [in, out]


@dataclass
class Extraction:
    """An adapter that was extracted.

    ranks: by module. errors: by module, |what the adapter lacks of the change| / |the change|,
    Frobenius, of the factors as stored. error: the same of all these modules together. saved:
    modules that the adapter holds whole; left: changed tensors that it leaves as in the base.
    """

    folder: Path
    method: str
    rank: int
    ranks: dict[str, int]
    errors: dict[str, float]
    error: float
    saved: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unchanged: int = 0

    def text(self) -> str:
        """For people."""
        worst = sorted(self.errors, key=lambda name: -self.errors[name])[:3]
        lines = [
            f"{len(self.ranks)} modules of rank {self.rank} at most ({self.method}); "
            f"{self.error:.3g} of the change is missing (Frobenius)",
            *(f"  {name}: rank {self.ranks[name]}, missing {self.errors[name]:.3g}"
              for name in worst),
        ]  # fmt: skip
        if self.saved:
            lines.append(f"saved whole  {', '.join(self.saved)}")
        if self.left:
            lines.append(f"left as in the base  {', '.join(self.left)}")
        lines.append(f"unchanged    {self.unchanged} tensors")
        lines.append(f"wrote {self.folder}")
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return vars(self) | {"folder": str(self.folder)}


def extract_adapter(
    base: str | os.PathLike[str],
    tuned: str | os.PathLike[str],
    output: str | os.PathLike[str],
    rank: int = 16,
    *,
    method: str = "randomised",
    others: str = "save",
    seed: int = 0,
    progress: bool = True,
) -> Extraction:
    """Write the difference of two models as a PEFT LoRA adapter of the first.

    W_tuned - W_base of every linear module becomes two thin factors; one tensor is worked at a
    time, in float64. `peft` loads the folder, and so does a recipe's BASE+ADAPTER.

    Args:
        base, tuned: folders or hub ids of one architecture and vocabulary.
        output: a folder that does not exist; it appears whole or not at all.
        rank: of each module at most; fewer where the change has fewer.
        method: "exact", the truncated singular value decomposition; "randomised", Halko, Martinsson
            and Tropp's, much quicker for large matrices. Either states what it lacks.
        others: changed norms and embeddings, which are no products of thin factors: "save" their
            modules whole, "refuse" them, or "leave" them as in the base. Likewise changed biases,
            unless every factored module has one: then the adapter has biases.
        seed: of the random sketches.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: models that have other tensors or shapes, or do not differ; what `others` does
            not allow; experts in one tensor, which are no modules of PEFT's.
        FileNotFoundError, CheckpointError: as Checkpoint does. FileExistsError: the output exists.

    Source: Eckart and Young 1936; Halko, Martinsson and Tropp 2011, SIAM Review 53.
    """
    for value, known, name in ((method, METHODS, "method"), (others, OTHERS, "others")):
        if value not in known:
            raise ValueError(f"{name} is {value!r}, expected {' or '.join(map(repr, known))}")
    if rank < 1:
        raise ValueError(f"rank is {rank}, expected at least 1")
    folder = checked_target(output)
    work = _Extracting(Checkpoint(base), Checkpoint(tuned), rank, method, others, seed)
    work.check()
    with Progress("extracting", len(work.base), "tensors", progress) as bar:
        work.run(bar)
    changes, saved = work.changes, work.saved
    whole = {
        f"{PREFIX}{module}.{kind}": work.tuned[f"{module}.{kind}"].contiguous()
        for module, kind in saved
    }
    tables = [name for name, _ in saved if name.endswith(_TOKENS)] if work.tied else []
    for table in tables:  # PEFT's copy of the one is not that of the other
        whole[f"{PREFIX}lm_head.weight"] = work.tuned[f"{table}.weight"].contiguous()
    modules = {name for name, _ in saved} | ({"lm_head"} if tables else set())
    config = adapter_config(changes, str(base), sorted(modules))
    save_adapter(folder, adapter_tensors(changes) | whole, config)
    return Extraction(
        folder, method, rank, {c.module: c.rank for c in changes}, work.errors, work.error(),
        sorted({name for name, _ in saved}), work.left, work.unchanged,
    )  # fmt: skip


class _Extracting:
    """Tensor by tensor."""

    def __init__(
        self, base: Checkpoint, tuned: Checkpoint, rank: int, method: str, others: str, seed: int
    ) -> None:
        self.base, self.tuned = base, tuned
        self._rank, self._exact, self._others, self._seed = rank, method == "exact", others, seed
        config: Mapping[str, Any] = base.config or {}
        self.tied = bool(config.get("tie_word_embeddings"))
        self._transposed = config.get("model_type") in _TRANSPOSED
        self.changes: list[Change] = []
        self.saved: list[tuple[str, str]] = []  # module, weight or bias
        self.left: list[str] = []
        self.errors: dict[str, float] = {}
        self.unchanged = 0
        self._with_biases = False
        self._sums = [0.0, 0.0]  # of squares: missing, of the change

    def check(self) -> None:
        """Both have the same tensors in the same shapes, none of them quantised."""
        for name in self.base:
            if name not in self.tuned:
                raise ValueError(f"the tuned model '{self.tuned.path}' has no tensor '{name}'")
            shapes = [list(file.info(name).shape) for file in (self.base, self.tuned)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"tensor '{name}' is {shapes[0]} in the base and {shapes[1]} in the tuned "
                    "model; expected the same (lenswright transplant gives a model another's "
                    "vocabulary)"
                )
            for file in (self.base, self.tuned):
                if file.info(name).dtype not in ("F64", "F32", "F16", "BF16"):
                    raise ValueError(
                        f"tensor '{name}' of '{file.path}' is {file.info(name).dtype}, expected "
                        "plain floating-point weights"
                    )
        for name in self.tuned:
            if name not in self.base:
                raise ValueError(f"the base '{self.base.path}' has no tensor '{name}'")

    def run(self, bar: Progress) -> None:
        """Factor what changed."""
        changed = {name for name in self.base if self._changed(name)}
        linear = {name.removesuffix(".weight") for name in changed if self._is_linear(name)}
        biases = {name.removesuffix(".bias") for name in changed if name.endswith(".bias")}
        # An adapter has biases of all its modules, or of none.
        self._with_biases = (
            bool(biases) and biases <= linear and all(f"{m}.bias" in self.base for m in linear)
        )
        whole = set() if self._with_biases or self._others != "save" else biases
        for name in self.base:
            module, _, kind = name.rpartition(".")
            if module in whole:
                self.saved.append((module, kind))
            elif name not in changed:
                self.unchanged += 1
            elif self._is_linear(name):
                self._factor(module)
            elif not (self._with_biases and module in linear):
                self._other(name, module, kind)
            bar.step(1)
        if not changed:
            raise ValueError(f"'{self.tuned.path}' does not differ from '{self.base.path}'")
        if not self.changes:
            raise ValueError(
                f"nothing is left to factor of what changed: {', '.join(sorted(changed)[:4])} …; "
                "expected a changed linear module whose bias, where only some have one, did not"
            )

    def error(self) -> float:
        """Of all modules together."""
        return (self._sums[0] / self._sums[1]) ** 0.5 if self._sums[1] else 0.0

    def _changed(self, name: str) -> bool:
        a, b = self.base[name], self.tuned[name]
        if a.dtype == b.dtype and torch.equal(a, b):
            return False
        return not torch.equal(a.double(), b.double())

    def _is_linear(self, name: str) -> bool:
        """A matrix of a linear module, stored the way round that the adapter's others are."""
        module, _, kind = name.rpartition(".")
        matrix = kind == "weight" and len(self.base.info(name).shape) == 2
        table = module.endswith(_EMBEDDINGS)
        return matrix and not table and (_in_block(name) or not self._transposed)

    def _other(self, name: str, module: str, kind: str) -> None:
        if self._others == "leave":
            self.left.append(name)
            return
        own = kind in ("weight", "bias") and len(self.base.info(name).shape) <= 2
        if self._others == "refuse" or not own:
            why = "is no product of thin factors" if own else "is a parameter of no module's own"
            raise ValueError(
                f"tensor '{name}' changed, which {why}; expected others="
                + ("'save' or 'leave'" if own else "'leave'")
            )
        self.saved.append((module, kind))

    def _factor(self, module: str) -> None:
        name = f"{module}.weight"
        change = self.tuned[name].double() - self.base[name].double()
        change = change.t() if self._transposed else change
        out, inputs = factored(change, self._rank, self._exact, self._seed, module)
        out, inputs = out.float(), inputs.float()  # as they are stored
        missing = float((change - out.double() @ inputs.double().t()).norm())
        size = float(change.norm())
        self.errors[module] = missing / size
        self._sums[0] += missing**2
        self._sums[1] += size**2
        bias = None
        if self._with_biases:
            name = f"{module}.bias"
            bias = self.tuned[name].double() - self.base[name].double()
        self.changes.append(
            Change(module, False, out, inputs, bias, bias is not None, self._transposed)
        )


def _in_block(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))
