#include "edits/methods/subspace.h"

#include <ATen/ATen.h>

#include <cmath>

namespace lenswright {

Factors subspace(const Aim& aim, const Strength& strength) {
  constexpr double kDependent = 1e-10;
  const auto [u, s, basis] = at::linalg_svd(aim.write, false);
  const int64_t k = aim.write.size(-2);
  const at::Tensor rank = (s > kDependent * s.amax(-1, true)).sum(-1).min();
  TORCH_CHECK_VALUE(rank.item<int64_t>() == k, "direction has ", k, " vectors that span only ",
                    rank.item<int64_t>(), " dimensions, expected independent ones");
  return {{}, strength.weight * basis, basis, {}, {}, {}, {}};
}

Factors ridge(const Aim& aim, const Strength& strength) {
  TORCH_CHECK_VALUE(strength.ridge > 0 && std::isfinite(strength.ridge), "ridge is ",
                    strength.ridge, ", expected a positive number");
  const at::Tensor& r = aim.write;
  const at::Tensor gram = at::matmul(r, r.transpose(-1, -2));
  const at::Tensor eye = at::eye(r.size(-2), gram.options());
  const at::Tensor u = at::linalg_solve(gram + strength.ridge * eye, r);
  return {{}, strength.weight * u, r, {}, {}, {}, {}};
}

}  // namespace lenswright
