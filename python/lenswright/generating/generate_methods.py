"""What a model does to continue texts; see `lenswright.generating.generation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from lenswright.arguments import hinted, with_arguments_of
from lenswright.generating.generation import Chunk, Decoding, Generated
from lenswright.generating.generation_config import CHOICES, Stop, settings
from lenswright.hooks import HookSpec
from lenswright.inputs import Rows
from lenswright.names import NameFilter
from lenswright.nearest import did_you_mean
from lenswright.progress import Progress
from lenswright.running import Input, Side

if TYPE_CHECKING:
    from lenswright.model import Model
    from lenswright.steering import Steering

Continuation = Literal["input", "text", "str", "tokens", "both"]
Stream = bool | Callable[[Chunk], object]

RETURN_TYPES = ("input", "text", "str", "tokens", "both")


class GenerateMethods:
    """Continuing texts: greedy or drawn, whole or as a stream, watched and changed on the way."""

    @hinted
    def generate(
        self,
        x: Input,
        max_new_tokens: int | None = 64,
        temperature: float | None = 0.0,
        stop_at_eos: bool = True,
        return_type: Continuation = "input",
        use_cache: bool = True,
        padding_side: Side = "right",
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float | None = None,
        frequency_penalty: float | None = None,
        presence_penalty: float | None = None,
        seed: int | Sequence[int] | None = None,
        stop: Stop = None,
        stream: Stream = False,
        return_logits: bool = False,
        fwd_hooks: Sequence[HookSpec] = (),
        hooks_on: Literal["both", "prefill", "decode"] = "both",
        names_filter: NameFilter = None,
        steering: Steering | None = None,
    ) -> Any:
        """Continue texts, the most probable token each time or one that is drawn.

        What is None is as the checkpoint's generation_config.json has it: `temperature` is 0 there
        unless do_sample is true; a filter or penalty it does not name does nothing.

        Args:
            x: as in calling the model. Rows may differ in length; none sees padding.
            max_new_tokens: at most so many for each row.
            temperature: 0 is greedy (the smallest id of equals); what is higher draws tokens by
                softmax(logits / temperature).
            stop_at_eos: end a row with generation_config.json's (or config.json's) end tokens.
            return_type: "input" gives back what was given, continued: text for text, ids for ids;
                "text" (or "str") and "tokens" give the new part only, as texts or lists of ids;
                "both" gives a `Generated` with texts, tokens, why each row ended, and reasoning and
                answer of models that think.
            use_cache: keep keys and values; False runs the whole text for every token.
            padding_side: nothing depends on it.
            top_k, top_p, min_p: draw only from the so many most probable tokens; from the fewest
                that hold so much probability; from those with at least this part of the highest
                one. In this order, after the temperature, as transformers does.
            repetition_penalty: divides positive logits of all tokens of prompt and continuation,
                multiplies negative ones; 1 does nothing. Acts on greedy texts too.
            frequency_penalty, presence_penalty: taken from the logit of a token of the continuation
                for each time it stands there, and once.
            seed: of row 0, the next rows having the next numbers, or one a row; None is 0. A
                token depends on its row's seed, text and position, not on the other rows.
            stop: texts and ids that end a row. A text ends before a stop text, however it is cut
                into tokens; lists of ids keep what was said.
            stream: True prints the text of a single row as it comes; a function is called with
                every `Chunk`.
            return_logits: give a `Generated` with the logits of each step.
            fwd_hooks: [(name or predicate, fn)] as in `run_with_hooks`, for this call only.
            hooks_on: when these act: while prompts are read ("prefill"), while tokens are said one
                by one ("decode"), or "both". Hooks of `model.hooks` and edits always act.
            names_filter: points to keep, "*" for all; gives a `Generated` whose cache has them by
                absolute position in the row.
            steering: what is done to the residual stream, for this call only, behind that of
                `model.steered`; see `lenswright.steering`.

        Rows that begin with the same 16 tokens or more share their keys and values until they
        differ, unless hooks, edits of single rows or steerings of places that differ between rows
        are in force, or `lw.deterministic()`.

        Raises:
            ValueError: a number out of range; more tokens than learned positions reach.
            TypeError: an unknown argument, an argument of another kind.
        """
        _check_return_type(return_type)
        decoding, rows = _begin(cast("Model", self), x, locals(), stream is not False)
        sink = _sink(stream, len(decoding.prompts))
        with Progress("generate", decoding.how.max_new_tokens, "tokens", not sink) as progress:
            for chunks in decoding:
                progress.step()
                if sink is not None:
                    for chunk in chunks:
                        sink(chunk)
        made = decoding.result()
        if return_type == "both" or return_logits or names_filter is not None:
            return made
        return _returned(made, rows, return_type, isinstance(x, str))

    @with_arguments_of(generate, but=("return_type", "stream", "return_logits", "names_filter"))
    def generate_stream(self, x: Input, **how: Any) -> Iterator[Chunk]:
        """Continue texts a `Chunk` (row, ids, text, end) at a time; arguments as in `generate`.

        All but `return_type`, `stream`, `return_logits` and `names_filter`. Hooks, edits and
        steerings are those in force at the call; `lw.deterministic()` must be in force while
        chunks are taken. Who stops iterating ends the generation.
        """
        given = how | {"return_logits": False, "names_filter": None}
        decoding, _ = _begin(cast("Model", self), x, given, texts=True)
        return (chunk for chunks in decoding for chunk in chunks)


def _begin(model: Model, x: Any, given: dict[str, Any], texts: bool) -> tuple[Decoding, Rows]:
    rows = Rows.of(model, x, None)
    lengths = rows.lengths or [len(row) for row in rows.lists()]
    how = settings(
        model, len(lengths), max(lengths), given["max_new_tokens"],
        {name: given[name] for name in CHOICES}, given["seed"], given["stop"], given["stop_at_eos"],
    )  # fmt: skip
    same = ("fwd_hooks", "hooks_on", "names_filter", "return_logits", "use_cache", "padding_side",
            "steering")  # fmt: skip
    texts = texts or bool(how.stop_texts)
    return Decoding(model, rows, how, texts=texts, **{name: given[name] for name in same}), rows


def _sink(stream: Stream, rows: int) -> Callable[[Chunk], object] | None:
    if callable(stream):
        return stream
    if not isinstance(stream, bool):
        raise TypeError(f"stream is {stream!r}, expected True, False or a function of a Chunk")
    if not stream:
        return None
    if rows != 1:
        raise ValueError(f"stream is True, which prints one row, but there are {rows}; "
                         "expected a function of a Chunk")  # fmt: skip
    return lambda chunk: print(chunk.text, end="\n" if chunk.end else "", flush=True)


def _check_return_type(return_type: str) -> None:
    if return_type not in RETURN_TYPES:
        hint = did_you_mean(return_type, RETURN_TYPES)
        raise ValueError(f"return_type is {return_type!r}, expected one of {RETURN_TYPES}{hint}")


def _returned(made: Generated, rows: Rows, return_type: str, single: bool) -> Any:
    if return_type == "tokens":
        return made.tokens
    if return_type in ("text", "str"):
        return made.texts[0] if single else made.texts
    whole = [old + new for old, new in zip(made.prompts, made.tokens, strict=True)]
    if rows.text:
        texts = [_continued(made, row, ids) for row, ids in enumerate(whole)]
        return texts[0] if single else texts
    if len({len(row) for row in whole}) == 1:
        return torch.tensor(whole, dtype=torch.int64)
    return whole


def _continued(made: Generated, row: int, ids: list[int]) -> str:
    # Not every tokenizer.json marks its BOS as special, and the text given had none.
    tokenizer = made.model.tokenizer
    ids = ids[1:] if ids[:1] == [tokenizer.bos_id] else ids
    text = tokenizer.decode(ids, skip_special_tokens=True)
    said = tokenizer.decode(made.tokens[row], skip_special_tokens=True)
    return text.removesuffix(said[len(made.texts[row]) :])  # from a stop text on
