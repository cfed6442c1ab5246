#pragma once

#include <torch/csrc/utils/pybind.h>

#include <map>
#include <optional>
#include <string>

#include "model/taps.h"

namespace lenswright {

/// Taps as Python builds them, with what they captured.
struct PyTaps {
  explicit PyTaps(const Spec& of) : spec(of) {}
  PyTaps(const PyTaps&) = delete;

  void write(const std::string& name, pybind11::function function);
  void capture(const std::string& name, std::optional<at::Tensor> positions,
               std::optional<at::Device> device, bool detach);

  const Spec& spec;
  Taps taps;
  std::map<std::string, at::Tensor> captured;
};

}  // namespace lenswright
