#include "directions/permutation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/philox.h"

namespace lenswright {

at::Tensor label_permutations(int64_t n, int64_t positives, int64_t count, uint64_t seed) {
  TORCH_CHECK_VALUE(n > 0 && positives > 0 && positives < n && count >= 0, "permutations: n is ", n,
                    ", positives ", positives, ", count ", count,
                    ", expected 0 < positives < n and a count of at least 0");
  at::Tensor labels = at::zeros({count, n}, at::kBool);
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t row = 0; row < count; ++row) {
    const Philox random(seed, "label permutation " + std::to_string(row));
    std::iota(order.begin(), order.end(), int64_t{0});
    bool* label = labels.mutable_data_ptr<bool>() + row * n;
    // Fisher and Yates, as far as the positive ones.
    for (int64_t i = 0; i < positives; ++i) {
      const double share = random.uniform(static_cast<uint64_t>(i));
      const int64_t left = n - i;
      const int64_t at = i + std::min(left - 1, static_cast<int64_t>(share * left));
      std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(at)]);
      label[order[static_cast<size_t>(i)]] = true;
    }
  }
  return labels;
}

}  // namespace lenswright
