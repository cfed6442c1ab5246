// The MLP, which experts are too.
#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

bool is_gelu(Activation a) {
  using enum Activation;
  return a == gelu || a == gelu_tanh || a == gelu_rounded || a == gelu_quick;
}

Misreading activation(Activation to) {
  return {"activation", std::string(name_of(to)),
          [to](const Spec& s, const RowList&) {
            // The two forms of GELU are as good as the same.
            return s.activation != to && !(is_gelu(s.activation) && is_gelu(to));
          },
          [to](Spec& s, RowList&) { s.activation = to; }};
}

Misreading kind_of_gelu(Activation to) {
  return {
      "kind of GELU", std::string(name_of(to)),
      [to](const Spec& s, const RowList&) { return is_gelu(s.activation) && s.activation != to; },
      [to](Spec& s, RowList&) { s.activation = to; }};
}

Misreadings activations() {
  using enum Activation;
  Misreadings list;
  for (Activation to : {silu, gelu, relu}) list.push_back(activation(to));
  for (Activation to : {gelu, gelu_tanh}) list.push_back(kind_of_gelu(to));
  return list;
}

}  // namespace

Misreadings mlp_misreadings() {
  Misreadings list = activations();
  const Misreadings others = {
      {"gate and up", "exchanged", [](const Spec& s, const RowList&) { return s.gated; },
       [](Spec&, RowList& rows) {
         exchange(rows, ".W_gate", ".W_in");
         exchange(rows, ".b_gate", ".b_in");
       }},
      {"limit of gate and up", "none",
       [](const Spec& s, const RowList&) { return s.mlp_limit > 0.0; },
       [](Spec& s, RowList&) { s.mlp_limit = 0.0; }},
      {"added to up", "nothing", [](const Spec& s, const RowList&) { return s.up_offset != 0.0; },
       [](Spec& s, RowList&) { s.up_offset = 0.0; }},
      {"factor in quick_gelu", "1",
       [](const Spec& s, const RowList&) { return s.activation == Activation::gelu_quick; },
       [](Spec& s, RowList&) { s.activation_alpha = 1.0; }},
  };
  list.insert(list.end(), others.begin(), others.end());
  return list;
}

}  // namespace lenswright
