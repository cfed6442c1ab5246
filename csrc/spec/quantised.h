#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/quantised_matrix.h"
#include "io/json.h"
#include "spec/catalog.h"

namespace lenswright {

/// What quantization_config says: how those weights are written that have scales.
struct QuantisationRule {
  Quantisation form = Quantisation::none;
  int64_t block_rows = 0, block_columns = 0;  // fp8: of a scale; 0: of the whole matrix
  std::vector<std::string> unknown_keys{};
};

/// Reads it. Forms that are not read are std::invalid_argument by their names.
QuantisationRule quantisation_of(const Json& config);

/// A tensor that is stored as codes and scales, under names of their own.
struct QuantisedTensor {
  Quantisation form{};
  std::string codes, scales;   // stored names
  std::vector<int64_t> shape;  // of the tensor they stand for
  bool turned = false;         // codes are [.., out, in], the tensor is [.., in, out]
  BlockGrid grid{};            // fp8

  int64_t matrices() const { return shape.size() > 2 ? shape.front() : 1; }
};

/// All of them, by the names that the tensors would have if they were not quantised.
struct QuantisedTensors {
  Quantisation form = Quantisation::none;
  std::map<std::string, QuantisedTensor> by_name;
  /// Stored tensors that belong to them: scales of weights, and of activations. The latter ask that
  /// activations be rounded, which is not done.
  std::set<std::string> beside;

  /// nullptr where the tensor is not quantised.
  const QuantisedTensor* find(const std::string& name) const;
};

/// Finds them by their types and names. std::invalid_argument, naming the tensor, where codes lack
/// scales or scales codes, and where they do not fit each other.
QuantisedTensors quantised_tensors(const Json& config, const Catalog& tensors);

}  // namespace lenswright
