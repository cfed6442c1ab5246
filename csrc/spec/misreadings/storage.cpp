// Where weights lie in stored tensors of the right shape.
#include <algorithm>
#include <array>
#include <map>

#include "spec/misreadings/lists.h"

namespace lenswright {
namespace {

bool square(const Row& row) {
  return row.inputs > 0 && row.outputs == row.inputs && row.stored == row.outputs && !row.in_runs();
}

bool has_square(const RowList& rows, const std::string& ending) {
  return std::ranges::any_of(
      rows, [&](const Row& r) { return square(r) && r.canonical.ends_with(ending); });
}

void transpose(RowList& rows, const std::string& ending) {
  for (Row& row : rows) {
    if (!square(row) || !row.canonical.ends_with(ending)) continue;
    row.layout = row.layout == Layout::out_in ? Layout::in_out : Layout::out_in;
  }
}

Misreading transposed(const std::string& value, const std::string& ending) {
  return {"matrix layout", value,
          [ending](const Spec&, const RowList& rows) { return has_square(rows, ending); },
          [ending](Spec&, RowList& rows) { transpose(rows, ending); }};
}

constexpr std::array kMatrices = {"attn.W_Q", "attn.W_K",   "attn.W_V", "attn.W_O",
                                  "mlp.W_in", "mlp.W_gate", "mlp.W_out"};

Misreadings layouts() {
  Misreadings list = {transposed("every square one transposed", "")};
  list[0].applies = [](const Spec&, const RowList& rows) {
    return std::ranges::count_if(kMatrices,
                                 [&](const char* name) { return has_square(rows, name); }) > 1;
  };
  for (const char* name : kMatrices) {
    list.push_back(transposed(std::string(name) + " transposed", name));
  }
  return list;
}

Misreading exchanged(const std::string& knob, const std::string& first, const std::string& second,
                     bool (*possible)(const Spec&)) {
  return {knob, "exchanged", [possible](const Spec& s, const RowList&) { return possible(s); },
          [first, second](Spec&, RowList& rows) {
            exchange(rows, "attn.W_" + first, "attn.W_" + second);
            exchange(rows, "attn.b_" + first, "attn.b_" + second);
          }};
}

Misreadings exchanges() {
  return {
      exchanged("q and k", "Q", "K",
                [](const Spec& s) { return s.n_heads == s.n_kv_heads && s.latent.kv_rank == 0; }),
      exchanged("k and v", "K", "V",
                [](const Spec& s) { return s.d_head == s.d_value && s.latent.kv_rank == 0; }),
  };
}

// --- several weights in one stored tensor --------------------------------------------------------

/// Where the parts lie: one behind the other, or taking turns.
void pack(const std::vector<Row*>& parts, const std::vector<int64_t>& runs) {
  int64_t distance = 0, start = 0;
  for (int64_t run : runs) distance += run;
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i]->start = start;
    parts[i]->run = runs[i];
    parts[i]->distance = distance;
    start += runs[i];
  }
}

/// Rows of a block that share a stored tensor, by the endings of their names; empty where they do
/// not. One list for each block (and expert).
std::vector<std::vector<Row*>> fused(RowList& rows, const std::vector<std::string>& endings) {
  std::map<std::string_view, Row*> by_name;
  for (Row& row : rows) by_name[row.canonical] = &row;
  std::vector<std::vector<Row*>> groups;
  for (Row& first : rows) {
    if (!first.canonical.ends_with(endings[0])) continue;
    const std::string at = first.canonical.substr(0, first.canonical.size() - endings[0].size());
    std::vector<Row*> group;
    for (const std::string& ending : endings) {
      const auto found = by_name.find(at + ending);
      const bool same = found != by_name.end() && found->second->source == first.source;
      if (same) group.push_back(found->second);
    }
    if (group.size() == endings.size()) groups.push_back(group);
  }
  return groups;
}

using Runs = std::vector<int64_t> (*)(const Spec& spec, const std::vector<Row*>& parts);

bool lies_so(const std::vector<Row*>& parts, const std::vector<int64_t>& runs) {
  int64_t start = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t own = parts[i]->run > 0 ? parts[i]->run : parts[i]->outputs;
    if (own != runs[i] || parts[i]->start != start) return false;
    start += runs[i];
  }
  return true;
}

Misreading packed(std::string knob, std::string value,
                  std::vector<std::vector<std::string>> endings, Runs runs) {
  return {std::move(knob), std::move(value),
          [=](const Spec& s, const RowList& rows) {
            RowList copy = rows;
            const auto groups = fused(copy, endings[0]);
            return !groups.empty() && !lies_so(groups[0], runs(s, groups[0]));
          },
          [=](Spec& s, RowList& rows) {
            for (const auto& names : endings) {
              for (const auto& parts : fused(rows, names)) pack(parts, runs(s, parts));
            }
          }};
}

std::vector<int64_t> whole(const Spec&, const std::vector<Row*>& parts) {
  std::vector<int64_t> runs;
  for (const Row* row : parts) runs.push_back(row->outputs);
  return runs;
}

// A key head's queries, its key, its value.
std::vector<int64_t> by_group(const Spec& s, const std::vector<Row*>& parts) {
  const int64_t kv = parts[1]->outputs / s.d_head;
  return {parts[0]->outputs / kv, s.d_head, s.d_head};
}

std::vector<int64_t> singly(const Spec&, const std::vector<Row*>& parts) {
  return std::vector<int64_t>(parts.size(), 1);
}

Misreadings packings() {
  const std::vector<std::vector<std::string>> qkv = {{"attn.W_Q", "attn.W_K", "attn.W_V"},
                                                     {"attn.b_Q", "attn.b_K", "attn.b_V"}};
  const std::vector<std::vector<std::string>> gate_up = {{".W_gate", ".W_in"},
                                                         {".b_gate", ".b_in"}};
  return {
      packed("packing of q, k and v", "one after the other", qkv, whole),
      packed("packing of q, k and v", "head by head", qkv, by_group),
      packed("packing of gate and up", "one after the other", gate_up, whole),
      packed("packing of gate and up", "turn by turn", gate_up, singly),
  };
}

}  // namespace

Misreadings storage_misreadings() {
  Misreadings list;
  for (Misreadings (*part)() : {layouts, exchanges, packings}) {
    for (Misreading& one : part()) list.push_back(std::move(one));
  }
  return list;
}

}  // namespace lenswright
