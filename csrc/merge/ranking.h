#pragma once

#include <cstdint>
#include <vector>

namespace lenswright {

/// Ranks of a row of sizes, 0 for the smallest; of equal ones the first has the highest. In time
/// that grows with the row: sizes are sorted into as many equal intervals as there are sizes, then
/// each interval by itself.
class Ranking {
 public:
  /// ranks[i] of sizes[i]; sizes are not negative and not NaN.
  void rank(const double* sizes, int64_t n, int32_t* ranks);

 private:
  std::vector<int32_t> bucket_, start_, order_;
};

}  // namespace lenswright
