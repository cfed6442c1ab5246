"""Vectors in files of every kind that holds some."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from lenswright.checkpoints.vector_file import read_vector


def test_vectors_from_files(tmp_path):
    import numpy

    rows = torch.arange(12.0).reshape(3, 4)
    torch.save(rows, tmp_path / "rows.pt")
    torch.save({"a": rows[0], "b": rows[1]}, tmp_path / "two.pt")
    save_file({"v": rows[2:].half()}, tmp_path / "one.safetensors")
    numpy.save(tmp_path / "v.npy", rows[1].numpy())

    def read(name):
        return read_vector(tmp_path / name, 4, 3, 2)

    assert torch.equal(read("rows.pt"), rows[2].double())
    assert torch.equal(read("two.pt:b"), rows[1].double())
    assert torch.equal(read("one.safetensors"), rows[2].double())
    assert torch.equal(read("one.safetensors:v"), rows[2].double())
    assert torch.equal(read("v.npy"), rows[1].double())
    with pytest.raises(ValueError, match=r"holds 2 tensors \['a', 'b'\]; name one"):
        read("two.pt")
    with pytest.raises(KeyError, match="no tensor 'c', expected one of"):
        read("two.pt:c")
    with pytest.raises(FileNotFoundError, match="no vector at"):
        read("none.pt")
    with pytest.raises(ValueError, match=r"holds a tensor \[3, 4\], expected \[5\]"):
        read_vector(tmp_path / "rows.pt", 5, 4, 0)
    (tmp_path / "v.txt").write_text("1 2 3 4")
    with pytest.raises(ValueError, match=r"no \.safetensors, \.pt or \.npy"):
        read("v.txt")
