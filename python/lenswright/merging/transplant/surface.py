"""What tokens stand for, as bytes, so that tokenizers that spell them otherwise can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "▁"


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in byte-level tokenizers (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


_LETTERS = _byte_letters()


def surfaces(folder: Path) -> dict[str, bytes]:
    """The bytes of every token of a folder's tokenizer.json; special ones are told apart.

    Byte-level letters, SentencePiece's ▁ for a space and its <0x0A> are taken for what they mean.
    """
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocab = data["model"]["vocab"]
    pieces = list(vocab) if isinstance(vocab, dict) else [piece for piece, _ in vocab]
    special = {t["content"]: bool(t.get("special")) for t in data.get("added_tokens", [])}
    byte_level = _mentions(data, "ByteLevel")
    out = {}
    for piece in pieces:
        out[piece] = _byte_level(piece) if byte_level else _plain(piece)
    for piece, is_special in special.items():  # these are matched in the text as they are
        out[piece] = (b"\xff special " if is_special else b"") + piece.encode()
    return out


def is_byte(token: str) -> bool:
    """Whether a token is SentencePiece's for a single byte, such as <0x0A>."""
    return _BYTE.fullmatch(token) is not None


def _mentions(data: Mapping[str, Any], kind: str) -> bool:
    parts = (data.get("pre_tokenizer"), data.get("decoder"))
    return any(f'"{kind}"' in json.dumps(part) for part in parts if part)


def _byte_level(piece: str) -> bytes:
    if all(letter in _LETTERS for letter in piece):
        return bytes(_LETTERS[letter] for letter in piece)
    return piece.encode()


def _plain(piece: str) -> bytes:
    found = _BYTE.fullmatch(piece)
    return bytes([int(found[1], 16)]) if found else piece.replace(_SPACE, " ").encode()
