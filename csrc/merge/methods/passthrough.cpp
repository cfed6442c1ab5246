#include "merge/kernel.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

/// One tensor as it is, or times a number.
class Passthrough final : public Work {
 public:
  explicit Passthrough(const Task& task) : scale_(task.own.front().at("scale")) {}

  void write(int64_t, const Strip& strip, double* out) override {
    scale(scale_, strip.x[0], strip.count, out);
  }

 private:
  double scale_;
};

}  // namespace

Method passthrough_method() {
  Method method;
  method.name = "passthrough";
  method.source = "the tensor itself";
  method.most = 1;
  method.parameters = {{"scale", true, false, 1.0}};
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Passthrough>(task);
  };
  return method;
}

}  // namespace lenswright
