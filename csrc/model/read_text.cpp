#include "model/read_text.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lenswright {
namespace {

// Beyond their original length, rows of these scalings are turned by their own (see Rope).
bool turned_by_length(const Spec& spec, int64_t length) {
  return std::ranges::any_of(spec.ropes, [&](const Rope& rope) {
    const bool grows =
        rope.scaling == RopeScaling::dynamic || rope.scaling == RopeScaling::longrope;
    return grows && length > rope.original_ctx;
  });
}

}  // namespace

std::optional<KvCache> ReadText::take(const Batch& prompt, int64_t slots, const Spec& spec) {
  std::optional<KvCache> cache = std::move(cache_);
  const std::vector<int64_t> tokens = std::move(tokens_);
  cache_.reset();
  tokens_.clear();
  const int64_t length = prompt.lengths()[0];
  if (!cache || turned_by_length(spec, length)) return std::nullopt;
  const at::Tensor given = prompt.tokens().to(at::kCPU).contiguous();
  const int64_t* const ids = given.const_data_ptr<int64_t>() + prompt.start(0);
  const int64_t most = std::min(length - 1, static_cast<int64_t>(tokens.size()));
  const int64_t common = std::mismatch(ids, ids + most, tokens.begin()).first - ids;
  if (common == 0) return std::nullopt;
  cache->keep(common, slots);
  return cache;
}

void ReadText::put(std::vector<int64_t> tokens, std::optional<KvCache> cache, const Spec& spec) {
  if (!cache || turned_by_length(spec, static_cast<int64_t>(tokens.size()))) return;
  tokens_ = std::move(tokens);
  cache_ = std::move(cache);
}

}  // namespace lenswright
