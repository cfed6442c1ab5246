#include <cmath>

#include "merge/gram.h"
#include "merge/methods/list.h"

namespace lenswright {
namespace {

/// One step of a weighted mean on the sphere: the normalised mean m of the directions, moved along
/// the mean τ of their tangents at m, as long as the mean of the norms.
class Multislerp final : public GramWork {
 public:
  explicit Multislerp(const Task& task)
      : GramWork(task, task.base >= 0), eps_(task.values.at("eps")) {
    double sum = 0;
    for (const size_t input : inputs_) {
      weights_.push_back(task.own[input].at("weight"));
      sum += weights_.back();
    }
    if (!task.values.flag("normalize_weights")) return;
    for (double& weight : weights_) weight /= sum;
  }

  std::string remark() const override {
    return linear_ ? "directions cancel: averaged straight" : "";
  }

 protected:
  Coefficients solve(const Gram& gram) const override {
    const size_t n = weights_.size();
    std::vector<double> length(n), mean(n);
    double size = 0;
    for (size_t i = 0; i < n; ++i) {
      length[i] = gram.norm(i) + eps_;
      mean[i] = weights_[i] / length[i];  // in terms of the vectors themselves
      size += weights_[i] * gram.norm(i);
    }
    const double norm = std::sqrt(gram.dot(mean, mean));
    if (norm < eps_) {
      linear_ = true;
      return weights_;
    }
    for (double& c : mean) c /= norm;
    // Σ w <u, m> m taken from Σ w u; what is left is τ.
    const std::vector<double> step = tangent(gram, mean, length);
    const double angle = std::sqrt(std::max(0.0, gram.dot(step, step))) + eps_;
    Coefficients out(n);
    for (size_t i = 0; i < n; ++i) {
      out[i] = size * (mean[i] * std::cos(angle) + step[i] * std::sin(angle) / angle);
    }
    return out;
  }

 private:
  std::vector<double> tangent(const Gram& gram, const std::vector<double>& mean,
                              const std::vector<double>& length) const {
    const size_t n = weights_.size();
    double along = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) along += weights_[i] / length[i] * gram(i, j) * mean[j];
    }
    std::vector<double> out(n);
    for (size_t i = 0; i < n; ++i) out[i] = weights_[i] / length[i] - along * mean[i];
    return out;
  }

  double eps_;
  std::vector<double> weights_;
  mutable bool linear_ = false;
};

}  // namespace

Method multislerp_method() {
  Method method;
  method.name = "multislerp";
  method.source = "mergekit; one step of Karcher 1977";
  method.base = Method::Base::optional;
  method.parameters = {
      {"weight", true, true},
      {"normalize_weights", false, false, 1.0, Parameter::Kind::flag, 0, 1},
      {"eps", false, false, 1e-8, Parameter::Kind::number, 0, 1},
  };
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<Multislerp>(task);
  };
  return method;
}

}  // namespace lenswright
