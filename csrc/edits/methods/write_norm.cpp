#include "edits/methods/write_norm.h"

#include <ATen/ATen.h>

namespace lenswright {

Factors write_norm(const WriterValues& values, const Aim& aim, const Strength& strength,
                   const Factors& shared) {
  constexpr double kNothing = 1e-24;  // share of a squared length that is rounding
  const double w = strength.weight;
  // |c - w v (v·c)|² = |c|² - w (2 - w) (v·c)²
  const at::Tensor squares = values.column_squares();
  const at::Tensor along = values.seen_along(aim.read).squeeze(-2);  // [in] or [rows, in]
  const at::Tensor left = squares - w * (2.0 - w) * along.square();
  const at::Tensor nothing = left <= kNothing * squares;
  Factors factors = shared;
  factors.c = at::where(nothing, at::ones_like(left), (squares / left).sqrt()).contiguous();
  return factors;
}

}  // namespace lenswright
