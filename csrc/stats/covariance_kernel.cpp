#include "stats/covariance_kernel.h"

#include <algorithm>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr int64_t kColumns = 256;  // of 64 rows: 128 KiB, which stay in the second-level cache

// out[j] += sum of factor[r] * rows[r][j] over eight rows, in pairs: one load and one store of
// `out` for eight products.
LENSWRIGHT_CLONES void add_eight(const double* __restrict rows, int64_t width, int64_t line,
                                 int64_t begin, int64_t end, double* __restrict out) {
  const double *r0 = rows, *r1 = r0 + width, *r2 = r1 + width, *r3 = r2 + width;
  const double *r4 = r3 + width, *r5 = r4 + width, *r6 = r5 + width, *r7 = r6 + width;
  const double f0 = r0[line], f1 = r1[line], f2 = r2[line], f3 = r3[line];
  const double f4 = r4[line], f5 = r5[line], f6 = r6[line], f7 = r7[line];
  for (int64_t j = begin; j < end; ++j) {
    const double left = (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j]);
    const double right = (f4 * r4[j] + f5 * r5[j]) + (f6 * r6[j] + f7 * r7[j]);
    out[j] += left + right;
  }
}

}  // namespace

void add_products(const double* rows, int64_t count, int64_t width, int64_t first, int64_t last,
                  double* matrix) {
  for (int64_t column = first / kColumns * kColumns; column < width; column += kColumns) {
    const int64_t end = std::min(column + kColumns, width);
    for (int64_t line = first; line < std::min(last, end); ++line) {
      const int64_t begin = std::max(column, line);
      for (int64_t row = 0; row < count; row += kProductRows) {
        add_eight(rows + row * width, width, line, begin, end, matrix + line * width);
      }
    }
  }
}

}  // namespace lenswright
