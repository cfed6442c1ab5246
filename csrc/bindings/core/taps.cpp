#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"

namespace py = pybind11;

namespace lenswright {
namespace {

// Cuts positions where a point has them: the query's in scores and patterns, as TransformerLens
// does.
at::Tensor cut(const at::Tensor& tensor, Point point, const std::optional<at::Tensor>& index) {
  if (!index) return tensor;
  const bool pattern = point.site == Site::attn_scores || point.site == Site::pattern ||
                       point.site == Site::attn_sink;
  return tensor.index_select(pattern ? 2 : 1, index->to(tensor.device()));
}

}  // namespace

Side side_of(const std::string& padding_side) {
  TORCH_CHECK_VALUE(padding_side == "right" || padding_side == "left", "padding_side is '",
                    padding_side, "', expected 'right' or 'left'");
  return padding_side == "left" ? Side::left : Side::right;
}

void PyTaps::write(const std::string& name, py::function function) {
  const Point point = point_of(name, spec);
  auto shared =
      std::shared_ptr<py::function>(new py::function(std::move(function)), [](py::function* f) {
        py::gil_scoped_acquire gil;
        delete f;
      });
  taps.write(point, [shared](at::Tensor tensor) {
    py::gil_scoped_acquire gil;
    return (*shared)(std::move(tensor)).cast<at::Tensor>();
  });
}

void PyTaps::capture(const std::string& name, std::optional<at::Tensor> positions,
                     std::optional<at::Device> device, bool detach) {
  const Point point = point_of(name, spec);
  taps.read(point, [this, name, point, positions, device, detach](const at::Tensor& tensor) {
    at::Tensor kept = cut(detach ? tensor.detach() : tensor, point, positions);
    if (device) kept = kept.to(*device);
    captured[name] = std::move(kept);
  });
}

void bind_taps(py::module_& m) {
  py::class_<PyTaps>(m, "Taps", "An ordered set of readers and writers on the points of a model.")
      .def("write", &PyTaps::write, py::arg("name"), py::arg("function"),
           "Adds a function tensor -> tensor at a point.")
      .def("capture", &PyTaps::capture, py::arg("name"), py::arg("positions") = py::none(),
           py::arg("device") = py::none(), py::arg("detach") = true,
           "Keeps the tensor of a point: all of it, or the given positions (int64).")
      .def_readonly("captured", &PyTaps::captured, "What the last run left, by name.");
}

}  // namespace lenswright
