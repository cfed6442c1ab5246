#include "nn/deterministic.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <c10/core/GradMode.h>

namespace lenswright {
namespace {

thread_local bool deterministic_ = false;

constexpr int64_t kFixedChunk =
    16384;  // below ATen's grain size (32,768), a multiple of any vector

}  // namespace

DeterministicGuard::DeterministicGuard(bool on) : before_(deterministic_) { deterministic_ = on; }
DeterministicGuard::~DeterministicGuard() { deterministic_ = before_; }

bool deterministic() { return deterministic_; }

void in_parallel(int64_t count, const std::function<void(int64_t)>& task) {
  const at::ThreadLocalState caller;
  // A single task would run outside of a parallel region, where products take several threads.
  at::parallel_for(0, std::max<int64_t>(count, 2), 1, [&](int64_t begin, int64_t end) {
    const at::ThreadLocalStateGuard guard(caller);
    for (int64_t i = begin; i < std::min(end, count); ++i) task(i);
  });
}

RowBlocks::RowBlocks(const at::Tensor& x)
    : shape_(x.sizes().vec()), rows_(x.reshape({-1, x.size(-1)}).contiguous()) {
  const int64_t over = rows_.size(0) % kBlockRows;
  if (over == 0) return;
  last_ = at::zeros({kBlockRows, rows_.size(1)}, rows_.options());
  last_.narrow(0, 0, over).copy_(rows_.narrow(0, rows_.size(0) - over, over));
}

at::Tensor RowBlocks::operator[](int64_t block) const {
  if (last_.defined() && block == count() - 1) return last_;
  return rows_.narrow(0, block * kBlockRows, kBlockRows);
}

at::Tensor RowBlocks::joined(const at::Tensor& results) const {
  std::vector<int64_t> shape = shape_;
  shape.back() = results.size(1);
  return results.narrow(0, 0, rows_.size(0)).view(shape);
}

at::Tensor elementwise(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f) {
  return deterministic() ? by_chunks(x, f) : f(x);
}

at::Tensor by_chunks(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f) {
  if (c10::GradMode::is_enabled() && x.requires_grad()) return f(x);  // chunks keep no graph
  const at::Tensor flat = x.reshape({-1});
  at::Tensor result = at::empty(flat.sizes(), flat.options());
  in_parallel((flat.numel() + kFixedChunk - 1) / kFixedChunk, [&](int64_t i) {
    const int64_t start = i * kFixedChunk, count = std::min(kFixedChunk, flat.numel() - start);
    at::Tensor chunk = flat.narrow(0, start, count);
    if (count < kFixedChunk) chunk = at::constant_pad_nd(chunk, {0, kFixedChunk - count});
    result.narrow(0, start, count).copy_(f(chunk).narrow(0, 0, count));
  });
  return result.view(x.sizes());
}

}  // namespace lenswright
