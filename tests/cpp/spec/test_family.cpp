#include "spec/family.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "spec/kinds.h"

namespace lenswright::test_family {
namespace {

using namespace test;  // NOLINT: tests only

int64_t numbers(const Row& row) {
  int64_t product = 1;
  for (int64_t size : row.stored_shape()) product *= size;
  return product;
}

// Every number of every stored tensor belongs to one row, and rows of a tensor agree on its shape.
void check_tiles(const std::vector<Row>& rows) {
  std::map<std::string, std::vector<int64_t>> shape;
  std::map<std::string, std::vector<int>> taken;  // by output, of every expert
  std::set<std::string> canonical;
  for (const Row& row : rows) {
    CAPTURE(row.canonical);
    REQUIRE(canonical.insert(row.canonical).second);
    if (shape.contains(row.source)) REQUIRE(shape[row.source] == row.stored_shape());
    shape[row.source] = row.stored_shape();
    std::vector<int>& outputs = taken[row.source];
    outputs.resize(static_cast<size_t>(row.stored * std::max<int64_t>(row.experts, 1)));
    const int64_t run = row.in_runs() ? row.run : row.outputs;
    REQUIRE(row.start + (row.outputs / run - 1) * row.distance + run <= row.stored);
    for (int64_t i = 0; i < row.outputs; ++i) {
      const int64_t output = row.start + i / run * row.distance + i % run;
      ++outputs[static_cast<size_t>(row.expert * row.stored + output)];
    }
  }
  for (const auto& [source, outputs] : taken) {
    CAPTURE(source);
    REQUIRE(std::all_of(outputs.begin(), outputs.end(), [](int times) { return times == 1; }));
  }
}

int64_t parameters(const std::vector<Row>& rows) {
  std::map<std::string, int64_t> sizes;
  for (const Row& row : rows) sizes[row.source] = numbers(row);
  int64_t total = 0;
  for (const auto& [name, size] : sizes) total += size;
  return total;
}

const auto kAll = [](const std::string&) { return true; };

}  // namespace

TEST_CASE("llama's rows account for every shape of its checkpoints") {
  const Spec spec = read(llama_config());
  const Family& family = family_of(llama_config());
  const int64_t d = 30, q = 40, kv = 20, mlp = 37, vocab = 97;
  const int64_t weights = 2 * d * q + 2 * d * kv + 3 * d * mlp + 2 * d;  // of one layer
  const int64_t biases = q + 2 * kv + d + 2 * mlp + d;
  check_tiles(rows_in(family, spec, kAll));
  const auto biased = rows_in(family, spec, [](const std::string& name) {
    return !name.ends_with(".bias") || name.ends_with("_proj.bias");
  });
  check_tiles(biased);
  REQUIRE(parameters(biased) == 2 * vocab * d + 2 * (weights + biases) + d);
  const auto unbiased =
      rows_in(family, spec, [](const std::string& name) { return !name.ends_with(".bias"); });
  check_tiles(unbiased);
  REQUIRE(parameters(unbiased) == 2 * vocab * d + 2 * weights + d);
  const Spec plain = read(without(without(llama_config(), "attention_bias"), "mlp_bias"));
  REQUIRE(parameters(rows_in(family, plain, kAll)) == parameters(unbiased));  // whatever is there
  Spec tied = spec;
  tied.tied = true;
  REQUIRE(rows_in(family, tied, kAll).size() == rows_in(family, spec, kAll).size() - 1);
  REQUIRE(head_row(family, tied, kAll).source == "lm_head.weight");
  REQUIRE(head_row(family, tied, kAll).stored_shape() == std::vector<int64_t>{vocab, d});
}

TEST_CASE("gpt2's rows account for every shape, its fused projections in three parts") {
  const Spec spec = read(gpt2_config());
  const Family& family = family_of(gpt2_config());
  const int64_t d = 30, mlp = 47;
  const int64_t layer = 4 * d * d + 4 * d + 2 * d * mlp + mlp + d + 4 * d;
  const auto rows = rows_in(family, spec, kAll);
  check_tiles(rows);
  REQUIRE(parameters(rows) == 97 * d + 64 * d + 2 * layer + 2 * d);
  std::vector<int64_t> starts;
  for (const Row& row : rows) {
    if (row.source != "transformer.h.1.attn.c_attn.weight") continue;
    REQUIRE(row.stored_shape() == std::vector<int64_t>{d, 3 * d});  // [in, out]
    starts.push_back(row.start);
  }
  REQUIRE(starts == std::vector<int64_t>{0, d, 2 * d});
}

TEST_CASE("the rows of every kind of decoder account for every number of its checkpoints") {
  for (const Json& config : kinds()) {
    CAPTURE(config.dump());
    const Spec spec = read(config);
    REQUIRE(spec.unknown_keys.empty());
    for (const Family::RowsOf layout : family_of(config).layouts) check_tiles(layout(spec));
  }
}

TEST_CASE("checkpoints without the first part of every name are read as they are") {
  const Spec spec = read(gpt2_config());
  const auto rows = rows_in(family_of(gpt2_config()), spec, [](const std::string& name) {
    return !name.starts_with("transformer.");
  });
  REQUIRE(rows.front().source == "wte.weight");
  REQUIRE(rows.back().source == "ln_f.bias");
}

TEST_CASE("the spec holds what config.json says") {
  const Spec llama = read(with(llama_config(), "rope_theta", 5e5));
  REQUIRE(llama.d_head == 10);
  REQUIRE(llama.d_value == 10);
  REQUIRE(llama.ropes.at(0).theta == 5e5);
  REQUIRE(llama.ropes.at(0).dim == 10);
  REQUIRE(llama.layers.size() == 2);
  REQUIRE(llama.layers.at(1).score_scale == Approx(1 / std::sqrt(10.0)));
  REQUIRE_FALSE(llama.tied);
  REQUIRE(llama.gated);
  REQUIRE(llama.unknown_keys.empty());
  const Spec flags = read(with(gpt2_config(), "scale_attn_by_inverse_layer_idx", true));
  REQUIRE(flags.layers.at(1).score_scale == Approx(flags.layers.at(0).score_scale / 2));
  REQUIRE(flags.tied);
  REQUIRE(flags.norm.kind == NormKind::layer);
  REQUIRE(read(with(llama_config(), "sauce", 1)).unknown_keys == std::vector<std::string>{"sauce"});
}

TEST_CASE("configs that cannot be computed are refused by key") {
  const std::string swoosh = refusal(with(llama_config(), "hidden_act", "silo"));
  REQUIRE(says(swoosh, "'silo'"));
  REQUIRE(says(swoosh, "did you mean 'silu'?"));
  REQUIRE(says(refusal(without(llama_config(), "hidden_size")), "'hidden_size' is missing"));
  REQUIRE(says(refusal(with(llama_config(), "vocab_size", 0)), "vocab_size"));
  const std::string heads = refusal(with(llama_config(), "num_key_value_heads", 3));
  REQUIRE(says(heads, "heads, 4, is no multiple of the number of key-value heads, 3"));
  REQUIRE(says(refusal(with(gpt2_config(), "n_head", 4)), "multiple of the number of heads, 4"));
  REQUIRE(says(refusal(with(gpt2_config(), "add_cross_attention", true)), "add_cross_attention"));
  const Json narrow = with(without(llama_config(), "head_dim"), "hidden_size", 3);
  REQUIRE(says(refusal(narrow), "0 numbers of a head rotate"));
  REQUIRE(says(refusal(with(llama_config(), "head_dim", 9)), "9 numbers of a head rotate"));
}

TEST_CASE("mixtures that cannot be routed are refused with their numbers") {
  const auto refused = [](std::string_view key, int64_t value) {
    return refusal(with(kind("DeepseekV3ForCausalLM"), key, value));
  };
  REQUIRE(says(refused("n_group", 4), "6 experts are no multiple of 4 groups"));
  REQUIRE(says(refused("n_group", 6), "one expert, expected at least two"));
  REQUIRE(says(refused("topk_group", 4), "4 of 3 groups of experts"));
  REQUIRE(says(refused("num_experts_per_tok", 5), "5 of 4 experts"));
  REQUIRE(
      says(refusal(with(kind("GptOssForCausalLM"), "num_experts_per_tok", 6)), "6 of 5 experts"));
}

TEST_CASE("an architecture that may stand before several decoders is told by its text_config") {
  const auto llava = [](const std::string& type) {
    return json(R"({"architectures": ["LlavaForConditionalGeneration"],
                    "text_config": {"model_type": ")" +
                type + "\"}}");
  };
  for (const std::string type : {"llama", "mistral"}) {
    REQUIRE(family_of(llava(type)).text_type == type);
  }
  const std::string unknown = refusal(llava("lama"));
  REQUIRE(says(unknown, "text_config.model_type is 'lama'"));
  REQUIRE(says(unknown, "did you mean 'llama'?"));
}

TEST_CASE("every family is told from all others, and has a layout") {
  std::set<std::pair<std::string, std::string>> names;  // by architecture and the decoder within
  for (const Family& family : families()) {
    CAPTURE(family.architecture, family.text_type);
    REQUIRE(names.insert({family.architecture, family.text_type}).second);
    REQUIRE_FALSE(family.model_type.empty());
    REQUIRE_FALSE(family.layouts.empty());
  }
}

TEST_CASE("unknown families and quantised checkpoints are refused by name") {
  const std::string unknown = refusal(json(R"({"architectures": ["LlamaForCausalML"]})"));
  for (const Family& family : families()) REQUIRE(says(unknown, family.architecture));
  REQUIRE(says(unknown, "did you mean 'LlamaForCausalLM'?"));
  REQUIRE(says(refusal(json("{}")), "model_type"));
  REQUIRE(family_of(json(R"({"model_type": "gpt2"})")).model_type == "gpt2");
  const Json gptq = json(R"({"quant_method": "gptq", "bits": 4})");
  REQUIRE(says(refusal(with(llama_config(), "quantization_config", gptq)), "gptq"));
  const Json packed = json(R"({"format": "pack-quantized"})");
  REQUIRE(says(refusal(with(llama_config(), "compression_config", packed)), "pack-quantized"));
  REQUIRE_NOTHROW(read(with(llama_config(), "quantization_config", nullptr)));
}

}  // namespace lenswright::test_family
