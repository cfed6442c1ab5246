#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "base/clones.h"
#include "merge/kernel.h"
#include "merge/methods/list.h"
#include "merge/sample.h"
#include "merge/selection.h"
#include "merge/task_vectors.h"

namespace lenswright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Of the population, with infinity for NaN, in one loop for so many models.
template <size_t models>
[[gnu::always_inline]] inline void variances_of(std::span<double* const> deltas, int64_t n,
                                                double* out) {
  std::array<const double*, models> delta;
  std::copy_n(deltas.begin(), models, delta.begin());
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    double sum = delta[0][i], squares = 0;
    for (size_t m = 1; m < models; ++m) sum += delta[m][i];
    const double mean = sum / static_cast<double>(models);
    for (size_t m = 0; m < models; ++m) squares += (delta[m][i] - mean) * (delta[m][i] - mean);
    const double variance = squares / static_cast<double>(models);
    out[i] = variance <= kInfinity ? variance : kInfinity;
  }
}

LENSWRIGHT_CLONES void variances_of_two(std::span<double* const> deltas, int64_t n, double* out) {
  variances_of<2>(deltas, n, out);
}

LENSWRIGHT_CLONES void variances_of_three(std::span<double* const> deltas, int64_t n, double* out) {
  variances_of<3>(deltas, n, out);
}

LENSWRIGHT_CLONES void add_square_of_gap(const double* x, const double* mean, int64_t n,
                                         double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
}

// Σ x x where the size is beyond the limit, element after element in eight sums side by side.
LENSWRIGHT_CLONES double squares_above(const double* x, const double* sizes, double limit,
                                       int64_t n) {
  std::array<double, 8> sums = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) {
      const double value = sizes[i + lane] > limit ? x[i + lane] : 0.0;
      sums[static_cast<size_t>(lane)] += value * value;
    }
  }
  for (int64_t lane = 0; i < n; ++i, ++lane) {
    const double value = sizes[i] > limit ? x[i] : 0.0;
    sums[static_cast<size_t>(lane)] += value * value;
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

// The places of sizes from low to high.
int64_t between(const double* sizes, const Bracket& bracket, int64_t n, int32_t* places) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    places[found] = static_cast<int32_t>(i);
    found += (sizes[i] >= bracket.low) & (sizes[i] <= bracket.high) ? 1 : 0;
  }
  return found;
}

LENSWRIGHT_CLONES void drop(const double* mask, int64_t n, double* delta) {
  for (int64_t i = 0; i < n; ++i) delta[i] = mask[i] == 0 ? 0.0 : delta[i];
}

/// Select, calculate, erase (Wan et al. 2024, arXiv:2408.07990, section 3.2): the elements where
/// the differences to the base vary most between models; weights by their mean squares; terms
/// against the sign of the sum left out.
class Sce final : public Work {
 public:
  explicit Sce(const Task& task)
      : task_(task),
        models_(task.others()),
        topk_(task.values.at("select_topk")),
        tiles_(static_cast<size_t>(Tiling(task.shape, Cut::elements).tiles())),
        sample_(Tiling(task.shape, Cut::sample).tiles()) {
    clear();
  }

  // sample where there is a choice, selection and squares at once.
  int passes() const override { return selects() ? 2 : 1; }

  Cut cut(int pass) const override { return selects() && pass == 0 ? Cut::sample : Cut::elements; }

  void read(int pass, int64_t index, const Strip& strip) override {
    differences(strip);
    Tile& tile = tiles_[static_cast<size_t>(selects() && pass == 0 ? 0 : index)];
    if (!selects()) {
      for (size_t i = 0; i < models_.size(); ++i) {
        tile.squares[i] += dot(strip.room[i], strip.room[i], strip.count);
      }
      return;
    }
    const double* sizes = variances(strip);
    if (pass == 0) return sample_.add(index, sizes, strip.count);
    tile.varying += count_nonzero(sizes, strip.count);
    selection_->read(index, sizes, strip.count);
    if (selection_->sorts()) square(tile, sizes, strip);
  }

  bool finish(int pass) override {
    if (!selects()) return weigh(), false;
    if (pass == 0) return guess(), false;
    // How many are chosen is known only now: a share of those that vary at all.
    int64_t varying = 0;
    for (const Tile& tile : tiles_) varying += tile.varying;
    selection_->choose(kept_count(topk_, varying));
    if (!selection_->finish()) return clear(), true;
    decide();
    return weigh(), false;
  }

  uint64_t held() const override {
    const uint64_t lists = tiles_.size() * (models_.size() * sizeof(double) + sizeof(Tile));
    const int64_t count = task_.shape.count(), sample = Tiling(task_.shape, Cut::sample).elements();
    if (!selects()) return lists;
    // Beside the sizes in the bracket, the squares that are theirs.
    return lists + (models_.size() + 2) * Selection::held(count, sample);
  }

  void write(int64_t tile, const Strip& strip, double* out) override {
    differences(strip);
    choose(tile, strip);
    const int64_t n = strip.count;
    const size_t models = models_.size();
    const std::vector<double> ones(models, 1.0);
    elect_mean(strip.room.first(models), ones, weights_, task_.mode == Mode::compat ? 1e-6 : 0.0, n,
               out);
    add_scaled(1.0, strip.x[static_cast<size_t>(task_.base)], n, out);
  }

 private:
  struct Tile {
    int64_t varying = 0;          // elements
    std::vector<double> squares;  // of what is chosen for certain, by model
    // Of what the bracket leaves open: its size, and then its squares, by model.
    std::vector<double> open_sizes, open_squares;
  };

  bool selects() const { return topk_ < 1; }

  void clear() {
    for (Tile& tile : tiles_) tile = {0, std::vector<double>(models_.size()), {}, {}};
  }

  void square(Tile& tile, const double* sizes, const Strip& strip) const {
    const Bracket& bracket = selection_->between();
    for (size_t i = 0; i < models_.size(); ++i) {
      tile.squares[i] += squares_above(strip.room[i], sizes, bracket.high, strip.count);
    }
    std::array<int32_t, kStrip + 1> places;
    const int64_t found = lenswright::between(sizes, bracket, strip.count, places.data());
    for (int64_t j = 0; j < found; ++j) {
      const int32_t at = places[static_cast<size_t>(j)];
      tile.open_sizes.push_back(sizes[at]);
      for (size_t i = 0; i < models_.size(); ++i) {
        tile.open_squares.push_back(strip.room[i][at] * strip.room[i][at]);
      }
    }
  }

  // What the bracket left open is as short tiles of its own, in the same order.
  void decide() {
    const size_t models = models_.size();
    std::vector<double> chosen;
    for (size_t index = 0; index < tiles_.size(); ++index) {
      Tile& tile = tiles_[index];
      chosen.assign(tile.open_sizes.size(), 1.0);
      selection_->keep(static_cast<int64_t>(index), true, tile.open_sizes.data(),
                       static_cast<int64_t>(chosen.size()), chosen.data(), true);
      for (size_t j = 0; j < chosen.size(); ++j) {
        if (chosen[j] == 0) continue;
        for (size_t i = 0; i < models; ++i) tile.squares[i] += tile.open_squares[j * models + i];
      }
      tile.open_sizes = {};
      tile.open_squares = {};
    }
    if (selection_->k() > 0) return;
    for (Tile& tile : tiles_) std::ranges::fill(tile.squares, 0.0);  // nothing is chosen
  }

  void guess() {
    const auto sample = sample_.take();
    const auto varying = std::ranges::count_if(*sample, [](double size) { return size != 0; });
    const double share = static_cast<double>(varying) / static_cast<double>(sample->size());
    const int64_t count = task_.shape.count();
    const auto estimate = static_cast<int64_t>(share * static_cast<double>(count));
    selection_ = std::make_unique<Selection>(count, kept_count(topk_, estimate),
                                             static_cast<int64_t>(tiles_.size()));
    selection_->guess(sample);
  }

  void differences(const Strip& strip) const {
    const double* base = strip.x[static_cast<size_t>(task_.base)];
    for (size_t i = 0; i < models_.size(); ++i) {
      subtract(strip.x[models_[i]], base, strip.count, strip.room[i]);
    }
  }

  // Of the population, with infinity for NaN. Overwrites the two rooms behind the differences.
  const double* variances(const Strip& strip) const {
    const int64_t n = strip.count;
    const size_t models = models_.size();
    double *mean = strip.room[models], *out = strip.room[models + 1];
    if (models == 2) return variances_of_two(strip.room, n, out), out;
    if (models == 3) return variances_of_three(strip.room, n, out), out;
    std::fill(mean, mean + n, 0.0);
    std::fill(out, out + n, 0.0);
    for (size_t i = 0; i < models; ++i) add_scaled(1.0, strip.room[i], n, mean);
    divide(static_cast<double>(models), n, mean);
    for (size_t i = 0; i < models; ++i) add_square_of_gap(strip.room[i], mean, n, out);
    divide(static_cast<double>(models), n, out);
    magnitude(out, n, out);
    return out;
  }

  void choose(int64_t tile, const Strip& strip) {
    if (!selects()) return;
    double* const mask = strip.room[models_.size() + 2];
    std::fill(mask, mask + strip.count, 1.0);
    selection_->keep(tile, strip.opens, variances(strip), strip.count, mask, true);
    for (size_t i = 0; i < models_.size(); ++i) drop(mask, strip.count, strip.room[i]);
  }

  void weigh() {
    const auto count = static_cast<double>(task_.shape.count());
    double sum = 0;
    for (size_t i = 0; i < models_.size(); ++i) {
      weights_.push_back(0);
      for (const Tile& tile : tiles_) weights_[i] += tile.squares[i];
      weights_[i] /= count;
      sum += weights_[i];
    }
    // mergekit gives up on small differences, which those of real fine-tunes are.
    const bool even = task_.mode == Mode::compat ? sum < 1e-6 : sum == 0;
    for (double& w : weights_) w = even ? 1.0 / static_cast<double>(models_.size()) : w / sum;
    tiles_ = {};
  }

  const Task task_;
  const std::vector<size_t> models_;
  const double topk_;
  std::vector<Tile> tiles_;
  Sample sample_;
  std::unique_ptr<Selection> selection_;
  std::vector<double> weights_;
};

}  // namespace

Method sce_method() {
  Method method;
  method.name = "sce";
  method.source = "Wan et al. 2024, arXiv:2408.07990";
  method.base = Method::Base::required;
  method.parameters = {
      {"select_topk", false, false, 1.0, Parameter::Kind::number, 0, 1},
      {"int8_mask", false, false, 0.0, Parameter::Kind::flag, 0, 1},
  };
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Sce>(task);
  };
  return method;
}

}  // namespace lenswright
