#include "spec/quantised.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <stdexcept>

#include "base/text.h"

namespace lenswright {
namespace {

constexpr std::string_view kConfig = "quantization_config";
constexpr std::string_view kScale = "_scale_inv";  // which multiplies, whatever the name says
constexpr std::string_view kActivation = "activation_scale";
constexpr std::string_view kBlocks = "_blocks", kScales = "_scales";
constexpr int64_t kMxBytes = kMxGroup / 2;

using Shape = std::vector<int64_t>;

[[noreturn]] void refuse_config(const std::string& key, const std::string& found,
                                const std::string& expected) {
  throw std::invalid_argument("config.json: '" + key + "' is " + found + ", expected " + expected);
}

[[noreturn]] void refuse(const std::string& tensor, const std::string& what) {
  throw std::invalid_argument("tensor '" + tensor + "': " + what);
}

std::string method_of(const Json& quantisation) {
  for (const char* name : {"quant_method", "format"}) {
    if (quantisation.is_object() && quantisation.contains(name)) {
      return quantisation.at(name).as_string();
    }
  }
  return "unnamed";
}

// [rows, columns] of a block, or zeros where a scale is a whole matrix's.
std::pair<int64_t, int64_t> block_of(const Json& quantisation) {
  const std::string key = "weight_block_size";
  if (!quantisation.contains(key) || quantisation.at(key).is_null()) return {0, 0};
  const Json block = quantisation.at(key);
  const bool pair = block.is_array() && block.size() == 2 && block.at(size_t{0}).is_integer() &&
                    block.at(size_t{1}).is_integer();
  const int64_t rows = pair ? block.at(size_t{0}).as_int() : 0;
  const int64_t columns = pair ? block.at(size_t{1}).as_int() : 0;
  if (rows < 1 || columns < 1) {
    refuse_config(std::string(kConfig) + "." + key, block.dump(), "two numbers of at least 1");
  }
  return {rows, columns};
}

// Keys whose values change no number here: which modules were left as they were shows in their
// types, and activations are not rounded.
const std::set<std::string> kKnown = {"quant_method",      "fmt",         "weight_block_size",
                                      "activation_scheme", "scale_fmt",   "modules_to_not_convert",
                                      "dequantize",        "expert_dtype"};

QuantisationRule read_rule(const Json& quantisation, Quantisation form) {
  QuantisationRule rule{form};
  const auto expect = [&](const std::string& key, const std::set<std::string>& expected) {
    if (!quantisation.contains(key) || quantisation.at(key).is_null()) return;
    if (expected.contains(quantisation.at(key).as_string())) return;
    refuse_config(std::string(kConfig) + "." + key, quantisation.at(key).dump(),
                  "'" + *expected.begin() + "'");
  };
  if (form == Quantisation::fp8) {
    expect("fmt", {"e4m3", "float8_e4m3fn"});
    expect("expert_dtype", {"fp8"});
    std::tie(rule.block_rows, rule.block_columns) = block_of(quantisation);
  }
  for (const std::string& key : quantisation.keys()) {
    if (!kKnown.contains(key)) rule.unknown_keys.push_back(std::string(kConfig) + "." + key);
  }
  return rule;
}

/// The quantised tensors of a checkpoint, one by one.
class Finder {
 public:
  Finder(const QuantisationRule& rule, const Catalog& tensors) : rule_(rule), tensors_(tensors) {
    found_.form = rule.form;
  }

  QuantisedTensors find() {
    for (const std::string& name : tensors_.names()) {
      rule_.form == Quantisation::fp8 ? look_for_fp8(name) : look_for_mxfp4(name);
    }
    return std::move(found_);
  }

 private:
  void look_for_fp8(const std::string& name) {
    if (tensors_.dtype(name) == Dtype::f8_e4m3) return add_fp8(name);
    if (name.ends_with(kActivation)) found_.beside.insert(name);
    if (!name.ends_with(kScale)) return;
    const std::string weight = name.substr(0, name.size() - kScale.size());
    if (!tensors_.contains(weight)) refuse(name, "a scale without its weight '" + weight + "'");
    if (tensors_.dtype(weight) == Dtype::f8_e4m3) return;
    refuse(weight, "stored as " + std::string(wire_name(tensors_.dtype(weight))) +
                       ", expected F8_E4M3 since it has a scale, '" + name + "'");
  }

  void add_fp8(const std::string& name) {
    const std::string scales = name + std::string(kScale);
    const Shape shape = tensors_.shape(name);
    if (!tensors_.contains(scales)) {
      refuse(name, "stored as F8_E4M3, but its scale '" + scales + "' is missing");
    }
    if (shape.size() != 2 && shape.size() != 3) {
      refuse(name, "stored as F8_E4M3 with shape " + shape_text(shape) +
                       ", expected a matrix, or one for each expert");
    }
    constexpr std::array kTypes = {Dtype::f32, Dtype::bf16, Dtype::f16, Dtype::f8_e8m0, Dtype::u8};
    const Dtype type = tensors_.dtype(scales);
    if (std::ranges::find(kTypes, type) == kTypes.end()) {
      refuse(scales, "stored as " + std::string(wire_name(type)) +
                         ", expected F32, BF16, F16, or exponents in F8_E8M0 or U8");
    }
    found_.beside.insert(scales);
    found_.by_name[name] = {Quantisation::fp8, name, scales, shape, false, grid_of(name, scales)};
  }

  // What the shape of the scales must be: one for each block. Gates and ups of fused experts that
  // were quantised apart have two grids, one above the other.
  BlockGrid grid_of(const std::string& name, const std::string& scales) const {
    const Shape shape = tensors_.shape(name), own = tensors_.shape(scales);
    const bool experts = shape.size() == 3;
    const int64_t rows = shape[shape.size() - 2], columns = shape.back();
    const bool pair = experts && name.find("gate_up") != std::string::npos && rows % 2 == 0;
    const bool whole = rule_.block_rows == 0;
    const auto expected = [&](const BlockGrid& grid, int64_t high) {
      Shape wanted = {high, grid.columns};
      if (experts) wanted.insert(wanted.begin(), shape.front());
      return wanted;
    };
    const auto blocks = [](int64_t size, int64_t block) { return (size + block - 1) / block; };
    BlockGrid grid{whole ? rows : rule_.block_rows, whole ? columns : rule_.block_columns};
    grid.columns = blocks(columns, grid.block_columns);
    if (pair) {
      BlockGrid halves = grid;
      halves.half = rows / 2;
      halves.block_rows = std::min(grid.block_rows, std::max<int64_t>(1, halves.half));
      if (own == expected(halves, 2 * blocks(halves.half, halves.block_rows))) {
        if (halves.half % halves.block_rows == 0) halves.half = 0;  // one grid like any other
        return halves;
      }
    }
    const Shape wanted = expected(grid, blocks(rows, grid.block_rows));
    if (own == wanted || (whole && is_single(own, experts ? shape.front() : 1))) return grid;
    refuse(scales,
           "shape " + shape_text(own) + ", expected " + shape_text(wanted) + ": one for each " +
               (whole ? "matrix"
                      : "block of " + shape_text(Shape{grid.block_rows, grid.block_columns})) +
               " of '" + name + "' " + shape_text(shape));
  }

  // A number for each matrix, however many dimensions of size one follow.
  static bool is_single(const Shape& shape, int64_t matrices) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    return count == matrices && (matrices == 1 || shape.front() == matrices);
  }

  void look_for_mxfp4(const std::string& name) {
    const bool codes = name.ends_with(kBlocks);
    if (!codes && !name.ends_with(kScales)) return;
    const std::string weight = name.substr(0, name.size() - kBlocks.size());
    const std::string other = weight + std::string(codes ? kScales : kBlocks);
    if (!tensors_.contains(other)) {
      refuse(name, codes ? "blocks of MXFP4 whose scales '" + other + "' are missing"
                         : "scales of MXFP4 without their blocks '" + other + "'");
    }
    if (codes) add_mxfp4(weight, name, other);
  }

  void add_mxfp4(const std::string& weight, const std::string& codes, const std::string& scales) {
    if (tensors_.contains(weight)) refuse(weight, "stored twice: as it is, and as '" + codes + "'");
    for (const std::string& name : {codes, scales}) {
      const Dtype type = tensors_.dtype(name);
      if (type != Dtype::u8) {
        refuse(name, "stored as " + std::string(wire_name(type)) + ", expected U8 in MXFP4");
      }
    }
    const Shape shape = tensors_.shape(codes);
    if (shape.size() != 4 || shape.back() != kMxBytes) {
      refuse(codes,
             "shape " + shape_text(shape) + ", expected [experts, outputs, inputs / 32, 16]");
    }
    const Shape wanted(shape.begin(), shape.end() - 1);
    if (tensors_.shape(scales) != wanted) {
      refuse(scales, "shape " + shape_text(tensors_.shape(scales)) + ", expected " +
                         shape_text(wanted) + ": one for each 32 numbers of '" + codes + "'");
    }
    found_.beside.insert(scales);
    // transformers writes such a tensor the other way round where it is not quantised.
    found_.by_name[weight] = {
        Quantisation::mxfp4, codes, scales, {shape[0], shape[2] * kMxGroup, shape[1]}, true};
  }

  const QuantisationRule& rule_;
  const Catalog& tensors_;
  QuantisedTensors found_;
};

}  // namespace

QuantisationRule quantisation_of(const Json& config) {
  for (const std::string& key : {std::string(kConfig), std::string("compression_config")}) {
    if (!config.contains(key) || config.at(key).is_null()) continue;
    const Json quantisation = config.at(key);
    const std::string method = method_of(quantisation);
    for (const Quantisation form : {Quantisation::fp8, Quantisation::mxfp4}) {
      if (key == kConfig && method == name_of(form)) return read_rule(quantisation, form);
    }
    throw std::invalid_argument("config.json: '" + key + "' is " + method +
                                "; such weights are not read, expected fp8, mxfp4 or plain "
                                "floating point (dequantise it first)");
  }
  return {};
}

const QuantisedTensor* QuantisedTensors::find(const std::string& name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : &found->second;
}

QuantisedTensors quantised_tensors(const Json& config, const Catalog& tensors) {
  const QuantisationRule rule = quantisation_of(config);
  if (rule.form == Quantisation::none) return {};
  return Finder(rule, tensors).find();
}

}  // namespace lenswright
