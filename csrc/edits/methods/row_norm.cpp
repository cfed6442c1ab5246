#include "edits/methods/row_norm.h"

#include <ATen/ATen.h>

namespace lenswright {
namespace {

// [out], 0 where the row is: nothing is read from it and nothing written.
at::Tensor reciprocal_or_zero(const at::Tensor& norms) {
  return at::where(norms == 0, at::zeros_like(norms), norms.reciprocal());
}

Factors turned(const at::Tensor& norms, const Aim& aim, double weight) {
  Factors factors;
  factors.u = (weight * norms * aim.write).contiguous();
  factors.v = (reciprocal_or_zero(norms) * aim.write).contiguous();
  return factors;
}

}  // namespace

Factors row_oblique(const WriterValues& values, const Aim& aim, const Strength& strength,
                    const Factors&) {
  return turned(values.row_norms(), aim, strength.weight);
}

Factors row_norm(const WriterValues& values, const Aim& aim, const Strength& strength,
                 const Factors&) {
  const at::Tensor norms = values.row_norms(), squares = norms.square();
  Factors factors = turned(norms, aim, strength.weight);
  // With p = Wᵀ D⁻¹ v, row j becomes W_j - w n_j v_j p: its squared length is
  // n_j² - 2 w n_j v_j (W p)_j + w² n_j² v_j² |p|².
  const at::Tensor p = values.seen_along(factors.v);  // [1, in] or [rows, 1, in]
  const at::Tensor moved = factors.u.squeeze(-2);     // w n_j v_j
  const at::Tensor seen = values.written_by(p).squeeze(-2);
  const at::Tensor left = squares - 2.0 * moved * seen + moved.square() * p.square().sum(-1);
  TORCH_CHECK_VALUE((left > 1e-24 * squares).logical_or(squares == 0).all().item<bool>(),
                    "a row is removed whole, and nothing is left of it to have its length");
  factors.s = at::where(squares == 0, at::ones_like(left), (squares / left).sqrt()).contiguous();
  return factors;
}

}  // namespace lenswright
