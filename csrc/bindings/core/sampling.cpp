#include "nn/sampling.h"

#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"

namespace py = pybind11;

namespace lenswright {

void bind_sampling(py::module_& m) {
  const Sampling none;
  py::class_<Sampling>(m, "Sampling", "How the next token is chosen; defaults do nothing.")
      .def(py::init([](double temperature, int64_t top_k, double top_p, double min_p,
                       double repetition_penalty, double frequency_penalty,
                       double presence_penalty) {
             const Sampling how{
                 temperature,       top_k,           top_p, min_p, repetition_penalty,
                 frequency_penalty, presence_penalty};
             how.check();
             return how;
           }),
           py::arg("temperature") = none.temperature, py::arg("top_k") = none.top_k,
           py::arg("top_p") = none.top_p, py::arg("min_p") = none.min_p,
           py::arg("repetition_penalty") = none.repetition_penalty,
           py::arg("frequency_penalty") = none.frequency_penalty,
           py::arg("presence_penalty") = none.presence_penalty)
      .def_readonly("temperature", &Sampling::temperature)
      .def_readonly("top_k", &Sampling::top_k)
      .def_readonly("top_p", &Sampling::top_p)
      .def_readonly("min_p", &Sampling::min_p)
      .def_readonly("repetition_penalty", &Sampling::repetition_penalty)
      .def_readonly("frequency_penalty", &Sampling::frequency_penalty)
      .def_readonly("presence_penalty", &Sampling::presence_penalty);
  m.def("penalized", &penalized, py::arg("logits"), py::arg("seen"), py::arg("said"),
        py::arg("how"), py::call_guard<py::gil_scoped_release>(),
        "Logits [rows, vocab] with penalties; seen: bool, said: counts, both [rows, vocab].");
  m.def("filtered", &filtered, py::arg("logits"), py::arg("how"),
        py::call_guard<py::gil_scoped_release>(),
        "Logits over temperature, -inf for what top_k, top_p and min_p leave out.");
  m.def("drawn", &drawn, py::arg("logits"), py::arg("seeds"), py::arg("positions"),
        py::call_guard<py::gil_scoped_release>(),
        "A token of each row [rows], by the random number of (seed, position).");
}

}  // namespace lenswright
