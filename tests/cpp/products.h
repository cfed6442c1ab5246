#pragma once

#include <ATen/ATen.h>

#include <vector>

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

}  // namespace lenswright::test
