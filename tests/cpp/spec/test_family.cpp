#include "spec/family.h"

#include <map>
#include <set>

#include "spec/configs.h"

namespace lenswright {
namespace {

using namespace test;  // NOLINT: tests only

int64_t numbers(const Row& row) {
  int64_t product = 1;
  for (int64_t size : row.stored_shape()) product *= size;
  return product;
}

// Every stored tensor is tiled by its rows: no gap, no overlap, one shape.
void check_tiles(const std::vector<Row>& rows) {
  std::map<std::string, int64_t> next;
  std::map<std::string, std::vector<int64_t>> shape;
  std::set<std::string> canonical;
  for (const Row& row : rows) {
    CAPTURE(row.canonical);
    REQUIRE(canonical.insert(row.canonical).second);
    REQUIRE(row.start == next[row.source]);
    next[row.source] += row.outputs;
    if (shape.contains(row.source)) REQUIRE(shape[row.source] == row.stored_shape());
    shape[row.source] = row.stored_shape();
    REQUIRE(next[row.source] <= row.stored);
  }
  for (const Row& row : rows) REQUIRE(next[row.source] == row.stored);
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
  const auto all = rows_in(family, spec, kAll);
  check_tiles(all);
  REQUIRE(parameters(all) == 2 * vocab * d + 2 * (weights + biases) + d);
  const auto unbiased =
      rows_in(family, spec, [](const std::string& name) { return !name.ends_with(".bias"); });
  check_tiles(unbiased);
  REQUIRE(parameters(unbiased) == 2 * vocab * d + 2 * weights + d);
  Spec tied = spec;
  tied.tied = true;
  REQUIRE(rows_in(family, tied, kAll).size() == all.size() - 1);
  REQUIRE(head_row(family, tied).source == "lm_head.weight");
  REQUIRE(head_row(family, tied).stored_shape() == std::vector<int64_t>{vocab, d});
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
  REQUIRE(llama.rope.theta == 5e5);
  REQUIRE(llama.rope.dim == 10);
  REQUIRE(llama.score_scale.at(1) == Approx(1 / std::sqrt(10.0)));
  REQUIRE_FALSE(llama.tied);
  REQUIRE(llama.gated);
  REQUIRE(llama.unknown_keys.empty());
  const Spec flags = read(with(gpt2_config(), "scale_attn_by_inverse_layer_idx", true));
  REQUIRE(flags.score_scale.at(1) == Approx(flags.score_scale.at(0) / 2));
  REQUIRE(flags.tied);
  REQUIRE(flags.norm == NormKind::layer);
  REQUIRE(read(with(llama_config(), "sauce", 1)).unknown_keys == std::vector<std::string>{"sauce"});
}

TEST_CASE("the rope of transformers 5 is read, a scaled one refused by name") {
  const Json plain = json(R"({"rope_type": "default", "rope_theta": 77.0})");
  REQUIRE(read(with(llama_config(), "rope_parameters", plain)).rope.theta == 77.0);
  const Json scaled = json(R"({"rope_type": "llama3", "factor": 8.0})");
  const std::string refused = refusal(with(llama_config(), "rope_scaling", scaled));
  REQUIRE(says(refused, "rope_scaling.rope_type"));
  REQUIRE(says(refused, "llama3"));
  const Json partial = json(R"({"rope_type": "default", "partial_rotary_factor": 0.5})");
  REQUIRE(says(refusal(with(llama_config(), "rope_parameters", partial)), "partial_rotary_factor"));
}

TEST_CASE("configs that cannot be computed are refused by key") {
  const std::string swoosh = refusal(with(llama_config(), "hidden_act", "silo"));
  REQUIRE(says(swoosh, "'silo'"));
  REQUIRE(says(swoosh, "did you mean 'silu'?"));
  REQUIRE(says(refusal(without(llama_config(), "hidden_size")), "'hidden_size' is missing"));
  REQUIRE(says(refusal(with(llama_config(), "vocab_size", 0)), "vocab_size"));
  REQUIRE(says(refusal(with(llama_config(), "num_key_value_heads", 3)), "num_key_value_heads 3"));
  REQUIRE(says(refusal(with(gpt2_config(), "n_head", 4)), "n_head 4"));
  REQUIRE(says(refusal(with(gpt2_config(), "add_cross_attention", true)), "add_cross_attention"));
  const Json narrow = with(without(llama_config(), "head_dim"), "hidden_size", 3);
  REQUIRE(says(refusal(narrow), "head_dim"));
  REQUIRE(says(refusal(with(llama_config(), "head_dim", 9)), "head_dim"));
}

TEST_CASE("unknown families and quantised checkpoints are refused by name") {
  const std::string unknown = refusal(json(R"({"architectures": ["LlamaForCausalML"]})"));
  REQUIRE(says(unknown, "GPT2LMHeadModel, LlamaForCausalLM"));
  REQUIRE(says(unknown, "did you mean 'LlamaForCausalLM'?"));
  REQUIRE(says(refusal(json("{}")), "model_type"));
  REQUIRE(family_of(json(R"({"model_type": "gpt2"})")).model_type == "gpt2");
  const Json gptq = json(R"({"quant_method": "gptq", "bits": 4})");
  REQUIRE(says(refusal(with(llama_config(), "quantization_config", gptq)), "gptq"));
  const Json packed = json(R"({"format": "pack-quantized"})");
  REQUIRE(says(refusal(with(llama_config(), "compression_config", packed)), "pack-quantized"));
  REQUIRE_NOTHROW(read(with(llama_config(), "quantization_config", nullptr)));
}

}  // namespace lenswright
