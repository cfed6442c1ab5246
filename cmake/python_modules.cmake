# The two extension modules: _files (torch-free, starts fast) and _core.
# pybind11 is the one inside the torch wheel: a second one breaks exception and type sharing.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
if(NOT LENSWRIGHT_CORE)
  find_package(LibTorch REQUIRED)  # for its pybind11 headers only
endif()

function(lenswright_module name)
  Python_add_library(${name} MODULE WITH_SOABI)
  lenswright_options(${name})
  # Glue around calls that do the work: more than -O1 costs a minute of building and gains nothing.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  install(TARGETS ${name} LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
endfunction()

lenswright_module(_files)
target_include_directories(_files SYSTEM PRIVATE ${LibTorch_PYBIND11})
target_link_libraries(_files PRIVATE lenswright_files)
target_precompile_headers(_files PRIVATE <pybind11/pybind11.h> <pybind11/stl.h>)
add_subdirectory(csrc/bindings/files)

if(LENSWRIGHT_CORE)
  lenswright_module(_core)
  target_link_libraries(_core PRIVATE lenswright_core LibTorch::python)
  lenswright_grouped(_core 4)
  target_precompile_headers(_core PRIVATE <torch/csrc/utils/pybind.h> <pybind11/functional.h> <pybind11/stl.h>)
  add_subdirectory(csrc/bindings/core)
endif()

# Libraries and modules lie side by side; which torch they were built with is checked at import.
install(TARGETS lenswright_files LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
if(LENSWRIGHT_CORE)
  install(TARGETS lenswright_core LIBRARY DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
endif()
string(REGEX MATCH "^[0-9]+\\.[0-9]+" _minor "${LibTorch_VERSION}")
file(CONFIGURE OUTPUT _built_with.py CONTENT "TORCH = \"${_minor}\"\n")
install(FILES ${PROJECT_BINARY_DIR}/_built_with.py DESTINATION . COMPONENT python EXCLUDE_FROM_ALL)
