"""Models with other tokenizers: pursuit against scikit-learn, rows, files, what loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sklearn.linear_model import orthogonal_mp
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

import lenswright as lw
import merging_models as models
from lenswright.cli import main
from lenswright.merging.transplant.omp import pursue
from lenswright.merging.transplant.surface import surfaces

WORDS = ["a", "b", "c", "d", "e", " ", "ab", "cd", " a", " ab", "abcd"]
MORE = ["ba", "dc", " cd", "é"]


def byte_level(words: list[str]) -> Tokenizer:
    """Of GPT-2's kind: Ġ is a space."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    vocab = {letter: i for i, letter in enumerate(sorted(letters))}
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for word in words:
        vocab.setdefault("".join(piece for piece, _ in spell.pre_tokenize_str(word)), len(vocab))
    out = Tokenizer(BPE(vocab=vocab, merges=[]))
    out.pre_tokenizer, out.decoder = spell, decoders.ByteLevel()
    out.add_special_tokens(["<|end|>"])
    return out


def pieces(words: list[str]) -> Tokenizer:
    """Of SentencePiece's kind: ▁ is a space, bytes are spelt out."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for byte in range(256):
        vocab[f"<0x{byte:02X}>"] = len(vocab)
    for word in words:
        vocab.setdefault(word.replace(" ", "▁"), len(vocab))
    out = Tokenizer(BPE(vocab=vocab, merges=[], byte_fallback=True, unk_token="<unk>"))
    out.pre_tokenizer = pre_tokenizers.Metaspace()
    out.decoder = decoders.Metaspace()
    out.add_special_tokens(["<s>", "</s>", "<|end|>"])
    return out


def model_of(folder: Path, words: Tokenizer, width: int, tied: bool, seed: int, spare: int) -> Path:
    rows = words.get_vocab_size() + spare
    config = transformers.LlamaConfig(
        hidden_size=width, num_attention_heads=2, num_key_value_heads=2, intermediate_size=21,
        num_hidden_layers=2, vocab_size=rows, tie_word_embeddings=tied, bos_token_id=1,
        eos_token_id=words.token_to_id("<|end|>"), max_position_embeddings=32,
    )  # fmt: skip
    torch.manual_seed(seed)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["untied", "tied"])
def pair(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bool]:
    """A model with a SentencePiece-like vocabulary, a donor with a byte-level one."""
    root = tmp_path_factory.mktemp("pair")
    own = model_of(root / "model", pieces(WORDS), 24, request.param, 1, 3)
    donor = model_of(root / "donor", byte_level(WORDS + MORE), 28, not request.param, 2, 2)
    return own, donor, request.param


def test_pursuit_against_scikit_learn() -> None:
    chance = np.random.default_rng(0)
    atoms, targets = chance.normal(size=(57, 23)), chance.normal(size=(11, 23))
    norms = np.linalg.norm(atoms, axis=1)
    for k in (1, 5, 23):
        want = orthogonal_mp((atoms / norms[:, None]).T, targets.T, n_nonzero_coefs=k).T / norms
        chosen, weights = pursue(torch.tensor(targets), torch.tensor(atoms), k)
        got = np.zeros_like(want)
        np.put_along_axis(got, chosen.numpy(), weights.numpy(), 1)
        assert np.abs(got - want).max() <= 1e-9 * np.abs(want).max()
    # a sum of two atoms is found, and no more is added
    exact = torch.tensor(2 * atoms[3:4] - 5 * atoms[40:41])
    chosen, weights = pursue(exact, torch.tensor(atoms), 9)
    sums = torch.einsum("bk,bkd->bd", weights, torch.tensor(atoms)[chosen])
    assert (sums - exact).abs().max() <= 1e-10


def test_surfaces(tmp_path: Path) -> None:
    pieces(WORDS).save(str(tmp_path / "tokenizer.json"))
    one = surfaces(tmp_path)
    byte_level(WORDS + MORE).save(str(tmp_path / "tokenizer.json"))
    other = surfaces(tmp_path)
    assert one["▁ab"] == other["Ġab"] == b" ab"
    assert one["<0x0A>"] == other["Ċ"] == b"\n"
    assert other["Ã©"] == "é".encode()
    assert one["<|end|>"] == other["<|end|>"] != b"<|end|>"


def tables(folder: Path, tied: bool) -> list[torch.Tensor]:
    tensors = models.load(folder)
    names = ["model.embed_tokens.weight"] + ([] if tied else ["lm_head.weight"])
    return [tensors[name] for name in names]


def shared_rows(own: Path, donor: Path) -> tuple[dict[int, int], list[int]]:
    """Row of the donor -> row of the model, and the donor's rows of new tokens; in plain words."""
    mine = json.loads((own / "tokenizer.json").read_text())["model"]["vocab"]
    theirs = byte_level(WORDS + MORE).get_vocab(with_added_tokens=False)
    letters = {surface: token for token, surface in surfaces(donor).items()}
    spelt = {}
    for token, row in sorted(mine.items(), key=lambda item: item[0].startswith("<0x")):
        text = token.replace("▁", " ").encode()
        if token.startswith("<0x"):
            text = bytes([int(token[3:5], 16)])
        spelt.setdefault(text, row)
    end = byte_level(WORDS + MORE).token_to_id("<|end|>")
    found = {row: spelt[text] for text, token in letters.items()
             if text in spelt and (row := theirs.get(token)) is not None}  # fmt: skip
    found[end] = pieces(WORDS).token_to_id("<|end|>")
    return found, sorted(set(range(end + 1)) - set(found))


@pytest.mark.parametrize("method", ["omp", "nearest", "subword", "mean", "zero", "normal"])
def test_rows(method: str, pair: tuple[Path, Path, bool], tmp_path: Path) -> None:
    own, donor, tied = pair
    done = lw.transplant(own, donor, tmp_path / "out", method, k=5, seed=3)
    shared, new = shared_rows(own, donor)
    assert (done.shared, done.made, done.spare) == (len(shared), len(new), 2)
    assert len(new) >= len(MORE) - 1
    theirs = models.load(donor)
    sources = [theirs["model.embed_tokens.weight"],
               theirs.get("lm_head.weight", theirs["model.embed_tokens.weight"])]  # fmt: skip
    for mine, got, source in zip(
        tables(own, tied), tables(tmp_path / "out", tied), sources, strict=False
    ):
        for row, from_row in shared.items():
            assert torch.equal(got[row], mine[from_row])
        want = reference(method, mine.double(), source.double(), shared, new)
        if want is not None:
            close = (got[new].double() - want).abs().max()
            assert close <= 1e-6 * max(float(want.abs().max()), 1e-9)
        assert torch.allclose(got[-1].double(), mine.double().mean(0), atol=1e-7)


def reference(
    method: str, mine: torch.Tensor, theirs: torch.Tensor, shared: dict[int, int], new: list[int]
) -> torch.Tensor | None:
    rows = sorted(shared)
    common, atoms = mine[[shared[row] for row in rows]], theirs[rows]
    if method == "omp":
        norms = atoms.norm(dim=1)
        found = orthogonal_mp((atoms / norms[:, None]).T.numpy(), theirs[new].T.numpy(),
                              n_nonzero_coefs=5)  # fmt: skip
        return (torch.tensor(found).T / norms) @ common
    if method == "nearest":
        out = []
        for row in new:
            cosines = torch.nn.functional.cosine_similarity(atoms, theirs[row], dim=1)
            best = cosines.argsort(descending=True)[:5]
            out.append((cosines[best, None] * common[best]).sum(0) / cosines[best].sum())
        return torch.stack(out)
    if method == "mean":
        return mine.mean(0).expand(len(new), -1)
    if method == "zero":
        return torch.zeros(len(new), mine.shape[1], dtype=torch.float64)
    return None


def test_what_is_drawn_has_the_models_moments(
    pair: tuple[Path, Path, bool], tmp_path: Path
) -> None:
    own, donor, tied = pair
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        lw.transplant(own, donor, tmp_path / name, "normal", seed=seed)
    a, b, c = (tables(tmp_path / name, tied)[0] for name in "abc")
    assert torch.equal(a, b)
    _, new = shared_rows(own, donor)
    assert not torch.equal(a[new], c[new])
    spread = tables(own, tied)[0].std()
    assert 0.3 * spread < a[new].std() < 3 * spread


def test_it_loads_and_speaks(pair: tuple[Path, Path, bool], tmp_path: Path) -> None:
    """The result is read alike by transformers, and a text of shared tokens gives its logits."""
    own, donor, _ = pair
    lw.transplant(own, donor, tmp_path / "out")
    reference, told = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not told["missing_keys"]
    model = lw.load(tmp_path / "out")
    tokens = torch.tensor([[3, 70, 40, 66, 12]])
    with torch.no_grad():
        want = reference(tokens).logits
    assert (model(tokens) - want).abs().max() <= 1e-5 * want.abs().max()
    shared, _ = shared_rows(own, donor)
    rows = sorted(shared)[40:50]
    before = lw.load(own)(torch.tensor([[shared[row] for row in rows]]))
    after = model(torch.tensor([rows]))
    assert torch.allclose(after[..., rows], before[..., [shared[r] for r in rows]], atol=1e-5)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["eos_token_id"] == json.loads((donor / "config.json").read_text())["eos_token_id"]
    assert (tmp_path / "out/tokenizer.json").read_text() == (donor / "tokenizer.json").read_text()


def test_refused(pair: tuple[Path, Path, bool], tmp_path: Path) -> None:
    own, donor, _ = pair
    with pytest.raises(ValueError, match="did you mean 'omp'"):
        lw.transplant(own, donor, tmp_path / "out", "ompp")
    with pytest.raises(ValueError, match="expected at least 1"):
        lw.transplant(own, donor, tmp_path / "out", k=0)
    with pytest.raises(FileNotFoundError):
        lw.transplant(own, tmp_path / "no", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_verb(pair: tuple[Path, Path, bool], tmp_path: Path, capsys: Any) -> None:
    own, donor, tied = pair
    code = main(["transplant", str(own), str(donor), str(tmp_path / "out"), "-k", "3", "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["tied"] == tied
