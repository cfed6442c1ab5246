#include "stats/extremes.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

namespace lenswright {
namespace {

constexpr int64_t kSides = 2;  // largest, smallest
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What comes first among the largest; the smallest are the largest with their signs turned.
bool before(double value, int64_t prompt, int64_t place, double other, int64_t other_prompt,
            int64_t other_place) {
  return std::make_tuple(-value, prompt, place) <
         std::make_tuple(-other, other_prompt, other_place);
}

}  // namespace

Extremes::Extremes(int64_t cells, int64_t width, int64_t kept) {
  TORCH_CHECK_VALUE(cells > 0 && width > 0 && kept > 0, "extremes of ", cells, " cells of width ",
                    width, ", ", kept, " each, expected at least one of each");
  const std::vector<int64_t> shape{cells, kSides, kept, width};
  values_ = at::full(shape, -kInfinity, at::kDouble);
  values_.select(1, 1).fill_(kInfinity);
  prompts_ = at::zeros(shape, at::kLong);
  places_ = at::full(shape, -1, at::kLong);
}

Extremes::Extremes(const State& state)
    : values_(part_of(state, "values", at::kDouble, 4)),
      prompts_(part_of(state, "prompts", at::kLong, 4)),
      places_(part_of(state, "places", at::kLong, 4)) {
  TORCH_CHECK_VALUE(values_.size(1) == kSides && prompts_.sizes() == values_.sizes() &&
                        places_.sizes() == values_.sizes(),
                    "state has values ", values_.sizes(), ", prompts ", prompts_.sizes(),
                    " and places ", places_.sizes(), ", expected [cells, 2, kept, width] thrice");
}

void Extremes::put(int64_t cell, int64_t side, int64_t coordinate, double value, int64_t prompt,
                   int64_t place) {
  const int64_t base = (cell * kSides + side) * kept() * width() + coordinate;
  double* values = values_.mutable_data_ptr<double>() + base;
  int64_t* prompts = prompts_.mutable_data_ptr<int64_t>() + base;
  int64_t* places = places_.mutable_data_ptr<int64_t>() + base;
  const double sign = side == 0 ? 1.0 : -1.0;
  int64_t rank = kept();
  while (rank > 0) {
    const int64_t above = (rank - 1) * width();
    const bool free = places[above] < 0;
    if (!free &&
        !before(sign * value, prompt, place, sign * values[above], prompts[above], places[above])) {
      break;
    }
    if (rank < kept()) {
      values[above + width()] = values[above];
      prompts[above + width()] = prompts[above];
      places[above + width()] = places[above];
    }
    --rank;
  }
  if (rank == kept()) return;
  values[rank * width()] = value;
  prompts[rank * width()] = prompt;
  places[rank * width()] = place;
}

void Extremes::take(const at::Tensor& values, const Samples& samples) {
  check_samples(values, samples.cells, width(), cells());
  TORCH_CHECK_VALUE(samples.prompts.defined() && samples.prompts.sizes() == samples.cells.sizes() &&
                        samples.places.sizes() == samples.cells.sizes(),
                    "extremes need the prompt and the place of every sample");
  const at::Tensor wide = values.to(at::kDouble).contiguous();
  const at::Tensor cell = samples.cells.contiguous(), prompt = samples.prompts.contiguous(),
                   place = samples.places.contiguous();
  const double* value = wide.const_data_ptr<double>();
  const int64_t last = (kept() - 1) * width();
  for (int64_t sample = 0; sample < wide.size(0); ++sample) {
    const int64_t home = cell.const_data_ptr<int64_t>()[sample];
    const int64_t p = prompt.const_data_ptr<int64_t>()[sample];
    const int64_t where = place.const_data_ptr<int64_t>()[sample];
    const double* least =
        values_.const_data_ptr<double>() + home * kSides * kept() * width() + last;
    const double* most = least + kept() * width();
    for (int64_t i = 0; i < width(); ++i) {
      const double x = value[sample * width() + i];
      if (x >= least[i]) put(home, 0, i, x, p, where);
      if (x <= most[i]) put(home, 1, i, x, p, where);
    }
  }
}

Accumulator::State Extremes::state() const {
  return {{"values", values_}, {"prompts", prompts_}, {"places", places_}};
}

void Extremes::merge(const Extremes& other) {
  TORCH_CHECK_VALUE(values_.sizes() == other.values_.sizes(), "cannot merge extremes of ",
                    other.values_.sizes(), " into ", values_.sizes(), " [cells, 2, kept, width]");
  const double* value = other.values_.const_data_ptr<double>();
  const int64_t* prompt = other.prompts_.const_data_ptr<int64_t>();
  const int64_t* place = other.places_.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < other.values_.numel(); ++i) {
    if (place[i] < 0) continue;
    const int64_t row = i / width() / kept();
    put(row / kSides, row % kSides, i % width(), value[i], prompt[i], place[i]);
  }
}

Extremes Extremes::at(const at::Tensor& cells) const {
  return Extremes(State{{"values", values_.index_select(0, cells)},
                        {"prompts", prompts_.index_select(0, cells)},
                        {"places", places_.index_select(0, cells)}});
}

}  // namespace lenswright
