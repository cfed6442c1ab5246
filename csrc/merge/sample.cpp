#include "merge/sample.h"

namespace lenswright {

void Sample::add(int64_t tile, const double* sizes, int64_t n) {
  std::vector<double>& list = tiles_[static_cast<size_t>(tile)];
  list.insert(list.end(), sizes, sizes + n);
}

std::shared_ptr<std::vector<double>> Sample::take() {
  auto all = std::make_shared<std::vector<double>>();
  size_t count = 0;
  for (const auto& tile : tiles_) count += tile.size();
  all->reserve(count);
  for (auto& tile : tiles_) {
    all->insert(all->end(), tile.begin(), tile.end());
    tile = {};
  }
  tiles_ = {};
  return all;
}

}  // namespace lenswright
