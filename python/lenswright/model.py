"""A loaded model: run it, watch it, change what flows through it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lenswright import _core
from lenswright.config import Config
from lenswright.generating.generate_methods import GenerateMethods
from lenswright.names import PointNames
from lenswright.text_methods import TextMethods
from lenswright.watching import WatchMethods

if TYPE_CHECKING:
    from lenswright.collecting.statistics import Statistics
    from lenswright.editing.edit import Edit
    from lenswright.prompting.prompts import Prompt, PromptSet
    from lenswright.running import Input
    from lenswright.selecting.scores import Score
    from lenswright.selftest import SelfTest
    from lenswright.trial import Trial


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
        self._steerings = []
        self._tokenizer = None
        self.live: Any = None  # the `transformers` model whose weights this one shares
        self.own_config = ""  # config.json where it is not the folder's
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
        """Every place that writes to the residual stream, in the order of a run.

        Each has name ("blocks.3.attn.W_O"), kind, layer (-1: none), point (where it can be seen),
        weight and bias (stored names, "": none), residual_axis (of the matrix), expert and slice
        (which of a mixture; which matrix of a stored tensor that holds one for each; -1: none)
        and norm (the one its output passes before it is added, "": none).
        """
        return list(self.core.writers())

    def parameters(self) -> dict[str, torch.Tensor]:
        """The stored tensors by their names in the checkpoint; they may require gradients.

        Of quantised weights codes and scales, which may not; while an edit is applied to one, the
        bfloat16 tensor that it then is.
        """
        return dict(self.core.stored())

    def weights(self) -> dict[str, torch.Tensor]:
        """Canonical weights ("blocks.0.attn.W_Q") [outputs, inputs], as views of the stored.

        Quantised ones are copies in float32, all of them: `weight` gives one.
        """
        return dict(self.core.weights())

    def weight(self, name: str) -> torch.Tensor:
        """One canonical weight [outputs, inputs], a view; a float32 copy where it is quantised.

        Raises:
            IndexError: the model has no such weight.
        """
        return self.core.weight(name)

    @property
    def W_E(self) -> torch.Tensor:
        """Token embedding [d_vocab, d_model], a view."""
        return self.core.weight("embed.W_E")

    @property
    def W_U(self) -> torch.Tensor:
        """Unembedding [d_model, d_vocab], a view."""
        own = self.core.has_weight("unembed.W_U")
        return self.core.weight("unembed.W_U" if own else "embed.W_E").t()

    def __repr__(self) -> str:
        c = self.cfg
        count = self.core.size
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

    def to_transformers(self) -> Any:
        """The model as `transformers` has it; see `lenswright.live.to_transformers`."""
        from lenswright.live import to_transformers

        return to_transformers(self)

    def verify(self, text: str | None = None) -> SelfTest:
        """Test this model by itself: tensors and keys, invariants, and the knob scan.

        Args:
            text: for the scan, instead of bundled English ones, one paragraph a line; of a kind
                that the model was trained for.
        """
        from lenswright.selftest import selftest

        return selftest(self, text)

    def trial(
        self,
        edits: Edit | Sequence[Edit | None] | Mapping[str, Edit | None],
        prompts: PromptSet | Sequence[Prompt] | Input,
        what: str | Score | Callable[[torch.Tensor], torch.Tensor] = "logits",
        *,
        batch_size: int = 64,
        progress: bool = True,
        **how: Any,
    ) -> Trial:
        """Try many edits at once: each row of a batch carries an edit of its own.

        Every edit is tried on every prompt, and gives what `with model.edited(edit):` gives, in
        batches of a fixed number of rows. Hooks, edits and steerings that are active act as well.

        Args:
            edits: of any methods and ranks; by names, if a mapping; None is the model as it is. One
                edit of many rows counts as so many edits.
            prompts: as in calling the model; or prompts of a split, which go through the chat
                template: of a whole set the selection's only, as who compares edits selects.
            what: "logits" [edits, prompts, d_vocab] behind each prompt; "texts", which go on with
                keys and values kept; a function of the logits [rows, d_vocab] of a batch, which
                keeps what it gives of each row, [edits, prompts, ...]; or a score of
                `lenswright.directions` such as `TokenLogOdds`, [edits, prompts].
            batch_size: rows (an edit on a prompt) at a time; each holds the factors of its edit.
            progress: show it.
            how: with "texts", arguments of `generate`: max_new_tokens, temperature, stop ...;
                `seed` is that of the first prompt, under every edit.

        Raises:
            ValueError: an edit, named, cannot be a row: it names tensors instead of writers, has
                rows of its own, or is for another model; prompts of another role, or that made it.
            TypeError: an unknown argument.

        Example:
            >>> tried = model.trial({"whole": edit, "half": 0.5 * edit, "none": None}, prompts)
            >>> tried["half"] - tried["none"]  # [prompts, d_vocab]
        """
        from lenswright.trial import trial

        return trial(self, edits, prompts, what, batch_size=batch_size, progress=progress, **how)

    def collect(self, prompts: PromptSet, **arguments: Any) -> Statistics:
        """Streaming statistics of activations; see `lenswright.collecting.statistics.collect`."""
        from lenswright.collecting.statistics import collect

        return collect(self, prompts, **arguments)
