#include "merge/active.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/clones.h"

namespace lenswright {
namespace {

// Some models, their base, and what is a model's own is multiplied with.
struct Group {
  const double* const* x;
  const double* base;
  const double* factors;
  double epsilon;
};

// Differences that count, others being 0, and how many there are. NaN counts.
template <size_t models>
[[gnu::always_inline]] inline double take(const std::array<const double*, models>& x, double base,
                                          double epsilon, int64_t i, double* delta) {
  double active = 0;
  for (size_t m = 0; m < models; ++m) {
    const double difference = x[m][i] - base;
    const bool still = std::abs(difference) <= epsilon;
    active += still ? 0.0 : 1.0;
    delta[m] = still ? 0.0 : difference;
  }
  return active;
}

// The sum of differences, which is exact for narrow types, is divided once; in one loop, so that
// what is found for one element never leaves the registers.
template <size_t models>
[[gnu::always_inline]] inline void mix(const Group& group, int64_t n, double* out) {
  std::array<const double*, models> x;
  std::array<double, models> factors;
  std::copy_n(group.x, models, x.begin());
  std::copy_n(group.factors, models, factors.begin());
  const double* const base = group.base;
  const double epsilon = group.epsilon;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    double delta[models];
    const double active = take<models>(x, base[i], epsilon, i, delta);
    double own = 0, shared = 0;
    for (size_t m = 0; m < models; ++m) {
      own += factors[m] * delta[m];
      shared += delta[m];
    }
    // Of two, a half: the same number as the quotient.
    const double mean = models == 2 ? shared * 0.5 : shared / (active > 1 ? active : 1.0);
    out[i] = base[i] + (active > 1 ? mean : own);
  }
}

template <size_t models>
[[gnu::always_inline]] inline void count(const Group& group, int64_t n, int64_t* own,
                                         int64_t* shared) {
  std::array<const double*, models> x;
  std::copy_n(group.x, models, x.begin());
  std::array<int64_t, models> alone{}, together{};
  for (int64_t i = 0; i < n; ++i) {
    double delta[models];
    const bool many = take<models>(x, group.base[i], group.epsilon, i, delta) > 1;
    for (size_t m = 0; m < models; ++m) {
      const int64_t there = delta[m] == 0 ? 0 : 1;
      together[m] += many ? there : 0;
      alone[m] += many ? 0 : there;
    }
  }
  for (size_t m = 0; m < models; ++m) {
    own[m] += alone[m];
    shared[m] += together[m];
  }
}

LENSWRIGHT_CLONES void mix_one(const Group& group, int64_t n, double* out) {
  mix<1>(group, n, out);
}

LENSWRIGHT_CLONES void mix_two(const Group& group, int64_t n, double* out) {
  mix<2>(group, n, out);
}

LENSWRIGHT_CLONES void mix_three(const Group& group, int64_t n, double* out) {
  mix<3>(group, n, out);
}

LENSWRIGHT_CLONES void count_two(const Group& group, int64_t n, int64_t* own, int64_t* shared) {
  count<2>(group, n, own, shared);
}

LENSWRIGHT_CLONES void count_three(const Group& group, int64_t n, int64_t* own, int64_t* shared) {
  count<3>(group, n, own, shared);
}

LENSWRIGHT_CLONES void count_active(const double* x, const double* base, double epsilon, int64_t n,
                                    double* active) {
  for (int64_t i = 0; i < n; ++i) active[i] += std::abs(x[i] - base[i]) <= epsilon ? 0.0 : 1.0;
}

LENSWRIGHT_CLONES void add_share(const double* x, const double* base, double epsilon,
                                 const double* active, double factor, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double difference = x[i] - base[i];
    const double delta = std::abs(difference) <= epsilon ? 0.0 : difference;
    out[i] += active[i] > 1 ? delta : factor * delta;
  }
}

LENSWRIGHT_CLONES void add_mean(const double* active, const double* base, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = base[i] + (active[i] > 1 ? out[i] / active[i] : out[i]);
}

LENSWRIGHT_CLONES void count_one_of_many(const double* x, const double* base, double epsilon,
                                         const double* active, int64_t n, int64_t& own,
                                         int64_t& shared) {
  int64_t alone = 0, together = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double difference = x[i] - base[i];
    const int64_t there = std::abs(difference) <= epsilon || difference == 0 ? 0 : 1;
    together += active[i] > 1 ? there : 0;
    alone += active[i] > 1 ? 0 : there;
  }
  own += alone;
  shared += together;
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
  counts_.assign(static_cast<size_t>(tiles), Counts(models_.size()));
}

// How many models are active, element by element, in the first room.
const double* ActiveWork::active(const Strip& strip) const {
  double* const out = strip.room[0];
  std::fill(out, out + strip.count, 0.0);
  for (const size_t model : models_) {
    count_active(strip.x[model], strip.x[static_cast<size_t>(task_.base)], epsilon_, strip.count,
                 out);
  }
  return out;
}

std::vector<const double*> ActiveWork::inputs(const Strip& strip) const {
  std::vector<const double*> out;
  for (const size_t model : models_) out.push_back(strip.x[model]);
  return out;
}

void ActiveWork::read(int, int64_t tile, const Strip& strip) {
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  const std::vector<const double*> x = inputs(strip);
  const Group group{x.data(), base, factors_.data(), epsilon_};
  Counts& counts = counts_[static_cast<size_t>(tile)];
  int64_t *own = counts.own.data(), *shared = counts.shared.data();
  if (x.size() == 2) return count_two(group, strip.count, own, shared);
  if (x.size() == 3) return count_three(group, strip.count, own, shared);
  const double* many = active(strip);
  for (size_t i = 0; i < x.size(); ++i) {
    count_one_of_many(x[i], base, epsilon_, many, strip.count, own[i], shared[i]);
  }
}

bool ActiveWork::finish(int) {
  const double r = task_.values.at("r"), alpha = task_.values.at("alpha");
  for (size_t i = 0; i < models_.size(); ++i) {
    int64_t own = 0, shared = 0;
    for (const Counts& tile : counts_) {
      own += tile.own[i];
      shared += tile.shared[i];
    }
    const double ratio = own > 0 ? static_cast<double>(shared) / static_cast<double>(own) : 0;
    factors_[i] = 1 + r * std::clamp(ratio, 0.0, alpha);
  }
  counts_ = {};
  return false;
}

uint64_t ActiveWork::held() const {
  return counts_.size() * (2 * models_.size() * sizeof(int64_t) + sizeof(Counts));
}

void ActiveWork::write(int64_t, const Strip& strip, double* out) {
  const double* base = strip.x[static_cast<size_t>(task_.base)];
  const std::vector<const double*> x = inputs(strip);
  const Group group{x.data(), base, factors_.data(), epsilon_};
  if (x.size() == 1) return mix_one(group, strip.count, out);
  if (x.size() == 2) return mix_two(group, strip.count, out);
  if (x.size() == 3) return mix_three(group, strip.count, out);
  const double* many = active(strip);
  std::fill(out, out + strip.count, 0.0);
  for (size_t i = 0; i < x.size(); ++i) {
    add_share(x[i], base, epsilon_, many, factors_[i], strip.count, out);
  }
  add_mean(many, base, strip.count, out);
}

}  // namespace lenswright
