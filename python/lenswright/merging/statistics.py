"""What merges want to know of a model: Fisher information, inputs of its matrices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lenswright.checkpoints import tensor_file
from lenswright.merging.whole.problem import is_of_layer
from lenswright.progress import Progress

if TYPE_CHECKING:
    from lenswright.model import Model

WHAT = ("fisher", "gram")
LABELS = ("data", "model")
Texts = Sequence[str] | Sequence[Sequence[int]]


def merge_statistics(
    model: Model,
    texts: Texts,
    output: str | os.PathLike[str],
    what: Sequence[str] = WHAT,
    *,
    labels: str = "data",
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Run texts through a model and write what `fisher` and `regmean` merges ask for.

    fisher.NAME: the mean over texts of the squared gradient of a text's log-probability by every
    stored weight, of its shape. gram.NAME: Σ x xᵀ over all tokens of what goes into a stored
    matrix [out, in], [in, in]. Both in float32, summed up in float64.

    Args:
        model: a dense model whose weights are not quantised.
        texts: texts, or lists of ids of two or more.
        output: a .safetensors file that does not exist.
        what: "fisher", "gram" or both.
        labels: of the gradients: "data", the texts' own next tokens; "model", drawn from what the
            model expects, as the definition has it.
        seed: of what is drawn.
        progress: show it where it takes longer than a second.

    Raises:
        ValueError: no texts, unknown words, a mixture or other blocks whose inputs are not known.
        FileExistsError: the output exists.

    Source: Matena and Raffel 2022, arXiv:2111.09832; Jin et al. 2023, arXiv:2212.09849.
    """
    path = Path(output)
    if path.exists():
        raise FileExistsError(f"file exists: '{path}'")
    for word in what:
        if word not in WHAT:
            raise ValueError(f"what has '{word}', expected 'fisher' or 'gram'")
    if labels not in LABELS:
        raise ValueError(f"labels is {labels!r}, expected 'data' or 'model'")
    rows = _rows(model, texts)
    out: dict[str, torch.Tensor] = {}
    with Progress("statistics", len(rows) * len(what), "texts", progress) as bar:
        if "fisher" in what:
            out |= _fisher(model, rows, labels, seed, bar)
        if "gram" in what:
            out |= _grams(model, rows, bar)
    facts = {"texts": str(len(rows)), "tokens": str(sum(map(len, rows)))}
    tensor_file.save(path, {name: value.float() for name, value in out.items()}, facts)
    return path


def _rows(model: Model, texts: Texts) -> list[list[int]]:
    rows = [
        torch.as_tensor(model.to_tokens(text)[0]).tolist() if isinstance(text, str) else list(text)
        for text in texts
    ]
    short = [i for i, row in enumerate(rows) if len(row) < 2]
    if not rows or short:
        what = f"texts[{short[0]}] has fewer than two tokens" if short else "texts is empty"
        raise ValueError(f"{what}; expected texts of two tokens or more")
    return rows


def _fisher(
    model: Model, rows: Sequence[Sequence[int]], labels: str, seed: int, bar: Progress
) -> dict[str, torch.Tensor]:
    weights = {
        name: value for name, value in model.parameters().items() if value.is_floating_point()
    }
    sums = {name: torch.zeros(value.shape, dtype=torch.float64) for name, value in weights.items()}
    chance = torch.Generator().manual_seed(seed)
    for value in weights.values():
        value.requires_grad_(True)
    try:
        for row in rows:
            known = torch.log_softmax(model(torch.tensor([row]))[0].double(), -1)
            if labels == "data":
                wanted, known = torch.tensor(row[1:]), known[:-1]
            else:
                wanted = torch.multinomial(known.detach().exp(), 1, generator=chance)[:, 0]
            total = known.gather(1, wanted[:, None]).sum()
            slopes = torch.autograd.grad(total, list(weights.values()), allow_unused=True)
            for name, slope in zip(weights, slopes, strict=True):
                if slope is not None:
                    sums[name] += slope.double().square()
            bar.step(1)
    finally:
        for value in weights.values():
            value.requires_grad_(False)
    return {f"fisher.{name}": value / len(rows) for name, value in sums.items()}


def _grams(model: Model, rows: Sequence[Sequence[int]], bar: Progress) -> dict[str, torch.Tensor]:
    inputs = _inputs(model)
    points = sorted({point for point, _ in inputs.values()})
    sums: dict[tuple[str, str], torch.Tensor] = {}
    with torch.no_grad():
        for row in rows:
            cache = model.capture(torch.tensor([row]), points)
            for key in dict.fromkeys(inputs.values()):
                x = cache[key[0]][0].double().flatten(1)
                if key[1]:
                    x = x * (model.weight(key[1] + ".w").double() + model.spec["norm_offset"])
                    if model.core.has_weight(key[1] + ".b"):
                        x = x + model.weight(key[1] + ".b").double()
                sums[key] = sums.get(key, torch.zeros((), dtype=torch.float64)) + x.t() @ x
            bar.step(1)
    return {f"gram.{name}": sums[key].clone() for name, key in inputs.items()}


def _inputs(model: Model) -> dict[str, tuple[str, str]]:
    """Of every stored matrix of a layer the point that goes into it, and the norm whose gain is
    still to come ("" for none)."""
    spec = model.spec
    if spec["mixture"] is not None or spec["norms"] != "before" or spec["kv_rank"]:
        raise ValueError(
            f"gram: inputs of the matrices of family '{spec['family']}' are not known; expected "
            "dense blocks with norms before them"
        )
    places = {}
    for layer in range(spec["n_layers"]):
        at = f"blocks.{layer}."
        second = "ln1" if spec["shared_norm"] else "ln2"
        for part in "QKV":
            places[f"{at}attn.W_{part}"] = (f"{at}ln1.hook_normalized", f"{at}ln1")
        places[f"{at}attn.W_O"] = (f"{at}attn.hook_z", "")
        for part in ("gate", "in"):
            places[f"{at}mlp.W_{part}"] = (f"{at}{second}.hook_normalized", f"{at}{second}")
        places[f"{at}mlp.W_out"] = (f"{at}mlp.hook_post", "")
    weights = model.weights()
    out = {}
    for name, stored in model.parameters().items():
        begin, end = stored.data_ptr(), stored.data_ptr() + stored.nbytes
        for canonical, place in places.items():
            if canonical not in weights or not begin <= weights[canonical].data_ptr() < end:
                continue
            if stored.shape[-1] != weights[canonical].shape[-1]:
                raise ValueError(f"gram: '{name}' is [inputs, outputs], expected the reverse")
            out[name] = place
            break
        else:
            if stored.ndim == 2 and is_of_layer(name):
                raise ValueError(
                    f"gram: what goes into '{name}' is not known in family '{spec['family']}'"
                )
    return out
