#include <algorithm>
#include <cmath>

#include "merge/gram.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

/// base + t (mean - base), t = N cos θ / (1 + (N - 1) cos θ), θ the mean angle between two models'
/// differences to the base (Jang et al. 2024, arXiv:2403.19522, eq. 7). strict keeps t within
/// [0, 1], outside of which the formula's picture (a foot between base and mean) does not hold.
class ModelStock final : public GramWork {
 public:
  ModelStock(const Task& task, Lines lines) : GramWork(task, true, lines) {}

 protected:
  Coefficients solve(const Gram& gram) const override {
    const size_t n = gram.size();
    const double count = static_cast<double>(n);
    double cosine = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) cosine += pair(gram, i, j);
    }
    cosine /= count * (count - 1) / 2;
    double t = count * cosine / (1 + (count - 1) * cosine);
    if (task_.mode == Mode::strict) t = cosine <= 0 ? 0.0 : std::min(t, 1.0);
    return Coefficients(n, t / count);
  }

 private:
  double pair(const Gram& gram, size_t i, size_t j) const {
    const double norms = gram.norm(i) * gram.norm(j);
    if (task_.mode == Mode::compat) return gram(i, j) / std::max(norms, 1e-6);
    return norms == 0 ? 0 : std::clamp(gram(i, j) / norms, -1.0, 1.0);
  }
};

}  // namespace

Method model_stock_method() {
  Method method;
  method.name = "model_stock";
  method.source = "Jang et al. 2024, arXiv:2403.19522";
  method.base = Method::Base::required;
  method.least = 2;
  method.parameters = {{"filter_wise", false, false, 0.0, Parameter::Kind::flag, 0, 1}};
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    const bool rows = task.values.flag("filter_wise");
    return std::make_unique<ModelStock>(task, rows ? Lines::rows : Lines::whole);
  };
  return method;
}

}  // namespace lenswright
