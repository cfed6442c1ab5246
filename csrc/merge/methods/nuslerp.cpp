#include <algorithm>
#include <cmath>

#include "merge/methods/list.h"
#include "merge/spherical.h"

namespace lenswright {
namespace {

/// slerp of two models by their weights, t = w₁ / (w₀ + w₁); of their differences to a base where
/// there is one; of the whole tensor, or line by line.
class Nuslerp final : public GramWork {
 public:
  Nuslerp(const Task& task, Lines lines) : GramWork(task, task.base >= 0, lines) {
    const double a = task.own[inputs_[0]].at("weight"), b = task.own[inputs_[1]].at("weight");
    t_ = std::abs(a + b) < 1e-6 ? 0.5 : b / (a + b);
  }

 protected:
  Coefficients solve(const Gram& gram) const override {
    const double a = gram.norm(0), b = gram.norm(1);
    if (task_.mode == Mode::compat) {
      const double cosine = gram(0, 1) / std::max(a, 1e-7) / std::max(b, 1e-7);
      return on_circle(cosine, t_, 1);
    }
    if (a == 0 || b == 0) return {1 - t_, t_};
    return on_circle(gram(0, 1) / (a * b), t_, 0.9995);
  }

 private:
  double t_;
};

// In mergekit nuslerp_row_wise takes norms along dimension 0, which are those of columns; its
// documentation, and strict, say rows.
Lines lines_of(const Task& task) {
  if (task.values.flag("nuslerp_flatten")) return Lines::whole;
  const bool rows = task.values.flag("nuslerp_row_wise");
  return rows == (task.mode == Mode::strict) ? Lines::rows : Lines::columns;
}

}  // namespace

Method nuslerp_method() {
  Method method;
  method.name = "nuslerp";
  method.source = "Shoemake, SIGGRAPH 1985; of task vectors: mergekit";
  method.base = Method::Base::optional;
  method.least = method.most = 2;
  method.parameters = {
      {"weight", true, true},
      {"nuslerp_flatten", false, false, 1.0, Parameter::Kind::flag, 0, 1},
      {"nuslerp_row_wise", false, false, 0.0, Parameter::Kind::flag, 0, 1},
  };
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Nuslerp>(task, lines_of(task));
  };
  return method;
}

}  // namespace lenswright
