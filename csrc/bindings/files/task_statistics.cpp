#include "merge/task_statistics.h"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bindings/files/bindings.h"
#include "bindings/files/progress.h"

namespace py = pybind11;

namespace lenswright {
namespace {

py::list statistics_of(const std::filesystem::path& base,
                       const std::vector<std::filesystem::path>& models, py::object callback,
                       int threads) {
  Progress progress(python_report(std::move(callback)));
  std::vector<TaskStatistics> found;
  {
    const py::gil_scoped_release release;
    Inputs inputs;
    for (const auto& path : models) inputs.push_back(open_input(path.string(), path));
    found = task_statistics(*open_input(base.string(), base), inputs, &progress, threads);
  }
  py::list out;
  for (const TaskStatistics& one : found) {
    py::list norms, densities, cosines;
    for (size_t i = 0; i < models.size(); ++i) {
      norms.append(one.norm(i));
      densities.append(one.density(i));
      for (size_t j = i + 1; j < models.size(); ++j) cosines.append(one.cosine(i, j));
    }
    out.append(py::make_tuple(one.tensor, one.elements, one.base_norm, norms, one.changed,
                              densities, cosines, one.shared, one.conflicts));
  }
  return out;
}

}  // namespace

void bind_task_statistics(py::module_& m) {
  m.def("task_statistics", &statistics_of, py::arg("base"), py::arg("models"),
        py::arg("progress") = py::none(), py::arg("threads") = 0,
        "(tensor, elements, norm of the base, norms, changed, densities, cosines of pairs, shared, "
        "conflicts) of every tensor that all have.");
}

}  // namespace lenswright
