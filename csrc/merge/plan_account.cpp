#include "merge/plan_account.h"

#include "merge/refuse.h"

namespace lenswright {

std::vector<Unused> TensorAccount::unused(const Inputs& inputs) const {
  std::vector<Unused> out;
  for (const auto& one : inputs) {
    for (const TensorInfo& tensor : one->tensors()) {
      if (used_.contains(&tensor)) continue;
      const auto why = why_.find(&tensor);
      out.push_back(
          {one->name(), tensor.name, why != why_.end() ? why->second : "in no slice or module"});
    }
  }
  return out;
}

void check_made_once(const std::vector<Job>& jobs) {
  std::set<std::string> names;
  for (const Job& job : jobs) {
    if (!names.insert(job.name).second) refuse("tensor " + in_quotes(job.name) + " is made twice");
  }
}

}  // namespace lenswright
