# Finds the LibTorch inside the `torch` wheel of the chosen Python.
#
# torch's own package config stops with an error on a CUDA wheel where no CUDA toolkit is installed,
# though linking against the wheel's libraries needs none; hence this short module.
#
# Result: LibTorch::torch (compute), LibTorch::python (casters), LibTorch_VERSION, LibTorch_PYBIND11.

if(NOT LibTorch_ROOT)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u, pathlib as p; print(p.Path(u.find_spec('torch').origin).parent)"
    OUTPUT_VARIABLE LibTorch_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE _found ERROR_QUIET)
  if(NOT _found EQUAL 0)
    message(FATAL_ERROR "LibTorch: '${Python_EXECUTABLE}' has no torch; install torch 2.11 to 2.13 "
                        "there, or pass -DPython_EXECUTABLE=... or -DLibTorch_ROOT=.../site-packages/torch")
  endif()
endif()

file(STRINGS "${LibTorch_ROOT}/version.py" _version REGEX "^__version__ = ")
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" LibTorch_VERSION "${_version}")
if(LibTorch_VERSION VERSION_LESS 2.11 OR LibTorch_VERSION VERSION_GREATER_EQUAL 2.14)
  message(FATAL_ERROR "LibTorch: torch ${LibTorch_VERSION} in ${LibTorch_ROOT}; expected 2.11 to 2.13")
endif()

set(_lib "${LibTorch_ROOT}/lib")
set(LibTorch_PYBIND11 "${LibTorch_ROOT}/include")  # pybind11 3.0 lies beside ATen

# Upgrading torch in place configures again.
set_property(DIRECTORY "${CMAKE_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${LibTorch_ROOT}/version.py")

if(NOT TARGET LibTorch::torch)
  foreach(_name c10 torch_cpu torch torch_python c10_cuda torch_cuda)
    set(_file "${_lib}/${CMAKE_SHARED_LIBRARY_PREFIX}${_name}${CMAKE_SHARED_LIBRARY_SUFFIX}")
    if(EXISTS "${_file}")
      add_library(LibTorch::${_name}_library SHARED IMPORTED)
      set_target_properties(LibTorch::${_name}_library PROPERTIES IMPORTED_LOCATION "${_file}")
    elseif(NOT _name MATCHES "cuda")
      message(FATAL_ERROR "LibTorch: ${_file} is missing; is the torch in ${LibTorch_ROOT} whole?")
    endif()
  endforeach()
  add_library(LibTorch::torch INTERFACE IMPORTED)
  target_include_directories(LibTorch::torch SYSTEM INTERFACE
    "${LibTorch_ROOT}/include" "${LibTorch_ROOT}/include/torch/csrc/api/include")
  foreach(_name c10 torch_cpu torch c10_cuda torch_cuda)
    if(TARGET LibTorch::${_name}_library)
      target_link_libraries(LibTorch::torch INTERFACE LibTorch::${_name}_library)
    endif()
  endforeach()
  # Programs keep all of it: torch_cuda registers its kernels, though nobody calls it by name.
  target_link_options(LibTorch::torch INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:LINKER:--no-as-needed>)
  # at::parallel_for is a header template gated on _OPENMP: compile with -fopenmp, but link the one
  # OpenMP runtime that torch brings, never a second one.
  target_compile_options(LibTorch::torch INTERFACE -fopenmp)
  file(GLOB _gomp "${_lib}/libgomp*.so*" "${LibTorch_ROOT}/../torch.libs/libgomp*.so*")
  if(_gomp)
    list(GET _gomp 0 _gomp)
    target_link_libraries(LibTorch::torch INTERFACE "${_gomp}")
  endif()
  add_library(LibTorch::python INTERFACE IMPORTED)
  target_link_libraries(LibTorch::python INTERFACE LibTorch::torch LibTorch::torch_python_library)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_ROOT VERSION_VAR LibTorch_VERSION)
