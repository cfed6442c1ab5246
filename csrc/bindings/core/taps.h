#pragma once

#include <torch/csrc/utils/pybind.h>

#include <map>
#include <optional>
#include <string>

#include "model/batch.h"
#include "model/taps.h"

namespace lenswright {

/// "right" or "left"; ValueError naming padding_side otherwise.
Side side_of(const std::string& padding_side);

/// Taps as Python builds them, with what they captured.
struct PyTaps {
  explicit PyTaps(const Spec& of) : spec(of) {}
  PyTaps(const PyTaps&) = delete;

  void write(const std::string& name, pybind11::function function);
  /// Adds a vector to every token, computed in its type.
  void add(const std::string& name, const at::Tensor& vector);
  /// Calls a function with what a writer reads, as it reads it.
  void watch(const std::string& kind, int layer, int64_t expert, pybind11::function function);
  void capture(const std::string& name, std::optional<at::Tensor> positions,
               std::optional<at::Device> device, bool detach);

  const Spec& spec;
  Taps taps;
  std::map<std::string, at::Tensor> captured;
};

}  // namespace lenswright
