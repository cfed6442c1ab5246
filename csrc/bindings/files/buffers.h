#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>

namespace lenswright {

/// The bytes of a contiguous Python buffer, held while this object lives. Make and destroy it with
/// the GIL held; the bytes may be used without.
class BytesView {
 public:
  explicit BytesView(const pybind11::buffer& buffer) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, PyBUF_C_CONTIGUOUS) != 0) {
      throw pybind11::error_already_set();
    }
  }
  ~BytesView() { PyBuffer_Release(&view_); }
  BytesView(const BytesView&) = delete;
  BytesView& operator=(const BytesView&) = delete;

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(view_.buf), static_cast<size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

}  // namespace lenswright
