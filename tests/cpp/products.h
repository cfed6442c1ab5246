#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tensors.h"

namespace lenswright::test {

/// Of a product's kernels those that this processor can run.
template <class Kernel>
std::vector<const Kernel*> runnable(const Kernel& plain, const Kernel* avx2, const Kernel* avx512) {
  std::vector<const Kernel*> all = {&plain};
#if defined(__x86_64__)
  if (avx2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(avx2);
  if (avx512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
    all.push_back(avx512);
  }
#endif
  return all;
}

/// x @ weightᵀ + bias (or undefined) in float64.
inline at::Tensor product_in_double(const at::Tensor& x, const at::Tensor& weight,
                                    const at::Tensor& bias) {
  const at::Tensor y = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  return bias.defined() ? y + bias.to(at::kDouble) : y;
}

/// The largest error of a number, as a share of what its products add up to without their signs.
inline double product_error(const at::Tensor& y, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
  const at::Tensor size =
      product_in_double(x.abs(), weight.abs(), bias.defined() ? bias.abs() : bias).clamp_min(1e-30);
  const at::Tensor off = (y.to(at::kDouble) - product_in_double(x, weight, bias)).abs();
  return (off / size).max().item<double>();
}

/// The same numbers, lying the other way round.
inline at::Tensor transposed(const at::Tensor& weight) { return weight.t().contiguous().t(); }

/// check(x, weight) on narrowed, unaligned and strided ones.
template <class Check>
void for_views(at::ScalarType type, const Check& check) {
  const at::Tensor fused = waves({120, 131}, 0.7, type);
  const at::Tensor x = waves({6, 3, 140}, 1.3, at::kFloat).transpose(0, 1);
  const at::Tensor views[] = {fused.narrow(0, 41, 37),
                              fused.narrow(1, 3, 99),
                              fused.narrow(0, 41, 37).narrow(1, 1, 130),
                              fused.t(),
                              fused.t().narrow(0, 5, 77),
                              fused.t().narrow(1, 7, 50)};
  for (const at::Tensor& weight : views) check(x.narrow(-1, 9, weight.size(1)), weight);
}

/// Requires of product(x, weight) that what is not finite in either reaches the outputs it belongs
/// to, and no other.
template <class Product>
void require_what_is_not_finite_stays(at::ScalarType type, int64_t rows, const Product& product) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity}) {
    at::Tensor weight = waves({41, 67}, 0.7, type).contiguous();
    weight[40][66] = value;
    weight[3][0] = value;
    const at::Tensor x = waves({rows, 67}, 1.3, at::kFloat).abs() + 0.1;
    at::Tensor poisoned = x.clone();
    poisoned[2][65] = value;
    for (const at::Tensor& w : {weight, transposed(weight)}) {
      CAPTURE(type, value, w.stride(0));
      const at::Tensor expected = at::zeros({rows, 41}, at::kBool);
      expected.narrow(1, 40, 1).fill_(true);
      expected.narrow(1, 3, 1).fill_(true);
      const at::Tensor y = product(x, w);
      REQUIRE(at::equal(y.isfinite().logical_not(), expected));
      REQUIRE(at::equal(y[0][3].isnan(), at::scalar_tensor(std::isnan(value), at::kBool)));
      expected[2].fill_(true);
      REQUIRE(at::equal(product(poisoned, w).isfinite().logical_not(), expected));
    }
  }
}

}  // namespace lenswright::test
