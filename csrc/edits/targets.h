#pragma once

#include <map>
#include <string>
#include <vector>

#include "spec/writers.h"

namespace lenswright {

/// Which writers are asked for, and why the others are not.
struct Targets {
  std::vector<const WriterSite*> chosen;
  std::map<std::string, std::string> reasons;  // writer that was left out -> why
};

/// `asked`: "all", kinds ("attention", "mlp", "token_embedding", "positional_embedding"), names or
/// globs of writers. Throws ValueError naming the nearest where one of them matches nothing.
Targets choose_writers(const std::vector<WriterSite>& writers,
                       const std::vector<std::string>& asked);

/// The writer of this name; ValueError naming the nearest where there is none.
const WriterSite& writer_named(const std::vector<WriterSite>& writers, const std::string& name);

}  // namespace lenswright
