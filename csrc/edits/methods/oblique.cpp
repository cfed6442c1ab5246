#include "edits/methods/oblique.h"

#include <ATen/ATen.h>

namespace lenswright {

Factors oblique(const Aim& aim, const Strength& strength) {
  constexpr double kSingular = 1e-12;  // vectors have length 1
  const at::Tensor seen = at::matmul(aim.read, aim.write.transpose(-1, -2));  // BᵀA, [k, k]
  const at::Tensor least = at::linalg_svdvals(seen).amin();
  TORCH_CHECK_VALUE(least.item<double>() > kSingular,
                    "read sees nothing of direction (their products have a singular value of ",
                    least.item<double>(), "), expected vectors that are not orthogonal");
  const at::Tensor u = at::linalg_solve(seen.transpose(-1, -2), aim.write);
  return {{}, strength.weight * u, aim.read, {}, {}, {}, {}};
}

}  // namespace lenswright
