#pragma once

#include <cstdint>

namespace lenswright {

// Loops over neighbouring numbers, the same bytes on every processor.

/// out = exp(x - shift), where x <= shift, to 2e-16; below exp(-708) it is 0. NaN stays NaN.
void exponentials(const double* x, double shift, int64_t n, double* out);

/// out = exp(x), where |x| <= 1/8, to 2e-16.
void small_exponentials(const double* x, int64_t n, double* out);

}  // namespace lenswright
