"""What `lenswright ablate --method` says before anything is run: plans, refusals, help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import embedded
import lenswright as lw
from ablating import Said, prompts, with_biases
from editing import file_hashes
from lenswright import methods


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return prompts(tmp_path_factory.mktemp("prompts"))


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_biases(tmp_path_factory.mktemp("biased") / "model")


@pytest.mark.parametrize("name", methods.METHODS)
def test_a_dry_run_writes_nothing(
    tmp_path: Path, said: Said, given: list[str], biased: Path, name: str
) -> None:
    for folder in (embedded.MODEL, biased):
        code, told = said(folder, *given, "--method", name, "--out", tmp_path / "out", "--dry-run")
        lacks = name == "leace" and folder != biased
        assert code == (2 if lacks else 0)
        assert told.out.startswith("writers  ") != lacks
        noted = name == "affine" and folder != biased
        assert ("held at every layer: nothing can be added to the residual" in told.err) == noted
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("more", "message"), [
    ("--method subspce", "did you mean 'subspace'?"),
    ("--method alphaedit", "expected one of ['plain', 'projected',"),
    ("--rank 3", "rank is 3, which method 'plain' does not take; expected None, or one of the "
     "methods ['subspace', 'ridge']"),
    ("--method subspace --ridge 0.1", "ridge is 0.1, which method 'subspace' does not take"),
    ("--method subspace --rank 0", "rank is 0, expected 1 to 96"),
    ("--method ridge --rank 97", "rank is 97, expected 1 to 96"),
    ("--method ridge --ridge -1", "ridge is -1, expected a positive number"),
    ("--method ridge --ridge nan", "ridge is nan"),
    ("--method affine --writers mlp", "writers is ['mlp'], which method 'affine' does not take"),
    ("--method leace --massive clip", "massive is 'clip', which method 'leace' does not take"),
    ("--method subspace --massive exclude", "massive is 'exclude', which method 'subspace'"),
    ("--method affine --strength nan", "nan"),
])  # fmt: skip
def test_what_a_method_does_not_take_is_one_line(
    tmp_path: Path, said: Said, given: list[str], more: str, message: str
) -> None:
    for dry in ([], ["--dry-run"]):
        code, told = said(embedded.MODEL, *given, *more.split(), "--out", tmp_path / "out", *dry)
        assert (code, told.out) == (2, "")
        assert message in told.err
        assert len(told.err.splitlines()) == 1
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "model", "message"), [
    ("affine", ("opt", "350m"), "norms stand behind the sums of residual and branch in this model"),
    ("leace", ("opt", "350m"), "norms stand behind the sums of residual and branch in this model"),
    ("leace", ("llama", ""), "nothing can be added to the residual before layer 1 of this model "
     "(llama): the last writers of the block before have no biases"),
    ("leace", ("gemma2", ""), "(gemma2): a norm stands behind the branches of the block before"),
])  # fmt: skip
def test_a_model_that_cannot_hold_a_target_is_refused(
    tmp_path: Path, said: Said, capsys: pytest.CaptureFixture[str], given: list[str],
    family: Callable[..., Path], name: str, model: tuple[str, str], message: str,
) -> None:  # fmt: skip
    out, folder = tmp_path / "out", family(*model)
    capsys.readouterr()  # what writing the model said
    code, told = said(folder, *given, "--method", name, "--out", out)
    assert (code, told.out) == (2, "")
    assert message in told.err
    assert len(told.err.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize("name", methods.METHODS)
def test_a_vector_alone_is_enough_or_not(tmp_path: Path, said: Said, name: str) -> None:
    model, v = embedded.model(), torch.randn(96, generator=torch.Generator().manual_seed(3))
    torch.save(v, tmp_path / "v.pt")
    call = (embedded.MODEL, "--direction", tmp_path / "v.pt", "--method", name, "--out")
    code, told = said(*call, tmp_path / "out")
    if methods.METHODS[name].of_vector is None:
        assert (code, told.out) == (2, "")
        assert told.err == f"lenswright: --method {name} needs --positive and --negative\n"
        assert not (tmp_path / "out").exists()
        return
    assert code == 0
    lw.edits.ablate(model, v, name).commit(embedded.MODEL, tmp_path / "by hand", progress=False)
    assert file_hashes(tmp_path / "out") == file_hashes(tmp_path / "by hand")


def test_every_method_is_in_the_help_and_has_its_words(said: Said) -> None:
    from lenswright.editing.method_words import WORDS

    code, told = said("--help")
    assert code == 0
    text = "".join(told.out.split())  # lines break anywhere, at hyphens too
    for name, method in methods.METHODS.items():
        said_so = f"{name} ({method.brief})" if method.brief else name
        assert "".join(said_so.split()) in text
    assert set(methods.METHODS) <= set(WORDS)
    assert set(lw.edits.METHODS) <= set(WORDS)


def test_a_multiple_is_told_by_what_was_multiplied() -> None:
    from lenswright.editing.method_words import unscaled

    inner = {"method": "affine", "direction": None}
    assert unscaled({"method": "scaled", "of": [inner], "scale": 0.5}) == inner | {"strength": 0.5}
    kernel = {"method": "scaled", "of": [{"method": "plain", "strength": 0.5}], "scale": 0.5}
    assert unscaled(kernel) == kernel
    assert unscaled(inner) == inner
