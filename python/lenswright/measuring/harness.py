"""Models for EleutherAI's evaluation harness: `pip install lenswright[eval]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.model import LM

from lenswright.measuring.forcing import apart
from lenswright.progress import Progress

if TYPE_CHECKING:
    from lenswright.model import Model

DRAWN = ("temperature", "top_k", "top_p", "min_p")
"""What of a task's generation_kwargs says how words are drawn."""
KNOWN = {"until", "max_gen_toks", "max_new_tokens", "do_sample", "seed", *DRAWN}


class EvalModel(LM):
    """A model as `lm_eval` asks for one, with whatever edits and steerings are in force.

    >>> with model.edited(edit):
    ...     results = lm_eval.simple_evaluate(model=EvalModel(model), tasks=["piqa"])

    Texts are tokenised as the model's tokenizer does, its BOS included. What is longer than the
    context loses its beginning, which is what the harness's own models do.

    Args:
        model: loaded, with its tokenizer.
        batch_size: rows at a time; changes no figure by more than rounding.
        max_gen_toks: length of answers where a task says none.
        progress: show it.
    """

    def __init__(
        self, model: Model, batch_size: int = 16, max_gen_toks: int = 256, progress: bool = True
    ) -> None:
        super().__init__()
        if batch_size < 1 or max_gen_toks < 1:
            raise ValueError(
                f"batch_size is {batch_size} and max_gen_toks {max_gen_toks}, expected 1 or more"
            )
        self.model, self.batch_size = model, batch_size
        self.max_gen_toks, self._progress = max_gen_toks, progress

    @property
    def tokenizer_name(self) -> str:
        """What tells requests of one tokenizer from those of another."""
        return str(self.model.folder)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Messages as the checkpoint's template writes them."""
        return self.model.tokenizer.render_chat(chat_history, add_generation_prompt)

    # --- what is asked ----------------------------------------------------------------------------
    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Log-probability of each continuation after its context, and whether greedy decoding
        would say it.
        """
        pairs = [self._pair(*request.args) for request in requests]
        return list(self._scored(pairs, not disable_tqdm))

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-probability of each text, in windows of the context's length that share no token."""
        windows = [list(self._windows(request.args[0])) for request in requests]
        scored = self._scored([pair for own in windows for pair in own], not disable_tqdm)
        return [sum(next(scored)[0] for _ in own) for own in windows]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What is said after each context, until a text that ends it."""
        answers = []
        with Progress("generate", len(requests), "answers", self._progress) as bar:
            for request in requests:
                answers.append(self._answer(*request.args))
                bar.step()
        return answers

    # --- how --------------------------------------------------------------------------------------
    @property
    def _first(self) -> int:
        """The token before a text that has nothing before it."""
        ids = (self.model.tokenizer.bos_id, self.model.tokenizer.eos_id)
        found = next((one for one in ids if one is not None), None)
        if found is None:
            raise ValueError("the tokenizer has neither BOS nor EOS, expected one of them to stand "
                             "before a text without a context")  # fmt: skip
        return found

    def _ids(self, text: str) -> list[int]:
        ids = self.model.tokenizer.encode(text)
        first = self.model.tokenizer.bos_id
        return ids[1:] if first is not None and ids[:2] == [first, first] else ids  # a template's

    def _pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        if not context:
            ids = self._ids(continuation)
            return [self._first], ids[1:] if ids[:1] == [self._first] else ids
        spaces = len(context) - len(context.rstrip())
        if spaces:  # which tokenizers put before words, not behind them
            context, continuation = context[:-spaces], context[-spaces:] + continuation
        whole, before = self._ids(context + continuation), self._ids(context)
        if whole[: len(before)] == before:
            return before, whole[len(before) :]
        return before, apart(self.model.tokenizer, before, continuation)

    def _windows(self, text: str) -> Iterator[tuple[list[int], list[int]]]:
        ids, size = self._ids(text), self.model.cfg.n_ctx
        ids = ids[1:] if ids[:1] == [self._first] else ids
        all_ids = [self._first, *ids]
        for begin in range(0, len(ids), size):
            end = min(begin + size, len(ids))
            yield all_ids[max(0, end - size) : begin + 1], ids[begin:end]

    def _scored(
        self, pairs: Sequence[tuple[list[int], list[int]]], show: bool
    ) -> Iterator[tuple[float, bool]]:
        # Alike in length together, the longest first: what is too large is found out at once.
        order = sorted(range(len(pairs)), key=lambda i: -sum(map(len, pairs[i])))
        found: dict[int, tuple[float, bool]] = {}
        with (
            Progress("score", len(pairs), "texts", self._progress and show) as bar,
            torch.no_grad(),
        ):
            for begin in range(0, len(order), self.batch_size):
                batch = order[begin : begin + self.batch_size]
                scores = self._batch([pairs[i] for i in batch])
                found |= dict(zip(batch, scores, strict=True))
                bar.step(len(batch))
        return (found[i] for i in range(len(pairs)))

    def _batch(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
        size = self.model.cfg.n_ctx
        for _, continuation in pairs:
            if not continuation or len(continuation) > size:
                raise ValueError(f"a continuation has {len(continuation)} tokens, expected 1 to "
                                 f"{size}, the length of the context")  # fmt: skip
        rows = [(before + after)[-(size + 1) : -1] for before, after in pairs]
        logits = self.model(rows)
        scores = []
        for row, (_, after), seen in zip(rows, pairs, logits, strict=True):
            said = seen[len(row) - len(after) : len(row)].double().log_softmax(-1)
            wanted = torch.tensor(after, device=said.device)
            total = said.gather(-1, wanted[:, None]).sum()
            scores.append((float(total), bool((said.argmax(-1) == wanted).all())))
        return scores

    def _answer(self, context: str, how: Mapping[str, Any]) -> str:
        unknown = sorted(set(how) - KNOWN)
        if unknown:
            raise ValueError(f"generation_kwargs has '{unknown[0]}', expected {sorted(KNOWN)}")
        until = how.get("until") or []
        until = [until] if isinstance(until, str) else list(until)
        length = int(how.get("max_gen_toks", how.get("max_new_tokens", self.max_gen_toks)))
        drawn = {name: how[name] for name in DRAWN if how.get("do_sample") and name in how}
        # What temperature a task names without sampling means nothing: greedy has none.
        drawn.setdefault("temperature", 1.0 if how.get("do_sample") else 0.0)
        room = self.model.cfg.n_ctx - length
        if room < 1:
            raise ValueError(f"max_gen_toks is {length}, expected less than the length of the "
                             f"context, {self.model.cfg.n_ctx}")  # fmt: skip
        made = self.model.generate(
            [self._ids(context)[-room:]], length, stop=[text for text in until if text] or None,
            seed=how.get("seed"), return_type="both", **drawn,
        )  # fmt: skip
        return made.texts[0]
