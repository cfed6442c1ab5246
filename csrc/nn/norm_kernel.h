#pragma once

#include <cstdint>

namespace lenswright {

/// y = x / sqrt(mean(x²) + eps) of one row, summed in an order that depends on its width only.
void rms_row(const float* x, int64_t width, double eps, float* y);
void rms_row(const double* x, int64_t width, double eps, double* y);

}  // namespace lenswright
