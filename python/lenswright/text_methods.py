"""A model's text side: tokens, strings and conversations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from lenswright.tokens import Message, Tokenizer


class TextMethods:
    """What a model does with text; the tokenizer is the checkpoint's own."""

    folder: Path
    _tokenizer: Tokenizer | None

    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's tokenizer, read on first use."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer(self.folder)
        return self._tokenizer

    def use_tokenizer(self, tokenizer: Any) -> None:
        """Take text through another tokenizer: a folder with tokenizer.json, or `transformers`'s.

        Raises:
            FileNotFoundError: it has no tokenizer.json (a slow tokenizer of `transformers`).
        """
        if isinstance(tokenizer, str | Path):
            self._tokenizer = Tokenizer(tokenizer)
            return
        with TemporaryDirectory() as folder:
            tokenizer.save_pretrained(folder)
            self._tokenizer = Tokenizer(folder)

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
        """The text of token ids, or of one; a list of texts for [batch, pos]."""
        if isinstance(tokens, torch.Tensor):
            tokens = tokens.reshape(-1) if tokens.dim() == 0 else tokens
            tokens = tokens.tolist()
        ids: list[Any] = list(tokens)
        if ids and isinstance(ids[0], list):
            return [self.tokenizer.decode(row) for row in ids]
        return self.tokenizer.decode(ids)

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
        """Token ids of prompts: user turns where there is a chat template, else plain text."""
        if self.tokenizer.chat_template is None:
            return [self.tokenizer.encode(prompt) for prompt in prompts]
        return [self.chat_tokens(prompt)[0].tolist() for prompt in prompts]
