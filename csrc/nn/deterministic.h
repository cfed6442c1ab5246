#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lenswright {

/// While one lives, results on the CPU are the same bytes for any batch, padding and thread count.
///
/// Products are then summed up in an order of their own (panel_product) or, in float64, work on
/// blocks of a fixed shape, as elementwise functions do; norms and attention work on one row of the
/// batch at a time, each on one thread. Per thread; nests.
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

/// Rows in a block of a product: a full tile of every GEMM kernel in use.
inline constexpr int64_t kBlockRows = 64;

/// Runs task(0) to task(count - 1), spread over torch's threads. Whatever a task calls runs on the
/// task's own thread only, with the caller's gradient and inference modes.
void in_parallel(int64_t count, const std::function<void(int64_t)>& task);

/// The rows of `x` [..., d] in blocks of one fixed number of rows, the last filled up with zeros,
/// so that a row's result depends on that row only.
class RowBlocks {
 public:
  explicit RowBlocks(const at::Tensor& x);
  int64_t count() const { return (rows_.size(0) + kBlockRows - 1) / kBlockRows; }
  at::Tensor operator[](int64_t block) const;  // [kBlockRows, d]
  /// Results of whole blocks, [count * kBlockRows, n], in the shape of x: [..., n].
  at::Tensor joined(const at::Tensor& results) const;

 private:
  std::vector<int64_t> shape_;
  at::Tensor rows_, last_;
};

/// f(x), `f` acting on each number by itself: in deterministic runs by chunks.
at::Tensor elementwise(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f);

/// Applies an elementwise function in chunks of one fixed size: no chunk is split between threads
/// and none ends in a vector's tail, where scalar code would round differently.
at::Tensor by_chunks(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f);

}  // namespace lenswright
