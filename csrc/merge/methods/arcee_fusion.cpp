#include <algorithm>
#include <cmath>

#include "merge/kernel.h"
#include "merge/methods/list.h"
#include "merge/quantiles.h"

namespace lenswright {
namespace {

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
    const double *base = strip.x[base_], *delta = strip.room[1];
    for (int64_t e = 0; e < strip.count; ++e) {
      out[e] = base[e] + (strip.room[0][e] >= threshold_ ? delta[e] : 0.0);
    }
  }

 private:
  // Σ p (log p - log q), both logarithms from the sum of exponentials of their row.
  static double divergence(const double* of, const double* from, int64_t n,
                           std::span<double* const> room) {
    const double p_sum = exponentials(of, n, room[0]), p_log = std::log(p_sum);
    const double q_log = std::log(exponentials(from, n, room[1]));
    const double shift = most(of, n) + p_log - (most(from, n) + q_log);
    for (int64_t e = 0; e < n; ++e) room[1][e] = of[e] - from[e] - shift;
    return dot(room[0], room[1], n) / p_sum;
  }

  static double most(const double* x, int64_t n) { return n > 0 ? *std::max_element(x, x + n) : 0; }

  static double exponentials(const double* x, int64_t n, double* out) {
    const double top = most(x, n);
    double sum = 0;
    for (int64_t e = 0; e < n; ++e) sum += out[e] = std::exp(x[e] - top);
    return sum;
  }

  // room[0]: importances; room[1]: Δ.
  void importances(const Strip& strip) const {
    subtract(strip.x[other_], strip.x[base_], strip.count, strip.room[1]);
    magnitude(strip.room[1], strip.count, strip.room[0]);
    int64_t row = strip.first / task_.shape.cols, next = (row + 1) * task_.shape.cols;
    for (int64_t e = 0; e < strip.count; ++e) {
      if (strip.first + e == next) {
        ++row;
        next += task_.shape.cols;
      }
      strip.room[0][e] *= divergence_[static_cast<size_t>(row)];
    }
    magnitude(strip.room[0], strip.count, strip.room[0]);
  }

  const Task task_;
  const size_t base_, other_;
  std::vector<double> divergence_;  // of rows
  Quantiles quantiles_;
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
