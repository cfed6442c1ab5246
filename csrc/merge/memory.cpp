#include "merge/memory.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "base/error.h"
#include "base/parallel.h"
#include "merge/tensor_run.h"

namespace lenswright {
namespace {

constexpr uint64_t kRest = 32u << 20;  // the process, its plan and buffers of the kernel's making
constexpr uint64_t kEnough = 256u << 20;  // that tensors begun together share

}  // namespace

Memory memory_of(const MergePlan& plan, int threads, uint64_t limit) {
  Memory out;
  out.threads = thread_count(threads);
  out.held.resize(plan.jobs.size());
  uint64_t desk = 0, most = 0;
  std::string largest;
  for (size_t i = 0; i < plan.jobs.size(); ++i) {
    if (plan.jobs[i].copy) continue;
    const TensorRun::Needs needs = TensorRun::needs(plan.jobs[i], plan.options);
    out.held[i] = needs.held;
    desk = std::max(desk, needs.desk);
    if (largest.empty() || needs.held > most) largest = plan.jobs[i].name;
    most = std::max(most, needs.held);
  }
  std::vector<uint64_t> sorted = out.held;
  std::ranges::sort(sorted, std::greater());
  sorted.resize(std::min(sorted.size(), static_cast<size_t>(out.threads)));
  const uint64_t together = std::accumulate(sorted.begin(), sorted.end(), uint64_t{0});
  out.shared = std::min(together, std::max(most, kEnough));
  const uint64_t inputs = std::accumulate(
      plan.inputs.begin(), plan.inputs.end(), kRest,
      [](uint64_t sum, const std::shared_ptr<const Input>& input) { return sum + input->held(); });
  const auto desks = [&] { return inputs + desk * static_cast<uint64_t>(out.threads); };
  if (limit > 0) {
    while (out.threads > 1 && desks() + most > limit) --out.threads;
    if (desks() + most > limit) {
      throw std::invalid_argument("memory is " + std::to_string(limit) +
                                  " bytes, expected at least " + std::to_string(desks() + most) +
                                  ", for tensor " + in_quotes(largest));
    }
    out.shared = std::min(out.shared, limit - desks());
  }
  out.bytes = desks() + out.shared;
  return out;
}

}  // namespace lenswright
