#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lenswright {

/// How a map learns: its neighbourhood and rate shrink as 1 / (1 + 2 step / steps).
struct MapSettings {
  int64_t rows = 4, columns = 4, steps = 10000;
  double rate = 0.01, spread = 0.33;
  uint64_t seed = 0;
};

/// The neurons [rows * columns, width] of a self-organising map of x [n, width] (Kohonen 1982):
/// begun as samples, then drawn to one random sample a step, the nearest neuron most. Random
/// numbers are keyed by (seed, step), so that the same seed gives the same bytes.
at::Tensor som(const at::Tensor& x, const MapSettings& settings);

}  // namespace lenswright
