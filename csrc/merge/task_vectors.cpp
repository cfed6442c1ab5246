#include "merge/task_vectors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clones.h"
#include "merge/kernel.h"
#include "merge/method.h"

namespace lenswright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kTinySize = 1e-7;     // below it nothing is rescaled
constexpr double kTinyWeights = 1e-8;  // a sum of weights that nothing is divided by

LENSWRIGHT_CLONES void add_to_base(const double* base, double lambda, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = base[i] + lambda * out[i];
}

}  // namespace

Sparsifier::~Sparsifier() = default;
Cut Sparsifier::cut(int) const { return Cut::elements; }
void Sparsifier::read(int, int64_t, size_t, const double*, int64_t) {}
bool Sparsifier::finish(int) { return false; }
uint64_t Sparsifier::held() const { return 0; }

TaskVectors::TaskVectors(const Task& task, std::unique_ptr<Sparsifier> sparsifier, bool elects,
                         bool l1)
    : task_(task),
      models_(task.others()),
      sparsifier_(std::move(sparsifier)),
      elect_(elects),
      l1_(l1),
      normalize_(task.values.flag("normalize")),
      lambda_(task.values.at("lambda")),
      factors_(models_.size(), 1.0) {
  for (const size_t model : models_) weights_.push_back(task.own[model].at("weight"));
  if (!l1_) return;
  const int64_t tiles = Tiling(task.shape, cut(passes() - 1)).tiles();
  sizes_.assign(static_cast<size_t>(tiles), std::vector<Sizes>(models_.size()));
}

Cut TaskVectors::cut(int pass) const {
  return sparsifier_->cut(std::min(pass, sparsifier_->passes()));
}

uint64_t TaskVectors::held() const {
  const uint64_t sizes = models_.size() * sizeof(Sizes) + sizeof(std::vector<Sizes>);
  return sparsifier_->held() + sizes_.size() * sizes;
}

void TaskVectors::read(int pass, int64_t tile, const Strip& strip) {
  if (pass == sparsifier_->passes()) return sum_sizes(tile, strip);
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  for (size_t i = 0; i < models_.size(); ++i) {
    subtract(strip.x[models_[i]], base, strip.count, strip.room[0]);
    sparsifier_->read(pass, tile, i, strip.room[0], strip.count);
  }
}

void TaskVectors::sum_sizes(int64_t tile, const Strip& strip) {
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  for (size_t i = 0; i < models_.size(); ++i) {
    double* delta = strip.room[0];
    subtract(strip.x[models_[i]], base, strip.count, delta);
    Sizes& sizes = sizes_[static_cast<size_t>(tile)][i];
    sizes.before += sum_abs(delta, strip.count);
    sparsifier_->apply(tile, strip, i, delta, strip.room[1]);
    sizes.after += sum_abs(delta, strip.count);
  }
}

bool TaskVectors::finish(int pass) {
  if (pass < sparsifier_->passes()) return sparsifier_->finish(pass);
  for (size_t i = 0; i < models_.size(); ++i) {
    Sizes all;
    for (const auto& tile : sizes_) {
      all.before += tile[i].before;
      all.after += tile[i].after;
    }
    const bool tiny = all.before < kTinySize || all.after < kTinySize;
    factors_[i] = tiny ? 1.0 : all.before / all.after;
  }
  sizes_ = {};
  return false;
}

void TaskVectors::write(int64_t tile, const Strip& strip, double* out) {
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  for (size_t i = 0; i < models_.size(); ++i) {
    double* delta = strip.room[i];
    subtract(strip.x[models_[i]], base, strip.count, delta);
    sparsifier_->apply(tile, strip, i, delta, strip.room[models_.size()]);
    if (factors_[i] != 1.0) scale(factors_[i], delta, strip.count, delta);
  }
  mix(strip, out);
  add_to_base(base, lambda_, strip.count, out);
}

void TaskVectors::mix(const Strip& strip, double* out) const {
  const int64_t n = strip.count;
  const std::span<const double* const> deltas = strip.room.first(models_.size());
  if (!elect_) {
    weighted_sum(deltas, weights_, n, out);
    double sum = 0;
    for (const double weight : weights_) sum += weight;
    if (normalize_ && std::abs(sum) >= kTinyWeights) divide(sum, n, out);
    return;
  }
  if (normalize_) return elect_mean(deltas, weights_, weights_, -kInfinity, n, out);
  elect(deltas, weights_, weights_, n, out);
}

std::vector<Parameter> task_vector_parameters(bool normalize, bool rescale) {
  using Kind = Parameter::Kind;
  return {
      {"weight", true, true, {}, Kind::number},
      {"lambda", false, false, 1.0, Kind::number},
      {"normalize", false, false, normalize ? 1.0 : 0.0, Kind::flag, 0, 1},
      {"rescale", false, false, rescale ? 1.0 : 0.0, Kind::flag, 0, 1},
      {"int8_mask", false, false, 0.0, Kind::flag, 0, 1},
  };
}

std::vector<Parameter> sparse_parameters(bool normalize, bool rescale,
                                         std::vector<Parameter> more) {
  std::vector<Parameter> all = task_vector_parameters(normalize, rescale);
  all.push_back({"density", true, false, 1.0, Parameter::Kind::number, 0, 1});
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::unique_ptr<Work> ranked(const Task& task, std::unique_ptr<Sparsifier> sparsifier, bool elect) {
  const bool rescale = task.values.flag("rescale");
  return std::make_unique<TaskVectors>(task, std::move(sparsifier), elect, rescale);
}

int64_t kept_count(double density, int64_t count) {
  return std::min(count, static_cast<int64_t>(density * static_cast<double>(count)));
}

}  // namespace lenswright
