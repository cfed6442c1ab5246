#include <pybind11/stl.h>

#include "bindings/files/bindings.h"
#include "merge/method.h"

namespace py = pybind11;

namespace lenswright {
namespace {

py::dict method_of(const Method& method) {
  static constexpr const char* kBase[] = {"none", "optional", "required"};
  py::list parameters;
  for (const Parameter& one : method.parameters) {
    static constexpr const char* kKinds[] = {"number", "whole", "flag"};
    py::dict entry;
    entry["name"] = one.name;
    entry["own"] = one.own;
    entry["required"] = one.required;
    entry["default"] = one.fallback;
    entry["kind"] = kKinds[static_cast<size_t>(one.kind)];
    entry["low"] = one.low;
    entry["high"] = one.high;
    parameters.append(entry);
  }
  py::dict out;
  out["name"] = method.name;
  out["source"] = method.source;
  out["base"] = kBase[static_cast<size_t>(method.base)];
  out["least"] = method.least;
  out["most"] = method.most;
  out["random"] = method.random;
  out["whole"] = method.whole;
  out["parameters"] = parameters;
  return out;
}

}  // namespace

void bind_merge_methods(py::module_& m) {
  m.def(
      "merge_methods",
      [] {
        py::list out;
        for (const Method& method : merge_methods()) out.append(method_of(method));
        return out;
      },
      "Every method with its parameters.");
}

}  // namespace lenswright
