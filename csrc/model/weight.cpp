#include "model/weight.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "nn/linear.h"

namespace lenswright {

Weight::Weight(std::shared_ptr<Stored> stored, const Row& row)
    : stored_(std::move(stored)), row_(row) {}

namespace {

at::Tensor runs_of(const at::Tensor& x, int64_t axis, const Row& row) {
  const int64_t turns = row.outputs / row.run;
  return x.unflatten(axis, {turns, row.distance})
      .narrow(axis < 0 ? axis : axis + 1, row.start, row.run)
      .flatten(axis < 0 ? axis - 1 : axis, axis < 0 ? axis : axis + 1);
}

}  // namespace

int64_t Stored::numel() const {
  if (value.defined()) return value.numel();
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies());
}

// A tensor is [outputs, inputs] or, in_out, the other way round; its codes may be turned again.
QuantisedPart Weight::part() const {
  const bool turned = (row_.layout == Layout::in_out) != stored_->quantised->turned;
  if (row_.in_runs()) return {row_.expert, 0, row_.stored, turned};
  return {row_.expert, row_.start, row_.outputs, turned};
}

at::Tensor Weight::view() const {
  at::Tensor value;
  if (stored_->is_quantised()) {
    value = widened(*stored_->quantised, part(), at::kFloat);
    if (row_.in_runs()) value = runs_of(value, 0, row_);
    return repeated(value);
  }
  value = stored_->value;
  if (row_.experts > 0) value = value.select(0, row_.expert);
  if (row_.inputs > 0 && row_.layout == Layout::in_out) value = value.t();
  if (row_.in_runs()) {
    value = runs_of(value, 0, row_);
  } else if (row_.outputs != row_.stored) {
    value = value.narrow(0, row_.start, row_.outputs);
  }
  return repeated(value);
}

at::Tensor Weight::original() const {
  Weight plain = *this;
  plain.stored_ = std::make_shared<Stored>(*stored_);
  plain.stored_->value = stored_->original;
  return plain.view();
}

at::Tensor Weight::repeated(const at::Tensor& value) const {
  if (row_.times == 1) return value;
  std::vector<int64_t> times(static_cast<size_t>(value.dim()), 1);
  times[0] = row_.times;
  return value.repeat(times);
}

at::Tensor Weight::product(const at::Tensor& x, const at::Tensor& bias) const {
  const bool tiles = stored_->is_quantised() && !row_.in_runs() && row_.times == 1;
  if (tiles) return linear(x, *stored_->quantised, part(), bias);
  return linear(x, view(), bias);
}

at::Tensor Weight::part_of(const at::Tensor& all, const Weight& span) const {
  if (row_.in_runs()) return runs_of(all, -1, row_);
  return all.narrow(-1, row_.start - span.row_.start, row_.outputs);
}

Weight Weight::spanning(const std::vector<Weight>& parts) {
  if (parts.empty() || !parts[0].defined()) return {};
  Weight all = parts[0];
  const bool turns = all.row_.in_runs();
  for (size_t i = 1; i < parts.size(); ++i) {
    const Row& row = parts[i].row_;
    const bool same = parts[i].stored_ == all.stored_ && row.expert == all.row_.expert;
    if (!same || row.in_runs() != turns || row.times > 1) return {};
    if (!turns && row.start != all.row_.start + all.row_.outputs) return {};
    all.row_.outputs += row.outputs;
  }
  if (turns && all.row_.outputs != all.row_.stored) return {};
  if (turns) all.row_.start = 0;
  all.row_.run = 0;
  return all;
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return weight.product(x, bias_or_undefined());
}

at::Tensor Linear::product(const at::Tensor& x) const { return weight.product(x, at::Tensor()); }

namespace {

// Whether the biases of spanned weights stand in the order of their outputs.
bool in_order(const std::vector<Linear>& parts, const Linear& whole) {
  const at::Tensor places = at::arange(whole.weight.outputs());
  return std::all_of(parts.begin(), parts.end(), [&](const Linear& part) {
    return at::equal(part.weight.part_of(places, whole.weight),
                     part.bias.part_of(places, whole.bias));
  });
}

}  // namespace

Projections::Projections(std::vector<Linear> parts) : parts_(std::move(parts)) {
  std::vector<Weight> weights, biases;
  for (const Linear& part : parts_) {
    weights.push_back(part.weight);
    biases.push_back(part.bias);
  }
  whole_.weight = parts_.size() > 1 ? Weight::spanning(weights) : Weight();
  whole_.bias = Weight::spanning(biases);
  const bool biased =
      std::any_of(biases.begin(), biases.end(), [](const Weight& b) { return b.defined(); });
  if (biased != whole_.bias.defined()) whole_.weight = Weight();
  if (biased && whole_.weight.defined() && !in_order(parts_, whole_)) whole_.weight = Weight();
}

std::vector<at::Tensor> Projections::operator()(const at::Tensor& x) const {
  std::vector<at::Tensor> results;
  if (!whole_.weight.defined()) {
    for (const Linear& part : parts_) results.push_back(part(x));
    return results;
  }
  const at::Tensor all = whole_(x);
  for (const Linear& part : parts_) {
    results.push_back(part.weight.part_of(all, whole_.weight));
  }
  return results;
}

}  // namespace lenswright
