#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "base/quantised_matrix.h"

namespace lenswright {

/// A weight as codes and scales (see QuantisedMatrix): one matrix, or one for each expert.
struct Quantised {
  Quantisation form = Quantisation::none;
  std::string name{};    // of the scales, for messages
  at::Tensor codes{};    // [(experts,) rows, columns], MXFP4: [.., rows, columns / 32, 16] bytes
  at::Tensor scales{};   // as stored; MXFP4: [.., rows, columns / 32] bytes
  at::Tensor factors{};  // fp8: the same in float32, [(experts,) rows of the grid, its columns]
  BlockGrid grid{};      // fp8
  bool experts = false;
  bool turned = false;  // it stands for a tensor whose matrices lie the other way round

  int64_t rows() const { return codes.size(experts ? 1 : 0); }
  int64_t columns() const;
  /// One matrix of a weight on the CPU, contiguous.
  QuantisedMatrix matrix(int64_t expert) const;
};

/// Some of the outputs of one matrix of a quantised weight.
struct QuantisedPart {
  int64_t expert = 0;
  int64_t start = 0;
  int64_t outputs = 0;
  bool turned = false;  // the matrix is [inputs, outputs]
};

/// [outputs, inputs], in `type`: rounded from float32, or from float64 where that is asked for.
at::Tensor widened(const Quantised& weight, const QuantisedPart& part, at::ScalarType type);

/// The same by torch's own operations, as other devices do it.
at::Tensor widened_by_torch(const Quantised& weight, const QuantisedPart& part,
                            at::ScalarType type);

/// x @ weightᵀ + bias, widened tile by tile: the weight never stands in memory as a whole, except
/// where autograd keeps what it needs for a gradient with respect to x.
at::Tensor linear(const at::Tensor& x, const Quantised& weight, const QuantisedPart& part,
                  const at::Tensor& bias);

}  // namespace lenswright
