#include "directions/random.h"

#include <ATen/ATen.h>

#include <string>

#include "base/philox.h"

namespace lenswright {

at::Tensor random_directions(int64_t count, int64_t width, uint64_t seed) {
  TORCH_CHECK_VALUE(count >= 0 && width > 0, "random directions: count is ", count, ", width is ",
                    width, ", expected at least 0 and 1");
  at::Tensor directions = at::empty({count, width}, at::kDouble);
  double* value = directions.mutable_data_ptr<double>();
  for (int64_t row = 0; row < count; ++row) {
    const Philox normals(seed, "random direction " + std::to_string(row));
    for (int64_t i = 0; i < width; ++i) *value++ = normals.normal(static_cast<uint64_t>(i));
  }
  return directions / directions.norm(2, 1, true);
}

}  // namespace lenswright
