#include <algorithm>
#include <memory>
#include <numeric>

#include "base/clones.h"
#include "merge/chosen_squares.h"
#include "merge/kernel.h"
#include "merge/methods/list.h"
#include "merge/sample.h"
#include "merge/selection.h"
#include "merge/task_vectors.h"
#include "merge/variance.h"

namespace lenswright {
namespace {

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
        varying_(static_cast<size_t>(Tiling(task.shape, Cut::elements).tiles())),
        sample_(Tiling(task.shape, Cut::sample).tiles()),
        squares_(varying_.size(), models_.size()) {}

  // Where there is a choice: sample, selection and squares at once, squares of tiles in which equal
  // sizes are parted.
  int passes() const override { return selects() ? 3 : 1; }

  Cut cut(int pass) const override { return selects() && pass == 0 ? Cut::sample : Cut::elements; }

  bool wants(int pass, int64_t tile) const override { return pass < 2 || selection_->splits(tile); }

  void read(int pass, int64_t tile, const Strip& strip) override {
    differences(strip);
    if (pass == 2 || !selects()) {
      choose(tile, strip);
      return squares_.add(tile, deltas(strip), strip.count);
    }
    const double* sizes = variances_of(strip);
    if (pass == 0) return sample_.add(tile, sizes, strip.count);
    varying_[static_cast<size_t>(tile)] += count_nonzero(sizes, strip.count);
    selection_->read(tile, sizes, strip.count);
    if (!selection_->sorts()) return;
    squares_.read(tile, selection_->between(), sizes, deltas(strip), strip.count);
  }

  bool finish(int pass) override {
    if (pass == 2 || !selects()) return weigh(), false;
    if (pass == 0) return guess(), false;
    // How many are chosen is known only now: a share of those that vary at all.
    selection_->choose(
        kept_count(topk_, std::accumulate(varying_.begin(), varying_.end(), int64_t{0})));
    std::ranges::fill(varying_, 0);
    if (!selection_->finish()) return squares_.clear(), true;
    squares_.decide(*selection_);
    return false;
  }

  uint64_t held() const override {
    const size_t models = models_.size();
    const uint64_t lists =
        varying_.size() * sizeof(int64_t) + ChosenSquares::held(varying_.size(), models);
    if (!selects()) return lists;
    const int64_t count = task_.shape.count(), sample = Tiling(task_.shape, Cut::sample).elements();
    // What the selection keeps of an element is its size.
    const uint64_t one = Selection::held(count, sample);
    return lists + one + ChosenSquares::held_inside(models) / sizeof(double) * one;
  }

  void write(int64_t tile, const Strip& strip, double* out) override {
    differences(strip);
    choose(tile, strip);
    const std::vector<double> ones(models_.size(), 1.0);
    elect_mean(deltas(strip), ones, weights_, task_.mode == Mode::compat ? 1e-6 : 0.0, strip.count,
               out);
    add_scaled(1.0, strip.x[static_cast<size_t>(task_.base)], strip.count, out);
  }

 private:
  bool selects() const { return topk_ < 1; }

  void guess() {
    const auto sample = sample_.take();
    const auto varying = std::ranges::count_if(*sample, [](double size) { return size != 0; });
    const double share = static_cast<double>(varying) / static_cast<double>(sample->size());
    const int64_t count = task_.shape.count();
    const auto estimate = static_cast<int64_t>(share * static_cast<double>(count));
    selection_ = std::make_unique<Selection>(count, kept_count(topk_, estimate),
                                             static_cast<int64_t>(varying_.size()));
    selection_->guess(sample);
  }

  std::span<double* const> deltas(const Strip& strip) const {
    return strip.room.first(models_.size());
  }

  void differences(const Strip& strip) const {
    const double* base = strip.x[static_cast<size_t>(task_.base)];
    for (size_t i = 0; i < models_.size(); ++i) {
      subtract(strip.x[models_[i]], base, strip.count, strip.room[i]);
    }
  }

  // Overwrites the two rooms behind the differences.
  const double* variances_of(const Strip& strip) const {
    double* const out = strip.room[models_.size() + 1];
    variances(deltas(strip), strip.count, strip.room[models_.size()], out);
    return out;
  }

  void choose(int64_t tile, const Strip& strip) {
    if (!selects()) return;
    const double* sizes = variances_of(strip);
    if (!selection_->splits(tile)) {
      for (double* delta : deltas(strip)) {
        selection_->keep(tile, strip.opens, sizes, strip.count, delta, true);
      }
      return;
    }
    double* const mask = strip.room[models_.size() + 2];
    std::fill(mask, mask + strip.count, 1.0);
    selection_->keep(tile, strip.opens, sizes, strip.count, mask, true);
    for (double* delta : deltas(strip)) drop(mask, strip.count, delta);
  }

  void weigh() {
    weights_ = squares_.totals();
    for (double& w : weights_) w /= static_cast<double>(task_.shape.count());
    const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    // mergekit gives up on small differences, which those of real fine-tunes are.
    const bool even = task_.mode == Mode::compat ? sum < 1e-6 : sum == 0;
    for (double& w : weights_) w = even ? 1.0 / static_cast<double>(models_.size()) : w / sum;
    squares_ = ChosenSquares(0, models_.size());
  }

  const Task task_;
  const std::vector<size_t> models_;
  const double topk_;
  std::vector<int64_t> varying_;  // elements, by tile
  Sample sample_;
  ChosenSquares squares_;
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
