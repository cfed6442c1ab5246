"""docs/merging.md: every method, and everything that is done otherwise than in mergekit 0.1.5.

`python -m merge_page` (with tests/python on the path) writes it; a test compares.
"""

from __future__ import annotations

from pathlib import Path

import merge_differences
import merge_register
from lenswright import _files

PAGE = Path(__file__).resolve().parents[2] / "docs/merging.md"


BEYOND = """\
- `statistics: FILE` beside a model: what `lenswright.merge_statistics` measured of it.
- interpolate's file may hold `heads` [layers, query heads], a t for each head, and `subspace` [k,
  d_model], inside of which `t_subspace` counts: in every family that can be loaded, wherever its
  heads lie in fused or turned tensors; what biases add to the stream counts as what matrices do.
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
| deepseek | dense deepseek_v2, deepseek_v3 | one, 1, 2 ... experts wide | softmax; sigmoid |
| glm4_moe | llama, mistral, qwen2, qwen3 | one, 1, 2 ... experts wide | sigmoid, renormalised |

Attention, norms and embeddings are the base's; glm4_moe has no sliding window. A row of a router
is, by gate_mode:

- `hidden` (`hidden_last`): what stands before the layer at a prompt's last token, averaged over the
  positive prompts, minus the same of the negative ones, of length 1; computed in float64.
- `hidden_avg`: likewise, averaged over all tokens of a prompt.
- `cheap_embed`: likewise of the sum of the tokens' embeddings, the same in every layer.
- `random`, `uniform_random`: standard normal, or uniform within ±1/√d_model, by --seed.

Where the weights of the chosen experts add up to one, a mixture of like experts is the dense model;
with a shared expert, where the scales (`residual_scale`) of the two add up to one.

Other models than DeepSeek's have no place in DeepSeek-V2's and V3's layout. Their attention has no
equal in latent attention: there all heads share one rotated key, where others rotate a key for each
of their key heads; and keys and values are made of a vector that has been normalised, which takes
its length away. What mergekit-moe writes of llama and mistral is the layout of the first DeepSeek
MoE (`model_type` deepseek), whose code is in that model's own repository: transformers has none, so
that nothing could be compared with it here. glm4_moe is the same idea where transformers has the
code: DeepSeek-V3's router and experts, shared ones too, over plain attention.

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

`lenswright align model/ reference/ out/` reorders units so that the weights lie nearest to the
reference's, by weight matching (Git Re-Basin: Ainsworth, Hayase and Srinivasa 2023); the result
computes what the model computed. It serves every family that can be loaded; `--parts` says what may
move (all that may):

- `mlp`: neurons, each expert's own among them; `heads`: groups of keys and values, and the queries
  within each; `experts`: by their rows of the router, within its groups; `latents`: of latent
  attention, its rotated part aside; `residual`: the coordinates of the stream.
- Heads stay where each has a slope of its own (ALiBi: bloom, mpt, some of falcon). The stream stays
  where sinusoids are added to it (xglm), and where tensors that are not the decoder's stand at it:
  towers of models that also see, layers that guess a further token. Asked for by name, such a part
  is refused; else it is told as kept.

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
            for d in merge_differences.DIFFERENCES
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
