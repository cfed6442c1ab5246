# Compile options every target of ours shares.
function(lenswright_options target)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/csrc> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/lenswright>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic)
  if(LENSWRIGHT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(LENSWRIGHT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${LENSWRIGHT_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${LENSWRIGHT_SANITIZE})
  endif()
  # Libraries and modules lie side by side in the Python package; torch is a sibling package.
  set_target_properties(${target} PROPERTIES
    BUILD_RPATH_USE_ORIGIN ON INSTALL_RPATH "$ORIGIN;$ORIGIN/../torch/lib" BUILD_WITH_INSTALL_RPATH OFF)
endfunction()

# Compiles several sources at a time, `count` a group: what each file that sees ATen costs by itself is
# two seconds of templates that its headers leave pending, precompiled or not.
function(lenswright_grouped target count)
  if(LENSWRIGHT_GROUPED)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${count})
  endif()
endfunction()
