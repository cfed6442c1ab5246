#pragma once

#include "nn/thin_columns.h"
#include "nn/thin_rows.h"

namespace lenswright {
namespace {

/// The kernel of a class of vectors. Lanes: vectors `V` of kLanes floats, of which 4 * kOutputs
/// sums stay in registers; load(p) reads and widens kLanes numbers, one(w) widens one.
template <class Lanes>
constexpr ThinKernel make_thin_kernel() {
  using Rows = ThinRows<Lanes, float>;
  using Columns = ThinColumns<Lanes, float>;
  return {Rows::kStep,
          Rows::kOutputs,
          Rows::kOutputs * Rows::kLanes,
          Rows::pack,
          {Rows::run, ThinRows<Lanes, Bfloat>::run, ThinRows<Lanes, Half>::run},
          {Columns::run, ThinColumns<Lanes, Bfloat>::run, ThinColumns<Lanes, Half>::run}};
}

}  // namespace
}  // namespace lenswright
