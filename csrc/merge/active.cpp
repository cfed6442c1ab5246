#include "merge/active.h"

#include <algorithm>
#include <cmath>

#include "base/clones.h"

namespace lenswright {
namespace {

LENSWRIGHT_CLONES void take_active(const double* x, const double* base, double epsilon, int64_t n,
                                   double* active, double* delta) {
  for (int64_t i = 0; i < n; ++i) {
    const double difference = x[i] - base[i];
    const bool still = std::abs(difference) <= epsilon;  // false for NaN, which thus stays
    active[i] += still ? 0.0 : 1.0;
    delta[i] = still ? 0.0 : difference;
  }
}

LENSWRIGHT_CLONES void count(const double* delta, const double* active, int64_t n, int64_t& own,
                             int64_t& shared) {
  int64_t alone = 0, together = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t there = delta[i] == 0 ? 0 : 1, many = active[i] > 1 ? 1 : 0;
    together += there & many;
    alone += there & (1 - many);
  }
  own += alone;
  shared += together;
}

LENSWRIGHT_CLONES void add_share(const double* delta, const double* active, double factor,
                                 int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += active[i] > 1 ? delta[i] : factor * delta[i];
}

// The sum of differences, which is exact for narrow types, is divided once.
LENSWRIGHT_CLONES void add_mean(const double* active, const double* base, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = base[i] + (active[i] > 1 ? out[i] / active[i] : out[i]);
}

}  // namespace

ActiveWork::ActiveWork(const Task& task, bool scaled)
    : task_(task),
      models_(task.others()),
      epsilon_(task.values.at("epsilon")),
      scaled_(scaled),
      factors_(models_.size(), 1.0) {
  if (!scaled) return;
  const int64_t tiles = Tiling(task.shape, Cut::elements).tiles();
  counts_.assign(static_cast<size_t>(tiles), std::vector<Counts>(models_.size()));
}

void ActiveWork::differences(const Strip& strip) const {
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  std::fill(strip.room[0], strip.room[0] + strip.count, 0.0);
  for (size_t i = 0; i < models_.size(); ++i) {
    take_active(strip.x[models_[i]], base, epsilon_, strip.count, strip.room[0], strip.room[i + 1]);
  }
}

void ActiveWork::read(int, int64_t tile, const Strip& strip) {
  differences(strip);
  for (size_t i = 0; i < models_.size(); ++i) {
    Counts& counts = counts_[static_cast<size_t>(tile)][i];
    count(strip.room[i + 1], strip.room[0], strip.count, counts.own, counts.shared);
  }
}

bool ActiveWork::finish(int) {
  const double r = task_.values.at("r"), alpha = task_.values.at("alpha");
  for (size_t i = 0; i < models_.size(); ++i) {
    int64_t own = 0, shared = 0;
    for (const auto& tile : counts_) {
      own += tile[i].own;
      shared += tile[i].shared;
    }
    const double ratio = own > 0 ? static_cast<double>(shared) / static_cast<double>(own) : 0;
    factors_[i] = 1 + r * std::clamp(ratio, 0.0, alpha);
  }
  counts_ = {};
  return false;
}

uint64_t ActiveWork::held() const {
  return counts_.size() * (models_.size() * sizeof(Counts) + sizeof(std::vector<Counts>));
}

void ActiveWork::write(int64_t, const Strip& strip, double* out) {
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  differences(strip);
  std::fill(out, out + strip.count, 0.0);
  for (size_t i = 0; i < models_.size(); ++i) {
    add_share(strip.room[i + 1], strip.room[0], factors_[i], strip.count, out);
  }
  add_mean(strip.room[0], base, strip.count, out);
}

}  // namespace lenswright
