#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"
#include "stats/covariance.h"
#include "stats/extremes.h"
#include "stats/histogram.h"
#include "stats/kept.h"
#include "stats/moments.h"
#include "stats/norms.h"
#include "stats/quantiles.h"
#include "stats/reader.h"
#include "stats/winsorise.h"

namespace py = pybind11;

namespace lenswright {
namespace {

void read(Accumulators accumulators, PyTaps& taps, const std::string& name, Samples samples,
          double winsorise) {
  const Point point = point_of(name, taps.spec);
  taps.taps.read(point,
                 statistics_reader(std::move(accumulators), std::move(samples), point, winsorise));
}

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

// What every accumulator can do.
template <typename T>
py::class_<T, Accumulator, std::shared_ptr<T>> accumulator(py::module_& m, const char* name,
                                                           const char* doc) {
  return py::class_<T, Accumulator, std::shared_ptr<T>>(m, name, doc)
      .def_static(
          "from_state", [](const Accumulator::State& state) { return std::make_shared<T>(state); },
          py::arg("state"), "From what `state` gave.")
      .def("merge", &T::merge, py::arg("other"), "Adds another's samples, cell by cell.")
      .def("at", &T::at, py::arg("cells"), "A copy of some cells.");
}

void bind_moments(py::module_& m) {
  accumulator<Moments>(m, "Moments", R"doc(
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
      .def("add", &Moments::add, py::arg("values"), py::arg("cells"),
           "Adds samples [n, width] to their cells [n], one after the other (Welford).",
           py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("count", [](const Moments& self) { return self.count(); })
      .def_property_readonly("mean", [](const Moments& self) { return self.mean(); })
      .def_property_readonly("m2", [](const Moments& self) { return optional(self.m2()); })
      .def("variance", &Moments::variance, "m2 / (count - 1); NaN below two samples.");
}

void bind_covariance(py::module_& m) {
  accumulator<Covariance>(m, "Covariance", R"doc(
Count, mean and sum of outer products of deviations of vectors, cell by cell, in float64.
)doc")
      .def(py::init<int64_t, int64_t>(), py::arg("cells"), py::arg("width"))
      .def("add", &Covariance::add, py::arg("values"), py::arg("cells"),
           "Adds samples [n, width] to their cells [n].", py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("count", [](const Covariance& self) { return self.count(); })
      .def_property_readonly("mean", [](const Covariance& self) { return self.mean(); })
      .def_property_readonly("comoment", [](const Covariance& self) { return self.comoment(); })
      .def("covariance", &Covariance::covariance, "comoment / (count - 1); NaN below two samples.");
}

void bind_extremes(py::module_& m) {
  accumulator<Extremes>(m, "Extremes", R"doc(
The largest and smallest values of every coordinate, with the prompt and place they came from.
)doc")
      .def(py::init<int64_t, int64_t, int64_t>(), py::arg("cells"), py::arg("width"),
           py::arg("kept") = 3)
      .def_property_readonly("values", [](const Extremes& self) { return self.values(); })
      .def_property_readonly("prompts", [](const Extremes& self) { return self.prompts(); })
      .def_property_readonly("places", [](const Extremes& self) { return self.places(); });
}

void bind_kept(py::module_& m) {
  accumulator<Kept>(m, "Kept", "The samples themselves, sorted by cell, prompt and place.")
      .def(py::init<int64_t, int64_t>(), py::arg("cells"), py::arg("width"))
      .def_property_readonly("values", [](const Kept& self) { return self.values(); })
      .def_property_readonly("cells", [](const Kept& self) { return self.cells(); })
      .def_property_readonly("prompts", [](const Kept& self) { return self.prompts(); })
      .def_property_readonly("places", [](const Kept& self) { return self.places(); });
}

void bind_quantiles(py::module_& m) {
  accumulator<Quantiles>(m, "Quantiles", R"doc(
A sketch of every coordinate's distribution whose quantiles are right to a share of their size.
)doc")
      .def(py::init<int64_t, int64_t, double>(), py::arg("cells"), py::arg("width"),
           py::arg("error") = 0.01)
      .def_property_readonly("error", [](const Quantiles& self) { return self.error(); })
      .def_property_readonly("count", [](const Quantiles& self) { return self.count(); })
      .def("quantile", &Quantiles::quantile, py::arg("q"),
           "The value of rank floor(q (n - 1)) of each coordinate, NaN where there is no sample.");
}

void bind_norms_and_histogram(py::module_& m) {
  accumulator<Norms>(m, "Norms", "Moments, extremes and quantiles of vectors' norms.")
      .def(py::init<int64_t, int64_t, double>(), py::arg("cells"), py::arg("kept") = 3,
           py::arg("error") = 0.01)
      .def_property_readonly("moments", [](const Norms& self) { return self.moments(); })
      .def_property_readonly("extremes", [](const Norms& self) { return self.extremes(); })
      .def_property_readonly("quantiles", [](const Norms& self) { return self.quantiles(); });
  accumulator<Histogram>(m, "Histogram", "Counts of components in bins, all coordinates together.")
      .def(py::init<int64_t, at::Tensor>(), py::arg("cells"), py::arg("edges"))
      .def_property_readonly("edges", [](const Histogram& self) { return self.edges(); })
      .def_property_readonly("counts", [](const Histogram& self) { return self.counts(); });
}

}  // namespace

void bind_statistics(py::module_& m) {
  py::class_<Samples>(m, "Samples", "Which places of a batch are samples, and whose they are.")
      .def(py::init<at::Tensor, at::Tensor, at::Tensor, at::Tensor>(), py::arg("rows"),
           py::arg("places"), py::arg("cells"), py::arg("prompts"));
  py::class_<Accumulator, std::shared_ptr<Accumulator>>(m, "Accumulator",
                                                        "What is kept of vectors, cell by cell.")
      .def("take", &Accumulator::take, py::arg("values"), py::arg("samples"),
           "Adds values [samples, width] float64 to their cells.",
           py::call_guard<py::gil_scoped_release>())
      .def("state", &Accumulator::state, "Everything it would be made again from, by name.");
  bind_moments(m);
  bind_covariance(m);
  bind_extremes(m);
  bind_kept(m);
  bind_quantiles(m);
  bind_norms_and_histogram(m);
  m.def("read_statistics", &read, py::arg("accumulators"), py::arg("taps"), py::arg("name"),
        py::arg("samples"), py::arg("winsorise") = 1.0,
        "Adds those places of a point to every accumulator during the next run.");
  m.def("winsorised", &winsorised, py::arg("values"), py::arg("share"),
        "Each row clamped to the quantile of its own magnitudes.");
}

}  // namespace lenswright
