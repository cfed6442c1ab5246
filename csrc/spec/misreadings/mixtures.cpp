// How a mixture chooses its experts, and what joins them.
#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

bool mixes(const Spec& s) { return s.mixture.routing.experts > 0; }

Misreading router(Router to) {
  return {
      "router", std::string(name_of(to)),
      [to](const Spec& s, const RowList&) { return mixes(s) && s.mixture.routing.router != to; },
      [to](Spec& s, RowList&) { s.mixture.routing.router = to; }};
}

bool weighs_by_probability(const Spec& s) {
  const Router kind = s.mixture.routing.router;
  return mixes(s) && (kind == Router::softmax_first || kind == Router::sigmoid);
}

Misreading renormalised(std::string value, bool to) {
  return {"experts' weights", std::move(value),
          [to](const Spec& s, const RowList&) {
            return weighs_by_probability(s) && s.mixture.routing.renormalise != to;
          },
          [to](Spec& s, RowList&) { s.mixture.routing.renormalise = to; }};
}

// How many may be chosen at most, in the layer that chooses most.
int64_t room(const Spec& s) {
  const Routing& r = s.mixture.routing;
  int64_t most = 0;
  for (int layer = 0; layer < s.n_layers; ++layer) most = std::max(most, s.routing(layer).chosen);
  return r.experts / r.groups * r.chosen_groups - most;
}

Misreading chosen(std::string value, int64_t by) {
  return {"chosen experts", std::move(value),
          [by](const Spec& s, const RowList&) {
            const Routing& r = s.mixture.routing;
            return mixes(s) && r.router != Router::sparsemixer && r.chosen + by >= 1 &&
                   room(s) >= by;
          },
          [by](Spec& s, RowList&) {
            s.mixture.routing.chosen += by;
            for (LayerSpec& l : s.layers) {
              if (l.chosen > 1 || (l.chosen > 0 && by > 0)) l.chosen += by;
            }
          }};
}

Misreadings choices() {
  return {
      router(Router::softmax_first),
      router(Router::softmax_last),
      router(Router::sigmoid),
      renormalised("divided by their sum", true),
      renormalised("as they are", false),
      chosen("one more", 1),
      chosen("one less", -1),
      {"groups of experts", "none",
       [](const Spec& s, const RowList&) { return mixes(s) && s.mixture.routing.groups > 1; },
       [](Spec& s, RowList&) { s.mixture.routing.groups = s.mixture.routing.chosen_groups = 1; }},
      {"scale of experts' weights", "1",
       [](const Spec& s, const RowList&) {
         return weighs_by_probability(s) && differ(s.mixture.routing.scale, 1.0);
       },
       [](Spec& s, RowList&) { s.mixture.routing.scale = 1.0; }},
  };
}

/// A weight that may be passed over, and found again.
Misreadings optional(const std::string& knob, const std::string& row) {
  return {{knob, "none", [row](const Spec&, const RowList& rows) { return has_row(rows, row); },
           [row](Spec&, RowList& rows) { set_aside(rows, row); }},
          {knob, "there", [row](const Spec&, const RowList& rows) { return is_aside(rows, row); },
           [row](Spec&, RowList& rows) { take_back(rows, row); }}};
}

int64_t shared_width(const RowList& rows) {
  for (const Row& row : rows) {
    if (row.canonical.ends_with("mlp.shared.W_in")) return row.outputs;
  }
  return 0;
}

Misreadings shared() {
  const auto gate = [](const RowList& rows) { return has_row(rows, "mlp.W_shared_gate"); };
  return {
      {"shared expert", "none",
       [](const Spec& s, const RowList&) { return s.mixture.d_shared > 0; },
       [](Spec& s, RowList&) { s.mixture.d_shared = 0; }},
      {"shared expert", "there",
       [](const Spec& s, const RowList& rows) {
         return mixes(s) && s.mixture.d_shared == 0 && shared_width(rows) > 0;
       },
       [](Spec& s, RowList& rows) { s.mixture.d_shared = shared_width(rows); }},
      {"gate of the shared expert", "none",
       [](const Spec& s, const RowList&) { return s.mixture.shared_gate; },
       [](Spec& s, RowList&) { s.mixture.shared_gate = false; }},
      {"gate of the shared expert", "there",
       [gate](const Spec& s, const RowList& rows) { return !s.mixture.shared_gate && gate(rows); },
       [](Spec& s, RowList&) { s.mixture.shared_gate = true; }},
  };
}

}  // namespace

Misreadings mixture_misreadings() {
  Misreadings list = choices();
  for (Misreadings part :
       {optional("correction of the choice", "mlp.router_correction"), shared()}) {
    for (Misreading& one : part) list.push_back(std::move(one));
  }
  return list;
}

}  // namespace lenswright
