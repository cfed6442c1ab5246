#include <cmath>

#include "merge/kernel.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

/// e = decay · e + (1 - decay) · x, model by model in the recipe's order, e the first to begin
/// with: written out, each model's share.
class Ema final : public Work {
 public:
  explicit Ema(const Task& task) {
    const double decay = task.values.at("decay");
    const auto last = static_cast<int>(task.inputs) - 1;
    for (int i = 0; i <= last; ++i) {
      shares_.push_back((i == 0 ? 1.0 : 1.0 - decay) * std::pow(decay, last - i));
    }
  }

  void write(int64_t, const Strip& strip, double* out) override {
    scale(shares_[0], strip.x[0], strip.count, out);
    for (size_t i = 1; i < shares_.size(); ++i) {
      add_scaled(shares_[i], strip.x[i], strip.count, out);
    }
  }

 private:
  std::vector<double> shares_;
};

}  // namespace

Method ema_method() {
  Method method;
  method.name = "ema";
  method.source = "exponential moving average: Polyak and Juditsky 1992; of checkpoints: LAWA";
  method.parameters = {{"decay", false, true, std::nullopt, Parameter::Kind::number, 0, 1}};
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Ema>(task);
  };
  return method;
}

}  // namespace lenswright
