#include "merge/magnitude.h"

#include <algorithm>

#include "merge/kernel.h"

namespace lenswright {

Magnitude::Magnitude(const Task& task, const std::vector<Band>& bands) : shape_(task.shape) {
  const int64_t count = task.shape.count();
  const int64_t tiles = Tiling(task.shape, Cut::elements).tiles();
  const int64_t samples = Tiling(task.shape, Cut::sample).tiles();
  for (const Band& band : bands) {
    models_.push_back(
        {Selection(count, band.from, tiles), Selection(count, band.to, tiles), Sample(samples)});
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
    model.sample.add(tile, sizes.data(), n);
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
    const auto sample = model.sample.take();
    model.from.guess(sample);
    model.to.guess(sample);
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

uint64_t Magnitude::held() const {
  uint64_t bytes = 0;
  const int64_t sample = Tiling(shape_, Cut::sample).elements();
  for (const Model& model : models_) {
    for (const Selection* one : {&model.from, &model.to}) {
      if (!one->trivial()) bytes += Selection::held(shape_.count(), sample);
    }
  }
  return bytes;
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
