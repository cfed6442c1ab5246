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

// Freed by whichever thread lets go of it last.
std::shared_ptr<py::function> held(py::function function) {
  return {new py::function(std::move(function)), [](py::function* f) {
            py::gil_scoped_acquire gil;
            delete f;
          }};
}

WriterKey key_of(const Spec& spec, const std::string& kind, int layer, int64_t expert) {
  for (int i = 0; i < kWriterKinds; ++i) {
    const WriterKey key{static_cast<WriterKind>(i), layer, expert};
    if (name_of(key.kind) == kind && has_writer(spec, key)) return key;
  }
  TORCH_CHECK_VALUE(false, "this model has no writer of kind '", kind, "' in layer ", layer);
}

}  // namespace

Side side_of(const std::string& padding_side) {
  TORCH_CHECK_VALUE(padding_side == "right" || padding_side == "left", "padding_side is '",
                    padding_side, "', expected 'right' or 'left'");
  return padding_side == "left" ? Side::left : Side::right;
}

void PyTaps::write(const std::string& name, py::function function) {
  const Point point = point_of(name, spec);
  taps.write(point, [shared = held(std::move(function))](at::Tensor tensor) {
    py::gil_scoped_acquire gil;
    return (*shared)(std::move(tensor)).cast<at::Tensor>();
  });
}

void PyTaps::add(const std::string& name, const at::Tensor& vector) {
  taps.write(point_of(name, spec), [vector](at::Tensor tensor) {
    return tensor.to(vector.scalar_type()).add(vector).to(tensor.scalar_type());
  });
}

void PyTaps::watch(const std::string& kind, int layer, int64_t expert, py::function function) {
  Adapter adapter;
  adapter.before = [shared = held(std::move(function))](at::Tensor input) {
    py::gil_scoped_acquire gil;
    (*shared)(input);
    return input;
  };
  taps.adapt(key_of(spec, kind, layer, expert), std::move(adapter));
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
      .def("add", &PyTaps::add, py::arg("name"), py::arg("vector"),
           "Adds a vector to every token at a point, in the vector's type.")
      .def("watch", &PyTaps::watch, py::arg("kind"), py::arg("layer"), py::arg("expert"),
           py::arg("function"), "Calls a function with what a writer reads, [..., inputs].")
      .def("capture", &PyTaps::capture, py::arg("name"), py::arg("positions") = py::none(),
           py::arg("device") = py::none(), py::arg("detach") = true,
           "Keeps the tensor of a point: all of it, or the given positions (int64).")
      .def_readonly("captured", &PyTaps::captured, "What the last run left, by name.");
}

}  // namespace lenswright
