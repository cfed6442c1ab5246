#pragma once

#include <ATen/core/Tensor.h>

namespace lenswright {

/// A projection that forgets: x' = x - writeᵀ read (x - mean).
struct Erasure {
  at::Tensor read, write;  // [k, width]; k is the rank of the concept, 0 where there is nothing
};

/// Least-squares concept erasure (Belrose et al. 2023, arXiv 2306.03819, theorem 4.3): of all
/// affine maps that leave no linear information about z in x the one that changes x least.
/// `covariance` [width, width] of x, `cross` [width, m] between x and z, both float64. Singular
/// values of the whitened cross-covariance up to 1e-9 of the largest count as zero.
Erasure leace(const at::Tensor& covariance, const at::Tensor& cross);

/// The same for a concept of two classes by its closed form: write = difference of the means
/// [width], read = covariance⁻¹ write / (writeᵀ covariance⁻¹ write).
Erasure binary_leace(const at::Tensor& covariance, const at::Tensor& difference);

}  // namespace lenswright
