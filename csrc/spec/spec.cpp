#include "spec/spec.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "base/error.h"

namespace lenswright {
namespace {

// transformers' names: "gelu" is the exact one, the others are the tanh approximation.
constexpr std::array<std::pair<std::string_view, Activation>, 11> kActivations{{
    {"relu", Activation::relu},
    {"relu2", Activation::relu2},
    {"gelu", Activation::gelu},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_python_tanh", Activation::gelu_tanh},
    {"quick_gelu", Activation::gelu_quick},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"xielu", Activation::xielu},
}};

template <typename Enum, size_t n>
std::string_view found(const std::array<std::pair<Enum, std::string_view>, n>& names, Enum value) {
  for (const auto& [key, name] : names) {
    if (key == value) return name;
  }
  throw std::logic_error("an enum's value has no name");
}

template <typename Enum>
using Named = std::pair<Enum, std::string_view>;

}  // namespace

void Spec::same_layers(double score_scale) {
  layers.assign(static_cast<size_t>(n_layers), LayerSpec{score_scale});
}

AttentionRule Spec::attention_rule(int layer) const {
  const LayerSpec& own = layers[static_cast<size_t>(layer)];
  return {own.score_scale, score_softcap, own.window, own.chunk};
}

Routing Spec::routing(int layer) const {
  Routing routing = mixture.routing;
  const int64_t own = layers[static_cast<size_t>(layer)].chosen;
  if (own > 0) routing.chosen = own;
  return routing;
}

bool Spec::norms_heads(int layer) const {
  return qk_norm != QkNorm::none && (!qk_norm_rotated_only || rotates(layer));
}

bool Spec::rotates(int layer) const {
  return position == PositionKind::rope && layers[static_cast<size_t>(layer)].rope >= 0;
}

std::string_view name_of(NormKind value) { return value == NormKind::layer ? "layer" : "rms"; }

std::string_view name_of(NormPlacement value) {
  using enum NormPlacement;
  static constexpr std::array<Named<NormPlacement>, 4> names{
      {{before, "before"}, {after, "after"}, {around, "around"}, {behind, "behind"}}};
  return found(names, value);
}

std::string_view name_of(PositionKind value) {
  using enum PositionKind;
  static constexpr std::array<Named<PositionKind>, 5> names{{{none, "none"},
                                                             {learned, "learned"},
                                                             {sinusoidal, "sinusoidal"},
                                                             {alibi, "alibi"},
                                                             {rope, "rope"}}};
  return found(names, value);
}

std::string_view name_of(QkNorm value) {
  using enum QkNorm;
  static constexpr std::array<Named<QkNorm>, 3> names{
      {{none, "none"}, {head, "head"}, {flat, "flat"}}};
  return found(names, value);
}

std::string_view name_of(RopeLayout value) {
  using enum RopeLayout;
  static constexpr std::array<Named<RopeLayout>, 3> names{
      {{half, "half"}, {adjacent, "adjacent"}, {adjacent_apart, "adjacent_apart"}}};
  return found(names, value);
}

std::string_view name_of(RopeScaling value) {
  using enum RopeScaling;
  static constexpr std::array<Named<RopeScaling>, 6> names{{{plain, "default"},
                                                            {linear, "linear"},
                                                            {dynamic, "dynamic"},
                                                            {llama3, "llama3"},
                                                            {yarn, "yarn"},
                                                            {longrope, "longrope"}}};
  return found(names, value);
}

std::string_view name_of(Activation value) {
  using enum Activation;
  static constexpr std::array<Named<Activation>, 8> names{{{relu, "relu"},
                                                           {relu2, "relu2"},
                                                           {gelu, "gelu"},
                                                           {gelu_tanh, "gelu_new"},
                                                           {gelu_rounded, "gelu_rounded"},
                                                           {gelu_quick, "quick_gelu"},
                                                           {silu, "silu"},
                                                           {xielu, "xielu"}}};
  return found(names, value);
}

std::string_view name_of(Router value) {
  using enum Router;
  static constexpr std::array<Named<Router>, 5> names{{{softmax_first, "softmax_first"},
                                                       {softmax_last, "softmax_last"},
                                                       {sigmoid, "sigmoid"},
                                                       {sigmoid_input, "sigmoid_input"},
                                                       {sparsemixer, "sparsemixer"}}};
  return found(names, value);
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
