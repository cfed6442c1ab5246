#include "merge/job.h"

#include <functional>
#include <numeric>

namespace lenswright {

uint64_t Job::bytes() const { return tensor_bytes(dtype, shape).value(); }

int64_t Job::numel() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies());
}

}  // namespace lenswright
