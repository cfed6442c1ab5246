#pragma once

#include <pybind11/pybind11.h>

#include "spec/spec.h"

namespace lenswright {

/// What a network computes, as plain data of Python.
pybind11::dict spec_dict(const Spec& spec);

}  // namespace lenswright
