#include "stats/histogram.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lenswright {
namespace {

void check_edges(const at::Tensor& edges) {
  TORCH_CHECK_VALUE(
      edges.dim() == 1 && edges.size(0) >= 2 && edges.diff().gt(0).all().item<bool>() &&
          edges.isfinite().all().item<bool>(),
      "edges has shape ", edges.sizes(), ", expected at least two finite numbers that ascend");
}

}  // namespace

Histogram::Histogram(int64_t cells, const at::Tensor& edges)
    : edges_(edges.to(at::kCPU, at::kDouble).clone(at::MemoryFormat::Contiguous)) {
  check_edges(edges_);
  TORCH_CHECK_VALUE(cells > 0, "a histogram of ", cells, " cells, expected at least one");
  counts_ = at::zeros({cells, edges_.size(0) + 1}, at::kLong);
}

Histogram::Histogram(const State& state)
    : edges_(part_of(state, "edges", at::kDouble, 1)),
      counts_(part_of(state, "counts", at::kLong, 2)) {
  check_edges(edges_);
  TORCH_CHECK_VALUE(counts_.size(1) == edges_.size(0) + 1, "state has counts ", counts_.sizes(),
                    ", expected [cells, ", edges_.size(0) + 1, "]");
}

void Histogram::take(const at::Tensor& values, const Samples& samples) {
  check_samples(values, samples.cells, values.size(-1), counts_.size(0));
  const at::Tensor wide = values.to(at::kDouble).contiguous();
  const at::Tensor cell = samples.cells.contiguous();
  const double *begin = edges_.const_data_ptr<double>(), *end = begin + edges_.size(0);
  int64_t* counts = counts_.mutable_data_ptr<int64_t>();
  const double* value = wide.const_data_ptr<double>();
  for (int64_t i = 0; i < wide.numel(); ++i) {
    const double x = value[i];
    const int64_t bin = x == end[-1] ? end - begin - 1 : std::upper_bound(begin, end, x) - begin;
    ++counts[cell.const_data_ptr<int64_t>()[i / wide.size(1)] * counts_.size(1) + bin];
  }
}

Accumulator::State Histogram::state() const { return {{"edges", edges_}, {"counts", counts_}}; }

void Histogram::merge(const Histogram& other) {
  TORCH_CHECK_VALUE(counts_.sizes() == other.counts_.sizes() && at::equal(edges_, other.edges_),
                    "cannot merge histograms with other edges");
  counts_ = counts_ + other.counts_;
}

Histogram Histogram::at(const at::Tensor& cells) const {
  return Histogram(State{{"edges", edges_}, {"counts", counts_.index_select(0, cells)}});
}

}  // namespace lenswright
