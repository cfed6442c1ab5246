"""Text to tokens and back: Hugging Face's tokenizers, read from a checkpoint's own files."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import tokenizers

Message = dict[str, Any]


class Tokenizer:
    """The tokenizer and chat template that lie beside a checkpoint.

    `tokenizer.json` is read by the `tokenizers` library directly. Whether text starts with a BOS
    token is the tokenizer's own decision.

    Raises:
        FileNotFoundError: the folder has no tokenizer.json.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} has no tokenizer.json; expected one, or pass token ids instead of text"
            )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        config = folder / "tokenizer_config.json"
        self.config: dict[str, Any] = json.loads(config.read_text()) if config.is_file() else {}
        self.special_ids = self._find_special()
        self.chat_template = template_of(folder, self.config)

    def _find_special(self) -> set[int]:
        # Either file may call a token special; transformers obeys both, and the library's own
        # skipping leaves some of them in.
        added = self._tokenizer.get_added_tokens_decoder()
        named = self.config.get("added_tokens_decoder", {})
        return {i for i, token in added.items() if token.special} | {
            int(i) for i, token in named.items() if token.get("special")
        }

    def _special(self, key: str) -> str | None:
        token = self.config.get(key)
        return token["content"] if isinstance(token, dict) else token

    @property
    def bos_id(self) -> int | None:
        """Id of the token that begins a text, where the configuration names one."""
        token = self._special("bos_token")
        return None if token is None else self._tokenizer.token_to_id(token)

    @property
    def eos_id(self) -> int | None:
        """Id of the token that ends a text, where the configuration names one."""
        token = self._special("eos_token")
        return None if token is None else self._tokenizer.token_to_id(token)

    def encode(self, text: str, prepend_bos: bool | None = None) -> list[int]:
        """Token ids of a text; `prepend_bos` overrides what the tokenizer decides."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=True).ids
        bos, bare = self.bos_id, prepend_bos is False
        if prepend_bos is None:
            prepend_bos = bool(self.config.get("add_bos_token")) or (bos in ids[:1])
        if bos is None:
            if prepend_bos:
                raise ValueError("prepend_bos is True, but the tokenizer names no bos_token")
            return ids if not bare else self._bare(text, ids)
        if prepend_bos and ids[:1] != [bos]:
            return [bos, *ids]
        return ids[1:] if not prepend_bos and ids[:1] == [bos] else ids

    def _bare(self, text: str, ids: list[int]) -> list[int]:
        # Without what a tokenizer that names no BOS puts before every text all the same.
        plain = self.encode_verbatim(text)
        places = range(len(ids) - len(plain) + 1)
        start = next((i for i in places if ids[i : i + len(plain)] == plain), 0)
        return ids[start:]

    def encode_verbatim(self, text: str) -> list[int]:
        """Token ids of a text that holds its special tokens already, as a chat template has it."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def special_id(self, text: str) -> int | None:
        """The id of a special token by its text, or None."""
        token_id = self._tokenizer.token_to_id(text)
        return token_id if token_id in self.special_ids else None

    def added_tokens(self) -> dict[str, int]:
        """Tokens that were added to the vocabulary, special or not: text to id."""
        added = self._tokenizer.get_added_tokens_decoder()
        return {token.content: i for i, token in sorted(added.items())}

    def decode(
        self, ids: Sequence[int], skip_special_tokens: bool = False, keep: Collection[int] = ()
    ) -> str:
        """The text of token ids; `keep` are special ones that are not skipped."""
        skipped = self.special_ids.difference(keep) if skip_special_tokens else ()
        kept = [i for i in ids if i not in skipped]
        return str(self._tokenizer.decode(kept, skip_special_tokens=False))

    def token(self, token_id: int) -> str:
        """The text of one token, its leading space kept."""
        return self.pieces([token_id])[0]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text each token adds to what stands before it."""
        texts = []
        for token_id in ids:
            raw = self._tokenizer.id_to_token(int(token_id))
            if raw is None:
                raise IndexError(
                    f"token id {token_id} is unknown, expected 0 to {self.vocab_size - 1}"
                )
            texts.append(self._piece(int(token_id), raw))
        return texts

    def _piece(self, token_id: int, raw: str) -> str:
        # A decoder drops the space a word starts with at the start of a text: decode it behind an
        # anchor and cut the anchor off.
        anchor = self._tokenizer.encode("a", add_special_tokens=False).ids
        before = self._tokenizer.decode(anchor, skip_special_tokens=False)
        both = self._tokenizer.decode([*anchor, token_id], skip_special_tokens=False)
        return both[len(before) :] if both.startswith(before) and both != before else raw

    @property
    def vocab_size(self) -> int:
        """Number of tokens, added ones included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def render_chat(self, messages: Sequence[Message], add_generation_prompt: bool = True) -> str:
        """The text of a conversation by the checkpoint's own template.

        Args:
            messages: {"role": "system" | "user" | "assistant", "content": str} each.
            add_generation_prompt: end with what precedes an answer.

        Raises:
            ValueError: the checkpoint has no chat template, or its template refuses the messages or
                is broken.
        """
        from jinja2 import TemplateError

        if self.chat_template is None:
            raise ValueError("the checkpoint has no chat template; expected one, or plain text")
        try:
            text: str = _template(self.chat_template).render(
                messages=list(messages),
                add_generation_prompt=add_generation_prompt,
                bos_token=self._special("bos_token") or "",
                eos_token=self._special("eos_token") or "",
                tools=None,
                documents=None,
            )
        except TemplateError as error:
            raise ValueError(f"the checkpoint's chat template ended with: {error}") from error
        return text


def template_of(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The chat template of a folder, or of its tokenizer_config.json, where there is one."""
    separate = folder / "chat_template.jinja"
    if separate.is_file():
        return separate.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):  # several named ones; transformers takes "default"
        named = {entry["name"]: entry["template"] for entry in template}
        return named.get("default")
    return template


@cache  # compiling one takes longer than rendering hundreds
def _template(text: str) -> Any:
    return _environment().from_string(text)


def _environment() -> Any:
    # The settings transformers renders templates with; the sandbox because templates are untrusted.
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
    return environment
