#include "spec/families/families.h"

namespace lenswright {

std::vector<Family> all_families() {
  std::vector<Family> all;
  const auto add = [&](std::vector<Family> kin) {
    for (Family& family : kin) all.push_back(std::move(family));
  };
#define LENSWRIGHT_ADD(name) add(name##_families());
  LENSWRIGHT_FAMILIES(LENSWRIGHT_ADD)
#undef LENSWRIGHT_ADD
  return all;
}

}  // namespace lenswright
