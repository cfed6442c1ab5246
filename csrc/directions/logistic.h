#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// A logistic probe: p(y = 1 | x) = 1 / (1 + exp(-(weight x + bias))).
struct LogisticProbe {
  at::Tensor weight;  // [width] float64
  double bias = 0;
  int64_t steps = 0;       // of Newton's method
  bool converged = false;  // gradient within the tolerance
};

/// Minimises |weight|² / 2 + strength * sum of log-losses by Newton's method with step halving; the
/// bias is free. x [n, width] float64, y [n] of 0 and 1. Where width > n it works in the span of
/// the rows, which holds the minimum (representer theorem).
LogisticProbe logistic_probe(const at::Tensor& x, const at::Tensor& y, double strength,
                             double tolerance = 1e-10, int64_t steps = 100);

}  // namespace lenswright
