#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "base/error.h"
#include "bindings/files/held_plan.h"
#include "merge/adapter.h"
#include "merge/quantised_input.h"

namespace py = pybind11;

namespace lenswright {
namespace {

using MemoryTensor = std::tuple<std::string, std::string, std::vector<int64_t>, py::buffer>;

std::shared_ptr<const Input> in_memory(const std::string& name, const py::list& tensors,
                                       std::deque<BytesView>& buffers,
                                       const std::string& config = "") {
  std::vector<TensorInfo> infos;
  std::vector<std::span<const std::byte>> bytes;
  for (const py::handle& item : tensors) {
    const auto [tensor, dtype, shape, buffer] = item.cast<MemoryTensor>();
    buffers.emplace_back(buffer);
    bytes.push_back(buffers.back().bytes());
    infos.push_back({tensor, dtype_of(dtype), shape, 0, bytes.back().size(), ""});
    if (tensor_bytes(infos.back().dtype, shape) != bytes.back().size()) {
      throw std::invalid_argument("tensor " + in_quotes(tensor) + ": shape and bytes disagree");
    }
  }
  return memory_input(name, std::move(infos), std::move(bytes),
                      config.empty() ? Json() : Json::parse(config, name + ": config"));
}

std::shared_ptr<const Input> still_planned(const std::string& name, const MergePlan& plan) {
  std::vector<TensorInfo> infos;
  for (const Job& job : plan.jobs)
    infos.push_back({job.name, job.dtype, job.shape, 0, job.bytes(), ""});
  return planned_input(name, std::move(infos), plan.config);
}

}  // namespace

Dtype dtype_of(const std::string& name) {
  if (const auto found = dtype_from_wire(name)) return *found;
  throw std::invalid_argument("unknown dtype " + in_quotes(name));
}

Inputs open_inputs(const py::list& inputs, HeldPlan& held, bool raw) {
  const auto open = raw ? &open_input : &weights_input;
  Inputs opened;
  for (const py::handle& item : inputs) {
    const auto pair = item.cast<std::pair<std::string, py::object>>();
    if (py::isinstance<HeldPlan>(pair.second)) {
      opened.push_back(still_planned(pair.first, pair.second.cast<const HeldPlan&>().plan));
    } else if (py::isinstance<py::list>(pair.second)) {
      opened.push_back(in_memory(pair.first, pair.second.cast<py::list>(), held.buffers));
    } else if (py::isinstance<py::tuple>(pair.second)) {
      using Path = std::filesystem::path;
      const auto parts = pair.second.cast<py::tuple>();
      if (py::isinstance<py::list>(parts[0])) {
        opened.push_back(in_memory(pair.first, parts[0].cast<py::list>(), held.buffers,
                                   parts[1].cast<std::string>()));
        continue;
      }
      const auto [model, adapter] = pair.second.cast<std::pair<Path, Path>>();
      opened.push_back(adapted_input(pair.first, weights_input(pair.first, model), adapter));
    } else {
      opened.push_back(open(pair.first, pair.second.cast<std::filesystem::path>()));
    }
  }
  return opened;
}

}  // namespace lenswright
