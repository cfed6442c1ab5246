#pragma once

#include <cstdint>

namespace lenswright {

/// y = x / (1 + exp(-2u)), u = sqrt(2/π) (x + 0.044715 x³): the gelu by tanh, of `count` numbers.
/// The same bytes wherever in the row a number stands. ATen's takes about three times as long.
void gelu_tanh(const float* x, int64_t count, float* y);

/// y = x / (1 + exp(-x)), in the same manner; and that times `factor`.
void silu(const float* x, int64_t count, float* y);
void gated_silu(const float* x, const float* factor, int64_t count, float* y);

}  // namespace lenswright
