"""What a tuned model has that its base lacks, module by module, as thin factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lenswright.checkpoints.checkpoint import Checkpoint
from lenswright.editing.adapter_file import Change
from lenswright.merging.factoring import factored
from lenswright.progress import Progress

TOKEN_EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings")
_EMBEDDINGS = (*TOKEN_EMBEDDINGS, "wpe")
_TRANSPOSED = ("gpt2",)  # whose blocks store [in, out]


class ChangedModules:
    """What a tuned model has that its base lacks: tensor by tensor, thin factors or whole.

    changes: the factored modules. saved: modules and which of their tensors, weight or bias, are
    kept whole. left: changed tensors that stay as in the base. errors: of each factored module,
    |what its factors lack of the change| / |the change|. tied: whether embeddings are.
    """

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
