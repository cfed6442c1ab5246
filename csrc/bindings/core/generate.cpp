#include "model/generate.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"

namespace py = pybind11;

namespace lenswright {

void bind_generate(py::module_& m) {
  m.def(
      "generate",
      [](const Model& model, PyTaps& taps, at::Tensor tokens, std::vector<int64_t> lengths,
         const std::string& side, int64_t max_new_tokens, std::vector<int64_t> stop_ids,
         bool use_cache) {
        py::gil_scoped_release release;
        const Batch batch(std::move(tokens), std::move(lengths), side_of(side));
        const auto interrupted = [](int64_t) {
          py::gil_scoped_acquire gil;
          if (PyErr_CheckSignals() != 0) throw py::error_already_set();
          return true;
        };
        return generate(model, batch, taps.taps, {max_new_tokens, std::move(stop_ids), use_cache},
                        interrupted);
      },
      py::arg("model"), py::arg("taps"), py::arg("tokens"), py::arg("lengths"), py::arg("side"),
      py::arg("max_new_tokens"), py::arg("stop_ids"), py::arg("use_cache") = true,
      "Greedy continuations: one list of ids a row.");
}

}  // namespace lenswright
