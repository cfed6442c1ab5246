#include "spec/families/alibi.h"

#include <bit>
#include <cmath>

namespace lenswright {

std::vector<double> alibi_slopes(int64_t heads) {
  const auto below = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  const double step = 8.0 / static_cast<double>(below);
  std::vector<double> slopes;
  for (int64_t i = 1; i <= below; ++i) slopes.push_back(std::exp2(-step * static_cast<double>(i)));
  for (int64_t i = 1; below + (i + 1) / 2 <= heads; i += 2) {
    slopes.push_back(std::exp2(-0.5 * step * static_cast<double>(i)));
  }
  return slopes;
}

}  // namespace lenswright
