#include "stats/quantiles.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lenswright {
namespace {

constexpr int64_t kMore = 16;  // buckets of room, where some are missing
constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // that a bucket can count
constexpr double kNone = std::numeric_limits<double>::infinity();

at::Tensor none(int64_t cells, int64_t width) { return at::zeros({0, cells, width}, at::kInt); }

void check_error(double error) {
  TORCH_CHECK_VALUE(error >= 1e-4 && error <= 0.5, "error is ", error, ", expected 0.0001 to 0.5");
}

}  // namespace

Quantiles::Quantiles(int64_t cells, int64_t width, double error)
    : error_(error), growth_(std::log((1 + error) / (1 - error))) {
  check_error(error);
  TORCH_CHECK_VALUE(cells > 0 && width > 0, "quantiles of ", cells, " cells of width ", width,
                    ", expected at least one of each");
  zero_ = at::zeros({cells, width}, at::kInt);
  negative_.counts = none(cells, width);
  positive_.counts = none(cells, width);
}

Quantiles::Quantiles(const State& state) : zero_(part_of(state, "zero", at::kInt, 2)) {
  error_ = part_of(state, "error", at::kDouble, 0).item<double>();
  check_error(error_);
  growth_ = std::log((1 + error_) / (1 - error_));
  for (const auto& [side, name] :
       {std::pair{&negative_, "negative"}, std::pair{&positive_, "positive"}}) {
    side->counts = part_of(state, name, at::kInt, 3);
    side->first = part_of(state, std::string(name) + "_first", at::kLong, 0).item<int64_t>();
    TORCH_CHECK_VALUE(side->counts.size(1) == cells() && side->counts.size(2) == width(),
                      "state has '", name, "' ", side->counts.sizes(), ", expected [buckets, ",
                      cells(), ", ", width(), "]");
  }
  taken_ = count().sum(0).max().item<int64_t>();  // of the coordinate that has the most
}

void Quantiles::Side::reach(int64_t low, int64_t high) {
  const int64_t size = counts.size(0);
  if (size > 0 && low >= first && high < first + size) return;
  const int64_t begin = size == 0 ? low : std::min(low - (low < first ? kMore : 0), first);
  const int64_t stop = size == 0 ? high + 1 : std::max(high + 1, first + size);
  at::Tensor wider = at::zeros({stop - begin, counts.size(1), counts.size(2)}, at::kInt);
  if (size > 0) wider.narrow(0, first - begin, size).copy_(counts);
  counts = wider;
  first = begin;
}

Quantiles::Side Quantiles::Side::trimmed() const {
  const at::Tensor used = counts.ne(0).flatten(1).any(1).nonzero().squeeze(1);
  if (used.numel() == 0) return {counts.narrow(0, 0, 0), 0};
  const int64_t low = used.min().item<int64_t>(), high = used.max().item<int64_t>();
  return {counts.narrow(0, low, high - low + 1), first + low};
}

int64_t Quantiles::bucket(double magnitude) const {
  return static_cast<int64_t>(std::ceil(std::log(magnitude / kSmallest) / growth_));
}

void Quantiles::reach(const double* values, int64_t count) {
  double least[2] = {kNone, kNone}, most[2] = {0, 0};
  for (int64_t i = 0; i < count; ++i) {
    const double size = std::abs(values[i]);
    if (size <= kSmallest) continue;
    const int sign = values[i] > 0;
    least[sign] = std::min(least[sign], size);
    most[sign] = std::max(most[sign], size);
  }
  if (most[0] > 0) negative_.reach(bucket(least[0]), bucket(most[0]));
  if (most[1] > 0) positive_.reach(bucket(least[1]), bucket(most[1]));
}

void Quantiles::take(const at::Tensor& values, const Samples& samples) {
  check_samples(values, samples.cells, width(), cells());
  const at::Tensor wide = values.to(at::kDouble).contiguous();
  TORCH_CHECK_VALUE(taken_ <= kMost - wide.size(0), "quantiles count up to ", kMost,
                    " samples, and ", taken_, " were taken already; expected fewer");
  taken_ += wide.size(0);
  const at::Tensor cell = samples.cells.contiguous();
  const double* value = wide.const_data_ptr<double>();
  reach(value, wide.numel());
  int32_t* zero = zero_.mutable_data_ptr<int32_t>();
  for (int64_t sample = 0; sample < wide.size(0); ++sample) {
    const int64_t line = cell.const_data_ptr<int64_t>()[sample] * width();
    for (int64_t i = 0; i < width(); ++i) {
      const double x = value[sample * width() + i];
      if (std::abs(x) <= kSmallest) {
        ++zero[line + i];
        continue;
      }
      Side& side = x < 0 ? negative_ : positive_;
      const int64_t row = bucket(std::abs(x)) - side.first;
      ++side.counts.mutable_data_ptr<int32_t>()[row * zero_.numel() + line + i];
    }
  }
}

Accumulator::State Quantiles::state() const {
  const Side negative = negative_.trimmed(), positive = positive_.trimmed();
  return {{"error", at::scalar_tensor(error_, at::kDouble)},
          {"zero", zero_},
          {"negative", negative.counts},
          {"negative_first", at::scalar_tensor(negative.first, at::kLong)},
          {"positive", positive.counts},
          {"positive_first", at::scalar_tensor(positive.first, at::kLong)}};
}

void Quantiles::merge(const Quantiles& other) {
  TORCH_CHECK_VALUE(zero_.sizes() == other.zero_.sizes() && error_ == other.error_,
                    "cannot merge quantiles of ", other.zero_.sizes(), " to ", other.error_,
                    " into ", zero_.sizes(), " to ", error_, " [cells, width]");
  TORCH_CHECK_VALUE(taken_ <= kMost - other.taken_, "quantiles count up to ", kMost,
                    " samples, and these two took ", taken_, " and ", other.taken_);
  taken_ += other.taken_;
  zero_ = zero_ + other.zero_;
  for (const auto& [mine, theirs] :
       {std::pair{&negative_, &other.negative_}, std::pair{&positive_, &other.positive_}}) {
    const int64_t size = theirs->counts.size(0);
    if (size == 0) continue;
    mine->reach(theirs->first, theirs->first + size - 1);
    mine->counts.narrow(0, theirs->first - mine->first, size).add_(theirs->counts);
  }
}

Quantiles Quantiles::at(const at::Tensor& cells) const {
  State part = state();
  part["zero"] = zero_.index_select(0, cells);
  for (const char* side : {"negative", "positive"}) part[side] = part[side].index_select(1, cells);
  return Quantiles(part);
}

at::Tensor Quantiles::count() const {
  return zero_.to(at::kLong) + negative_.counts.sum(0, false, at::kLong) +
         positive_.counts.sum(0, false, at::kLong);
}

// The value of each bucket that is furthest from neither of its ends, in relative terms.
at::Tensor Quantiles::middle(const Side& side) const {
  const at::Tensor number =
      at::arange(side.counts.size(0), at::kDouble) + static_cast<double>(side.first);
  return at::exp(number * growth_) * (kSmallest * 2 / (1 + std::exp(growth_)));
}

at::Tensor Quantiles::quantile(double q) const {
  TORCH_CHECK_VALUE(q >= 0 && q <= 1, "q is ", q, ", expected 0 to 1");
  const at::Tensor counts =
      at::cat({negative_.counts.flip({0}), zero_.unsqueeze(0), positive_.counts});
  const at::Tensor values =
      at::cat({-middle(negative_).flip({0}), at::zeros({1}, at::kDouble), middle(positive_)});
  const at::Tensor total = count();
  const at::Tensor rank = (total - 1).to(at::kDouble).mul(q).floor().to(at::kLong);
  const at::Tensor reached = counts.cumsum(0, at::kLong) > rank;
  // argmax gives the first of several: the bucket in which the rank is reached.
  const at::Tensor found = values.index_select(0, reached.to(at::kInt).argmax(0).flatten());
  return at::where(total > 0, found.reshape(total.sizes()),
                   at::full({}, std::nan(""), at::kDouble));
}

}  // namespace lenswright
