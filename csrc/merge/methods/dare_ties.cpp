#include "merge/bernoulli.h"
#include "merge/methods/list.h"

namespace lenswright {

Method dare_ties_method() {
  Method method;
  method.name = "dare_ties";
  method.source = "Yu et al. 2023, arXiv:2311.03099; electing: arXiv:2306.01708";
  method.base = Method::Base::required;
  method.random = true;
  method.parameters = task_vector_parameters(false, true);
  method.parameters.push_back({"density", true, false, 1.0, Parameter::Kind::number, 0, 1});
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    const bool rescale = task.values.flag("rescale");
    // strict divides by the probability, as the paper does; mergekit keeps the sum of sizes.
    const bool unbiased = rescale && task.mode == Mode::strict;
    auto sparsifier = std::make_unique<Bernoulli>(task, unbiased);
    return std::make_unique<TaskVectors>(task, std::move(sparsifier), true, rescale && !unbiased);
  };
  return method;
}

}  // namespace lenswright
