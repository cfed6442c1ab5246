#include "io/writer.h"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "base/error.h"
#include "bindings/files/bindings.h"
#include "bindings/files/buffers.h"
#include "bindings/files/progress.h"
#include "io/checkpoint.h"

namespace py = pybind11;

namespace lenswright {
namespace {

using SpecTuple = std::tuple<std::string, std::string, std::vector<int64_t>>;

std::vector<TensorSpec> specs(const std::vector<SpecTuple>& tuples) {
  std::vector<std::string> known;
  for (const Dtype d : all_dtypes()) known.emplace_back(wire_name(d));
  std::vector<TensorSpec> out;
  for (const auto& [name, dtype, shape] : tuples) {
    const auto found = dtype_from_wire(dtype);
    if (!found) {
      throw std::invalid_argument("tensor " + in_quotes(name) + ": unknown dtype " +
                                  in_quotes(dtype) + did_you_mean(dtype, known));
    }
    out.push_back({name, *found, shape});
  }
  return out;
}

Metadata pairs(const py::dict& metadata) {
  Metadata out;
  for (const auto& [key, value] : metadata) {
    out.emplace_back(key.cast<std::string>(), value.cast<std::string>());
  }
  return out;
}

void write(FileWriter& writer, std::string_view name, uint64_t offset, const py::buffer& buffer) {
  const BytesView view(buffer);
  const py::gil_scoped_release release;
  writer.pwrite(name, offset, view.bytes());
}

void copy(FileWriter& writer, std::string_view name, const Checkpoint& from,
          const std::optional<std::string>& as, py::object callback) {
  const TensorInfo& info = from.info(as ? *as : name);
  Progress progress(python_report(std::move(callback)), static_cast<int64_t>(info.bytes()));
  const py::gil_scoped_release release;
  const OpenFile source = from.open_shard(info.file);
  writer.copy(name, source.get(), info.begin, info.bytes(), &progress);
}

void bind_file_writer(py::module_& m) {
  py::class_<FileWriter, std::shared_ptr<FileWriter>>(m, "FileWriter", R"doc(
Writes one .safetensors file, which appears under its name in finish(), or not at all.

Args:
    path: the file; must not exist.
    tensors: (name, dtype, shape) in the order of their bytes.
    metadata: strings by name.
)doc")
      .def(py::init([](const std::filesystem::path& path, const std::vector<SpecTuple>& tensors,
                       const py::dict& metadata) {
             return std::make_shared<FileWriter>(path, specs(tensors), pairs(metadata));
           }),
           py::arg("path"), py::arg("tensors"), py::arg("metadata") = py::dict())
      .def_property_readonly("tensors", &FileWriter::tensors)
      .def("write", &write, py::arg("name"), py::arg("offset"), py::arg("buffer"),
           "Write bytes of a tensor from `offset` on; from any thread, no byte twice.")
      .def("copy", &copy, py::arg("name"), py::arg("checkpoint"), py::arg("source") = py::none(),
           py::arg("progress") = py::none(),
           "Copy a whole tensor (`source`, default the same name) from the files of a checkpoint.")
      .def("finish", &FileWriter::finish, py::call_guard<py::gil_scoped_release>())
      .def("abandon", &FileWriter::abandon);
}

}  // namespace

void bind_writer(py::module_& m) {
  bind_file_writer(m);
  m.def(
      "make_header",
      [](const std::vector<SpecTuple>& tensors, const py::dict& metadata) {
        return py::bytes(make_header(specs(tensors), pairs(metadata)));
      },
      py::arg("tensors"), py::arg("metadata") = py::dict(),
      "The header (without the length before it) of a file with these tensors.");
  py::class_<FolderWriter>(m, "FolderWriter", R"doc(
Writes a checkpoint folder, which appears whole in commit(), or not at all; a context manager.

Args:
    target: the folder; must not exist, its parent must.
    inputs: folders that `target` may not be equal to, inside or around.
)doc")
      .def(py::init([](const std::filesystem::path& target,
                       const std::vector<std::filesystem::path>& inputs) {
             return std::make_unique<FolderWriter>(target, inputs);
           }),
           py::arg("target"), py::arg("inputs") = std::vector<std::filesystem::path>())
      .def(
          "shard",
          [](FolderWriter& f, std::string_view name, const std::vector<SpecTuple>& tensors,
             const py::dict& metadata) {
            return f.shard(name, specs(tensors), pairs(metadata)).shared_from_this();
          },
          py::arg("name"), py::arg("tensors"), py::arg("metadata") = py::dict())
      .def(
          "shard_like",
          [](FolderWriter& f, std::string_view name, const py::bytes& header) {
            return f.shard(name, std::string(header)).shared_from_this();
          },
          py::arg("name"), py::arg("header"), "A shard whose header is taken over byte for byte.")
      .def("copy_file", &FolderWriter::copy_file, py::arg("source"), py::arg("name") = "",
           py::call_guard<py::gil_scoped_release>())
      .def("write_text", &FolderWriter::write_text, py::arg("name"), py::arg("text"))
      .def("write_index", &FolderWriter::write_index,
           py::arg("name") = "model.safetensors.index.json")
      .def(
          "commit",
          [](FolderWriter& f, py::object callback) {
            Progress progress(python_report(std::move(callback)));
            const py::gil_scoped_release release;
            f.commit(&progress);
          },
          py::arg("progress") = py::none())
      .def("abandon", &FolderWriter::abandon)
      .def(
          "__enter__", [](FolderWriter& f) -> FolderWriter& { return f; },
          py::return_value_policy::reference)
      .def("__exit__", [](FolderWriter& f, const py::args&) { f.abandon(); });
}

}  // namespace lenswright
