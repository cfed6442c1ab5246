#pragma once

#include <cstdint>

namespace lenswright {

/// Three sizes, low <= middle <= high, between which another is looked for.
struct Bracket {
  double low = 0, middle = 0, high = 0;

  /// How many sizes lie where.
  struct Counts {
    int64_t above = 0;             // beyond high
    int64_t equal[3] = {0, 0, 0};  // to low, else to middle, else to high
  };

  /// Adds to `counts` and writes those strictly inside to `out`, which has room for n + 8; how many
  /// they are. The same on every processor.
  int64_t sort(const double* sizes, int64_t n, Counts& counts, double* out) const;
};

}  // namespace lenswright
