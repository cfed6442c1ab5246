#pragma once

#include <optional>
#include <string>
#include <vector>

#include "merge/plan_parts.h"

namespace lenswright {

/// Makes the job of one output tensor, and checks it: parameters, types, shapes, vocabularies.
class JobMaker {
 public:
  JobMaker(const Recipe& recipe, const MergeOptions& options, std::vector<std::string>& notes)
      : recipe_(recipe), options_(options), notes_(notes) {}

  /// `found`: the tensor of each part, null where it has none. None: there is nothing to write, as
  /// `why_not` then says.
  std::optional<Job> make(const std::string& name, double depth, const Parts& parts,
                          std::vector<const TensorInfo*> found);
  const std::string& why_not() const { return why_not_; }

 private:
  void drop_missing(const std::string& name, Parts& parts, std::vector<const TensorInfo*>& found);
  void set_types(Job& job) const;
  void carry_over(Job& job) const;

  const Recipe& recipe_;
  const MergeOptions& options_;
  std::vector<std::string>& notes_;
  std::string why_not_;
};

}  // namespace lenswright
