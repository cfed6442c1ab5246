#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// Directions of greatest second moment, the greatest first.
struct Principal {
  at::Tensor vectors;  // [k, width] of unit length, orthogonal
  at::Tensor values;   // [k] second moments along them
};

/// The k leading eigenvectors of a symmetric matrix [width, width] float64. Each points to the side
/// of `towards` [width]; where it is orthogonal to that, its largest component is positive.
Principal pca(const at::Tensor& second_moment, int64_t k, const at::Tensor& towards);

/// The same of rowsᵀ rows / n, rows [n, width] float64, through whichever Gram matrix is smaller; k
/// at most the smaller of both sizes.
Principal pca_of_rows(const at::Tensor& rows, int64_t k, const at::Tensor& towards);

}  // namespace lenswright
