"""Which test stands for which defect of the register, and for faults that were measured since.

`merge_page.py` writes it into docs/merging.md; `test_merge_page.py` holds that every number is
there and that every test named exists.
"""

from __future__ import annotations

from collections.abc import Iterator

METHODS, RUN, RESUME = "test_merge_methods", "test_merge_run", "test_merge_resume"
MEMORY = "test_merge_memory"
REGISTER, MORE, SLICES = "test_merge_register", "test_merge_register_more", "test_merge_slices"
RECIPE, WORDS, LORA = "test_merge_recipe", "test_merge_vocabularies", "test_merge_adapters"
DEPTHS, SETTINGS, DIFFERING = "test_merge_depths", "test_merge_settings", "test_merge_differing"

# number -> (what mergekit 0.1.4 does, the tests that it does not happen here)
DEFECTS: dict[str, tuple[str, list[str]]] = {
    "D1": ("breadcrumbs wipes small tensors",
           [f"{REGISTER}::test_d1_breadcrumbs_of_small_tensors"]),
    "D2": ("gradients give the last tensors the first value",
           [f"{SETTINGS}::test_gradients_reach_the_last_tensors"]),
    "D3": ("models dropped for norm and head",
           [f"{SLICES}::test_last_tensors_have_all_models_of_the_last_slice"]),
    "D4": ("config and tokenizer of any model, by chance",
           [f"{MORE}::test_d4_d5_d6_nothing_depends_on_hashes"]),
    "D5": ("order of a union of vocabularies by chance",
           [f"{WORDS}::test_union", f"{MORE}::test_d4_d5_d6_nothing_depends_on_hashes"]),
    "D6": ("order of sums by chance",
           [f"{MORE}::test_d4_d5_d6_nothing_depends_on_hashes", f"{RUN}::test_order_of_models"]),
    "D7": ("float32 whatever was asked for", [f"{REGISTER}::test_d7_types"]),
    "D8": ("quantiles of an unseeded sample",
           [f"{REGISTER}::test_d8_quantiles_of_large_tensors_are_exact"]),
    "D9": ("sce stops weighing small differences",
           [f"{REGISTER}::test_d9_sce_weighs_small_differences"]),
    "D10": ("model_stock clamps products of norms, t runs free",
            [f"{REGISTER}::test_d10_model_stock_of_small_and_opposite_differences"]),
    "D11": ("karcher stops where vocabularies differ",
            [f"{DIFFERING}::test_vocabularies_of_different_sizes"]),
    "D12": ("della stops at columns, scalars and high densities",
            [f"{MORE}::test_d12_della_of_columns_and_high_densities", f"{METHODS}::test_method"]),
    "D13": ("weights that add up to 0; a base_model that is not listed",
            [f"{RECIPE}::test_mistake", f"{DIFFERING}::test_base_model_that_is_not_listed"]),
    "D14": ("slerp of a zero vector", [f"{REGISTER}::test_d14_slerp_of_a_zero_vector"]),
    "D15": ("nuslerp enlarges opposite vectors, takes columns for rows, stops at cut embeddings",
            [f"{REGISTER}::test_d15_nearly_opposite_vectors", f"{REGISTER}::test_d15_rows_are_rows",
             f"{MORE}::test_d15_d16_embeddings_of_other_sizes"]),
    "D16": ("a larger base stops task arithmetic; models of other shapes skipped in silence",
            [f"{MORE}::test_d15_d16_embeddings_of_other_sizes",
             f"{MORE}::test_d16_no_model_is_skipped"]),
    "D17": ("vocab_size unchanged where rows were cut",
            [f"{DIFFERING}::test_vocabularies_of_different_sizes"]),
    "D18": ("tie_word_embeddings unchanged beside a head",
            [f"{DIFFERING}::test_tied_and_untied_heads"]),
    "D19": ("tensors that no table knows are dropped",
            [f"{DIFFERING}::test_tensors_that_no_table_knows", f"{SLICES}::test_frankenmerge"]),
    "D20": ("the same model twice counts once", [f"{DIFFERING}::test_the_same_model_twice"]),
    "D21": ("typing errors accepted", [f"{RECIPE}::test_mistake", f"{RECIPE}::test_yaml"]),
    "D22": ("layer ranges of negative length", [f"{RECIPE}::test_mistake"]),
    "D23": ("an option for threads without effect",
            [f"{MORE}::test_d23_an_option_without_effect_says_so",
             f"{RUN}::test_threads_shards_and_places"]),
    "D24": ("time grows with the square of the tensors",
            [f"{REGISTER}::test_d24_time_grows_with_the_number_of_tensors"]),
    "D25": ("merges of single files: 0 is not set, parameters required, the whole output in memory",
            [f"{MORE}::test_d25_single_files_and_zeros", f"{MEMORY}::test_memory_is_bounded"]),
    "D26": ("commands that do not run",
            [f"{MORE}::test_d26_shuffled_layers", f"{MORE}::test_d26_every_verb_runs"]),
    "D27": ("unknown architectures stop it", [f"{DIFFERING}::test_tensors_that_no_table_knows"]),
    "D28": ("half an adapter cache taken for a whole one",
            [f"{MORE}::test_d28_adapters_leave_no_cache", f"{LORA}::test_what_is_refused"]),
    "D29": ("an index leads out of its folder", [f"{REGISTER}::test_d28_d29_nothing_is_trusted"]),
    "D30": ("quantised numbers taken for weights",
            [f"{RECIPE}::test_quantised_is_refused",
             f"{MORE}::test_d30_codes_without_a_config_are_refused"]),
    "D31": ("a token beyond the embedding stops it",
            [f"{WORDS}::test_an_id_beyond_the_embedding"]),
    "D32": ("threads lose settings",
            [f"{RUN}::test_threads_shards_and_places",
             f"{MORE}::test_d32_settings_of_all_threads"]),
    "D33": ("shard sizes in bytes, documented as parameters",
            [f"{REGISTER}::test_d33_shards_are_counted_in_bytes"]),
    "D34": ("arithmetic in 8 bits of mantissa", [f"{METHODS}::test_method"]),
    "D35": ("a run that is killed leaves files that load",
            [f"{RUN}::test_interrupted", f"{RESUME}::test_it_goes_on"]),
}  # fmt: skip

FAULTS: dict[str, list[str]] = {
    "an unknown or misspelt parameter or key beside valid ones": [f"{RECIPE}::test_mistake"],
    "a density above 1, a text where a number belongs": [f"{RECIPE}::test_mistake"],
    "an output equal to an input, or that holds old shards":
        [f"{RECIPE}::test_output_is_never_an_input"],
    "layer_types and every other list with an entry for each layer, renumbered with the slices":
        [f"{SLICES}::test_lists_with_an_entry_for_each_layer", f"{DEPTHS}::test_lists"],
    "keys of config.json that say what a layer is by its depth": [f"{DEPTHS}::test_depths"],
    "a fifth of the differences equal to the threshold: the first of them are kept":
        [f"{RUN}::test_ties_where_many_deltas_are_equal"],
    "dare: the same bytes for 1 and 2 threads":
        [f"{RUN}::test_threads_shards_and_places"],
    "every method: the same bytes after --resume":
        [f"{RESUME}::test_every_method_goes_on"],
    "NaN and infinities: what becomes of them is stated, and told":
        ["test_merge_shapes::test_any_shape", f"{RUN}::test_not_a_number_stays_one"],
    "every method: the same bytes for any order of the models":
        [f"{RUN}::test_order_of_models"],
}  # fmt: skip


def named() -> Iterator[str]:
    """Every test that is named, as "file::function"."""
    for _, tests in DEFECTS.values():
        yield from tests
    for tests in FAULTS.values():
        yield from tests


def section() -> list[str]:
    """The part of docs/merging.md."""

    def listed(tests: list[str]) -> str:
        return ", ".join(f"`{test}`" for test in tests)

    return [
        "## What was wrong elsewhere, and the tests that hold it here",
        "",
        "Tests are `tests/python/FILE.py::NAME`.",
        "",
        "| | mergekit 0.1.4 | tests |",
        "|---|---|---|",
        *(f"| {number} | {what} | {listed(tests)} |" for number, (what, tests) in DEFECTS.items()),
        "",
        "| measured since | tests |",
        "|---|---|",
        *(f"| {what} | {listed(tests)} |" for what, tests in FAULTS.items()),
        "",
    ]
