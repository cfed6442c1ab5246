#pragma once

#include <map>
#include <string>
#include <vector>

#include "merge/adapter_config.h"
#include "merge/input.h"

namespace lenswright {

/// The pair of one weight: W += scale · B A, or its transpose. Of a bias, b += scale · B, A is
/// null.
struct AdapterPair {
  const TensorInfo *a = nullptr, *b = nullptr;
  double scale = 1;
  bool transposed = false;
};

/// The tensors of an adapter by what they do to a model's. std::invalid_argument for what does not
/// fit the model.
class AdapterTensors {
 public:
  AdapterTensors(const Input& model, const Input& adapter, const AdapterConfig& config);

  std::map<std::string, AdapterPair> pairs;
  std::map<std::string, const TensorInfo*> replaced;

 private:
  void read(const TensorInfo& tensor);
  std::string known(const std::string& name, const TensorInfo& tensor) const;
  void check_tied(const TensorInfo& head) const;
  void check_bias(const std::string& target, AdapterPair& pair) const;
  void check(const std::string& target, AdapterPair& pair) const;

  const Input& model_;
  const Input& adapter_;
  const AdapterConfig& config_;
  std::vector<const TensorInfo*> tied_heads_;
};

}  // namespace lenswright
