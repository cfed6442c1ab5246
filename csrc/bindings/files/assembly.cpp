#include "merge/assembly.h"

#include <pybind11/stl.h>

#include "bindings/files/bindings.h"
#include "bindings/files/held_plan.h"
#include "merge/assignment.h"

namespace py = pybind11;

namespace lenswright {
namespace {

using PieceTuple = std::tuple<std::string, std::string, std::string, std::string, double, double>;

std::unique_ptr<HeldPlan> make_assembly(const py::list& inputs, const std::string& donor,
                                        const std::vector<PieceTuple>& pieces,
                                        const std::string& config, uint64_t seed,
                                        uint64_t shard_bytes) {
  auto held = std::make_unique<HeldPlan>();
  const Inputs opened = open_inputs(inputs, *held, false);
  MergeOptions options;
  options.seed = seed;
  options.shard_bytes = shard_bytes;
  std::vector<AssembledTensor> wanted;
  for (const auto& [name, input, tensor, dtype, scale, noise] : pieces) {
    AssembledTensor piece{name, input, tensor, std::nullopt, scale, noise};
    if (!dtype.empty()) piece.dtype = dtype_of(dtype);
    wanted.push_back(std::move(piece));
  }
  const py::gil_scoped_release release;
  held->plan = plan_assembly(opened, donor, wanted, Json::parse(config, "config.json"), options);
  return held;
}

}  // namespace

void bind_assembly(py::module_& m) {
  m.def(
      "assign",
      [](const py::buffer& cost, int64_t n) {
        const BytesView view(cost);
        const std::span<const std::byte> bytes = view.bytes();
        const std::span numbers(reinterpret_cast<const double*>(bytes.data()),
                                bytes.size() / sizeof(double));
        const py::gil_scoped_release release;
        return assign(numbers, n);
      },
      py::arg("cost"), py::arg("n"),
      "The column of each row in the assignment of least cost; `cost` is float64 [n, n].");
  m.def("plan_assembly", &make_assembly, py::arg("inputs"), py::arg("donor"), py::arg("pieces"),
        py::arg("config"), py::arg("seed") = 0, py::arg("shard_bytes") = 5'000'000'000,
        "Plan a model put together: inputs as of plan_merge, and (name, model, tensor, dtype or "
        "\"\" as stored, scale, noise) of every tensor.");
}

}  // namespace lenswright
