#include <algorithm>

#include "merge/kernel.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

/// Σ w x / Σ w, or Σ w x. Equal weights are a plain mean: 0.4 + 0.4 + 0.4 in float64 is not thrice
/// 0.4, and halves of a last place would be rounded by chance.
class Linear final : public Work {
 public:
  explicit Linear(const Task& task) {
    for (const Values& own : task.own) weights_.push_back(own.at("weight"));
    if (!task.values.flag("normalize")) return;
    const bool equal = std::ranges::all_of(weights_, [&](double w) { return w == weights_[0]; });
    if (equal && weights_[0] != 0) std::ranges::fill(weights_, 1.0);
    divisor_ = 0;
    for (const double weight : weights_) divisor_ += weight;
  }

  void write(int64_t, const Strip& strip, double* out) override {
    weighted_sum(strip.x.first(weights_.size()), weights_, strip.count, out);
    if (divisor_ != 1) divide(divisor_, strip.count, out);
  }

 private:
  std::vector<double> weights_;
  double divisor_ = 1;
};

}  // namespace

Method linear_method() {
  Method method;
  method.name = "linear";
  method.source = "Wortsman et al. 2022, arXiv:2203.05482";
  method.parameters = {
      {"weight", true, true},
      {"normalize", false, false, 1.0, Parameter::Kind::flag, 0, 1},
  };
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Linear>(task);
  };
  return method;
}

}  // namespace lenswright
