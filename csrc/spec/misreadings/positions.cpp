// How positions enter: rotations, tables, biases.
#include <algorithm>

#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

bool rotates(const Spec& s) { return s.position == PositionKind::rope && !s.ropes.empty(); }

bool any(const Spec& s, bool (*test)(const Rope&, const Spec&)) {
  return rotates(s) &&
         std::ranges::any_of(s.ropes, [&](const Rope& rope) { return test(rope, s); });
}

/// A change of every rotation, where it changes one.
Misreading rope(std::string knob, std::string value, bool (*test)(const Rope&, const Spec&),
                void (*change)(Rope&, const Spec&)) {
  return {std::move(knob), std::move(value),
          [test](const Spec& s, const RowList&) { return any(s, test); },
          [test, change](Spec& s, RowList&) {
            for (Rope& one : s.ropes) {
              if (test(one, s)) change(one, s);
            }
          }};
}

Misreadings rotations() {
  const auto always = [](const Rope&, const Spec&) { return true; };
  const auto half = [](const Rope& r, const Spec&) { return r.layout == RopeLayout::half; };
  const auto not_half = [](const Rope& r, const Spec&) { return r.layout != RopeLayout::half; };
  const auto unusual = [](const Rope& r, const Spec&) {
    return differ(r.theta, 1e4) && differ(r.theta, 1e3) && differ(r.theta, 1e5);
  };
  const auto scaled = [](const Rope& r, const Spec&) { return r.scaling != RopeScaling::plain; };
  const auto factor = [](const Rope& r, const Spec&) { return differ(r.attention_factor, 1.0); };
  const auto longrope = [](const Rope& r, const Spec&) {
    return r.scaling == RopeScaling::longrope && r.short_factors != r.long_factors;
  };
  return {
      rope("rope layout", "half", not_half,
           [](Rope& r, const Spec&) { r.layout = RopeLayout::half; }),
      rope("rope layout", "adjacent", half,
           [](Rope& r, const Spec&) { r.layout = RopeLayout::adjacent; }),
      rope("rope theta", "x 10", always, [](Rope& r, const Spec&) { r.theta *= 10; }),
      rope("rope theta", "/ 10", always, [](Rope& r, const Spec&) { r.theta /= 10; }),
      rope("rope theta", "10000", unusual, [](Rope& r, const Spec&) { r.theta = 1e4; }),
      rope("rope scaling", "none", scaled,
           [](Rope& r, const Spec&) {
             r.scaling = RopeScaling::plain;
             r.attention_factor = 1.0;
           }),
      rope("rope attention factor", "1", factor,
           [](Rope& r, const Spec&) { r.attention_factor = 1.0; }),
      rope("longrope factors", "exchanged", longrope,
           [](Rope& r, const Spec&) { std::swap(r.short_factors, r.long_factors); }),
  };
}

// Which of a head's numbers rotate.
Misreadings parts_of_heads() {
  const auto partial = [](const Rope& r, const Spec& s) {
    return r.dim < s.d_head && r.start == 0 && s.d_head % 2 == 0 && r.scaling == RopeScaling::plain;
  };
  const auto whole = [](const Rope& r, const Spec& s) {
    return r.dim == s.d_head && r.dim % 4 == 0 && r.scaling != RopeScaling::longrope;
  };
  const auto by_eight = [](const Rope& r, const Spec& s) {
    return r.dim == s.d_head && r.dim % 8 == 0 && r.scaling != RopeScaling::longrope;
  };
  const auto first = [](const Rope& r, const Spec& s) { return r.start == 0 && r.dim < s.d_head; };
  const auto later = [](const Rope& r, const Spec&) { return r.start > 0; };
  return {
      rope("rope part", "the whole head", partial,
           [](Rope& r, const Spec& s) { r.dim = s.d_head; }),
      rope("rope part", "half of the head", whole, [](Rope& r, const Spec&) { r.dim /= 2; }),
      rope("rope part", "a quarter of the head", by_eight,
           [](Rope& r, const Spec&) { r.dim /= 4; }),
      rope("rope part", "the last numbers", first,
           [](Rope& r, const Spec& s) { r.start = s.d_head - r.dim; }),
      rope("rope part", "the first numbers", later, [](Rope& r, const Spec&) { r.start = 0; }),
  };
}

bool some_layer(const Spec& s, bool (*test)(const LayerSpec&)) {
  return std::ranges::any_of(s.layers, test);
}

bool unlike(const Rope& a, const Rope& b) {
  return differ(a.theta, b.theta) || a.scaling != b.scaling || differ(a.factor, b.factor);
}

Misreadings rotations_by_layer() {
  const auto two = [](const Spec& s, const RowList&) {
    return rotates(s) && s.ropes.size() == 2 && unlike(s.ropes[0], s.ropes[1]) &&
           some_layer(s, [](const LayerSpec& l) { return l.rope == 1; });
  };
  return {
      {"rope by layer", "exchanged", two,
       [](Spec& s, RowList&) { std::swap(s.ropes[0], s.ropes[1]); }},
      {"rope by layer", "in every layer",
       [](const Spec& s, const RowList&) {
         return rotates(s) && some_layer(s, [](const LayerSpec& l) { return l.rope < 0; });
       },
       [](Spec& s, RowList&) {
         for (LayerSpec& layer : s.layers) layer.rope = std::max(layer.rope, 0);
       }},
  };
}

/// What was taken for no positions at all.
Misreading kind(PositionKind to, bool (*possible)(const Spec&, const RowList&)) {
  return {"positions", std::string(name_of(to)),
          [possible](const Spec& s, const RowList& rows) {
            return s.position == PositionKind::none && possible(s, rows);
          },
          [to](Spec& s, RowList&) { s.position = to; }};
}

Misreadings kinds() {
  using enum PositionKind;
  return {
      {"positions", "none", [](const Spec& s, const RowList&) { return s.position != none; },
       [](Spec& s, RowList&) { s.position = none; }},
      kind(rope, [](const Spec& s, const RowList&) { return !s.ropes.empty(); }),
      kind(alibi, [](const Spec& s, const RowList&) { return !s.alibi.slopes.empty(); }),
      kind(learned,
           [](const Spec&, const RowList& rows) { return has_row(rows, "pos_embed.W_pos"); }),
  };
}

bool has_table(const Spec& s) {
  return s.position == PositionKind::learned || s.position == PositionKind::sinusoidal;
}

// The table is as long as before: what is passed over in front is missing behind.
void shift(Spec& s, int64_t by) {
  s.position_offset += by;
  s.n_ctx -= by;
}

Misreadings offsets() {
  const auto offset = [](const Spec& s, const RowList&) {
    return has_table(s) && s.position_offset > 0;
  };
  return {
      {"position offset", "one more",
       [](const Spec& s, const RowList&) { return has_table(s) && s.n_ctx > 1; },
       [](Spec& s, RowList&) { shift(s, 1); }},
      {"position offset", "one less", offset, [](Spec& s, RowList&) { shift(s, -1); }},
      {"position offset", "none",
       [](const Spec& s, const RowList&) { return has_table(s) && s.position_offset > 1; },
       [](Spec& s, RowList&) { shift(s, -s.position_offset); }},
      {"query growth", "none",
       [](const Spec& s, const RowList&) { return s.query_growth.beta != 0.0; },
       [](Spec& s, RowList&) { s.query_growth.beta = 0.0; }},
  };
}

}  // namespace

Misreadings position_misreadings() {
  Misreadings list;
  for (Misreadings (*part)() : {rotations, parts_of_heads, rotations_by_layer, kinds, offsets}) {
    for (Misreading& one : part()) list.push_back(std::move(one));
  }
  return list;
}

}  // namespace lenswright
