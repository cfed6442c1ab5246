#pragma once

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test {

/// Numbers between -1 and 1 that look random and are the same everywhere.
inline at::Tensor waves(at::IntArrayRef shape, double speed = 1.7,
                        at::ScalarType type = at::kDouble) {
  const int64_t count = c10::multiply_integers(shape);
  const at::Tensor index = at::arange(1, count + 1, at::kDouble);
  return at::sin(index * speed + 0.3 * at::cos(index * 0.37 * speed)).reshape(shape).to(type);
}

/// max |a - b| / max |b|, in float64.
inline double relative(const at::Tensor& a, const at::Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  const at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return ((x - y).abs().max() / y.abs().max()).item<double>();
}

/// max |a - b|.
inline double farthest(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

/// The covariance of `n` samples of waves, [width, width]; not of full rank where n <= width.
inline at::Tensor covariance(int64_t n, int64_t width) {
  const at::Tensor i = at::arange(n * width, at::kDouble).reshape({n, width});
  const at::Tensor x = at::sin(i * 1.37 + i.square() * 0.01);
  const at::Tensor centred = x - x.mean(0, true);
  return at::mm(centred.t(), centred) / n;
}

/// Equal bit for bit (numbers that are no NaN and no signed zero).
inline bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() && at::equal(a, b);
}

/// The float64 numbers behind one, for plain loops.
inline std::vector<double> numbers(const at::Tensor& x) {
  const at::Tensor flat = x.to(at::kDouble).contiguous().flatten();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace lenswright::test
