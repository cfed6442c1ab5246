#include "edits/stack.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

namespace lenswright {
namespace {

using OfEach = std::vector<const Part*>;  // what each edit does to one writer; null: nothing

// A factor of several edits [rows, ...]: vectors of zeros where one has fewer, and where one has
// none what changes nothing.
at::Tensor stacked_slot(const OfEach& parts, const FactorSlot& slot) {
  const auto of = [&](const Part* part) {
    return part == nullptr ? at::Tensor() : part->factors.*slot.tensor;
  };
  int64_t vectors = 0, width = 0;
  for (const Part* part : parts) {
    const at::Tensor own = of(part);
    if (!own.defined()) continue;
    if (slot.dims == 2) vectors = std::max(vectors, own.size(0));
    width = own.size(-1);
  }
  if (width == 0) return {};
  const bool diagonal = slot.tensor == &Factors::s || slot.tensor == &Factors::c;
  std::vector<int64_t> shape = {static_cast<int64_t>(parts.size())};
  if (slot.dims == 2) shape.push_back(vectors);
  shape.push_back(width);
  at::Tensor all = at::full(shape, diagonal ? 1.0 : 0.0, at::kDouble);
  for (size_t row = 0; row < parts.size(); ++row) {
    const at::Tensor own = of(parts[row]);
    if (!own.defined()) continue;
    const at::Tensor place = all.select(0, static_cast<int64_t>(row));
    (slot.dims == 2 ? place.narrow(0, 0, own.size(0)) : place).copy_(own);
  }
  return all;
}

// Factors that came from the same tensors are made once: thousands of experts share theirs.
class StackedFactors {
 public:
  Factors of(const OfEach& parts) {
    Factors factors;
    for (size_t i = 0; i < kFactorSlots.size(); ++i) {
      std::vector<const void*> key;
      for (const Part* part : parts) {
        key.push_back(part == nullptr
                          ? nullptr
                          : (part->factors.*kFactorSlots[i].tensor).unsafeGetTensorImpl());
      }
      const auto [found, made] = made_.try_emplace({i, key});
      if (made) found->second = stacked_slot(parts, kFactorSlots[i]);
      factors.*kFactorSlots[i].tensor = found->second;
    }
    return factors;
  }

 private:
  std::map<std::pair<size_t, std::vector<const void*>>, at::Tensor> made_;
};

void check_row(const Edit& edit, size_t index) {
  TORCH_CHECK_VALUE(edit.rows() == 0, "edit ", index, " is ", edit.rows(),
                    " edits, one for each row of a batch; expected edit.row(i) of it");
  for (const Part& part : edit.parts()) {
    TORCH_CHECK_VALUE(!part.place.known(), "edit ", index, " changes '", part.writer,
                      "' by its name, without a model that says what it computes: it can be "
                      "applied and committed, not tried");
  }
}

void check_same_base(const Base& first, const Base& own, size_t index) {
  const bool other = !first.sha256.empty() && !own.sha256.empty() && first.sha256 != own.sha256;
  TORCH_CHECK_VALUE(!other, "edit ", index, " was made for another '", own.name,
                    "' than the edits before it (SHA-256 ", own.sha256, " and ", first.sha256,
                    "); expected edits of one model");
}

Part stacked_part(const OfEach& parts, StackedFactors& factors) {
  Part part;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] == nullptr) continue;
    if (part.writer.empty()) {
      part = *parts[i];
      continue;
    }
    check_same_base(part.weight, parts[i]->weight, i);
    check_same_base(part.bias, parts[i]->bias, i);
    if (part.weight.sha256.empty()) part.weight = parts[i]->weight;
    if (part.bias.sha256.empty() && !parts[i]->bias.name.empty()) part.bias = parts[i]->bias;
    part.unties = part.unties || parts[i]->unties;
  }
  part.note.clear();
  part.factors = factors.of(parts);
  return part;
}

}  // namespace

std::shared_ptr<Edit> stacked(const std::vector<std::shared_ptr<Edit>>& edits) {
  TORCH_CHECK_VALUE(!edits.empty(), "there are no edits, expected at least one");
  std::map<std::string, OfEach> by_name;
  for (size_t i = 0; i < edits.size(); ++i) {
    check_row(*edits[i], i);
    for (const Part& part : edits[i]->parts()) {
      OfEach& each = by_name[part.writer];
      each.resize(edits.size(), nullptr);
      each[i] = &part;
    }
  }
  StackedFactors factors;
  std::vector<Part> parts;
  for (const auto& [unused, each] : by_name) parts.push_back(stacked_part(each, factors));
  std::ranges::sort(parts, [](const Part& x, const Part& y) {
    return std::tie(x.key.layer, x.key.kind, x.key.expert) <
           std::tie(y.key.layer, y.key.kind, y.key.expert);
  });
  std::vector<Untouched> left;  // what the first leaves alone and no other changes
  for (const Untouched& writer : edits.front()->untouched()) {
    if (!by_name.contains(writer.writer)) left.push_back(writer);
  }
  Json provenance = Json::object(), of = Json::array();
  for (const auto& edit : edits) {
    of.push_back(edit->provenance().is_object() ? edit->provenance() : Json::object());
  }
  provenance.set("method", "rows");
  provenance.set("of", of);
  return std::make_shared<Edit>(std::move(parts), std::move(left), std::move(provenance));
}

}  // namespace lenswright
