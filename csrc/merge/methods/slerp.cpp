#include <cmath>

#include "merge/methods/list.h"
#include "merge/spherical.h"

namespace lenswright {
namespace {

/// Base (t = 0) to the other model (t = 1) along the great circle through their directions; the
/// vectors themselves are combined, so that norms go from one to the other.
class Slerp final : public GramWork {
 public:
  explicit Slerp(const Task& task) : GramWork(task, false), t_(task.values.at("t")) {}

 protected:
  Coefficients solve(const Gram& gram) const override {
    const auto from = static_cast<size_t>(task_.base), to = 1 - from;
    const Coefficients c = weights(gram, from, to);
    return from == 0 ? c : Coefficients{c[1], c[0]};
  }

 private:
  Coefficients weights(const Gram& gram, size_t from, size_t to) const {
    const double a = gram.norm(from), b = gram.norm(to);
    if (task_.mode == Mode::compat) {
      // Vectors shorter than 1e-8 are left as they are, so that their cosine is about 0.
      const double cosine = gram(from, to) / (a > 1e-8 ? a : 1) / (b > 1e-8 ? b : 1);
      if (std::abs(cosine) > 0.9995) return {1 - t_, t_};
      return on_circle(cosine, t_, 1);
    }
    if (a == 0 || b == 0) return {1 - t_, t_};  // a zero vector has no direction
    return on_circle(gram(from, to) / (a * b), t_, 0.9995);
  }

  double t_;
};

}  // namespace

Method slerp_method() {
  Method method;
  method.name = "slerp";
  method.source = "Shoemake, SIGGRAPH 1985";
  method.base = Method::Base::required;
  method.base_is_input = true;
  method.most = 1;
  method.parameters = {{"t", false, true}};
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Slerp>(task);
  };
  return method;
}

}  // namespace lenswright
