#include "merge/methods/list.h"
#include "merge/task_vectors.h"

namespace lenswright {
namespace {

class Everything final : public Sparsifier {
 public:
  void apply(int64_t, const Strip&, size_t, double*, double*) override {}
};

}  // namespace

Method task_arithmetic_method() {
  Method method;
  method.name = "task_arithmetic";
  method.source = "Ilharco et al. 2022, arXiv:2212.04089";
  method.base = Method::Base::required;
  method.parameters = task_vector_parameters(false, false);
  method.start = [](const Task& task) -> std::unique_ptr<Work> {
    return std::make_unique<TaskVectors>(task, std::make_unique<Everything>(), false, false);
  };
  return method;
}

}  // namespace lenswright
