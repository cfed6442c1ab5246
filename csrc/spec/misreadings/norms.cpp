// Which norm, with which gain, and where it stands.
#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

using enum NormPlacement;

bool has_gain(const RowList& rows) {
  return has_row(rows, ".ln1.w") || has_row(rows, ".ln1_post.w") || has_row(rows, "ln_final.w");
}

Misreadings kinds() {
  const auto kind = [](std::string value, NormKind to) {
    return Misreading{"norm kind", std::move(value),
                      [to](const Spec& s, const RowList&) { return s.norm.kind != to; },
                      [to](Spec& s, RowList&) { s.norm.kind = to; }};
  };
  const auto offset = [](std::string value, double to) {
    return Misreading{
        "norm gain", std::move(value),
        [to](const Spec& s, const RowList& rows) { return s.norm.offset != to && has_gain(rows); },
        [to](Spec& s, RowList&) {
          if (s.qk_norms.offset == s.norm.offset) s.qk_norms.offset = to;
          s.norm.offset = to;
        }};
  };
  const auto eps = [](std::string value, double factor) {
    return Misreading{"norm eps", std::move(value),
                      [](const Spec&, const RowList&) { return true; },
                      [factor](Spec& s, RowList&) { s.norm.eps *= factor; }};
  };
  return {kind("layer", NormKind::layer),
          kind("rms", NormKind::rms),
          offset("1 + w", 1.0),
          offset("w", 0.0),
          eps("x 100", 100.0),
          eps("/ 100", 0.01)};
}

void to_after(RowList& rows, const std::string& name) {
  for (const char* part : {".w", ".b"}) exchange(rows, name + part, name + "_post" + part);
}

bool both_sides(const RowList& rows) {
  return has_row(rows, ".ln1.w") && has_row(rows, ".ln1_post.w");
}

/// The same norms elsewhere; those of the other side of a branch are left out.
void place(Spec& s, RowList& rows, NormPlacement to) {
  const bool post = s.norms == after, wanted = to == after;
  if (post != wanted && !both_sides(rows)) {
    to_after(rows, ".ln1");
    to_after(rows, ".ln2");
  }
  s.norms = to;
}

Misreading placed(std::string value, NormPlacement to) {
  return {"norm place", std::move(value),
          [to](const Spec& s, const RowList& rows) {
            if (s.norms == to || s.shared_norm) return false;
            if (to == around) return both_sides(rows);
            return to != behind || (!s.parallel && s.norms == before);
          },
          [to](Spec& s, RowList& rows) { place(s, rows, to); }};
}

void exchange_norms(RowList& rows, const std::string& first, const std::string& second) {
  for (const char* part : {".w", ".b"}) exchange(rows, first + part, second + part);
}

Misreadings names() {
  return {
      {"norms of a block", "exchanged",
       [](const Spec& s, const RowList& rows) {
         const std::string post = s.norms == after ? "_post" : "";
         return has_row(rows, ".ln1" + post + ".w") && has_row(rows, ".ln2" + post + ".w");
       },
       [](Spec&, RowList& rows) {
         exchange_norms(rows, ".ln1", ".ln2");
         exchange_norms(rows, ".ln1_post", ".ln2_post");
       }},
      {"norms of a block", "behind attention for before the MLP",
       [](const Spec& s, const RowList& rows) {
         return s.norms == around && has_row(rows, ".ln2.w");
       },
       [](Spec&, RowList& rows) { exchange_norms(rows, ".ln1_post", ".ln2"); }},
      {"final norm", "none", [](const Spec& s, const RowList&) { return s.final_norm; },
       [](Spec& s, RowList&) { s.final_norm = false; }},
      {"final norm", "there",
       [](const Spec& s, const RowList& rows) {
         return !s.final_norm && has_row(rows, "ln_final.w");
       },
       [](Spec& s, RowList&) { s.final_norm = true; }},
      {"embedding norm", "none", [](const Spec& s, const RowList&) { return s.embed_norm; },
       [](Spec& s, RowList&) { s.embed_norm = false; }},
      {"embedding norm", "there",
       [](const Spec& s, const RowList& rows) {
         return !s.embed_norm && has_row(rows, "embed.ln.w");
       },
       [](Spec& s, RowList&) { s.embed_norm = true; }},
  };
}

}  // namespace

Misreadings norm_misreadings() {
  Misreadings list = kinds();
  for (auto& [value, to] :
       {std::pair{"before", before}, {"after", after}, {"around", around}, {"behind", behind}}) {
    list.push_back(placed(value, to));
  }
  for (Misreading& one : names()) list.push_back(std::move(one));
  return list;
}

}  // namespace lenswright
