#include <algorithm>
#include <cmath>

#include "merge/gram.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

/// The Riemannian centre of mass of the directions on the sphere (Karcher 1977), as long as the
/// mean of the norms. All of it happens in the span of the inputs: `u` are weights of the unit
/// vectors.
class Karcher final : public GramWork {
 public:
  explicit Karcher(const Task& task)
      : GramWork(task, false),
        rounds_(static_cast<int>(task.values.at("max_iter"))),
        tolerance_(task.values.at("tol")) {}

 protected:
  Coefficients solve(const Gram& gram) const override {
    const size_t n = gram.size();
    std::vector<size_t> used;  // zero vectors have no direction, but count for the length
    double length = 0;
    for (size_t i = 0; i < n; ++i) {
      length += gram.norm(i) / static_cast<double>(n);
      if (gram.norm(i) > 0) used.push_back(i);
    }
    Coefficients out(n);
    if (used.empty()) return out;
    Gram units(used.size());
    for (size_t i = 0; i < used.size(); ++i) {
      for (size_t j = 0; j < used.size(); ++j) {
        units(i, j) = gram(used[i], used[j]) / (gram.norm(used[i]) * gram.norm(used[j]));
      }
    }
    const std::vector<double> u = centre(units);
    for (size_t i = 0; i < used.size(); ++i) out[used[i]] = length * u[i] / gram.norm(used[i]);
    return out;
  }

 private:
  static double norm(const Gram& units, const std::vector<double>& v) {
    return std::sqrt(std::max(0.0, units.dot(v, v)));
  }

  std::vector<double> centre(const Gram& units) const {
    const size_t n = units.size();
    std::vector<double> u(n, 1.0 / static_cast<double>(n));
    const double size = norm(units, u);
    if (size < tolerance_) {
      std::ranges::fill(u, 0.0);
      u[0] = 1;
    } else {
      for (double& c : u) c /= size;
    }
    for (int round = 0; round < rounds_; ++round) {
      const std::vector<double> step = mean_tangent(units, u);
      const double angle = norm(units, step);
      if (!(angle >= tolerance_)) break;
      for (size_t i = 0; i < n; ++i) {
        u[i] = std::cos(angle) * u[i] + std::sin(angle) / angle * step[i];
      }
      const double now = norm(units, u);
      for (double& c : u) c /= now;
    }
    return u;
  }

  // Σ α θ / sin θ (u_i - cos θ u), the logarithms of the inputs at u.
  static std::vector<double> mean_tangent(const Gram& units, const std::vector<double>& u) {
    const size_t n = units.size();
    std::vector<double> step(n);
    for (size_t i = 0; i < n; ++i) {
      double cosine = 0;
      for (size_t j = 0; j < n; ++j) cosine += units(i, j) * u[j];
      cosine = std::clamp(cosine, -1.0, 1.0);
      const double angle = std::acos(cosine), sine = std::sin(angle);
      const double ratio = (sine < 1e-12 ? 1 : angle / sine) / static_cast<double>(n);
      step[i] += ratio;
      for (size_t j = 0; j < n; ++j) step[j] -= ratio * cosine * u[j];
    }
    return step;
  }

  int rounds_;
  double tolerance_;
};

}  // namespace

Method karcher_method() {
  Method method;
  method.name = "karcher";
  method.source = "Karcher 1977, Comm. Pure Appl. Math. 30";
  method.parameters = {
      {"max_iter", false, false, 10.0, Parameter::Kind::whole, 0, 10000},
      {"tol", false, false, 1e-5, Parameter::Kind::number, 0, 1},
  };
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Karcher>(task);
  };
  return method;
}

}  // namespace lenswright
