#include "spec/spec.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace lenswright {
namespace {

// transformers' names: "gelu" is the exact one, the others are the tanh approximation.
constexpr std::array<std::pair<std::string_view, Activation>, 7> kActivations{{
    {"relu", Activation::relu},
    {"gelu", Activation::gelu},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
}};

}  // namespace

std::string_view name_of(NormKind value) { return value == NormKind::layer ? "layer" : "rms"; }

std::string_view name_of(PositionKind value) {
  return value == PositionKind::learned ? "learned" : "rope";
}

std::string_view name_of(RopeLayout value) {
  return value == RopeLayout::half ? "half" : "adjacent";
}

std::string_view name_of(Activation value) {
  switch (value) {
    case Activation::relu:
      return "relu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_new";
    case Activation::silu:
      return "silu";
  }
  throw std::logic_error("unnamed activation");
}

Activation activation_from_name(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [key, value] : kActivations) {
    if (key == name) return value;
    known.emplace_back(key);
  }
  std::string list;
  for (const auto& key : known) list += (list.empty() ? "" : ", ") + key;
  throw std::invalid_argument("activation '" + name + "' is not known; expected one of " + list +
                              did_you_mean(name, known));
}

}  // namespace lenswright
