"""What mergekit 0.1.5 does otherwise, row by row, for docs/merging.md."""

from __future__ import annotations

from dataclasses import dataclass


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
        "della: elements of one size in a row",
        "ranked in the order in which torch's sort leaves them",
        SAME,
        "share the mean of their ranks, so that equal sizes have equal probabilities",
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
