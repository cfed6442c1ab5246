# Two kinds of installation: `cmake --install build` is the C++ package, find_package(lenswright) ->
# lenswright::files, lenswright::core; `--component python` fills the Python package (see python_modules).
include(CMakePackageConfigHelpers)
set(_config "${CMAKE_INSTALL_LIBDIR}/cmake/lenswright")
set(_targets lenswright_files)
set(_folders base io spec merge)
set_target_properties(lenswright_files PROPERTIES EXPORT_NAME files)
if(LENSWRIGHT_CORE)
  list(APPEND _targets lenswright_core)
  list(APPEND _folders nn model stats directions edits)
  set_target_properties(lenswright_core PROPERTIES EXPORT_NAME core)
endif()
install(TARGETS ${_targets} EXPORT lenswright LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cpp)
install(EXPORT lenswright NAMESPACE lenswright:: DESTINATION ${_config} COMPONENT cpp)
foreach(folder ${_folders})
  install(DIRECTORY csrc/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lenswright COMPONENT cpp
          FILES_MATCHING PATTERN "*.h")
endforeach()
configure_package_config_file(cmake/lenswright-config.cmake.in lenswright-config.cmake
  INSTALL_DESTINATION ${_config})
write_basic_package_version_file(lenswright-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lenswright-config.cmake
              ${PROJECT_BINARY_DIR}/lenswright-config-version.cmake
              cmake/FindLibTorch.cmake
        DESTINATION ${_config} COMPONENT cpp)
