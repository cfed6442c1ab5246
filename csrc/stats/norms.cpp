#include "stats/norms.h"

#include <ATen/ATen.h>

#include <cmath>

namespace lenswright {
namespace {

Accumulator::State within(const Accumulator::State& state, const std::string& prefix) {
  Accumulator::State part;
  for (const auto& [name, value] : state) {
    if (name.starts_with(prefix)) part[name.substr(prefix.size())] = value;
  }
  return part;
}

// One row after the other, each in its own order: a norm depends on its vector alone.
at::Tensor norms_of(const at::Tensor& values) {
  const at::Tensor wide = values.to(at::kDouble).contiguous();
  at::Tensor norms = at::empty({wide.size(0), 1}, at::kDouble);
  const double* value = wide.const_data_ptr<double>();
  for (int64_t row = 0; row < wide.size(0); ++row) {
    double sum = 0;
    for (int64_t i = 0; i < wide.size(1); ++i, ++value) sum += *value * *value;
    norms.mutable_data_ptr<double>()[row] = std::sqrt(sum);
  }
  return norms;
}

}  // namespace

Norms::Norms(int64_t cells, int64_t kept, double error)
    : moments_(cells, 1), extremes_(cells, 1, kept), quantiles_(cells, 1, error) {}

Norms::Norms(const State& state)
    : moments_(within(state, "moments.")),
      extremes_(within(state, "extremes.")),
      quantiles_(within(state, "quantiles.")) {}

void Norms::take(const at::Tensor& values, const Samples& samples) {
  const at::Tensor norms = norms_of(values);
  moments_.take(norms, samples);
  extremes_.take(norms, samples);
  quantiles_.take(norms, samples);
}

Accumulator::State Norms::state() const {
  State state;
  for (const auto& [name, value] : moments_.state()) state["moments." + name] = value;
  for (const auto& [name, value] : extremes_.state()) state["extremes." + name] = value;
  for (const auto& [name, value] : quantiles_.state()) state["quantiles." + name] = value;
  return state;
}

void Norms::merge(const Norms& other) {
  moments_.merge(other.moments_);
  extremes_.merge(other.extremes_);
  quantiles_.merge(other.quantiles_);
}

Norms Norms::at(const at::Tensor& cells) const {
  return {moments_.at(cells), extremes_.at(cells), quantiles_.at(cells)};
}

}  // namespace lenswright
