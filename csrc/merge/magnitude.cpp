#include "merge/magnitude.h"

#include <algorithm>

#include "merge/kernel.h"

namespace lenswright {

Magnitude::Magnitude(const Task& task, const std::vector<Band>& bands) {
  const int64_t count = task.shape.count();
  const int64_t tiles = Tiling(task.shape, Cut::elements).tiles();
  const auto samples = static_cast<size_t>(Tiling(task.shape, Cut::sample).tiles());
  for (const Band& band : bands) {
    models_.push_back({Selection(count, band.from, tiles), Selection(count, band.to, tiles),
                       std::vector<std::vector<double>>(samples)});
    needed_ = needed_ || !models_.back().from.trivial() || !models_.back().to.trivial();
  }
}

Cut Magnitude::cut(int pass) const { return needed_ && pass == 0 ? Cut::sample : Cut::elements; }

void Magnitude::read(int pass, int64_t tile, size_t index, const double* delta, int64_t n) {
  Model& model = models_[index];
  if (model.from.trivial() && model.to.trivial()) return;
  std::array<double, kStrip> sizes;
  magnitude(delta, n, sizes.data());
  if (pass == 0) {
    auto& sample = model.sample[static_cast<size_t>(tile)];
    sample.insert(sample.end(), sizes.data(), sizes.data() + n);
    return;
  }
  model.from.read(tile, sizes.data(), n);
  model.to.read(tile, sizes.data(), n);
}

bool Magnitude::finish(int pass) {
  bool again = false;
  for (Model& model : models_) {
    if (pass == 1) {
      const bool from = model.from.finish(), to = model.to.finish();
      again = again || !from || !to;
      continue;
    }
    std::vector<double> sorted;
    for (const auto& tile : model.sample) sorted.insert(sorted.end(), tile.begin(), tile.end());
    std::ranges::sort(sorted);
    model.from.guess(sorted);
    model.to.guess(sorted);
    model.sample = {};
  }
  return again;
}

void Magnitude::apply(int64_t tile, const Strip& strip, size_t index, double* delta, double* room) {
  Model& model = models_[index];
  const int64_t n = strip.count;
  magnitude(delta, n, room);
  model.to.keep(tile, strip.opens, room, n, delta, true);
  if (model.from.k() > 0) model.from.keep(tile, strip.opens, room, n, delta, false);
}

std::unique_ptr<Sparsifier> largest(const Task& task) {
  std::vector<Magnitude::Band> bands;
  const int64_t count = task.shape.count();
  for (const size_t model : task.others()) {
    const double density = task.own[model].at("density");
    bands.push_back({0, density >= 1 ? count : kept_count(density, count)});
  }
  return std::make_unique<Magnitude>(task, bands);
}

std::unique_ptr<Sparsifier> without_outliers(const Task& task) {
  std::vector<Magnitude::Band> bands;
  const int64_t count = task.shape.count();
  for (const size_t model : task.others()) {
    const double density = task.own[model].at("density");
    if (density >= 1) {
      bands.push_back({0, count});
      continue;
    }
    const int64_t kept = kept_count(density, count);
    const int64_t outliers = kept_count(task.own[model].at("gamma"), count);
    const int64_t from = std::min(outliers, count - kept);  // what is kept comes first
    bands.push_back({from, from + kept});
  }
  return std::make_unique<Magnitude>(task, bands);
}

}  // namespace lenswright
