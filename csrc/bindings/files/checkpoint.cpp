#include "io/checkpoint.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bindings/files/bindings.h"
#include "bindings/files/progress.h"
#include "bindings/files/strings.h"
#include "io/verify.h"

namespace py = pybind11;
namespace fs = std::filesystem;

namespace lenswright {
namespace {

// The bytes of one tensor in the private map, as a Python buffer that keeps the map alive.
struct TensorBytes {
  std::shared_ptr<MappedFile> map;
  std::span<std::byte> bytes;
};

TensorBytes tensor_data(const Checkpoint& checkpoint, std::string_view name) {
  const TensorInfo& info = checkpoint.info(name);
  return {checkpoint.map(info.file), checkpoint.data(info)};
}

std::vector<TensorCheck> verify_all(const Checkpoint& checkpoint, py::object callback,
                                    int threads) {
  Progress progress(python_report(std::move(callback)));
  const py::gil_scoped_release release;
  return verify(checkpoint, &progress, threads);
}

}  // namespace

void bind_checkpoint(py::module_& m) {
  py::class_<TensorBytes>(
      m, "TensorBytes", py::buffer_protocol(),
      "The bytes of a tensor, mapped privately: writing changes this process only.")
      .def_buffer([](TensorBytes& t) {
        return py::buffer_info(reinterpret_cast<uint8_t*>(t.bytes.data()),
                               static_cast<py::ssize_t>(t.bytes.size()));
      })
      .def_property_readonly(
          "address",
          [](const TensorBytes& t) { return reinterpret_cast<uintptr_t>(t.bytes.data()); })
      .def("__len__", [](const TensorBytes& t) { return t.bytes.size(); });
  py::class_<TensorCheck>(m, "TensorCheck", "What reading every byte of a tensor showed.")
      .def_readonly("name", &TensorCheck::name)
      .def_readonly("sha256", &TensorCheck::sha256)
      .def_readonly("not_a_number", &TensorCheck::not_a_number)
      .def_readonly("infinite", &TensorCheck::infinite);
  py::class_<Checkpoint, std::shared_ptr<Checkpoint>>(m, "Checkpoint", R"doc(
A checkpoint folder or .safetensors file whose headers have been validated.

Raises:
    CheckpointError: the files are not what they claim to be.
    FileNotFoundError: nothing is at `path`.
)doc")
      .def(py::init([](const fs::path& path, bool lenient) {
             const py::gil_scoped_release release;
             return Checkpoint::open(path, {lenient});
           }),
           py::arg("path"), py::arg("lenient") = false)
      .def_property_readonly("path", &Checkpoint::path)
      .def_property_readonly("folder", &Checkpoint::folder)
      .def_property_readonly("tensors", &Checkpoint::tensors)
      .def_property_readonly("names", &Checkpoint::names)
      .def("info", &Checkpoint::info, py::arg("name"), py::return_value_policy::reference_internal)
      .def("__contains__", &Checkpoint::contains)
      .def("__len__", [](const Checkpoint& c) { return c.tensors().size(); })
      .def_property_readonly("has_config", &Checkpoint::has_config)
      .def(
          "config_text", [](const Checkpoint& c) { return c.config().dump(2); },
          "config.json, with every number spelt as in the file.")
      .def_property_readonly("shards", [](const Checkpoint& c) { return file_names(c.shards()); })
      .def(
          "header",
          [](const Checkpoint& c, const fs::path& shard) { return c.header(shard.string()); },
          py::arg("shard"))
      .def(
          "header_bytes",
          [](const Checkpoint& c, const fs::path& shard) {
            return py::bytes(c.header_bytes(shard.string()));
          },
          py::arg("shard"))
      .def_property_readonly("index_name",
                             [](const Checkpoint& c) { return file_name(c.index_name()); })
      .def_property_readonly("trailing_bytes", &Checkpoint::trailing_bytes)
      .def("other_files", [](const Checkpoint& c) { return file_names(c.other_files()); })
      .def("unused_weights", [](const Checkpoint& c) { return file_names(c.unused_weights()); })
      .def("data", &tensor_data, py::arg("name"))
      .def("verify", &verify_all, py::arg("progress") = py::none(), py::arg("threads") = 0,
           "Read every byte; return one TensorCheck per tensor.");
}

}  // namespace lenswright
