#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace lenswright {

/// Sizes seen in a pass over a sample, which any thread may add to, each to tiles of its own.
class Sample {
 public:
  explicit Sample(int64_t tiles) : tiles_(static_cast<size_t>(tiles)) {}

  void add(int64_t tile, const double* sizes, int64_t n);
  /// All of them; nothing stays.
  std::shared_ptr<std::vector<double>> take();

 private:
  std::vector<std::vector<double>> tiles_;
};

}  // namespace lenswright
