#pragma once

#include <pybind11/pybind11.h>

namespace lenswright {

// One concept each, in the file of that name.
void bind_errors(pybind11::module_& m);
void bind_format(pybind11::module_& m);
void bind_glob(pybind11::module_& m);
void bind_checkpoint(pybind11::module_& m);
void bind_writer(pybind11::module_& m);
void bind_compare(pybind11::module_& m);
void bind_families(pybind11::module_& m);
void bind_merge(pybind11::module_& m);
void bind_task_statistics(pybind11::module_& m);
void bind_merge_methods(pybind11::module_& m);
void bind_assembly(pybind11::module_& m);
void bind_random(pybind11::module_& m);

}  // namespace lenswright
