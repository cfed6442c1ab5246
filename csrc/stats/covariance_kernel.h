#pragma once

#include <cstdint>

namespace lenswright {

/// Rows are added eight at a time.
constexpr int64_t kProductRows = 8;

/// Adds the sum of outer products of `count` rows [count, width], a multiple of kProductRows, to
/// the upper triangle of lines [first, last) of a matrix [width, width]; what stands below the
/// diagonal has no meaning. Each element's sum has one order, whatever part of the lines is asked
/// for and whatever the processor.
void add_products(const double* rows, int64_t count, int64_t width, int64_t first, int64_t last,
                  double* matrix);

}  // namespace lenswright
