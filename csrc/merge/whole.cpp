#include "merge/whole.h"

#include <algorithm>
#include <mutex>
#include <stdexcept>

#include "base/error.h"

namespace lenswright {
namespace {

class Whole final : public Work {
 public:
  explicit Whole(const Task& task) : task_(task) {}

  int passes() const override { return 1; }

  void read(int, int64_t, const Strip& strip) override {
    std::call_once(room_, [&] {
      x_.assign(task_.inputs, std::vector<double>(static_cast<size_t>(task_.shape.count())));
    });
    for (size_t i = 0; i < x_.size(); ++i) {
      std::copy_n(strip.x[i], strip.count, x_[i].begin() + strip.first);
    }
  }

  bool finish(int) override {
    if (x_.empty()) return false;  // a tensor without elements
    const std::vector<std::span<const double>> inputs(x_.begin(), x_.end());
    out_.resize(x_.front().size());
    (*task_.solver)(task_, inputs, out_);
    x_.clear();
    return false;
  }

  uint64_t held() const override {
    return (task_.inputs + 1) * sizeof(double) * static_cast<uint64_t>(task_.shape.count());
  }

  void write(int64_t, const Strip& strip, double* out) override {
    std::copy_n(out_.begin() + strip.first, strip.count, out);
  }

 private:
  Task task_;
  std::once_flag room_;
  std::vector<std::vector<double>> x_;
  std::vector<double> out_;
};

}  // namespace

std::unique_ptr<Work> whole_work(const Task& task) {
  if (task.solver == nullptr || !*task.solver) {
    throw std::invalid_argument("tensor " + in_quotes(task.tensor) +
                                ": this method is computed by a solver, and there is none");
  }
  return std::make_unique<Whole>(task);
}

}  // namespace lenswright
