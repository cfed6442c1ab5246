#include "merge/plan_rows.h"

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "merge/names.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

bool is_vocabulary(const std::string& name) {
  return !layer_of(name) && (is_token_embedding(name) || is_head(name));
}

// The map of one input, of what Python found in the tokenizers; `places`: of operands by name.
std::shared_ptr<const RowMap> row_map(const Json& rows,
                                      const std::map<std::string, size_t>& places) {
  auto map = std::make_shared<RowMap>();
  for (const Json& row : rows.at("own").elements()) map->own.push_back(row.as_int());
  for (const auto& [row, list] : rows.at("others").items()) {
    auto& from = map->others[std::stoll(row)];
    for (const Json& one : list.elements()) {
      const auto it = places.find(one.at(size_t{0}).as_string());
      if (it != places.end()) from.push_back({it->second, one.at(size_t{1}).as_int()});
    }
  }
  return map;
}

std::vector<int64_t> row_shape(const std::vector<int64_t>& shape) {
  return {shape.begin() + (shape.empty() ? 0 : 1), shape.end()};
}

// Refuses an operand of another shape, unless it is a vocabulary of another size in compat.
void check_shape(const Job& job, const Operand& operand, Mode mode) {
  const auto& shape = operand.info->shape;
  const Operand& first = job.operands.front();
  const std::string what = "tensor " + in_quotes(job.name) + ": shape " +
                           shape_text(first.info->shape) + " in " + in_quotes(first.input->name()) +
                           ", " + shape_text(shape) + " in " + in_quotes(operand.input->name());
  const bool sizes_only = !shape.empty() && shape.size() == job.shape.size() &&
                          row_shape(shape) == row_shape(job.shape) && is_vocabulary(job.name);
  if (!sizes_only) refuse(what + "; expected the same");
  if (mode == Mode::strict) {
    refuse(what + ": other vocabularies; say by tokenizer: {source: ...} which one is meant");
  }
}

}  // namespace

void set_rows(Job& job, const Json& vocabulary) {
  if (vocabulary.is_null() || !is_vocabulary(job.name)) return;
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < job.operands.size(); ++i) places[job.operands[i].input->name()] = i;
  for (Operand& operand : job.operands) {
    operand.rows = row_map(vocabulary.at("rows").at(operand.input->name()), places);
    for (const int64_t row : operand.rows->own) {
      if (row < operand.info->shape.front()) continue;
      refuse("tensor " + in_quotes(job.name) + " of " + in_quotes(operand.input->name()) + " has " +
             std::to_string(operand.info->shape.front()) + " rows, but a token has the id " +
             std::to_string(row));
    }
  }
  job.shape.front() = static_cast<int64_t>(job.operands.front().rows->own.size());
}

void cut_rows(Job& job, Mode mode, std::vector<std::string>& notes) {
  int64_t least = job.shape.empty() ? 0 : job.shape.front();
  bool differ = false;
  for (const Operand& operand : job.operands) {
    const auto& shape = operand.info->shape;
    if (operand.rows ? row_shape(shape) == row_shape(job.shape) : shape == job.shape) continue;
    check_shape(job, operand, mode);
    least = std::min(least, shape.front());
    differ = true;
  }
  if (!differ) return;
  auto map = std::make_shared<RowMap>();
  map->own.resize(static_cast<size_t>(least));
  std::iota(map->own.begin(), map->own.end(), int64_t{0});
  for (Operand& operand : job.operands) operand.rows = map;
  job.shape.front() = least;
  notes.push_back(job.name + ": cut to the " + std::to_string(least) +
                  " rows that all models have");
}

}  // namespace lenswright
