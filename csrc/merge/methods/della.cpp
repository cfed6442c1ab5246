#include "merge/magprune.h"
#include "merge/methods/list.h"

namespace lenswright {

Method della_method() {
  Method method;
  method.name = "della";
  method.source = "Deep et al. 2024, arXiv:2406.11617";
  method.base = Method::Base::required;
  method.random = true;
  method.parameters = task_vector_parameters(true, true);
  method.parameters.push_back({"density", true, false, 1.0, Parameter::Kind::number, 0, 1});
  method.parameters.push_back({"epsilon", true, false, {}, Parameter::Kind::number, 0, 0.5});
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    const bool rescale = task.values.flag("rescale");
    // strict divides by the probability, as the paper does; mergekit keeps the sum of sizes.
    const bool unbiased = rescale && task.mode == Mode::strict;
    auto sparsifier = std::make_unique<MagPrune>(task, unbiased);
    return std::make_unique<TaskVectors>(task, std::move(sparsifier), true, rescale && !unbiased);
  };
  return method;
}

}  // namespace lenswright
