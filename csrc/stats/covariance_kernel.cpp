#include "stats/covariance_kernel.h"

#include <algorithm>

#include "base/clones.h"

namespace lenswright {
namespace {

constexpr int64_t kColumns = 256;  // of 64 rows: 128 KiB, which stay in the second-level cache

// Two neighbouring lines of the matrix: out[j] += sum of factor[r] * rows[r][j] over eight rows, in
// pairs. Each row is loaded once for both, each line loaded and stored once for eight products.
LENSWRIGHT_CLONES void add_eight(const double* __restrict rows, int64_t width, int64_t line,
                                 int64_t begin, int64_t end, double* __restrict out,
                                 double* __restrict next) {
  const double *r0 = rows, *r1 = r0 + width, *r2 = r1 + width, *r3 = r2 + width;
  const double *r4 = r3 + width, *r5 = r4 + width, *r6 = r5 + width, *r7 = r6 + width;
  const double f0 = r0[line], f1 = r1[line], f2 = r2[line], f3 = r3[line];
  const double f4 = r4[line], f5 = r5[line], f6 = r6[line], f7 = r7[line];
  const double g0 = r0[line + 1], g1 = r1[line + 1], g2 = r2[line + 1], g3 = r3[line + 1];
  const double g4 = r4[line + 1], g5 = r5[line + 1], g6 = r6[line + 1], g7 = r7[line + 1];
  for (int64_t j = begin; j < end; ++j) {
    const double x0 = r0[j], x1 = r1[j], x2 = r2[j], x3 = r3[j];
    const double x4 = r4[j], x5 = r5[j], x6 = r6[j], x7 = r7[j];
    const double left = (f0 * x0 + f1 * x1) + (f2 * x2 + f3 * x3);
    const double right = (f4 * x4 + f5 * x5) + (f6 * x6 + f7 * x7);
    const double left_next = (g0 * x0 + g1 * x1) + (g2 * x2 + g3 * x3);
    const double right_next = (g4 * x4 + g5 * x5) + (g6 * x6 + g7 * x7);
    out[j] += left + right;
    next[j] += left_next + right_next;
  }
}

// The last line, where there is no next one.
LENSWRIGHT_CLONES void add_eight(const double* __restrict rows, int64_t width, int64_t line,
                                 int64_t begin, int64_t end, double* __restrict out) {
  const double *r0 = rows, *r1 = r0 + width, *r2 = r1 + width, *r3 = r2 + width;
  const double *r4 = r3 + width, *r5 = r4 + width, *r6 = r5 + width, *r7 = r6 + width;
  for (int64_t j = begin; j < end; ++j) {
    const double left =
        (r0[line] * r0[j] + r1[line] * r1[j]) + (r2[line] * r2[j] + r3[line] * r3[j]);
    const double right =
        (r4[line] * r4[j] + r5[line] * r5[j]) + (r6[line] * r6[j] + r7[line] * r7[j]);
    out[j] += left + right;
  }
}

}  // namespace

void add_products(const double* rows, int64_t count, int64_t width, int64_t first, int64_t last,
                  double* matrix) {
  for (int64_t column = first / kColumns * kColumns; column < width; column += kColumns) {
    const int64_t end = std::min(column + kColumns, width);
    const int64_t stop = std::min(last, end);
    for (int64_t line = first; line < stop; line += 2) {
      const int64_t begin = std::max(column, line);
      double* out = matrix + line * width;
      for (int64_t row = 0; row < count; row += kProductRows) {
        const double* eight = rows + row * width;
        if (line + 1 < stop) {
          add_eight(eight, width, line, begin, end, out, out + width);
        } else {
          add_eight(eight, width, line, begin, end, out);
        }
      }
    }
  }
}

}  // namespace lenswright
