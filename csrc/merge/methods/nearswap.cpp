#include <algorithm>
#include <cmath>

#include "base/clones.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

LENSWRIGHT_CLONES void swap_near(const double* base, const double* other, double t, int64_t n,
                                 double* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double gap = std::abs(base[i] - other[i]);
    const double ratio = t / (gap < 1e-6 ? 1e-6 : gap);
    const double weight = ratio < 0 ? 0.0 : (ratio > 1 ? 1.0 : ratio);
    out[i] = weight * other[i] + (1 - weight) * base[i];
  }
}

/// Takes from the other model what is close to the base: w = min(1, t / |base - other|).
class Nearswap final : public Work {
 public:
  explicit Nearswap(const Task& task)
      : base_(static_cast<size_t>(task.base)),
        other_(task.others().front()),
        t_(task.values.at("t")) {}

  void write(int64_t, const Strip& strip, double* out) override {
    swap_near(strip.x[base_], strip.x[other_], t_, strip.count, out);
  }

 private:
  size_t base_, other_;
  double t_;
};

}  // namespace

Method nearswap_method() {
  Method method;
  method.name = "nearswap";
  method.source = "mergekit, after alchemonaut's QuartetAnemoi";
  method.base = Method::Base::required;
  method.most = 1;
  method.parameters = {{"t", false, true}};
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Nearswap>(task);
  };
  return method;
}

}  // namespace lenswright
