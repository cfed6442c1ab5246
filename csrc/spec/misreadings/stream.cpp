// The residual stream, what enters it and how it is read at the end.
#include <algorithm>
#include <cmath>

#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

// A norm that attention and MLP share becomes one of each.
void share_no_norm(Spec& s, RowList& rows) {
  if (!s.shared_norm) return;
  s.shared_norm = false;
  const RowList before = rows;
  for (Row row : before) {
    const size_t at = row.canonical.find(".ln1.");
    if (at == std::string::npos) continue;
    row.canonical.replace(at, 5, ".ln2.");
    rows.insert(rows.end() - 1, std::move(row));
  }
}

Misreadings blocks() {
  return {
      {"block", "parallel",
       [](const Spec& s, const RowList&) {
         return !s.parallel && s.norms != NormPlacement::behind;
       },
       [](Spec& s, RowList&) { s.parallel = true; }},
      {"block", "serial", [](const Spec& s, const RowList&) { return s.parallel; },
       [](Spec& s, RowList& rows) {
         s.parallel = false;
         share_no_norm(s, rows);
       }},
      {"residual scale", "1",
       [](const Spec& s, const RowList&) { return differ(s.residual_scale, 1.0); },
       [](Spec& s, RowList&) { s.residual_scale = 1.0; }},
      {"embedding scale", "1",
       [](const Spec& s, const RowList&) { return differ(s.embed_scale, 1.0); },
       [](Spec& s, RowList&) { s.embed_scale = 1.0; }},
      {"embedding scale", "sqrt(d_model)",
       [](const Spec& s, const RowList&) {
         return differ(s.embed_scale, std::sqrt(static_cast<double>(s.d_model)));
       },
       [](Spec& s, RowList&) { s.embed_scale = std::sqrt(static_cast<double>(s.d_model)); }},
  };
}

const Row* found(const RowList& rows, std::string_view canonical) {
  const auto row =
      std::ranges::find_if(rows, [&](const Row& r) { return r.canonical == canonical; });
  return row == rows.end() ? nullptr : &*row;
}

bool like_embedding(const RowList& rows) {
  const Row *head = found(rows, "unembed.W_U"), *embed = found(rows, "embed.W_E");
  return head && embed && head->outputs == embed->outputs && head->inputs == embed->inputs;
}

Misreadings heads() {
  const auto scaled = [](const Spec& s, const RowList&) { return differ(s.logit_scale, 1.0); };
  return {
      {"logit scale", "1", scaled, [](Spec& s, RowList&) { s.logit_scale = 1.0; }},
      {"logit scale", "its inverse", scaled,
       [](Spec& s, RowList&) { s.logit_scale = 1.0 / s.logit_scale; }},
      {"logit softcap", "none", [](const Spec& s, const RowList&) { return s.logit_softcap > 0.0; },
       [](Spec& s, RowList&) { s.logit_softcap = 0.0; }},
      {"unembedding", "the embedding",
       [](const Spec& s, const RowList& rows) { return !s.tied && like_embedding(rows); },
       [](Spec& s, RowList&) { s.tied = true; }},
      {"unembedding", "its own matrix",
       [](const Spec& s, const RowList& rows) { return s.tied && like_embedding(rows); },
       [](Spec& s, RowList&) { s.tied = false; }},
  };
}

}  // namespace

Misreadings stream_misreadings() {
  Misreadings list = blocks();
  for (Misreading& one : heads()) list.push_back(std::move(one));
  return list;
}

}  // namespace lenswright
