#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "directions/difference_of_means.h"
#include "directions/inlp.h"
#include "directions/lda.h"
#include "directions/leace.h"
#include "directions/logistic.h"
#include "directions/pca.h"
#include "directions/permutation.h"
#include "directions/random.h"
#include "directions/shrinkage.h"
#include "directions/som.h"
#include "directions/whitening.h"

namespace py = pybind11;

namespace lenswright {
namespace {

using Pair = std::pair<at::Tensor, at::Tensor>;

void bind_difference(py::module_& m) {
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
}

void bind_second_moments(py::module_& m) {
  m.def(
      "pca",
      [](const at::Tensor& second_moment, int64_t k, const at::Tensor& towards) -> Pair {
        const Principal found = pca(second_moment, k, towards);
        return {found.vectors, found.values};
      },
      py::arg("second_moment"), py::arg("k"), py::arg("towards"),
      "(vectors [k, width], values [k]) of a second moment [width, width], the greatest first.");
  m.def(
      "pca_of_rows",
      [](const at::Tensor& rows, int64_t k, const at::Tensor& towards) -> Pair {
        const Principal found = pca_of_rows(rows, k, towards);
        return {found.vectors, found.values};
      },
      py::arg("rows"), py::arg("k"), py::arg("towards"),
      "(vectors [k, width], values [k]) of rows [n, width], not centred.");
  m.def("lda", &lda, py::arg("covariance"), py::arg("difference"), "covariance⁻¹ difference.");
  m.def("diagonal_lda", &diagonal_lda, py::arg("variance"), py::arg("difference"),
        "difference / variance.");
  m.def("solve_covariance", &solve_covariance, py::arg("covariance"), py::arg("right"),
        "covariance⁺ right [width, n].");
  m.def("shrunk", &shrunk, py::arg("covariance"), py::arg("share"),
        "A covariance drawn to a multiple of the identity.");
  m.def("oracle_share", &oracle_share, py::arg("covariance"), py::arg("n"),
        "Share of oracle approximating shrinkage.");
  m.def("ledoit_wolf_share", &ledoit_wolf_share, py::arg("rows"),
        "Ledoit and Wolf's share for centred rows.");
}

void bind_erasure(py::module_& m) {
  m.def(
      "leace",
      [](const at::Tensor& covariance, const at::Tensor& cross) -> Pair {
        const Erasure found = leace(covariance, cross);
        return {found.read, found.write};
      },
      py::arg("covariance"), py::arg("cross"),
      "(read, write) [k, width]: x - writeᵀ read (x - mean) forgets the concept.");
  m.def(
      "binary_leace",
      [](const at::Tensor& covariance, const at::Tensor& difference) -> Pair {
        const Erasure found = binary_leace(covariance, difference);
        return {found.read, found.write};
      },
      py::arg("covariance"), py::arg("difference"), "The same for two classes, in closed form.");
}

void bind_samples(py::module_& m) {
  m.def(
      "logistic_probe",
      [](const at::Tensor& x, const at::Tensor& y, double strength) {
        const LogisticProbe probe = logistic_probe(x, y, strength);
        return py::make_tuple(probe.weight, probe.bias, probe.converged);
      },
      py::arg("x"), py::arg("y"), py::arg("strength"),
      "(weight [width], bias, whether it converged) of a logistic probe.");
  m.def(
      "inlp",
      [](const at::Tensor& x, const at::Tensor& y, int64_t k, double strength) -> Pair {
        const NullSpaces found = inlp(x, y, k, strength);
        return {found.basis, found.accuracy};
      },
      py::arg("x"), py::arg("y"), py::arg("k"), py::arg("strength"),
      "(basis [k, width], accuracy [k]) of iterative null-space projection.");
  m.def(
      "som",
      [](const at::Tensor& x, int64_t rows, int64_t columns, int64_t steps, double rate,
         double spread, uint64_t seed) {
        return som(x, {rows, columns, steps, rate, spread, seed});
      },
      py::arg("x"), py::arg("rows"), py::arg("columns"), py::arg("steps"), py::arg("rate"),
      py::arg("spread"), py::arg("seed"), "Neurons [rows * columns, width] of a map of x.",
      py::call_guard<py::gil_scoped_release>());
}

}  // namespace

void bind_directions(py::module_& m) {
  bind_difference(m);
  bind_second_moments(m);
  bind_erasure(m);
  bind_samples(m);
  m.def("label_permutations", &label_permutations, py::arg("n"), py::arg("positives"),
        py::arg("count"), py::arg("seed"), "Shuffled labels [count, n], keyed by (seed, row).");
  m.def("random_directions", &random_directions, py::arg("count"), py::arg("width"),
        py::arg("seed"),
        "Unit vectors [count, width] uniform on the sphere, keyed by (seed, row).");
}

}  // namespace lenswright
