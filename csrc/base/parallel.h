#pragma once

#include <cstdint>
#include <functional>

namespace lenswright {

/// `threads`, or one for each processor where that is not positive.
int thread_count(int threads);

/// Calls body(i) once for every i in [0, count) from `threads` threads (0: one per processor) and
/// waits. After the first exception no new index is started and that exception is thrown here.
/// For torch-free code; code that links LibTorch uses at::parallel_for.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& body);

}  // namespace lenswright
