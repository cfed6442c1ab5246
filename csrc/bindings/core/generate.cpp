#include "model/generate.h"

#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "bindings/core/bindings.h"
#include "bindings/core/taps.h"

namespace py = pybind11;

namespace lenswright {
namespace {

std::string weights_state(const Model& model) {
  std::string state;
  for (const auto& [name, stored] : model.stored()) {
    const at::Tensor& value = stored->quantised ? stored->quantised->codes : stored->value;
    const auto version = value.is_inference() ? 0 : value._version();
    state += name + " " + stored->edit + " " + std::to_string(version) + " " +
             std::to_string(reinterpret_cast<uintptr_t>(value.const_data_ptr())) + "\n";
  }
  return state;
}

/// A generation and the taps whose captures it leaves to Python after every pass.
class PyGeneration {
 public:
  PyGeneration(const Model& model, PyTaps& prefill, PyTaps& decode, const Batch& prompts,
               GenerateOptions options, std::shared_ptr<ReadText> read)
      : prefill_(prefill),
        decode_(decode),
        generation_(model, prompts, prefill.taps, decode.taps, std::move(options),
                    std::move(read)) {}

  std::vector<int64_t> step() {
    prefill_.captured.clear();
    decode_.captured.clear();
    py::gil_scoped_release release;
    return generation_.step();
  }
  Generation& operator*() { return generation_; }

 private:
  PyTaps &prefill_, &decode_;
  Generation generation_;
};

}  // namespace

void bind_generate(py::module_& m) {
  py::class_<ReadText, std::shared_ptr<ReadText>>(
      m, "ReadText",
      "What one row has read, with its keys and values; the next goes on from there.")
      .def(py::init<>())
      .def_property_readonly("tokens", &ReadText::tokens);
  m.def("weights_state", &weights_state, py::arg("model"),
        "A text that changes where an edit is applied or reverted, or a weight written in place.");
  py::class_<PyGeneration>(m, "Generation", "Continuations of prompts, a pass at a time.")
      .def(py::init([](const Model& model, PyTaps& prefill, PyTaps& decode, at::Tensor tokens,
                       std::vector<int64_t> lengths, const std::string& side,
                       int64_t max_new_tokens, std::vector<int64_t> stop_ids, bool use_cache,
                       bool share_prefix, const Sampling& sampling, std::vector<uint64_t> seeds,
                       std::optional<std::shared_ptr<ReadText>> read) {
             return std::make_unique<PyGeneration>(
                 model, prefill, decode,
                 Batch(std::move(tokens), std::move(lengths), side_of(side)),
                 GenerateOptions{max_new_tokens, std::move(stop_ids), use_cache, share_prefix,
                                 sampling, std::move(seeds)},
                 read.value_or(nullptr));
           }),
           py::arg("model"), py::arg("prefill"), py::arg("decode"), py::arg("tokens"),
           py::arg("lengths"), py::arg("side"), py::arg("max_new_tokens"), py::arg("stop_ids"),
           py::arg("use_cache"), py::arg("share_prefix"), py::arg("sampling"), py::arg("seeds"),
           py::arg("read") = py::none(), py::keep_alive<1, 2>(), py::keep_alive<1, 3>(),
           py::keep_alive<1, 4>())
      .def("step", &PyGeneration::step,
           "One pass: the new id of every row (-1: it had ended); [] after a shared prefix.")
      .def(
          "end", [](PyGeneration& self, int64_t row) { (*self).end(row); }, py::arg("row"))
      .def_property_readonly("done", [](PyGeneration& self) { return (*self).done(); })
      .def_property_readonly(
          "reused", [](PyGeneration& self) { return (*self).reused(); },
          "Tokens of the prompt that were not read again.")
      .def_property_readonly("said", [](PyGeneration& self) { return (*self).said(); })
      .def_property_readonly(
          "logits", [](PyGeneration& self) { return (*self).logits(); },
          "Of the last pass [rows, d_vocab], as the model gave them.")
      .def_property_readonly(
          "positions", [](PyGeneration& self) { return (*self).positions(); },
          "Of the last pass [rows or 1, pos].");
}

}  // namespace lenswright
