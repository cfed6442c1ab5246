#pragma once

#include <cstdint>

namespace lenswright {

/// y = x / sqrt(mean(x²) + eps) · gain of one row, summed in an order that depends on its width
/// only; without a gain where that is null.
void rms_row(const float* x, int64_t width, double eps, const float* gain, float* y);
void rms_row(const double* x, int64_t width, double eps, const double* gain, double* y);

}  // namespace lenswright
