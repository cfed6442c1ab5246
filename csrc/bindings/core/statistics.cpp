#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"
#include "stats/moments.h"
#include "stats/reader.h"

namespace py = pybind11;

namespace lenswright {
namespace {

void read(std::shared_ptr<Moments> moments, PyTaps& taps, const std::string& name, at::Tensor rows,
          at::Tensor places, at::Tensor cells) {
  const Point point = point_of(name, taps.spec);
  taps.taps.read(point,
                 moments_reader(std::move(moments),
                                {std::move(rows), std::move(places), std::move(cells)}, point));
}

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

}  // namespace

void bind_statistics(py::module_& m) {
  py::class_<Moments, std::shared_ptr<Moments>>(m, "Moments", R"doc(
Count, mean and sum of squared deviations of vectors, elementwise, cell by cell, in float64.
)doc")
      .def(py::init<int64_t, int64_t, bool>(), py::arg("cells"), py::arg("width"),
           py::arg("squares") = true)
      .def_static(
          "of",
          [](at::Tensor count, at::Tensor mean, std::optional<at::Tensor> m2) {
            return std::make_shared<Moments>(std::move(count), std::move(mean),
                                             m2.value_or(at::Tensor()));
          },
          py::arg("count"), py::arg("mean"), py::arg("m2"), "From saved parts.")
      .def("read", &read, py::arg("taps"), py::arg("name"), py::arg("rows"), py::arg("places"),
           py::arg("cells"), "Adds those places of a point to the cells during the next run.")
      .def("add", &Moments::add, py::arg("values"), py::arg("cells"),
           "Adds samples [n, width] to their cells [n], one after the other (Welford).",
           py::call_guard<py::gil_scoped_release>())
      .def("merge", &Moments::merge, py::arg("other"), "Adds another's samples (Chan).")
      .def("at", &Moments::at, py::arg("cells"), "A copy of some cells.")
      .def_property_readonly("count", [](const Moments& self) { return self.count(); })
      .def_property_readonly("mean", [](const Moments& self) { return self.mean(); })
      .def_property_readonly("m2", [](const Moments& self) { return optional(self.m2()); })
      .def("variance", &Moments::variance, "m2 / (count - 1); NaN below two samples.");
}

}  // namespace lenswright
