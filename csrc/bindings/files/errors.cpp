#include <system_error>

#include "base/progress.h"
#include "bindings/files/bindings.h"
#include "bindings/files/strings.h"
#include "io/checkpoint_error.h"

namespace py = pybind11;

namespace lenswright {
namespace {

// Both live as long as the interpreter: exceptions may be raised until its very end.
PyObject* checkpoint_error = nullptr;
PyObject* cancelled = nullptr;

void raise_checkpoint_error(const CheckpointError& error) {
  py::object instance = py::reinterpret_borrow<py::object>(checkpoint_error)(to_str(error.what()));
  instance.attr("flaw") = flaw_name(error.flaw());
  instance.attr("file") = to_str(error.file());
  instance.attr("tensor") =
      error.tensor().empty() ? py::object(py::none()) : to_str(error.tensor());
  instance.attr("offset") = py::cast(error.offset());
  PyErr_SetObject(checkpoint_error, instance.ptr());
}

// The subclass Python has for the errno (FileNotFoundError, FileExistsError …), with our sentence.
void raise_os_error(const std::system_error& error) {
  const int code = error.code().value();
  const auto os_error = py::reinterpret_borrow<py::object>(PyExc_OSError);
  py::object instance = py::type::of(os_error(code, ""))(to_str(error.what()));
  instance.attr("errno") = code;
  PyErr_SetObject(py::type::of(instance).ptr(), instance.ptr());
}

}  // namespace

void bind_errors(py::module_& m) {
  checkpoint_error = PyErr_NewExceptionWithDoc(
      "lenswright.CheckpointError",
      "A checkpoint that is not what it claims to be.\n\n"
      "Attributes:\n"
      "    flaw: what is wrong, in a word: truncated, header_length, encoding, syntax, entry, "
      "dtype,\n"
      "        overflow, size, offsets, trailing, duplicate, limit, form, index, path, pickle, "
      "layout\n"
      "        or changed.\n"
      "    file: the file, or the folder when no single file is at fault.\n"
      "    tensor: the tensor's name, or None.\n"
      "    offset: the byte in the file, or None.\n",
      PyExc_ValueError, nullptr);
  cancelled = PyErr_NewExceptionWithDoc(
      "lenswright.Cancelled", "A progress callback returned False.", PyExc_Exception, nullptr);
  m.attr("CheckpointError") = py::reinterpret_borrow<py::object>(checkpoint_error);
  m.attr("Cancelled") = py::reinterpret_borrow<py::object>(cancelled);
  // Global: errors of this library reach Python through the other extension module, too.
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const CheckpointError& error) {
      raise_checkpoint_error(error);
    } catch (const Cancelled& error) {
      PyErr_SetString(cancelled, error.what());
    } catch (const std::system_error& error) {
      raise_os_error(error);
    }
  });
}

}  // namespace lenswright
