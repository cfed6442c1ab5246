"""Maps of attention: all values, few bytes."""

from __future__ import annotations

import base64
import struct
import zlib

from lenswright import plots
from lenswright.plots.attention import picture


def test_an_attention_map_is_its_values_in_8_bits() -> None:
    address = picture([[0.0, 0.5, 1.0], [2.0, 0.25, None]], 1.0)
    png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        chunks[kind] = body
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (3, 2)
    assert zlib.decompress(chunks[b"IDAT"]) == bytes([0, 0, 128, 255, 0, 255, 64, 0])
    assert chunks[b"tRNS"] == bytes(range(256))


def test_a_whole_layer_of_attention_stays_small() -> None:
    import torch

    picture_ = plots.attention(torch.rand(32, 64, 64).tril()).svg
    assert len(picture_) < 200_000
    assert "<title>" not in picture_
    assert "head 0: b → a" in plots.attention([[1.0, 0.0], [0.4, 0.6]], ["a", "b"]).svg
