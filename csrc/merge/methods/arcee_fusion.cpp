#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clones.h"
#include "merge/divergence.h"
#include "merge/exact_quantiles.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Differences, and their sizes times how far their row moved; infinity for NaN.
LENSWRIGHT_CLONES void weigh(const double* x, const double* base, double divergence, int64_t n,
                             double* delta, double* sizes) {
  for (int64_t i = 0; i < n; ++i) {
    const double difference = x[i] - base[i];
    const double size = std::abs(difference * divergence);
    delta[i] = difference;
    sizes[i] = size <= kInfinity ? size : kInfinity;
  }
}

LENSWRIGHT_CLONES void add_from(const double* base, const double* delta, const double* sizes,
                                double threshold, int64_t n, double* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = base[i] + (sizes[i] >= threshold ? delta[i] : 0.0);
}

/// base + Δ where Δ matters: importance |Δ| · KL(softmax(row of the other) ‖ softmax(row of the
/// base)), kept from median + 1.5 · (upper - lower quartile) on.
class ArceeFusion final : public Work {
 public:
  explicit ArceeFusion(const Task& task)
      : task_(task),
        base_(static_cast<size_t>(task.base)),
        other_(task.others().front()),
        divergence_(static_cast<size_t>(task.shape.rows)),
        quantiles_(task.shape.count(), {0.25, 0.5, 0.75}, Tiling(task.shape, Cut::sample).tiles(),
                   Tiling(task.shape, Cut::elements).tiles()) {}

  int passes() const override { return 3; }

  Cut cut(int pass) const override {
    return pass == 0 ? Cut::rows : pass == 1 ? Cut::sample : Cut::elements;
  }

  void read(int pass, int64_t tile, const Strip& strip) override {
    if (pass == 0) {
      divergence_[static_cast<size_t>(strip.first / task_.shape.cols)] =
          divergence(strip.x[other_], strip.x[base_], strip.count, strip.room);
      return;
    }
    importances(strip);
    if (pass == 1) quantiles_.sample(tile, strip.room[0], strip.count);
    if (pass == 2) quantiles_.read(tile, strip.room[0], strip.count);
  }

  bool finish(int pass) override {
    if (pass == 1) quantiles_.sampled();
    if (pass != 2) return false;
    if (!quantiles_.finish()) return true;
    const std::vector<double> q = quantiles_.values();
    threshold_ = q[1] + 1.5 * (q[2] - q[0]);
    return false;
  }

  uint64_t held() const override {
    const int64_t count = task_.shape.count(), sample = Tiling(task_.shape, Cut::sample).elements();
    return static_cast<uint64_t>(task_.shape.rows) * sizeof(double) +
           3 * Selection::held(count, sample);
  }

  void write(int64_t, const Strip& strip, double* out) override {
    importances(strip);
    add_from(strip.x[base_], strip.room[1], strip.room[0], threshold_, strip.count, out);
  }

 private:
  // room[0]: importances; room[1]: Δ.
  void importances(const Strip& strip) const {
    for (int64_t done = 0; done < strip.count;) {
      const int64_t row = (strip.first + done) / task_.shape.cols;
      const int64_t n =
          std::min(strip.count - done, (row + 1) * task_.shape.cols - strip.first - done);
      weigh(strip.x[other_] + done, strip.x[base_] + done, divergence_[static_cast<size_t>(row)], n,
            strip.room[1] + done, strip.room[0] + done);
      done += n;
    }
  }

  const Task task_;
  const size_t base_, other_;
  std::vector<double> divergence_;  // of rows
  ExactQuantiles quantiles_;
  double threshold_ = 0;
};

}  // namespace

Method arcee_fusion_method() {
  Method method;
  method.name = "arcee_fusion";
  method.source = "Arcee Fusion, as mergekit has it";
  method.base = Method::Base::required;
  method.most = 1;
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<ArceeFusion>(task);
  };
  return method;
}

}  // namespace lenswright
