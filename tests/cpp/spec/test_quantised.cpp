#include "spec/quantised.h"

#include <map>

#include "spec/configs.h"

namespace lenswright::test_quantised {
namespace {

using namespace test;  // NOLINT: tests only
using Shape = std::vector<int64_t>;

struct Tensor {
  Dtype dtype;
  Shape shape;
};
using Tensors = std::map<std::string, Tensor>;

Json config_of(const std::string& quantisation) {
  return with(llama_config(), "quantization_config", json(quantisation));
}

const Json kBlocks = config_of(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})");
const Json kWhole = config_of(R"({"quant_method": "fp8", "weight_block_size": null})");
const Json kMxfp4 = config_of(R"({"quant_method": "mxfp4", "modules_to_not_convert": ["a"]})");

QuantisedTensors found(const Json& config, const Tensors& tensors) {
  Catalog catalog;
  catalog.contains = [&](const std::string& name) { return tensors.contains(name); };
  catalog.shape = [&](const std::string& name) { return tensors.at(name).shape; };
  catalog.dtype = [&](const std::string& name) { return tensors.at(name).dtype; };
  catalog.names = [&] {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    return names;
  };
  return quantised_tensors(config, catalog);
}

std::string refused(const Json& config, const Tensors& tensors) {
  try {
    found(config, tensors);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  FAIL("accepted");
  return "";
}

Tensors fp8(const Shape& weight, const Shape& scales, Dtype type = Dtype::f32) {
  return {{"q.weight", {Dtype::f8_e4m3, weight}}, {"q.weight_scale_inv", {type, scales}}};
}

}  // namespace

TEST_CASE("fp8: a scale for each block, the last ones ragged") {
  const QuantisedTensors all = found(kBlocks, fp8({576, 7168}, {5, 56}));
  REQUIRE(all.form == Quantisation::fp8);
  const QuantisedTensor* tensor = all.find("q.weight");
  REQUIRE(tensor);
  REQUIRE(tensor->shape == Shape{576, 7168});
  REQUIRE((tensor->codes == "q.weight" && tensor->scales == "q.weight_scale_inv"));
  REQUIRE((tensor->grid.block_rows == 128 && tensor->grid.columns == 56));
  REQUIRE(tensor->grid.half == 0);
  REQUIRE_FALSE(tensor->turned);
  REQUIRE(all.beside.contains("q.weight_scale_inv"));
  REQUIRE(all.find("q.bias") == nullptr);
  for (const Dtype type : {Dtype::bf16, Dtype::f16, Dtype::u8, Dtype::f8_e8m0}) {
    REQUIRE(found(kBlocks, fp8({200, 72}, {2, 1}, type)).find("q.weight"));
  }
}

TEST_CASE("fp8: one scale for a matrix, however it is shaped") {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 1}}) {
    const QuantisedTensors all = found(kWhole, fp8({30, 40}, shape));
    const BlockGrid& grid = all.find("q.weight")->grid;
    REQUIRE((grid.row_of(29) == 0 && grid.block_columns == 40 && grid.columns == 1));
  }
  for (const Shape& shape : {Shape{5}, Shape{5, 1}, Shape{5, 1, 1}}) {
    REQUIRE(found(kWhole, fp8({5, 30, 40}, shape)).find("q.weight"));
  }
  REQUIRE(says(refused(kWhole, fp8({30, 40}, {30, 1})), "expected [1, 1]"));
  REQUIRE(says(refused(kWhole, fp8({5, 30, 40}, {1})), "expected [5, 1, 1]"));
}

TEST_CASE("fp8: gates and ups in one tensor have grids of their own") {
  const std::string name = "experts.gate_up_proj";
  const auto grid = [&](const Json& config, const Shape& weight, const Shape& scales) {
    const Tensors tensors = {{name, {Dtype::f8_e4m3, weight}},
                             {name + "_scale_inv", {Dtype::f32, scales}}};
    return found(config, tensors).find(name)->grid;
  };
  REQUIRE(grid(kBlocks, {4, 400, 72}, {4, 4, 1}).half == 200);
  REQUIRE(grid(kBlocks, {4, 400, 72}, {4, 4, 1}).row_of(200) == 2);
  REQUIRE(grid(kBlocks, {4, 22, 72}, {4, 2, 1}).row_of(11) == 1);
  REQUIRE(grid(kBlocks, {4, 22, 72}, {4, 1, 1}).row_of(11) == 0);  // one grid over both
  REQUIRE(grid(kBlocks, {4, 512, 72}, {4, 4, 1}).row_of(256) == 2);
  REQUIRE(grid(kWhole, {4, 22, 72}, {4, 2, 1}).row_of(11) == 1);
  REQUIRE(grid(kWhole, {4, 22, 72}, {4, 1, 1}).row_of(21) == 0);
}

TEST_CASE("fp8: codes without scales, scales without codes, and grids that do not fit") {
  Tensors lone = fp8({200, 72}, {2, 1});
  lone.erase("q.weight_scale_inv");
  REQUIRE(says(refused(kBlocks, lone), "'q.weight_scale_inv' is missing"));
  Tensors scale = fp8({200, 72}, {2, 1});
  scale.erase("q.weight");
  REQUIRE(says(refused(kBlocks, scale), "without its weight 'q.weight'"));
  Tensors wide = fp8({200, 72}, {2, 1});
  wide["q.weight"].dtype = Dtype::bf16;
  REQUIRE(says(refused(kBlocks, wide), "stored as BF16, expected F8_E4M3"));
  REQUIRE(says(refused(kBlocks, fp8({200, 72}, {1, 1})), "expected [2, 1]"));
  REQUIRE(says(refused(kBlocks, fp8({200, 72}, {2})), "expected [2, 1]"));
  REQUIRE(says(refused(kBlocks, fp8({200, 72}, {2, 1}, Dtype::i32)), "stored as I32"));
  REQUIRE(says(refused(kBlocks, fp8({200}, {2})), "expected a matrix"));
  const Tensors plain = {{"norm.weight", {Dtype::bf16, {72}}},
                         {"q.activation_scale", {Dtype::f32, {}}}};
  REQUIRE(found(kBlocks, plain).by_name.empty());
  REQUIRE(found(kBlocks, plain).beside.contains("q.activation_scale"));
}

TEST_CASE("mxfp4: blocks and scales stand for a tensor that lies the other way round") {
  const Tensors tensors = {{"e.down_proj_blocks", {Dtype::u8, {5, 96, 2, 16}}},
                           {"e.down_proj_scales", {Dtype::u8, {5, 96, 2}}},
                           {"e.down_proj_bias", {Dtype::bf16, {5, 96}}}};
  const QuantisedTensors all = found(kMxfp4, tensors);
  const QuantisedTensor* tensor = all.find("e.down_proj");
  REQUIRE(tensor);
  REQUIRE(tensor->shape == Shape{5, 64, 96});
  REQUIRE((tensor->turned && tensor->matrices() == 5 && all.by_name.size() == 1));

  const auto changed = [&](const std::string& name, const Tensor& to) {
    Tensors other = tensors;
    other[name] = to;
    return refused(kMxfp4, other);
  };
  REQUIRE(says(changed("e.down_proj", {Dtype::bf16, {5, 64, 96}}), "stored twice"));
  REQUIRE(says(changed("e.down_proj_scales", {Dtype::u8, {5, 96, 3}}), "expected [5, 96, 2]"));
  REQUIRE(says(changed("e.down_proj_scales", {Dtype::bf16, {5, 96, 2}}), "stored as BF16"));
  REQUIRE(says(changed("e.down_proj_blocks", {Dtype::u8, {5, 96, 2, 8}}), "inputs / 32, 16]"));
  for (const char* part : {"e.down_proj_blocks", "e.down_proj_scales"}) {
    Tensors other = tensors;
    other.erase(part);
    REQUIRE(says(refused(kMxfp4, other), part));
  }
}

TEST_CASE("what quantization_config may say") {
  REQUIRE(quantisation_of(llama_config()).form == Quantisation::none);
  REQUIRE(quantisation_of(with(llama_config(), "quantization_config", nullptr)).form ==
          Quantisation::none);
  REQUIRE(quantisation_of(kMxfp4).form == Quantisation::mxfp4);
  const QuantisationRule rule = quantisation_of(
      config_of(R"({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                    "weight_block_size": [64, 32], "scale_fmt": "ue8m0", "colour": 1})"));
  REQUIRE((rule.block_rows == 64 && rule.block_columns == 32));
  REQUIRE(rule.unknown_keys == std::vector<std::string>{"quantization_config.colour"});
  REQUIRE(read(config_of(R"({"quant_method": "fp8", "colour": 1})")).unknown_keys ==
          rule.unknown_keys);
  for (const char* bad : {R"({"quant_method": "fp8", "weight_block_size": [128]})",
                          R"({"quant_method": "fp8", "weight_block_size": [0, 128]})",
                          R"({"quant_method": "fp8", "fmt": "e5m2"})",
                          R"({"quant_method": "fp8", "expert_dtype": "fp4"})"}) {
    REQUIRE(says(refusal(config_of(bad)), "quantization_config."));
  }
  for (const std::string method :
       {"gptq", "awq", "bitsandbytes", "compressed-tensors", "fbgemm_fp8", "hqq", "quark"}) {
    REQUIRE(says(refusal(config_of(R"({"quant_method": ")" + method + "\"}")), method));
  }
}

}  // namespace lenswright::test_quantised
