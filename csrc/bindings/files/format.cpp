#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "base/dtype.h"
#include "base/sha256.h"
#include "bindings/files/bindings.h"
#include "bindings/files/buffers.h"
#include "bindings/files/strings.h"
#include "io/file_writer.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/shard_index.h"

namespace py = pybind11;

namespace lenswright {
namespace {

SafetensorsHeader parse(const py::buffer& buffer, std::optional<uint64_t> file_size,
                        const std::string& file, bool lenient) {
  const BytesView view(buffer);
  const py::gil_scoped_release release;
  return parse_header(view.bytes(), file_size.value_or(view.bytes().size()), file, {lenient});
}

void bind_header(py::module_& m) {
  py::class_<TensorInfo>(m, "TensorInfo", "What a header says of a tensor.")
      .def_readonly("name", &TensorInfo::name)
      .def_property_readonly(
          "dtype", [](const TensorInfo& t) { return wire_name(t.dtype); },
          "The format's name of the element type: F32, BF16, F8_E4M3, BOOL …")
      .def_property_readonly("shape",
                             [](const TensorInfo& t) { return py::tuple(py::cast(t.shape)); })
      .def_readonly("begin", &TensorInfo::begin, "First byte, from the start of the file.")
      .def_readonly("end", &TensorInfo::end)
      .def_property_readonly(
          "file", [](const TensorInfo& t) { return file_name(t.file); }, "The shard's file name.")
      .def_property_readonly("numel", &TensorInfo::numel)
      .def_property_readonly("nbytes", &TensorInfo::bytes)
      .def("__repr__", [](const TensorInfo& t) {
        return py::str("TensorInfo({!r}, {}, {}, {}[{}:{}])")
            .format(t.name, wire_name(t.dtype), py::tuple(py::cast(t.shape)), file_name(t.file),
                    t.begin, t.end);
      });
  py::class_<SafetensorsHeader>(m, "Header", "The header of one file.")
      .def_readonly("tensors", &SafetensorsHeader::tensors, "In the order of their bytes.")
      .def_property_readonly("metadata",
                             [](const SafetensorsHeader& h) {
                               py::dict out;
                               for (const auto& [key, value] : h.metadata)
                                 out[py::str(key)] = value;
                               return out;
                             })
      .def_readonly("data_start", &SafetensorsHeader::data_start)
      .def_readonly("file_size", &SafetensorsHeader::file_size)
      .def_readonly("trailing_bytes", &SafetensorsHeader::trailing_bytes,
                    "Bytes after the last tensor that lenient reading let pass.");
}

}  // namespace

void bind_format(py::module_& m) {
  bind_header(m);
  m.def("parse_header", &parse, py::arg("buffer"), py::arg("file_size") = py::none(),
        py::arg("file") = "buffer", py::arg("lenient") = false,
        "Validate the header at the start of `buffer` as that of a file of `file_size` bytes.");
  m.def(
      "parse_index",
      [](const std::string& text, const std::string& file) {
        return parse_index(text, file).places;
      },
      py::arg("text"), py::arg("file") = "model.safetensors.index.json",
      "Validate the index of a sharded checkpoint; return (tensor, shard) pairs.");
  m.def(
      "parse_json",
      [](const std::string& text, const std::string& where, int indent) {
        return Json::parse(text, where).dump(indent);
      },
      py::arg("text"), py::arg("where") = "text", py::arg("indent") = -1,
      "Parse strict JSON and write it out again.");
  m.def(
      "dtypes",
      [] {
        std::vector<std::pair<std::string_view, int>> out;
        for (const Dtype d : all_dtypes()) out.emplace_back(wire_name(d), bits(d));
        return out;
      },
      "Every element type of the format with its bits.");
  m.def(
      "sha256",
      [](const py::buffer& buffer) {
        const BytesView view(buffer);
        const py::gil_scoped_release release;
        return Sha256::hex(view.bytes());
      },
      py::arg("buffer"), "The SHA-256 of a contiguous buffer, in hexadecimal.");
}

}  // namespace lenswright
