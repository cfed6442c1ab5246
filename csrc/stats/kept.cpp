#include "stats/kept.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <tuple>

namespace lenswright {
namespace {

at::Tensor order_of(const at::Tensor& columns) {
  const auto table = columns.accessor<int64_t, 2>();
  at::Tensor order = at::arange(columns.size(1), at::kLong);
  int64_t* begin = order.mutable_data_ptr<int64_t>();
  std::stable_sort(begin, begin + order.numel(), [&](int64_t a, int64_t b) {
    return std::make_tuple(table[0][a], table[1][a], table[2][a]) <
           std::make_tuple(table[0][b], table[1][b], table[2][b]);
  });
  return order;
}

}  // namespace

Kept::Kept(int64_t cells, int64_t width) : cell_count_(cells), width_(width) {
  TORCH_CHECK_VALUE(cells > 0 && width > 0, "samples of ", cells, " cells of width ", width,
                    ", expected at least one of each");
}

Kept::Kept(const State& state) {
  const at::Tensor values = part_of(state, "values", at::kDouble, 2);
  const at::Tensor columns =
      at::stack({part_of(state, "cells", at::kLong, 1), part_of(state, "prompts", at::kLong, 1),
                 part_of(state, "places", at::kLong, 1)});
  TORCH_CHECK_VALUE(columns.size(1) == values.size(0), "state has values ", values.sizes(), " of ",
                    columns.size(1), " samples");
  cell_count_ = part_of(state, "size", at::kLong, 1).item<int64_t>();
  width_ = values.size(1);
  values_ = {values};
  columns_ = {columns};
}

void Kept::take(const at::Tensor& values, const Samples& samples) {
  check_samples(values, samples.cells, width_, cell_count_);
  TORCH_CHECK_VALUE(samples.prompts.defined() && samples.prompts.sizes() == samples.cells.sizes() &&
                        samples.places.sizes() == samples.cells.sizes(),
                    "samples that are kept need the prompt and the place of each");
  values_.push_back(values.to(at::kDouble).clone(at::MemoryFormat::Contiguous));
  columns_.push_back(at::stack({samples.cells, samples.prompts, samples.places}));
  cells_.reset();
}

void Kept::settle() const {
  if (cells_.defined()) return;
  at::Tensor columns =
      at::cat(columns_.empty() ? std::vector{at::zeros({3, 0}, at::kLong)} : columns_, 1);
  at::Tensor values =
      at::cat(values_.empty() ? std::vector{at::zeros({0, width_}, at::kDouble)} : values_);
  const at::Tensor order = order_of(columns);
  columns = columns.index_select(1, order);
  values_ = {values.index_select(0, order)};
  columns_ = {columns};
  cells_ = columns[0].contiguous();
  prompts_ = columns[1].contiguous();
  places_ = columns[2].contiguous();
}

const at::Tensor& Kept::values() const {
  settle();
  return values_.front();
}

const at::Tensor& Kept::cells() const {
  settle();
  return cells_;
}

const at::Tensor& Kept::prompts() const {
  settle();
  return prompts_;
}

const at::Tensor& Kept::places() const {
  settle();
  return places_;
}

Accumulator::State Kept::state() const {
  settle();
  return {{"values", values()},
          {"cells", cells_},
          {"prompts", prompts_},
          {"places", places_},
          {"size", at::full({1}, cell_count_, at::kLong)}};
}

void Kept::merge(const Kept& other) {
  TORCH_CHECK_VALUE(cell_count_ == other.cell_count_ && width_ == other.width_,
                    "cannot merge samples of ", other.cell_count_, " cells of width ", other.width_,
                    " into ", cell_count_, " of ", width_);
  other.settle();
  values_.push_back(other.values());
  columns_.push_back(other.columns_.front());
  cells_.reset();
}

Kept Kept::at(const at::Tensor& cells) const {
  settle();
  Kept part(cells.size(0), width_);
  for (int64_t i = 0; i < cells.size(0); ++i) {
    const at::Tensor found = cells_.eq(cells[i]).nonzero().squeeze(1);
    at::Tensor columns = columns_.front().index_select(1, found);
    columns[0].fill_(i);
    part.values_.push_back(values().index_select(0, found));
    part.columns_.push_back(columns);
  }
  return part;
}

}  // namespace lenswright
