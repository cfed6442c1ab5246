#include "nn/deterministic.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

thread_local bool deterministic_ = false;

constexpr int64_t kRows = 64;      // a full tile of every GEMM kernel in use
constexpr int64_t kChunk = 16384;  // below ATen's grain size (32,768), a multiple of any vector

}  // namespace

DeterministicGuard::DeterministicGuard(bool on) : before_(deterministic_) { deterministic_ = on; }
DeterministicGuard::~DeterministicGuard() { deterministic_ = before_; }

bool deterministic() { return deterministic_; }

at::Tensor by_row_blocks(const at::Tensor& x,
                         const std::function<at::Tensor(const at::Tensor&)>& f) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  std::vector<at::Tensor> results;
  for (int64_t start = 0; start < rows.size(0); start += kRows) {
    const int64_t count = std::min(kRows, rows.size(0) - start);
    at::Tensor block = rows.narrow(0, start, count).contiguous();
    if (count < kRows) block = at::constant_pad_nd(block, {0, 0, 0, kRows - count});
    results.push_back(f(block).narrow(0, 0, count));
  }
  const at::Tensor result = results.empty() ? f(rows) : at::cat(results, 0);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = result.size(-1);
  return result.reshape(shape);
}

at::Tensor by_chunks(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& f) {
  const at::Tensor flat = x.reshape({-1});
  std::vector<at::Tensor> results;
  for (int64_t start = 0; start < flat.size(0); start += kChunk) {
    const int64_t count = std::min(kChunk, flat.size(0) - start);
    at::Tensor chunk = flat.narrow(0, start, count);
    if (count < kChunk) chunk = at::constant_pad_nd(chunk, {0, kChunk - count});
    results.push_back(f(chunk).narrow(0, 0, count));
  }
  return results.empty() ? f(x) : at::cat(results, 0).reshape(x.sizes());
}

}  // namespace lenswright
