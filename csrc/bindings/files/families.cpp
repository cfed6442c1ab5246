#include "spec/family.h"

#include <pybind11/stl.h>

#include "bindings/files/bindings.h"

namespace py = pybind11;

namespace lenswright {

void bind_families(py::module_& m) {
  m.def("families",
        [] {
          std::vector<std::string> names;
          for (const Family& family : families()) names.push_back(family.architecture);
          return names;
        },
        "The architectures that can be loaded, by config.json's name for them.");
  m.def("check_config",
        [](const std::string& text) {
          const Json config = Json::parse(text, "config.json");
          family_of(config).read(config);
        },
        py::arg("text"),
        "Raise ValueError, as loading would, when this config.json asks for what no family here has.");
}

}  // namespace lenswright
