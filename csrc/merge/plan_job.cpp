#include "merge/plan_job.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/narrow.h"
#include "base/widen.h"
#include "merge/names.h"
#include "merge/plan_config.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

std::string text(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (const int64_t dim : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(dim);
  return out + "]";
}

Dtype stored(const Operand& operand) { return operand.input->stored(*operand.info); }

// The narrowest type that holds what all of them hold.
Dtype promoted(const std::vector<Operand>& operands) {
  std::set<Dtype> types;
  for (const Operand& operand : operands) types.insert(stored(operand));
  if (types.size() == 1) return *types.begin();
  return types.contains(Dtype::f64) ? Dtype::f64 : Dtype::f32;
}

bool is_vocabulary(const std::string& name) {
  return !layer_of(name) && (is_token_embedding(name) || is_head(name));
}

}  // namespace

uint64_t Job::bytes() const { return tensor_bytes(dtype, shape).value(); }

int64_t Job::numel() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies());
}

std::optional<Job> JobMaker::make(const std::string& name, double depth, const Parts& all,
                                  std::vector<const TensorInfo*> found) {
  Parts parts = all;
  why_not_.clear();
  if (std::ranges::find(found, nullptr) != found.end()) {
    if (is_computed(name)) {
      why_not_ = "computed at load; not in every model";
      return std::nullopt;
    }
    drop_missing(name, parts, found);
  }
  put_in_order(parts, found);
  Job job;
  job.name = name;
  job.method = recipe_.method;
  job.base = parts.base;
  for (size_t i = 0; i < parts.parts.size(); ++i) {
    job.operands.push_back({parts.parts[i].input, found[i], {}, nullptr, std::nullopt});
  }
  job.shape = found.front()->shape;
  if (!std::ranges::all_of(found, [](const TensorInfo* info) { return can_widen(info->dtype); })) {
    carry_over(job);
    return job;
  }
  set_rows(job);
  cut_rows(job);
  set_types(job);
  const bool alone = job.operands.size() == 1 && job.method->least + (job.base >= 0) > 1;
  if (alone) {  // the others have no such tensor
    job.method = &merge_method("passthrough");
    job.base = -1;
    job.operands.front().own.set("scale", 1.0);
  } else {
    set_values(job, depth, parts);
    check_values(job);
  }
  const Operand& first = job.operands.front();
  job.copy = job.method->name == "passthrough" && first.own.at("scale") == 1.0 && !first.rows &&
             first.info->dtype == job.dtype && stored(first) == first.info->dtype;
  return job;
}

void JobMaker::drop_missing(const std::string& name, Parts& parts,
                            std::vector<const TensorInfo*>& found) {
  std::string lacking;
  Parts kept;
  kept.levels = parts.levels;
  std::vector<const TensorInfo*> there;
  for (size_t i = 0; i < parts.parts.size(); ++i) {
    if (found[i] == nullptr) {
      lacking += (lacking.empty() ? "" : ", ") + in_quotes(parts.parts[i].input->name());
      if (static_cast<int>(i) == parts.base) {
        refuse("tensor " + in_quotes(name) + " is not in the base model " +
               in_quotes(parts.parts[i].input->name()));
      }
      continue;
    }
    if (static_cast<int>(i) == parts.base) kept.base = static_cast<int>(kept.parts.size());
    kept.parts.push_back(parts.parts[i]);
    there.push_back(found[i]);
  }
  if (options_.mode == Mode::strict) {
    refuse("tensor " + in_quotes(name) + " is missing in " + lacking +
           "; expected in every model (compat merges those that have it)");
  }
  notes_.push_back(name + ": not in " + lacking + "; merged from the others");
  parts = std::move(kept);
  found = std::move(there);
}

// Of types that are no numbers to us nothing can be made: all must be the same bytes.
void JobMaker::carry_over(Job& job) const {
  const auto first = static_cast<size_t>(std::max(job.base, 0));
  const Operand kept = job.operands[first];
  const TensorInfo& info = *kept.info;
  std::vector<std::byte> a(info.bytes()), b(info.bytes());
  for (const Operand& other : job.operands) {
    if (&other == &job.operands[first]) continue;
    if (other.info->dtype == info.dtype && other.info->shape == info.shape) {
      const std::byte* x = kept.input->read(info, 0, info.bytes(), a.data());
      const std::byte* y = other.input->read(*other.info, 0, info.bytes(), b.data());
      if (std::equal(x, x + info.bytes(), y)) continue;
    }
    refuse("tensor " + in_quotes(job.name) + " of type " + std::string(wire_name(info.dtype)) +
           " differs between " + in_quotes(kept.input->name()) + " and " +
           in_quotes(other.input->name()) + "; only floating-point tensors can be merged");
  }
  job.operands = {kept};
  job.base = -1;
  job.method = &merge_method("passthrough");
  job.operands.front().own.set("scale", 1.0);
  job.shape = info.shape;
  job.dtype = info.dtype;
  job.copy = true;
}

void JobMaker::set_rows(Job& job) const {
  if (options_.vocabulary.is_null() || !is_vocabulary(job.name)) return;
  const Json& vocabulary = options_.vocabulary;
  std::map<std::string, size_t> operands;
  for (size_t i = 0; i < job.operands.size(); ++i) operands[job.operands[i].input->name()] = i;
  for (Operand& operand : job.operands) {
    const Json rows = vocabulary.at("rows").at(operand.input->name());
    auto map = std::make_shared<RowMap>();
    for (const Json& row : rows.at("own").elements()) map->own.push_back(row.as_int());
    for (const auto& [row, list] : rows.at("others").items()) {
      auto& from = map->others[std::stoll(row)];
      for (const Json& one : list.elements()) {
        const auto it = operands.find(one.at(size_t{0}).as_string());
        if (it != operands.end()) from.push_back({it->second, one.at(size_t{1}).as_int()});
      }
    }
    for (const int64_t row : map->own) {
      if (row < operand.info->shape.front()) continue;
      refuse("tensor " + in_quotes(job.name) + " of " + in_quotes(operand.input->name()) + " has " +
             std::to_string(operand.info->shape.front()) + " rows, but a token has the id " +
             std::to_string(row));
    }
    operand.rows = std::move(map);
  }
  job.shape.front() = static_cast<int64_t>(job.operands.front().rows->own.size());
}

// Where models disagree about the size of the vocabulary, mergekit keeps what all have.
void JobMaker::cut_rows(Job& job) {
  const auto tail = [](const std::vector<int64_t>& shape) {
    return std::vector<int64_t>(shape.begin() + (shape.empty() ? 0 : 1), shape.end());
  };
  int64_t least = job.shape.empty() ? 0 : job.shape.front();
  for (const Operand& operand : job.operands) {
    const auto& shape = operand.info->shape;
    if (operand.rows ? tail(shape) == tail(job.shape) : shape == job.shape) continue;
    const Operand& first = job.operands.front();
    const std::string what = "tensor " + in_quotes(job.name) + ": shape " +
                             text(first.info->shape) + " in " + in_quotes(first.input->name()) +
                             ", " + text(shape) + " in " + in_quotes(operand.input->name());
    const bool sizes_only = !shape.empty() && shape.size() == job.shape.size() &&
                            tail(shape) == tail(job.shape) && is_vocabulary(job.name);
    if (!sizes_only) refuse(what + "; expected the same");
    if (options_.mode == Mode::strict) {
      refuse(what + ": other vocabularies; say by tokenizer: {source: ...} which one is meant");
    }
    least = std::min(least, shape.front());
  }
  if (job.shape.empty() || least == job.shape.front()) {
    const bool cut = std::ranges::any_of(job.operands, [&](const Operand& operand) {
      return !operand.rows && !job.shape.empty() && operand.info->shape.front() != least;
    });
    if (!cut) return;
  }
  auto map = std::make_shared<RowMap>();
  map->own.resize(static_cast<size_t>(least));
  std::iota(map->own.begin(), map->own.end(), int64_t{0});
  for (Operand& operand : job.operands) operand.rows = map;
  job.shape.front() = least;
  notes_.push_back(job.name + ": cut to the " + std::to_string(least) +
                   " rows that all models have");
}

void JobMaker::set_types(Job& job) const {
  const bool widens = options_.mode == Mode::compat && !recipe_.out_dtype &&
                      (job.method->name == "arcee_fusion" || job.method->name == "ramplus_tl");
  const bool as_base = job.base >= 0 && options_.mode == Mode::strict;
  const Dtype own =
      as_base ? stored(job.operands[static_cast<size_t>(job.base)]) : promoted(job.operands);
  job.dtype = recipe_.out_dtype.value_or(recipe_.dtype.value_or(own));
  if (widens) job.dtype = Dtype::f32;
  const bool as_it_is = job.method->name == "passthrough" && !recipe_.out_dtype && !recipe_.dtype;
  if (!can_narrow(job.dtype) && !as_it_is) {
    refuse("tensor " + in_quotes(job.name) + " is of type " + std::string(wire_name(job.dtype)) +
           "; say by dtype or out_dtype what to write: bfloat16, float16 or float32");
  }
  if (options_.mode != Mode::compat || !recipe_.dtype) return;
  for (Operand& operand : job.operands) {
    if (operand.info->dtype != *recipe_.dtype) operand.cast = recipe_.dtype;
  }
}

std::optional<double> JobMaker::value(const Parameter& parameter, const std::string& tensor,
                                      double depth, const Parts& parts, const Settings* own) const {
  for (const Settings* level : {own, parts.levels[0], parts.levels[1], parts.levels[2]}) {
    if (level == nullptr) continue;
    const auto it = level->find(parameter.name);
    if (it == level->end()) continue;
    if (const auto value = it->second.at(tensor, depth)) return value;
  }
  return parameter.fallback;
}

void JobMaker::set_values(Job& job, double depth, const Parts& parts) const {
  for (const Parameter& parameter : job.method->parameters) {
    for (size_t i = 0; i < job.operands.size(); ++i) {
      if (!parameter.own && i > 0) break;
      if (parameter.own && static_cast<int>(i) == job.base) continue;
      const Settings* own = parameter.own ? parts.parts[i].own : nullptr;
      const auto found = value(parameter, job.name, depth, parts, own);
      if (found) {
        (parameter.own ? job.operands[i].own : job.values).set(parameter.name, *found);
      } else if (parameter.required) {
        const std::string whose =
            parameter.own ? " of model " + in_quotes(job.operands[i].input->name()) : "";
        refuse("parameters: no " + parameter.name + whose + " for tensor " + in_quotes(job.name) +
               "; " + job.method->name + " needs one");
      }
    }
  }
}

void JobMaker::check_values(const Job& job) const {
  const std::string where = " for tensor " + in_quotes(job.name);
  if (job.method->name == "linear" && job.values.flag("normalize")) {
    double sum = 0;
    for (const Operand& operand : job.operands) sum += operand.own.at("weight");
    if (sum == 0)
      refuse("weight: the weights" + where + " add up to 0; nothing can be divided by it");
  }
  for (const Operand& operand : job.operands) {
    if (!operand.own.has("epsilon") || operand.own.at("density") >= 1) continue;
    const double density = operand.own.at("density"), epsilon = operand.own.at("epsilon");
    if (density - epsilon >= 0 && density + epsilon <= 1) continue;
    refuse("epsilon is " + Json(epsilon).dump() + " and density " + Json(density).dump() + where +
           "; expected density - epsilon and density + epsilon between 0 and 1");
  }
}

}  // namespace lenswright
