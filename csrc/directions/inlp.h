#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// What iterative null-space projection found.
struct NullSpaces {
  at::Tensor basis;     // [k, width] orthonormal, in the order in which they were found
  at::Tensor accuracy;  // [k] share of the samples that each probe told right
};

/// Iterative null-space projection (Ravfogel et al. 2020, arXiv 2004.07667): k times a logistic
/// probe is fitted to what is left of x [n, width], and its direction is projected out. y [n] of 0
/// and 1; strength as in `logistic_probe`. Ends early where a probe finds no direction.
NullSpaces inlp(const at::Tensor& x, const at::Tensor& y, int64_t k, double strength);

}  // namespace lenswright
