#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "merge/input.h"

namespace lenswright {

/// The stacks of layers of some models, by the names of their tensors.
class Stacks {
 public:
  explicit Stacks(const Inputs& inputs);

  /// Layers of a stack ("model.layers."); of a decoder, no more than config.json names.
  int64_t layers(const Input& of, const std::string& stack) const;
  /// The stack that layer ranges are about; std::invalid_argument where it is not clear.
  std::string main(const Input& of) const;
  /// What the tensors of a layer are called behind its number, in the order of the file.
  std::vector<std::string> rests(const Input& of, const std::string& stack, int64_t layer) const;

 private:
  struct Layers {
    int64_t count = 0;
    std::map<int64_t, std::vector<std::string>> rests;
  };
  std::map<const Input*, std::map<std::string, Layers>> stacks_;
};

}  // namespace lenswright
