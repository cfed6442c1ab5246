#include "model/weight.h"

#include <ATen/ATen.h>

#include "nn/linear.h"

namespace lenswright {

Weight::Weight(std::shared_ptr<Stored> stored, const Row& row)
    : stored_(std::move(stored)),
      layout_(row.layout),
      matrix_(row.inputs > 0),
      start_(row.start),
      outputs_(row.outputs),
      whole_(row.outputs == row.stored) {}

at::Tensor Weight::view() const {
  at::Tensor value = stored_->value;
  if (matrix_ && layout_ == Layout::in_out) value = value.t();
  return whole_ ? value : value.narrow(0, start_, outputs_);
}

Weight Weight::spanning(const std::vector<Weight>& parts) {
  if (parts.empty() || !parts[0].defined()) return {};
  Weight all = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    const bool follows =
        parts[i].stored_ == all.stored_ && parts[i].start_ == all.start_ + all.outputs_;
    if (!follows) return {};
    all.outputs_ += parts[i].outputs_;
  }
  const int64_t stored =
      all.stored_->value.size(all.layout_ == Layout::out_in || !all.matrix_ ? 0 : 1);
  all.whole_ = all.outputs_ == stored;
  return all;
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return lenswright::linear(x, weight.view(), bias_or_undefined());
}

at::Tensor Linear::product(const at::Tensor& x) const {
  return lenswright::linear(x, weight.view(), at::Tensor());
}

Projections::Projections(std::vector<Linear> parts) : parts_(std::move(parts)) {
  std::vector<Weight> weights, biases;
  for (const Linear& part : parts_) {
    weights.push_back(part.weight);
    biases.push_back(part.bias);
  }
  whole_.weight = parts_.size() > 1 ? Weight::spanning(weights) : Weight();
  whole_.bias = Weight::spanning(biases);
  const bool biased = parts_[0].bias.defined();
  if (biased != whole_.bias.defined()) whole_.weight = Weight();
}

std::vector<at::Tensor> Projections::operator()(const at::Tensor& x) const {
  std::vector<at::Tensor> results;
  if (!whole_.weight.defined()) {
    for (const Linear& part : parts_) results.push_back(part(x));
    return results;
  }
  const at::Tensor all = whole_(x);
  int64_t start = 0;
  for (const Linear& part : parts_) {
    results.push_back(all.narrow(-1, start, part.weight.outputs()));
    start += part.weight.outputs();
  }
  return results;
}

}  // namespace lenswright
