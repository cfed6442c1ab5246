#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "directions/difference_of_means.h"
#include "directions/random.h"

namespace py = pybind11;

namespace lenswright {

void bind_directions(py::module_& m) {
  m.def(
      "difference_of_means",
      [](const Moments& positive_first, const Moments& positive_second,
         const Moments& negative_first, const Moments& negative_second) {
        const MeanDifference found = difference_of_means({positive_first, positive_second},
                                                         {negative_first, negative_second});
        py::dict result;
        result["raw"] = found.raw;
        result["unit"] = found.unit;
        result["norm"] = found.norm;
        result["standard_error"] = found.standard_error;
        result["split_cosine"] = found.split_cosine;
        result["separation"] = found.separation;
        return result;
      },
      py::arg("positive_first"), py::arg("positive_second"), py::arg("negative_first"),
      py::arg("negative_second"),
      "Difference of two classes' means, each class in two halves; a row a position.");
  m.def("random_directions", &random_directions, py::arg("count"), py::arg("width"),
        py::arg("seed"),
        "Unit vectors [count, width] uniform on the sphere, keyed by (seed, row).");
}

}  // namespace lenswright
