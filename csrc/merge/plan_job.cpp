#include "merge/plan_job.h"

#include <algorithm>
#include <set>

#include "base/narrow.h"
#include "base/widen.h"
#include "merge/names.h"
#include "merge/plan_rows.h"
#include "merge/plan_values.h"
#include "merge/refuse.h"

namespace lenswright {
namespace {

Dtype stored(const Operand& operand) { return operand.input->stored(*operand.info); }

// The narrowest type that holds what all of them hold.
Dtype promoted(const std::vector<Operand>& operands) {
  std::set<Dtype> types;
  for (const Operand& operand : operands) types.insert(stored(operand));
  if (types.size() == 1) return *types.begin();
  return types.contains(Dtype::f64) ? Dtype::f64 : Dtype::f32;
}

}  // namespace

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
  set_rows(job, options_.vocabulary);
  cut_rows(job, options_.mode, notes_);
  set_types(job);
  const bool alone = job.operands.size() == 1 && job.method->least + (job.base >= 0) > 1;
  if (alone) {  // the others have no such tensor
    job.method = &merge_method("passthrough");
    job.base = -1;
    job.operands.front().own.set("scale", 1.0);
  } else {
    set_values(job, depth, parts);
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

}  // namespace lenswright
