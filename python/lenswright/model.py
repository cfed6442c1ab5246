"""A loaded model: run it, watch it, change what flows through it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from lenswright import _core, _files
from lenswright.cache import ActivationCache
from lenswright.config import Config
from lenswright.hooks import Hook, HookPoint, HookSpec, resolve_hooks
from lenswright.inputs import PosSlice, Rows, Text
from lenswright.loss import next_token_loss
from lenswright.names import NameFilter, PointNames
from lenswright.tokens import Message, Tokenizer

if TYPE_CHECKING:
    from lenswright.edits import Edit
    from lenswright.prompts import PromptSet
    from lenswright.statistics import Statistics

Side = Literal["right", "left"]
ReturnType = Literal["logits", "loss", "both"] | None
Run = tuple[torch.Tensor | None, torch.Tensor | None]


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
        ValueError: unknown family, quantised weights, a config key that asks for other arithmetic.
    """
    from lenswright.checkpoint import Checkpoint

    checkpoint = Checkpoint(path_or_hub_id, revision=revision)
    name = str(dtype).removeprefix("torch.")
    core = _core.Model.load(checkpoint.native, device=device, dtype=name, strict=strict)
    return Model(core, checkpoint.folder)


class Model:
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
        self._hooks: list[tuple[list[Hook], list[Hook]]] = []
        self._edits: list[Edit] = []
        self._tokenizer: Tokenizer | None = None
        if self.spec["unknown_keys"]:
            warnings.warn(
                f"config.json has keys nobody here knows: {', '.join(self.spec['unknown_keys'])}",
                stacklevel=3,
            )

    # --- text -------------------------------------------------------------------------------------
    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's tokenizer, read on first use."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer(self.folder)
        return self._tokenizer

    def to_tokens(
        self, text: str | Sequence[str], prepend_bos: bool | None = None
    ) -> torch.Tensor | list[list[int]]:
        """Token ids: [1, pos] of a text, [batch, pos] of texts of equal length, else one list each.

        Rows of different lengths stay lists, so that no padding can be taken for text; every method
        accepts them as they are.
        """
        texts = [text] if isinstance(text, str) else list(text)
        rows = [self.tokenizer.encode(t, prepend_bos) for t in texts]
        if len({len(row) for row in rows}) == 1:
            return torch.tensor(rows, dtype=torch.int64)
        return rows

    def to_string(self, tokens: torch.Tensor | Sequence[int]) -> str | list[str]:
        """The text of token ids; a list of texts for [batch, pos]."""
        ids = tokens.tolist() if isinstance(tokens, torch.Tensor) else list(tokens)
        if ids and isinstance(ids[0], list):
            return [self.tokenizer.decode(row) for row in ids]
        return self.tokenizer.decode([ids] if isinstance(ids, int) else ids)

    def to_str_tokens(self, text: str | torch.Tensor | Sequence[int]) -> list[str]:
        """The text of each token of a text or of a row of ids."""
        if isinstance(text, str):
            return self.tokenizer.pieces(self.tokenizer.encode(text))
        ids = text.flatten().tolist() if isinstance(text, torch.Tensor) else list(text)
        return self.tokenizer.pieces(ids)

    def to_single_token(self, text: str) -> int:
        """The id of a text that is one token.

        Raises:
            ValueError: it is none, or several.
        """
        ids = self.tokenizer.encode(
            text, prepend_bos=False if self.tokenizer.bos_id is not None else None
        )
        if len(ids) != 1:
            raise ValueError(f"'{text}' is {len(ids)} tokens {ids}, expected one")
        return ids[0]

    def chat_tokens(
        self, messages: Sequence[Message] | str, add_generation_prompt: bool = True
    ) -> torch.Tensor:
        """Token ids [1, pos] of a conversation by the checkpoint's chat template."""
        turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        text = self.tokenizer.render_chat(turns, add_generation_prompt)
        return torch.tensor([self.tokenizer.encode_verbatim(text)], dtype=torch.int64)

    def prompt_tokens(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts: as user turns where there is a chat template, else as plain text."""
        if self.tokenizer.chat_template is None:
            return [self.tokenizer.encode(prompt) for prompt in prompts]
        return [self.chat_tokens(prompt)[0].tolist() for prompt in prompts]

    # --- facts ------------------------------------------------------------------------------------
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
        """Canonical weights ("blocks.0.attn.W_Q"), [outputs, inputs], as views of the stored ones."""
        return dict(self.core.weights())

    @property
    def W_E(self) -> torch.Tensor:  # noqa: N802 - TransformerLens's name
        """Token embedding [d_vocab, d_model], a view."""
        return self.core.weights()["embed.W_E"]

    @property
    def W_U(self) -> torch.Tensor:  # noqa: N802 - TransformerLens's name
        """Unembedding [d_model, d_vocab], a view."""
        weights = self.core.weights()
        return weights.get("unembed.W_U", weights["embed.W_E"]).t()

    def __repr__(self) -> str:
        c = self.cfg
        count = sum(t.numel() for t in self.core.stored().values())
        return (
            f"Model({c.model_name}: {self.spec['family']}, {count:,} parameters, {c.n_layers} layers, "
            f"d_model {c.d_model}, {c.n_heads} heads over {c.n_key_value_heads}, d_vocab {c.d_vocab}, "
            f"{c.dtype} on {c.device})"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{name}</code></td><td>[{', '.join(shape)}]</td></tr>"
            for name, shape in self.points().items()
            if not name.startswith("blocks.") or name.startswith("blocks.0.")
        )
        text = repr(self).replace("<", "&lt;")
        return f"<b>{text}</b><details><summary>points</summary><table>{rows}</table></details>"

    # --- runs -------------------------------------------------------------------------------------
    def __call__(
        self,
        x: Text | torch.Tensor | Sequence[Sequence[int]],
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        padding_side: Side = "right",
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        logits_at: Literal["all", "last"] = "all",
    ) -> Any:
        """Run the model.

        Args:
            x: a text, texts, ids [batch, pos], lists of ids (ragged), or with `start_at_layer` a
                residual [batch, pos, d_model].
            return_type: "logits" [batch, pos, d_vocab], "loss" (mean over next tokens, nats), "both"
                or None.
            loss_per_token: the loss [batch, pos - 1] of each token, NaN in padding.
            padding_side: where shorter rows of a ragged batch are filled up. Padding reaches no
                real position; what stands in padded places has no meaning.
            start_at_layer: begin with this block; `x` is then the residual before it.
            stop_at_layer: end before this block and return the residual there; may be negative.
            logits_at: "last" unembeds the last real position of each row only.

        Raises:
            IndexError: an id beyond the vocabulary, a layer out of range.
            ValueError: an empty input, a text longer than learned positions reach.
        """
        rows = Rows.of(self, x, start_at_layer)
        taps = self.core.taps()
        self._add_edits(taps)
        self._add_hooks(taps, rows, clone=False)
        return self._finish(
            rows,
            self._run(
                taps, rows, return_type, padding_side, start_at_layer, stop_at_layer, logits_at
            ),
            return_type,
            loss_per_token,
            padding_side,
            stop_at_layer,
        )

    def _run(
        self,
        taps: _core.Taps,
        rows: Rows,
        return_type: ReturnType,
        padding_side: Side,
        start_at_layer: int | None = None,
        stop_at_layer: int | None = None,
        logits_at: str = "all",
    ) -> Run:
        if return_type not in ("logits", "loss", "both", None):
            raise ValueError(
                f"return_type is {return_type!r}, expected 'logits', 'loss', 'both' or None"
            )
        tokens, lengths = rows.padded(padding_side)
        return self.core.run(
            taps,
            tokens.to(self.core.device),
            lengths,
            padding_side,
            "none" if return_type is None else logits_at,
            start_at_layer or 0,
            stop_at_layer,
            rows.residual,
        )

    def _finish(
        self,
        rows: Rows,
        run: Run,
        return_type: ReturnType,
        loss_per_token: bool,
        padding_side: Side,
        stop_at_layer: int | None,
    ) -> Any:
        logits, residual = run
        if stop_at_layer is not None:
            return residual
        if return_type is None or return_type == "logits":
            return logits
        tokens, lengths = rows.padded(padding_side)
        if logits is None or logits.shape[1] != tokens.shape[1]:
            raise ValueError(f"return_type is {return_type!r}, which needs logits_at='all'")
        loss = next_token_loss(
            logits, tokens.to(logits.device), lengths, padding_side, loss_per_token
        )
        return loss if return_type == "loss" else (logits, loss)

    # --- watching ---------------------------------------------------------------------------------
    def capture(
        self,
        x: Text | torch.Tensor | Sequence[Sequence[int]],
        points: NameFilter,
        pos_slice: PosSlice = None,
        device: str | torch.device | None = None,
        padding_side: Side = "right",
    ) -> ActivationCache:
        """The tensors of some points, without logits: the run stops after the deepest of them."""
        _, cache = self.run_with_cache(
            x,
            points,
            pos_slice=pos_slice,
            device=device,
            padding_side=padding_side,
            return_type=None,
        )
        return cache

    def run_with_cache(
        self,
        x: Text | torch.Tensor | Sequence[Sequence[int]],
        names_filter: NameFilter = None,
        stop_at_layer: int | None = None,
        pos_slice: PosSlice = None,
        device: str | torch.device | None = None,
        incl_bwd: bool = False,
        remove_batch_dim: bool = False,
        return_type: ReturnType = "logits",
        loss_per_token: bool = False,
        padding_side: Side = "right",
    ) -> tuple[Any, ActivationCache]:
        """Run the model and keep the tensors of some points.

        Args:
            names_filter: None (every point but expanded ones), a name, a glob, a short form
                ("resid_post", or ("resid_post", 3)), a list of these, or a function name -> bool.
            stop_at_layer: end before this block; the first result is then the residual there.
            pos_slice: positions to keep (of queries, in scores and patterns).
            device: where to keep them.
            incl_bwd: also keep gradients of the loss, as name + "_grad"; needs return_type="loss".
            remove_batch_dim: drop the batch dimension of a batch of one.
            return_type, loss_per_token, padding_side: as in calling the model.

        Raises:
            KeyError, ValueError: a name is unknown, matches nothing, or lies behind stop_at_layer.
        """
        names = self.names.resolve(names_filter)
        if names_filter is None and stop_at_layer is not None:
            names = self._before(names, stop_at_layer)
        rows = Rows.of(self, x, None)
        taps = self.core.taps()
        self._add_edits(taps)
        self._add_hooks(taps, rows, clone=True)
        positions = rows.positions(pos_slice)
        if incl_bwd:
            return self._run_backward(
                taps, rows, names, positions, device, remove_batch_dim, return_type, padding_side
            )
        for name in names:
            taps.capture(
                name,
                positions,
                None if device is None else torch.device(device),
                not torch.is_grad_enabled(),
            )
        result = self._finish(
            rows,
            self._run(taps, rows, return_type, padding_side, None, stop_at_layer),
            return_type,
            loss_per_token,
            padding_side,
            stop_at_layer,
        )
        return result, self._cache(
            taps.captured, names, rows, padding_side, pos_slice, remove_batch_dim
        )

    def _before(self, names: list[str], stop_at_layer: int) -> list[str]:
        n = self.cfg.n_layers
        stop = stop_at_layer + n if stop_at_layer < 0 else stop_at_layer
        behind = ("ln_final.", "unembed.")
        return [
            name
            for name in names
            if not name.startswith(behind)
            and not (name.startswith("blocks.") and int(name.split(".")[1]) >= stop)
        ]

    def _cache(
        self,
        captured: dict[str, torch.Tensor],
        names: list[str],
        rows: Rows,
        padding_side: Side,
        pos_slice: Any,
        remove_batch_dim: bool,
    ) -> ActivationCache:
        ordered = {name: captured[name] for name in names}
        lengths = rows.lengths if pos_slice is None else None
        cache = ActivationCache(ordered, self, lengths, padding_side)
        return cache.remove_batch_dim() if remove_batch_dim else cache

    def _run_backward(
        self,
        taps: _core.Taps,
        rows: Rows,
        names: list[str],
        positions: torch.Tensor | None,
        device: str | torch.device | None,
        remove_batch_dim: bool,
        return_type: ReturnType,
        padding_side: Side,
    ) -> tuple[torch.Tensor, ActivationCache]:
        if return_type != "loss":
            raise ValueError(f"incl_bwd needs return_type='loss', but it is {return_type!r}")
        kept: dict[str, torch.Tensor] = {}

        def keeper(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
            def tap(tensor: torch.Tensor) -> torch.Tensor:
                # The same tensor may be several points (a residual); a view of its own keeps each apart.
                kept[name] = tensor.view_as(tensor) if tensor.is_floating_point() else tensor
                if kept[name].requires_grad:
                    kept[name].retain_grad()
                return kept[name]

            return tap

        self._require_gradients(taps, rows)
        for name in names:
            taps.write(name, keeper(name))
        with torch.enable_grad():
            loss = self._finish(
                rows, self._run(taps, rows, "loss", padding_side), "loss", False, padding_side, None
            )
            loss.backward()
        everything: dict[str, torch.Tensor] = {}
        for name in names:
            for key, value in ((name, kept[name].detach()), (name + "_grad", kept[name].grad)):
                if value is not None:
                    everything[key] = self._kept(value, name, positions, device)
        cache = ActivationCache(
            everything, self, rows.lengths if positions is None else None, padding_side
        )
        return loss.detach(), cache.remove_batch_dim() if remove_batch_dim else cache

    @staticmethod
    def _kept(
        value: torch.Tensor,
        name: str,
        positions: torch.Tensor | None,
        device: str | torch.device | None,
    ) -> torch.Tensor:
        if positions is not None:
            dim = 2 if name.endswith(("hook_pattern", "hook_attn_scores")) else 1
            value = value.index_select(dim, positions)
        return value if device is None else value.to(device)

    @staticmethod
    def _require_gradients(taps: _core.Taps, rows: Rows) -> None:
        # Weights may need no gradients, so the graph starts at the embedding or the given residual.
        if rows.residual is not None:
            if not rows.residual.requires_grad:
                rows.residual = rows.residual.detach().requires_grad_()
            return
        taps.write("hook_embed", lambda x: x if x.requires_grad else x.detach().requires_grad_())

    # --- changing ---------------------------------------------------------------------------------
    def run_with_hooks(
        self,
        x: Text | torch.Tensor | Sequence[Sequence[int]],
        fwd_hooks: Sequence[HookSpec] = (),
        bwd_hooks: Sequence[HookSpec] = (),
        **arguments: Any,
    ) -> Any:
        """Run the model with functions at its points, for this run only.

        Args:
            x: as in calling the model; so are further arguments.
            fwd_hooks: [(name, glob, short form or predicate, fn)]; fn(tensor, hook) returns a tensor
                to go on with, or None.
            bwd_hooks: the same for gradients; call .backward() on the loss inside `model.hooks`, or
                pass return_type="loss" and call it on the result.

        Raises:
            KeyError, ValueError: a name is unknown or matches nothing; a hook returned another shape.
        """
        with self.hooks(fwd_hooks, bwd_hooks):
            return self(x, **arguments)

    @contextmanager
    def hooks(
        self, fwd_hooks: Sequence[HookSpec] = (), bwd_hooks: Sequence[HookSpec] = ()
    ) -> Iterator[Model]:
        """Functions at points for every run within; nested contexts add to one another."""
        entry = (
            resolve_hooks(self.names, fwd_hooks, "fwd_hooks"),
            resolve_hooks(self.names, bwd_hooks, "bwd_hooks"),
        )
        self._hooks.append(entry)
        try:
            yield self
        finally:
            self._hooks.remove(entry)

    def _add_hooks(self, taps: _core.Taps, rows: Rows, clone: bool) -> None:
        if any(backward for _, backward in self._hooks):
            self._require_gradients(taps, rows)
        for forward, backward in self._hooks:
            for hook in forward:
                taps.write(hook.point.name, hook.forward(clone or self._shared(hook.point)))
            for hook in backward:
                taps.write(hook.point.name, hook.backward())

    def _shared(self, point: HookPoint) -> bool:
        # An expanded point shows a tensor that the run goes on to use elsewhere.
        return point.name not in self.names.default

    @contextmanager
    def edited(self, *edits: Edit) -> Iterator[Model]:
        """Every run within behaves as if the edits were in the weights; no weight changes."""
        self._edits.extend(edits)
        try:
            yield self
        finally:
            del self._edits[len(self._edits) - len(edits) :]

    def _add_edits(self, taps: _core.Taps) -> None:
        for edit in self._edits:
            edit.try_on(taps)

    # --- more -------------------------------------------------------------------------------------
    def generate(
        self,
        x: Text | torch.Tensor | Sequence[Sequence[int]],
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop_at_eos: bool = True,
        return_type: Literal["input", "text", "tokens"] = "input",
        use_cache: bool = True,
        padding_side: Side = "right",
    ) -> Any:
        """Continue texts with the most probable token each time.

        Args:
            x: as in calling the model.
            max_new_tokens: at most so many.
            temperature: 0.0, greedy.
            stop_at_eos: end a row with generation_config.json's (or config.json's) end token.
            return_type: "input" gives back what was given, continued: text for text, ids for ids;
                "text" and "tokens" give the new part only, as texts or lists of ids.
            use_cache: keep keys and values; False runs the whole text for every token.

        Raises:
            ValueError: another temperature, a text longer than learned positions reach.
        """
        from lenswright.generation import generate

        return generate(
            self, x, max_new_tokens, temperature, stop_at_eos, return_type, use_cache, padding_side
        )

    def collect(self, prompts: PromptSet, **arguments: Any) -> Statistics:
        """Streaming statistics of activations; see `lenswright.statistics.collect`."""
        from lenswright.statistics import collect

        return collect(self, prompts, **arguments)
