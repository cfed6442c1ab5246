#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>
#include <vector>

namespace lenswright {

/// A file name as Python has it: bytes that are no UTF-8 survive as surrogates, as in os.listdir.
inline pybind11::object file_name(std::string_view name) {
  return pybind11::reinterpret_steal<pybind11::object>(
      PyUnicode_DecodeFSDefaultAndSize(name.data(), static_cast<pybind11::ssize_t>(name.size())));
}

inline pybind11::list file_names(const std::vector<std::string>& names) {
  pybind11::list out;
  for (const std::string& name : names) out.append(file_name(name));
  return out;
}

/// A message, which may quote such a name: always text.
inline pybind11::object to_str(std::string_view text) {
  return pybind11::reinterpret_steal<pybind11::object>(PyUnicode_DecodeUTF8(
      text.data(), static_cast<pybind11::ssize_t>(text.size()), "backslashreplace"));
}

}  // namespace lenswright
