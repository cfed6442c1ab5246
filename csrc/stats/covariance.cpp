#include "stats/covariance.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "stats/covariance_kernel.h"

namespace lenswright {
namespace {

// With the row that joins a block's mean to the mean so far, 64.
constexpr int64_t kBlock = 63;
constexpr int64_t kRows = kBlock + 1;
constexpr int64_t kLines = 32;  // of the matrix, a thread at a time
static_assert(kRows % kProductRows == 0);

void centre(double* rows, int64_t count, int64_t width, double* mean) {
  std::fill(mean, mean + width, 0.0);
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t i = 0; i < width; ++i) mean[i] += rows[row * width + i];
  }
  for (int64_t i = 0; i < width; ++i) mean[i] /= static_cast<double>(count);
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t i = 0; i < width; ++i) rows[row * width + i] -= mean[i];
  }
}

// Chan's correction, delta deltaᵀ n m / (n + m), as one more row; `mean` becomes that of all.
void join(double* row, const double* block, int64_t width, double before, double count,
          double* mean) {
  const double share = count / (before + count), root = std::sqrt(before * share);
  for (int64_t i = 0; i < width; ++i) {
    const double delta = block[i] - mean[i];
    row[i] = root * delta;
    mean[i] += share * delta;
  }
}

}  // namespace

Covariance::Covariance(int64_t cells, int64_t width) {
  TORCH_CHECK_VALUE(cells > 0 && width > 0, "covariance of ", cells, " cells of width ", width,
                    ", expected at least one of each");
  count_ = at::zeros({cells}, at::kLong);
  mean_ = at::zeros({cells, width}, at::kDouble);
  comoment_ = at::zeros({cells, width, width}, at::kDouble);
  waiting_.assign(static_cast<size_t>(cells), 0);
}

Covariance::Covariance(const State& state)
    : count_(part_of(state, "count", at::kLong, 1)),
      mean_(part_of(state, "mean", at::kDouble, 2)),
      comoment_(part_of(state, "comoment", at::kDouble, 3)) {
  TORCH_CHECK_VALUE(count_.size(0) == cells() && comoment_.size(0) == cells() &&
                        comoment_.size(1) == width() && comoment_.size(2) == width(),
                    "state has count ", count_.sizes(), ", mean ", mean_.sizes(), " and comoment ",
                    comoment_.sizes(), ", which do not belong together");
  waiting_.assign(static_cast<size_t>(cells()), 0);
}

void Covariance::add(const at::Tensor& values, const at::Tensor& cells) {
  check_samples(values, cells, width(), this->cells());
  const at::Tensor wide = values.detach().to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor index = cells.contiguous();
  if (!rows_.defined()) rows_ = at::empty({this->cells(), kRows, width()}, at::kDouble);
  const double* value = wide.const_data_ptr<double>();
  double* rows = rows_.mutable_data_ptr<double>();
  for (int64_t sample = 0; sample < wide.size(0); ++sample) {
    const int64_t cell = index.const_data_ptr<int64_t>()[sample];
    int64_t& waiting = waiting_[static_cast<size_t>(cell)];
    std::copy_n(value + sample * width(), width(), rows + (cell * kRows + waiting) * width());
    if (++waiting == kBlock) settle(cell);
  }
}

void Covariance::settle(int64_t cell) const {
  int64_t& waiting = waiting_[static_cast<size_t>(cell)];
  if (waiting == 0) return;
  const int64_t d = width();
  double* rows = rows_.mutable_data_ptr<double>() + cell * kRows * d;
  std::vector<double> block(static_cast<size_t>(d));
  centre(rows, waiting, d, block.data());
  int64_t& count = count_.mutable_data_ptr<int64_t>()[cell];
  join(rows + waiting * d, block.data(), d, static_cast<double>(count),
       static_cast<double>(waiting), mean_.mutable_data_ptr<double>() + cell * d);
  const int64_t used = (waiting + kProductRows) / kProductRows * kProductRows;
  std::fill(rows + (waiting + 1) * d, rows + used * d, 0.0);
  double* matrix = comoment_.mutable_data_ptr<double>() + cell * d * d;
  at::parallel_for(0, (d + kLines - 1) / kLines, 1, [&](int64_t begin, int64_t end) {
    add_products(rows, used, d, begin * kLines, std::min(end * kLines, d), matrix);
  });
  count += waiting;
  waiting = 0;
  symmetric_ = false;
}

void Covariance::settle() const {
  for (int64_t cell = 0; cell < cells(); ++cell) settle(cell);
  if (!symmetric_) {
    for (int64_t cell = 0; cell < cells(); ++cell) {
      at::Tensor matrix = comoment_[cell];
      matrix.copy_(matrix.triu() + matrix.triu(1).t());
    }
  }
  symmetric_ = true;
  rows_.reset();
}

const at::Tensor& Covariance::count() const {
  settle();
  return count_;
}

const at::Tensor& Covariance::mean() const {
  settle();
  return mean_;
}

const at::Tensor& Covariance::comoment() const {
  settle();
  return comoment_;
}

Accumulator::State Covariance::state() const {
  settle();
  return {{"count", count_}, {"mean", mean_}, {"comoment", comoment_}};
}

void Covariance::merge(const Covariance& other) {
  TORCH_CHECK_VALUE(mean_.sizes() == other.mean_.sizes(), "cannot merge covariances of ",
                    other.mean_.sizes(), " into ", mean_.sizes(), " [cells, width]");
  settle();
  other.settle();
  const at::Tensor total = count_ + other.count_;
  const at::Tensor n = total.clamp_min(1).to(at::kDouble).unsqueeze(1);
  const at::Tensor share = other.count_.to(at::kDouble).unsqueeze(1) / n;
  const at::Tensor delta = other.mean_ - mean_;
  const at::Tensor weight = share * count_.to(at::kDouble).unsqueeze(1);
  comoment_ =
      comoment_ + other.comoment_ + at::bmm((weight * delta).unsqueeze(2), delta.unsqueeze(1));
  mean_ = mean_ + delta * share;
  count_ = total;
}

Covariance Covariance::at(const at::Tensor& cells) const {
  settle();
  return Covariance(State{{"count", count_.index_select(0, cells)},
                          {"mean", mean_.index_select(0, cells)},
                          {"comoment", comoment_.index_select(0, cells)}});
}

at::Tensor Covariance::covariance() const {
  settle();
  const at::Tensor free = (count_ - 1).to(at::kDouble).reshape({-1, 1, 1});
  const at::Tensor value = comoment_ / free.clamp_min(1.0);
  return at::where(free >= 1.0, value, at::full({}, std::nan(""), value.options()));
}

}  // namespace lenswright
