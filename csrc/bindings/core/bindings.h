#pragma once

#include <pybind11/pybind11.h>

namespace lenswright {

// One concept each, in the file of that name.
void bind_errors(pybind11::module_& m);
void bind_deterministic(pybind11::module_& m);
void bind_model(pybind11::module_& m);
void bind_taps(pybind11::module_& m);
void bind_rereading(pybind11::module_& m);
void bind_sampling(pybind11::module_& m);
void bind_generate(pybind11::module_& m);
void bind_statistics(pybind11::module_& m);
void bind_directions(pybind11::module_& m);
void bind_edits(pybind11::module_& m);
void bind_commits(pybind11::module_& m);
void bind_edit_methods(pybind11::module_& m);
void bind_edit_algebra(pybind11::module_& m);

}  // namespace lenswright
