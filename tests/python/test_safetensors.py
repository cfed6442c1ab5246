"""The safetensors reader and writer against the reference library, through Python."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lenswright as lw
from lenswright import _files

BITS = dict(_files.dtypes())
TORCH = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E8M0": torch.float8_e8m0fnu,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I16": torch.int16, "U16": torch.uint16, "F16": torch.float16, "BF16": torch.bfloat16,
    "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32, "C64": torch.complex64,
    "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
}  # fmt: skip


def raw(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().flatten().view(torch.uint8).numpy())


def random_tensor(dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    count = torch.empty(shape).numel() * dtype.itemsize
    generator = torch.Generator().manual_seed(count)
    high = 2 if dtype is torch.bool else 256
    data = torch.randint(0, high, (count,), dtype=torch.uint8, generator=generator)
    return data.view(dtype).view(shape)


@pytest.mark.parametrize("wire", TORCH)
def test_every_type_that_torch_has(wire: str, tmp_path: Path) -> None:
    tensors = {
        "matrix": random_tensor(TORCH[wire], (3, 5)),
        "scalar": random_tensor(TORCH[wire], ()),
        "empty": random_tensor(TORCH[wire], (2, 0, 3)),
    }
    safetensors.torch.save_file(tensors, tmp_path / "x.safetensors", {"key": "välue"})
    checkpoint = lw.Checkpoint(tmp_path / "x.safetensors")
    assert checkpoint.metadata == {"key": "välue"}
    for name, expected in tensors.items():
        found = checkpoint[name]
        assert found.dtype == TORCH[wire]
        assert found.shape == expected.shape
        assert raw(found) == raw(expected)
        assert checkpoint.info(name).dtype == wire


def test_types_that_torch_lacks_come_as_bytes(tmp_path: Path) -> None:
    data = bytes(range(6))
    writer = _files.FileWriter(
        tmp_path / "x.safetensors",
        [("six", "F6_E2M3", [2, 4]), ("other", "F6_E3M2", [8]), ("four", "F4", [2, 6])],
    )
    for name in ("six", "other", "four"):
        writer.write(name, 0, data)
    writer.finish()
    checkpoint = lw.Checkpoint(tmp_path / "x.safetensors")
    for name in ("six", "other"):
        assert checkpoint[name].dtype == torch.uint8
        assert raw(checkpoint[name]) == data
    assert checkpoint.info("six").dtype == "F6_E2M3"
    assert checkpoint.info("six").shape == (2, 4)
    assert checkpoint["four"].dtype == torch.float4_e2m1fn_x2
    assert checkpoint["four"].shape == (2, 3)
    assert bytes(checkpoint["four"].view(torch.uint8).flatten().numpy()) == data


def test_header_is_spelt_as_the_reference_spells_it(tmp_path: Path) -> None:
    tensors = {f"t.{wire}": random_tensor(TORCH[wire], (2, 3)) for wire in TORCH}
    theirs = safetensors.torch.save(tensors, {"format": "pt"})
    length = struct.unpack("<Q", theirs[:8])[0]
    order = sorted(TORCH, key=lambda wire: (-list(BITS).index(wire), wire))
    specs = [(f"t.{wire}", wire, [2, 3]) for wire in order]
    assert _files.make_header(specs, {"format": "pt"}) == theirs[8 : 8 + length]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
shapes = st.lists(st.integers(0, 4), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        names.filter(lambda n: n != "__metadata__"), st.tuples(st.sampled_from(list(TORCH)), shapes)
    ),
    st.dictionaries(names, names, max_size=3),
)
def test_what_we_write_the_reference_reads(
    tmp_path_factory: pytest.TempPathFactory,
    tensors: dict[str, tuple[str, list[int]]],
    metadata: dict[str, str],
) -> None:
    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    values = {n: random_tensor(TORCH[w], tuple(s)) for n, (w, s) in tensors.items()}
    writer = _files.FileWriter(path, [(n, w, s) for n, (w, s) in tensors.items()], metadata)
    for name, value in values.items():
        writer.write(name, 0, raw(value))
    writer.finish()
    with safetensors.safe_open(path, "pt") as file:
        assert (file.metadata() or {}) == metadata
        assert set(file.keys()) == set(values)
        for name, value in values.items():
            assert raw(file.get_tensor(name)) == raw(value)
    checkpoint = lw.Checkpoint(path)
    assert checkpoint.metadata == metadata
    assert all(raw(checkpoint[name]) == raw(value) for name, value in values.items())


def test_errors_say_file_tensor_and_offset(tmp_path: Path) -> None:
    header = json.dumps({
        "good": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
        "bad": {"dtype": "F32", "shape": [2], "data_offsets": [2, 6]},
    }).encode()  # fmt: skip
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(6))
    with pytest.raises(lw.CheckpointError) as caught:
        lw.Checkpoint(path)
    error = caught.value
    assert (error.flaw, error.file, error.tensor) == ("size", "model.safetensors", "bad")
    assert error.offset == 8 + header.index(b'"bad"')
    assert str(error) == (
        "model.safetensors: tensor 'bad': F32 [2] needs 8 bytes, data_offsets [2, 6] give 4 "
        f"(byte {error.offset})"
    )
    assert isinstance(error, ValueError)


def test_a_header_of_100_megabytes_is_read_in_seconds() -> None:
    entry = '"{:090d}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    text = "{" + ",".join(entry.format(i) for i in range(705_000)) + "}"
    assert 99_000_000 < len(text) < 100_000_000
    data = struct.pack("<Q", len(text)) + text.encode()
    start = time.monotonic()
    assert len(_files.parse_header(data).tensors) == 705_000
    assert time.monotonic() - start < 20


def test_a_length_beyond_the_cap_is_refused_before_anything_is_read() -> None:
    with pytest.raises(lw.CheckpointError, match="100000001 bytes; at most 100000000") as caught:
        _files.parse_header(struct.pack("<Q", 100_000_001), file_size=10**12)
    assert caught.value.flaw == "header_length"


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1, "a": 2}', "{'a': 1}", "[1,]", "\ufeff{}"])
def test_json_is_strict(text: str) -> None:
    with pytest.raises(ValueError, match="config"):
        _files.parse_json(text, "config")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(values)
def test_json_is_written_as_python_writes_it(value: object) -> None:
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        compact.encode()
    except UnicodeEncodeError:  # lone surrogates are no text
        return
    assert _files.parse_json(compact) == compact
    assert _files.parse_json(compact, indent=2) == json.dumps(value, ensure_ascii=False, indent=2)
