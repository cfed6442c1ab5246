#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "merge/plan.h"

namespace lenswright {

/// What became of every input tensor: nothing is left out in silence. Null is no tensor.
class TensorAccount {
 public:
  void use(const TensorInfo* tensor) { used_.insert(tensor); }
  void leave_out(const TensorInfo* tensor, const std::string& why) { why_[tensor] = why; }

  /// Those that no output tensor is made of, in the order of the inputs.
  std::vector<Unused> unused(const Inputs& inputs) const;

 private:
  std::set<const TensorInfo*> used_;
  std::map<const TensorInfo*, std::string> why_;
};

/// std::invalid_argument where two jobs have one name.
void check_made_once(const std::vector<Job>& jobs);

}  // namespace lenswright
