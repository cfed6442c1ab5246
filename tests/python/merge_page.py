"""docs/merging.md: every method, and everything that is done otherwise than in mergekit 0.1.5.

`python -m merge_page` (with tests/python on the path) writes it; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import merge_register
from lenswright import _files

PAGE = Path(__file__).resolve().parents[2] / "docs/merging.md"


@dataclass(frozen=True)
class Difference:
    """What mergekit 0.1.5 does, and what is done here in each mode."""

    number: str  # of the register of defects, "" for a difference that is none
    topic: str
    mergekit: str
    compat: str
    strict: str


SAME = "as strict"
DIFFERENCES = [
    Difference(
        "", "arithmetic", "in `dtype`, or float32", SAME, "float64, rounded once at the end"
    ),
    Difference(
        "D34",
        "inputs of another type than `dtype`",
        "rounded to it first",
        "rounded to it first",
        "taken as they are",
    ),
    Difference(
        "D2",
        "gradients at the final norm and the head",
        "the first value",
        "the first value",
        "the last value",
    ),
    Difference(
        "D3",
        "models of the final norm and the head, with slices",
        "as many as the first slice has",
        "as many as the first slice has",
        "all of the last slice",
    ),
    Difference(
        "D4",
        "config.json and tokenizer without a base_model",
        "of any model, by chance",
        SAME,
        "of the first model",
    ),
    Difference(
        "D5",
        "union of vocabularies: ids of tokens that the base lacks",
        "of a set, by chance",
        SAME,
        "model by model, by their ids there",
    ),
    Difference(
        "D6", "order of sums", "of a set, by chance", SAME, "by the models' names in the recipe"
    ),
    Difference(
        "D7",
        "arcee_fusion, ramplus_tl without out_dtype",
        "float32 whatever `dtype` says",
        "float32",
        "`dtype`",
    ),
    Difference(
        "D8",
        "arcee_fusion: quantiles of a large tensor",
        "of a random sample",
        SAME,
        "exact, of all elements",
    ),
    Difference(
        "",
        "models of several types, no dtype, and a base",
        "float32, called the base's type in config.json",
        "float32",
        "the base's type",
    ),
    Difference("D9", "sce: weights where Σ mean(δ²) < 1e-6", "even", "even", "by mean(δ²)"),
    Difference(
        "D10",
        "model_stock: product of norms",
        "not below 1e-6",
        "not below 1e-6",
        "as it is; cos θ of a zero vector is 0",
    ),
    Difference("D10", "model_stock: t", "any number", "any number", "within [0, 1]"),
    Difference(
        "D11",
        "karcher, vocabularies of different sizes",
        "stops (as D17 with the flag)",
        "rows that all have",
        "asks",
    ),
    Difference(
        "D12",
        "della: one column, a scalar; density above 0.85 with the default epsilon",
        "stops",
        SAME,
        "works: such a row has the probability `density`; epsilon is what fits",
    ),
    Difference("D13", "linear: weights that add up to 0", "infinities", SAME, "refused"),
    Difference(
        "D13",
        "linear: base_model that is not listed",
        "stops",
        SAME,
        "source of config.json and tokenizer only",
    ),
    Difference(
        "",
        "karcher: base_model that is not listed",
        "averaged in",
        "averaged in",
        "source of config.json and tokenizer only",
    ),
    Difference(
        "D14", "slerp of a zero tensor", "sin of half a right angle, 0.707", "likewise", "straight"
    ),
    Difference(
        "", "slerp where the cosine is above 0.9995", "straight", "straight", "on the circle"
    ),
    Difference(
        "D15",
        "nuslerp, slerp where the cosine is below -0.9995",
        "nuslerp: enlarged, as far as float32 tells the angle",
        "likewise, of the exact angle",
        "straight",
    ),
    Difference("D15", "nuslerp_row_wise", "columns", "columns", "rows, as documented"),
    Difference(
        "D16",
        "task vectors: a tensor of another shape",
        "stops (0.1.4: model left out)",
        SAME,
        "refused",
    ),
    Difference(
        "D17",
        "embeddings of different sizes without a tokenizer section",
        "stops; with --unsafe-truncate-embeddings rows that all have, config.json unchanged",
        "rows that all have; vocab_size follows",
        "asks",
    ),
    Difference("D18", "tie_word_embeddings where a head is written", "unchanged", SAME, "false"),
    Difference(
        "D19",
        "tensors that no architecture table knows",
        "dropped",
        SAME,
        "merged; every input tensor is in a result or in the report",
    ),
    Difference(
        "D20",
        "the same model twice",
        "stops (0.1.4: the first entry holds)",
        "the first entry holds",
        "both count",
    ),
    Difference(
        "D21", "unknown keys and parameters", "ignored", SAME, "refused, with the nearest name"
    ),
    Difference(
        "D22", "layer ranges that run backwards or too far", "-2 layers; stops", SAME, "refused"
    ),
    Difference(
        "",
        "layer_types and other lists with an entry for each layer",
        "left as they are",
        SAME,
        "renumbered with the layers",
    ),
    Difference(
        "",
        "keys that say what a layer is by its depth (first_k_dense_replace ...)",
        "left as they are",
        SAME,
        "refused where slices would make a layer another one",
    ),
    Difference(
        "D27", "unknown architectures", "stops", SAME, "merged by the names of their tensors"
    ),
    Difference(
        "D29", "files that an index names", "joined unchecked", SAME, "must lie in the folder"
    ),
    Difference(
        "D30",
        "quantised inputs",
        "taken for numbers",
        SAME,
        "fp8 with scales and MXFP4: the weights they stand for; others: refused by name",
    ),
    Difference(
        "D28",
        "adapters",
        "merged whole into a cache, half ones taken for whole",
        SAME,
        "added in float64 where a tensor is read",
    ),
    Difference(
        "",
        "weights that are pickles (.bin, .pt)",
        "opened",
        SAME,
        "refused, with the line that converts them",
    ),
    Difference(
        "",
        "tokens named in a tokenizer section that the tokenizer lacks",
        "added by union; else stops",
        SAME,
        "added, and said so",
    ),
    Difference(
        "",
        "tokenizer_source base without a base_model",
        "of any model, by chance",
        SAME,
        "of the first model",
    ),
    Difference(
        "",
        "chat_template auto where as many models have each",
        "any, by chance",
        SAME,
        "of the first one by the recipe",
    ),
    Difference(
        "",
        "chat_template llama3, alpaca, exaone",
        "blanks and new lines between the parts",
        SAME,
        "as their makers publish them, to the character",
    ),
    Difference(
        "", "residual_weight, override_architecture, dtype int64", "ignored; stops", SAME, "refused"
    ),
    Difference("D31", "a token whose id has no row", "stops", SAME, "a token that the model lacks"),
    Difference(
        "", "rows behind the last token, with a tokenizer section", "cut off", "cut off", "kept"
    ),
    Difference(
        "",
        "a tensor that a model lacks",
        "optional ones: merged from the others",
        "any: likewise",
        "refused, but for tied heads and computed buffers",
    ),
    Difference("D33", "shard size", "bytes, documented as parameters", SAME, "bytes"),
    Difference("D35", "a run that is killed", "half-named shards", SAME, "nothing that loads"),
    Difference(
        "",
        "dare, della: rescaling",
        "to the sum of sizes before, tensor by tensor",
        "likewise",
        "by 1 / probability, as published: the expectation is kept exactly",
    ),
    Difference(
        "",
        "dare, della: what is drawn",
        "torch's generator, in order of execution",
        SAME,
        "Philox of (seed, tensor's name and values, element): no order matters",
    ),
    Difference(
        "",
        "elements equal to a threshold",
        "some, by the order of a sort",
        SAME,
        "the first ones, so that exactly k are kept",
    ),
    Difference(
        "",
        "multislerp where directions of more than two models cancel",
        "stops",
        SAME,
        "averaged straight, and said so",
    ),
]


BEYOND = """\
- `statistics: FILE` beside a model: what `lenswright.merge_statistics` measured of it.
- interpolate's file may hold `heads` [layers, query heads], a t for each head, and `subspace` [k,
  d_model], inside of which `t_subspace` counts.
- ema, fisher, interpolate, iso_c, regmean, tsv and wudi are not mergekit's. All but ema look at
  whole tensors: they need 8 bytes for each element of the largest tensor, for each model and once
  more, and are computed with torch. tsv, iso_c and wudi decompose matrices of layers; vectors, and
  tables of embeddings, get the mean of the task vectors. In iso_c and tsv `weight` is a factor of a
  task.

## Quantised models

fp8 with a scale for each block (DeepSeek's) or matrix, and MXFP4, are read as the weights they
stand for: codes times scales, in float32 as their kernels have it. The result is bfloat16 where
neither dtype nor out_dtype says otherwise, its config.json says nothing of quantisation, and scales
of activations are left out. A passthrough without a type copies such tensors as they are. Other
ways (GPTQ, AWQ, bitsandbytes, compressed-tensors and so on) are refused by name, and so are
checkpoints whose tensors tell of one that config.json does not name.

## Mixtures of experts

`lenswright moe recipe.yml out/` reads the grammar of mergekit-moe: base_model, experts
(source_model, positive_prompts, negative_prompts, noise_scale, residual_scale), shared_experts,
gate_mode, experts_per_token, dtype, architecture.

| architecture | base and experts | shared experts | router |
|---|---|---|---|
| mixtral | llama, mistral | none | softmax of the chosen |
| qwen2_moe | qwen2, llama, mistral | one, with a gate of its own | softmax, renormalised |
| qwen3_moe | qwen3 | none | softmax, renormalised |
| deepseek | dense deepseek_v2, deepseek_v3 | one as wide as an expert | softmax; sigmoid |

Attention, norms and embeddings are the base's. A row of a router is, by gate_mode:

- `hidden` (`hidden_last`): what stands before the layer at a prompt's last token, averaged over the
  positive prompts, minus the same of the negative ones, of length 1; computed in float64.
- `hidden_avg`: likewise, averaged over all tokens of a prompt.
- `cheap_embed`: likewise of the sum of the tokens' embeddings, the same in every layer.
- `random`, `uniform_random`: standard normal, or uniform within ±1/√d_model, by --seed.

Where the weights of the chosen experts add up to one, a mixture of like experts is the dense model.

## Adapters out of models

`lenswright extract base/ tuned/ adapter/ --rank 32` writes W_tuned - W_base of every linear module
as a PEFT LoRA adapter: by the whole singular value decomposition (`--method exact`), or by subspace
iteration from a random sketch (Halko, Martinsson and Tropp 2011). Every module's error is told:
what the stored factors lack of the change, in Frobenius norm. Changed norms, embeddings and biases
are saved whole, refused, or left (`--others`).

## Another tokenizer

`lenswright transplant model/ donor/ out/` gives a model the donor's tokenizer. Tokens of the same
bytes, however they are spelt (`Ġ`, `▁`, `<0x0A>`), keep the model's rows to the bit. Rows of the
others are made by `--method`: omp (the donor's row as a sum of k of its shared rows, the same sum
of the model's), nearest, subword, mean, zero, normal. An unembedding of its own is made likewise of
the donor's; spare rows get the mean of all.

## Other orders

`lenswright align model/ reference/ out/` reorders neurons, heads and coordinates of the residual
stream (`--parts`) so that the weights lie nearest to the reference's, by weight matching (Git
Re-Basin: Ainsworth, Hayase and Srinivasa 2023); the result computes what the model computed. llama,
mistral, qwen2 and qwen3.

## What fisher and regmean want to know

`lenswright.merge_statistics(model, texts, "statistics.safetensors")` runs texts and writes the
diagonal Fisher information of every stored weight (`fisher.NAME`: the mean squared gradient of a
text's log-probability, of its own tokens or of drawn ones) and Σ x xᵀ of what goes into every
matrix of a layer (`gram.NAME`).""".splitlines()
SOUPS = """\
## Soups, searches, looking back

- `lw.soup(models, held_out, method)` and `lenswright soup`: `uniform`, `greedy` (strictly better
  only; Wortsman et al. 2022, arXiv:2203.05482), `learned` (a coefficient for each model, layer,
  part of blocks or tensor, by gradient: dL/dc = ⟨dL/dW, W_i⟩). Every candidate is the merge itself,
  in memory, so what was judged is what the recipe writes, to the byte.
- `lw.search_merge(recipe, measure)` and `lenswright soup --search`: numbers that a recipe leaves
  open, `weight: {search: [0, 1], start: 0.5}`, `scale: log`, by CMA-ES (`lenswright[search]`).
- `lw.merge(recipe, out, models={"name": model})`: models in memory, of here or of transformers;
  `lw.merged_model(recipe)` is the merge as a model, nothing written.
- `lw.lineage(candidates, of)` and `lenswright lineage`: X = A + Σ w (C - A) by least squares, with
  standard errors, layer by layer. A candidate is in it where its weight lies five standard errors
  and 0.001 from 0.
  Layers that were moved or copied (slices, frankenmerges) are told one by one: which layer of which
  candidate has the same bytes, else the nearest one by the cosine of a few pieces of each tensor.
- `lw.merge_report(folder, held_out)` and `lenswright review`: differences, agreement and losses of
  a merge that was written here, beside what two rules would have foretold.
""".splitlines()


def number(value: object) -> str:
    return "-" if value is None else f"{value:g}"


def methods_table() -> list[str]:
    lines = [
        "| method | models | base | parameters (default) | source |",
        "|---|---|---|---|---|",
    ]
    for entry in _files.merge_methods():
        least, most = entry["least"], entry["most"]
        models = str(least) if least == most else f"{least} or more"
        words = []
        for one in entry["parameters"]:
            default = "required" if one["required"] else number(one["default"])
            if one["kind"] == "flag":
                default = "true" if one["default"] else "false"
            words.append(f"{one['name']} ({default}{', of each model' if one['own'] else ''})")
        lines.append(
            f"| {entry['name']} | {models} | {entry['base']} | {', '.join(words) or '-'} "
            f"| {entry['source']} |"
        )
    return lines


def page() -> str:
    """The whole page."""
    lines = [
        "# Merging",
        "",
        "Written by `tests/python/merge_page.py`. `lenswright merge recipe.yml out/` reads recipes",
        "of mergekit's grammar. `strict`, the default, computes the published formulas; `compat`",
        "keeps those of mergekit 0.1.5 where the table of differences says so: types of",
        "arithmetic, random numbers and refusals are those of `strict`. The number of models",
        "leaves the base out.",
        "",
        "## Methods",
        "",
        *methods_table(),
        "",
        "## What is done otherwise than in mergekit 0.1.5",
        "",
        "| | | mergekit 0.1.5 | compat | strict |",
        "|---|---|---|---|---|",
        *(
            f"| {d.number} | {d.topic} | {d.mergekit} | {d.compat} | {d.strict} |"
            for d in DIFFERENCES
        ),
        "",
        "## Recipes beyond mergekit's",
        "",
        "- `filter: glob:PATTERN` and `filter: regex:PATTERN` match a tensor's whole name; a plain",
        "  filter is a part of it, as ever. A single `{filter, value}` needs no list.",
        "- Parameters of each model may stand at any level, from the model's own to the outermost.",
        "- Several documents in one file are stages; a later one names an earlier one's `name` as",
        "  a model.",
        *BEYOND,
        "",
        *SOUPS,
        *merge_register.section(),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
