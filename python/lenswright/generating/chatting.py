"""A conversation with a model: turns by its chat template, answers as they come."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lenswright.arguments import check_names
from lenswright.generating.generate_methods import go_on
from lenswright.generating.generation import Decoding
from lenswright.generating.generation_config import CHOICES, new_tokens, settings
from lenswright.generating.kept_text import KeptText
from lenswright.generating.text_stream import TextStream
from lenswright.generating.thinking import Piece, ReasoningStream, mark_ids, marks_of
from lenswright.tokens import Message, Tokenizer

if TYPE_CHECKING:
    from lenswright.model import Model

LONG = 1024  # tokens of an answer where neither the call nor the checkpoint says how many

_SOMETHING = "something"


class ContextFull(ValueError):
    """A conversation has become longer than the model reads."""


@dataclass(frozen=True)
class Reply:
    """One turn: what was asked and what came back.

    reasoning: None where the model marked none. end: "stop", "length", or "interrupted".
    prompt_tokens: of the whole conversation so far. reused: how many of them were not read again.
    anew: why none were, where something acts or has changed that forbids it; None otherwise.
    """

    prompt: str
    answer: str
    reasoning: str | None
    end: str
    tokens: int
    seconds: float
    prompt_tokens: int = 0
    reused: int = 0
    anew: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


class Conversation:
    """Turns with a model. Hooks, edits and steerings in force when a turn begins act on it.

    Keys and values are kept between turns, and what a turn has in common with the last is not read
    again; the words are those of a conversation read afresh. It is read afresh where that could not
    be promised: after an edit, a steering or a weight has changed, under hooks, under steerings
    that act at some positions only, in `lw.deterministic()`, and by models whose rotations depend
    on how long a row is. `Reply.reused` and `Reply.anew` say so.

        talk = lw.Conversation(model, max_new_tokens=16)
        for piece in talk.say("make a kettle"):
            print(piece.text, end="")
        talk.ask("describe a kettle").answer

    Args:
        model: one whose checkpoint has a chat template.
        system: what stands before the first turn.
        max_new_tokens, temperature: as in `Model.generate`; None is as the checkpoint's
            generation_config.json has it, and at most 1,024 tokens an answer where it is silent.
        arguments: top_k, top_p, min_p, penalties, seed, stop, fwd_hooks, hooks_on, steering, as
            there.

    Raises:
        ValueError: there is no chat template, or it takes no system message; a number is out of
            its range.
        TypeError: an unknown argument.
    """

    def __init__(
        self,
        model: Model,
        system: str | None = None,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        **arguments: Any,
    ) -> None:
        given = {"temperature": temperature, **arguments}
        check_names(
            "Conversation", given, (*CHOICES, "seed", "stop", "fwd_hooks", "hooks_on", "steering")
        )
        stop = given.pop("stop", None)
        stops = [] if stop is None else [stop] if isinstance(stop, str | int) else list(stop)
        chosen = {name: given.get(name) for name in CHOICES}
        self._how = given | {"stop": stops + turn_ends(model.tokenizer)}
        self._most = max_new_tokens
        # Whatever is wrong with these shall be said before the first turn.
        how = settings(model, 1, 1, max_new_tokens, chosen, given.get("seed"), stops, True)
        self._stop_texts = how.stop_texts
        self._system: list[Message] = [] if system is None else [_message("system", system)]
        model.tokenizer.render_chat([*self._system, _message("user", _SOMETHING)])
        self._marks = marks_of(model.tokenizer)
        self.model = model
        self._kept = KeptText(model, given.get("steering"), bool(given.get("fwd_hooks")))
        self.replies: list[Reply] = []
        self.reset()

    def reset(self) -> None:
        """Forget every turn; the system message stays."""
        self.messages = list(self._system)

    def say(self, text: str) -> Generator[Piece]:
        """Pieces of the answer to one more turn; `replies[-1]` is the whole of it afterwards.

        Who stops iterating ends the answer; what was said until then belongs to the conversation.

        Raises:
            ContextFull: the conversation has become longer than the model reads.
        """
        turns = [*self.messages, _message("user", text)]
        prompt = self.model.chat_tokens(turns)
        room = self._room(prompt.shape[1])
        read, anew = self._kept.begin()
        decoding = go_on(self.model, prompt, read, max_new_tokens=room, **self._how)
        return self._answer(text, turns, decoding, anew)

    def ask(self, text: str) -> Reply:
        """One more turn, and the whole answer to it. Raises what `say` raises."""
        for _ in self.say(text):
            pass
        return self.replies[-1]

    def _room(self, length: int) -> int:
        n_ctx = self.model.cfg.n_ctx
        most = new_tokens(self.model, self._most, length, LONG)
        if 0 < n_ctx <= length:
            raise ContextFull(
                f"the conversation has {length} tokens, and the model was made for {n_ctx} (n_ctx)"
            )
        return min(most, n_ctx - length) if n_ctx > 0 else most

    def _answer(
        self, text: str, turns: list[Message], decoding: Decoding, anew: str | None
    ) -> Generator[Piece]:
        tokenizer = self.model.tokenizer
        words = TextStream(tokenizer, self._stop_texts, mark_ids(tokenizer))
        stream = ReasoningStream(self._marks)
        said: dict[str, str] = {"reasoning": "", "answer": ""}
        count, end, start = 0, "interrupted", time.monotonic()
        try:
            for chunk in (chunk for chunks in decoding for chunk in chunks):
                count += len(chunk.ids)
                new = "".join(words.push(token) for token in chunk.ids)
                pieces = stream.push(new + (words.finish() if chunk.end else ""))
                pieces += stream.finish() if chunk.end else []
                end = chunk.end or end
                for piece in pieces:
                    said[piece.kind] += piece.text
                    yield piece
        finally:
            answer = said["answer"].strip()
            reasoning = said["reasoning"].strip() if stream.met else None
            self.messages = [*turns, _message("assistant", answer)]
            seconds, length = time.monotonic() - start, len(decoding.prompts[0])
            self.replies.append(
                Reply(text, answer, reasoning, end, count, seconds, length, decoding.reused, anew)
            )
            decoding.leave()
            self._kept.end()


def turn_ends(tokenizer: Tokenizer) -> list[int]:
    """Ids of the special token that the chat template puts behind an answer; [] for none.

    Not every generation_config.json names it among those that end a text.
    """
    try:
        text = tokenizer.render_chat(
            [_message("user", "?"), _message("assistant", _SOMETHING)], add_generation_prompt=False
        )
    except ValueError:
        return []
    _, found, rest = text.rpartition(_SOMETHING)
    ids = tokenizer.encode_verbatim(rest)[:1] if found and rest else []
    return [i for i in ids if i in tokenizer.special_ids]


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
