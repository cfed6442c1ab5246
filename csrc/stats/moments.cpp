#include "stats/moments.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

// One sample into one cell; m2 may be null.
void welford(const double* value, int64_t width, int64_t count, double* mean, double* m2) {
  const double n = static_cast<double>(count);
  if (m2 == nullptr) {
    for (int64_t i = 0; i < width; ++i) mean[i] += (value[i] - mean[i]) / n;
    return;
  }
  for (int64_t i = 0; i < width; ++i) {
    const double before = value[i] - mean[i];
    mean[i] += before / n;
    m2[i] += before * (value[i] - mean[i]);
  }
}

}  // namespace

Moments::Moments(int64_t cells, int64_t width, bool squares) {
  TORCH_CHECK_VALUE(cells > 0 && width > 0, "moments of ", cells, " cells of width ", width,
                    ", expected at least one of each");
  count_ = at::zeros({cells}, at::kLong);
  mean_ = at::zeros({cells, width}, at::kDouble);
  if (squares) m2_ = at::zeros({cells, width}, at::kDouble);
}

Moments::Moments(at::Tensor count, at::Tensor mean, at::Tensor m2)
    : count_(std::move(count)), mean_(std::move(mean)), m2_(std::move(m2)) {
  TORCH_CHECK_VALUE(mean_.dim() == 2 && mean_.scalar_type() == at::kDouble, "mean has shape ",
                    mean_.sizes(), " and type ", mean_.scalar_type(),
                    ", expected [cells, width] of float64");
  TORCH_CHECK_VALUE(
      count_.dim() == 1 && count_.size(0) == cells() && count_.scalar_type() == at::kLong,
      "count has shape ", count_.sizes(), " and type ", count_.scalar_type(), ", expected [",
      cells(), "] of int64");
  TORCH_CHECK_VALUE(
      !m2_.defined() || (m2_.sizes() == mean_.sizes() && m2_.scalar_type() == at::kDouble),
      "m2 does not fit mean ", mean_.sizes(), " of float64");
  count_ = count_.clone(at::MemoryFormat::Contiguous);
  mean_ = mean_.clone(at::MemoryFormat::Contiguous);
  if (m2_.defined()) m2_ = m2_.clone(at::MemoryFormat::Contiguous);
}

Moments::Moments(const State& state)
    : Moments(part_of(state, "count", at::kLong, 1), part_of(state, "mean", at::kDouble, 2),
              state.contains("m2") ? part_of(state, "m2", at::kDouble, 2) : at::Tensor()) {}

void Moments::add(const at::Tensor& values, const at::Tensor& cells) {
  check_samples(values, cells, width(), this->cells());
  const at::Tensor wide = values.detach().to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor index = cells.contiguous();
  const int64_t* cell = index.const_data_ptr<int64_t>();
  int64_t* count = count_.mutable_data_ptr<int64_t>();
  double* mean = mean_.mutable_data_ptr<double>();
  double* m2 = m2_.defined() ? m2_.mutable_data_ptr<double>() : nullptr;
  const double* value = wide.const_data_ptr<double>();
  for (int64_t sample = 0; sample < wide.size(0); ++sample) {
    const int64_t offset = cell[sample] * width();
    welford(value + sample * width(), width(), ++count[cell[sample]], mean + offset,
            m2 ? m2 + offset : nullptr);
  }
}

void Moments::merge(const Moments& other) {
  TORCH_CHECK_VALUE(mean_.sizes() == other.mean_.sizes(), "cannot merge moments of ",
                    other.mean_.sizes(), " into ", mean_.sizes(), " [cells, width]");
  TORCH_CHECK_VALUE(m2_.defined() == other.m2_.defined(),
                    "cannot merge moments with and without squares");
  const at::Tensor total = count_ + other.count_;
  const at::Tensor n = total.clamp_min(1).to(at::kDouble).unsqueeze(1);
  const at::Tensor share = other.count_.to(at::kDouble).unsqueeze(1) / n;
  const at::Tensor delta = other.mean_ - mean_;
  if (m2_.defined()) {
    m2_ = m2_ + other.m2_ + delta * delta * (share * count_.to(at::kDouble).unsqueeze(1));
  }
  mean_ = mean_ + delta * share;
  count_ = total;
}

Accumulator::State Moments::state() const {
  State state{{"count", count_}, {"mean", mean_}};
  if (m2_.defined()) state["m2"] = m2_;
  return state;
}

Moments Moments::at(const at::Tensor& cells) const {
  return {count_.index_select(0, cells), mean_.index_select(0, cells),
          m2_.defined() ? m2_.index_select(0, cells) : at::Tensor()};
}

at::Tensor Moments::variance() const {
  TORCH_CHECK_VALUE(m2_.defined(),
                    "what: these statistics keep means only, expected 'variance' among them");
  const at::Tensor free = (count_ - 1).to(at::kDouble).unsqueeze(1);
  const at::Tensor variance = m2_ / free.clamp_min(1.0);
  return at::where(free >= 1.0, variance, at::full({}, std::nan(""), variance.options()));
}

}  // namespace lenswright
