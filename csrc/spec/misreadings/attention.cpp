// What stands between the projections and the pattern.
#include <algorithm>
#include <cmath>

#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

Misreadings scores() {
  const auto scale = [](std::string value, bool up) {
    return Misreading{"score scale", std::move(value),
                      [](const Spec&, const RowList&) { return true; },
                      [up](Spec& s, RowList&) {
                        const double root = std::sqrt(static_cast<double>(s.d_head));
                        for (LayerSpec& l : s.layers) l.score_scale *= up ? root : 1.0 / root;
                      }};
  };
  const auto unequal = [](const Spec& s, const RowList&) {
    return std::ranges::any_of(s.layers, [&](const LayerSpec& l) {
      return differ(l.score_scale, s.layers[0].score_scale);
    });
  };
  return {
      scale("x sqrt(d_head)", true),
      scale("/ sqrt(d_head)", false),
      {"score scale by layer", "as in the first", unequal,
       [](Spec& s, RowList&) {
         for (LayerSpec& l : s.layers) l.score_scale = s.layers[0].score_scale;
       }},
      {"score softcap", "none", [](const Spec& s, const RowList&) { return s.score_softcap > 0.0; },
       [](Spec& s, RowList&) { s.score_softcap = 0.0; }},
      {"limit of q, k and v", "none",
       [](const Spec& s, const RowList&) { return s.qkv_limit > 0.0; },
       [](Spec& s, RowList&) { s.qkv_limit = 0.0; }},
      {"sinks", "none",
       [](const Spec&, const RowList& rows) { return has_row(rows, "attn.sinks"); },
       [](Spec& s, RowList& rows) {
         s.sinks = false;
         set_aside(rows, "attn.sinks");
       }},
      {"sinks", "there",
       [](const Spec&, const RowList& rows) { return is_aside(rows, "attn.sinks"); },
       [](Spec& s, RowList& rows) {
         s.sinks = true;
         take_back(rows, "attn.sinks");
       }},
  };
}

// Whether a weight has numbers for each key head.
bool by_key_head(const Row& row, const Spec& s) {
  for (const char* name : {"attn.W_K", "attn.W_V", "attn.b_K", "attn.b_V"}) {
    if (row.canonical.ends_with(name)) return true;
  }
  for (const char* name : {"attn.k_norm.w", "attn.k_norm.b"}) {
    if (row.canonical.ends_with(name)) return row.inputs > 0 || row.outputs > s.d_head;
  }
  return false;
}

// Query head h reads key head h % n_kv_heads instead of h / group: as if keys and values stood
// there once for each query head, the whole list repeated.
Misreadings grouping() {
  return {
      {"key-value groups", "every n-th head",
       [](const Spec& s, const RowList& rows) {
         return s.n_heads > s.n_kv_heads && s.n_kv_heads > 1 && !has_row(rows, "k_norm.0.w");
       },
       [](Spec& s, RowList& rows) {
         for (Row& row : rows) {
           if (by_key_head(row, s)) row.times = s.n_heads / s.n_kv_heads;
         }
         s.n_kv_heads = s.n_heads;
       }},
      {"key-value groups", "neighbours",
       [](const Spec&, const RowList& rows) {
         return std::ranges::any_of(rows, [](const Row& r) { return r.times > 1; });
       },
       [](Spec& s, RowList& rows) {
         for (Row& row : rows) {
           if (row.times == 1) continue;
           s.n_kv_heads = s.n_heads / row.times;
           row.times = 1;
         }
       }},
  };
}

// The gain of a norm of each head is as long as a head, that of all heads longer.
QkNorm kind_by_gain(const Spec& s, const RowList& rows) {
  for (const Row& row : rows) {
    if (row.canonical.ends_with("attn.q_norm.w")) {
      return row.outputs > s.d_head ? QkNorm::flat : QkNorm::head;
    }
  }
  return has_row(rows, "attn.q_norm.0.w") ? QkNorm::head : QkNorm::none;
}

Misreading qk_norm_place(std::string value, bool after_rope) {
  return {"place of the norms of q and k", std::move(value),
          [after_rope](const Spec& s, const RowList&) {
            return s.qk_norm != QkNorm::none && s.qk_norm_after_rope != after_rope &&
                   s.position == PositionKind::rope;
          },
          [after_rope](Spec& s, RowList&) { s.qk_norm_after_rope = after_rope; }};
}

Misreadings qk_norms() {
  return {
      {"norms of q and k", "none",
       [](const Spec& s, const RowList&) { return s.qk_norm != QkNorm::none; },
       [](Spec& s, RowList&) { s.qk_norm = QkNorm::none; }},
      {"norms of q and k", "there",
       [](const Spec& s, const RowList& rows) {
         return s.qk_norm == QkNorm::none && kind_by_gain(s, rows) != QkNorm::none;
       },
       [](Spec& s, RowList& rows) { s.qk_norm = kind_by_gain(s, rows); }},
      qk_norm_place("before the rotation", false),
      qk_norm_place("after the rotation", true),
  };
}

}  // namespace

Misreadings attention_misreadings() {
  Misreadings list;
  for (Misreadings (*part)() : {scores, grouping, window_misreadings, qk_norms}) {
    for (Misreading& one : part()) list.push_back(std::move(one));
  }
  return list;
}

}  // namespace lenswright
