#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lenswright {

/// While one lives, results on the CPU are the same bytes for any batch, padding and thread count.
///
/// Products and elementwise functions then work on blocks of a fixed shape, attention on one row of
/// the batch at a time. It costs speed. Per thread; nests.
class DeterministicGuard {
 public:
  explicit DeterministicGuard(bool on);
  ~DeterministicGuard();
  DeterministicGuard(const DeterministicGuard&) = delete;
  DeterministicGuard& operator=(const DeterministicGuard&) = delete;

 private:
  bool before_;
};

bool deterministic();

/// Applies a row-wise function to `x` [..., d] in blocks of one fixed number of rows, the last
/// filled up with zeros, so that a row's result depends on that row only.
at::Tensor by_row_blocks(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f);

/// Applies an elementwise function in chunks of one fixed size: no chunk is split between threads
/// and none ends in a vector's tail, where scalar code would round differently.
at::Tensor by_chunks(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f);

}  // namespace lenswright
