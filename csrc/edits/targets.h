#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "spec/writers.h"

namespace lenswright {

/// Which writers are asked for, and why the others are not.
struct Targets {
  std::vector<const WriterSite*> chosen;
  std::map<std::string, std::string> reasons;  // writer that was left out -> why
};

/// `asked`: "all", kinds ("attention", "mlp", "expert" ...), names or globs of writers. Throws
/// ValueError naming the nearest where one of them matches nothing.
Targets choose_writers(const std::vector<WriterSite>& writers,
                       const std::vector<std::string>& asked);

/// Writers by their names; the list must outlive it.
class WriterIndex {
 public:
  explicit WriterIndex(const std::vector<WriterSite>& writers);
  /// ValueError naming the nearest where there is none.
  const WriterSite& named(const std::string& name) const;

 private:
  const std::vector<WriterSite>& writers_;
  std::unordered_map<std::string, const WriterSite*> by_name_;
};

}  // namespace lenswright
