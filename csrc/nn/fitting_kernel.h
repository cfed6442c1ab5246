#pragma once

#include <ATen/Version.h>

#include <string>

namespace lenswright {

/// The kernel for what torch takes this processor for (ATEN_CPU_CAPABILITY says otherwise);
/// nullptr: the compiler made no such code.
template <class Kernel>
const Kernel& fitting_kernel(const Kernel& plain, const Kernel* avx2, const Kernel* avx512) {
  const std::string known = at::get_cpu_capability();
  if (known == "AVX512" && avx512) return *avx512;
  return known.starts_with("AVX") && avx2 ? *avx2 : plain;
}

}  // namespace lenswright
