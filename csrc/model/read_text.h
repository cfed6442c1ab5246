#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/batch.h"
#include "model/kv_cache.h"
#include "spec/spec.h"

namespace lenswright {

/// What one row has read, with its keys and values: the next text that begins alike goes on from
/// there. Whoever keeps one sees to it that nothing that acts on the model has changed since.
class ReadText {
 public:
  const std::vector<int64_t>& tokens() const { return tokens_; }

  /// The cache, cut to what a prompt of one row has in common with this text (its last token aside,
  /// whose logits are wanted) and with room for `slots`; none where that is nothing. Until it is
  /// put back this is empty, so that two readings never share one.
  std::optional<KvCache> take(const Batch& prompt, int64_t slots, const Spec& spec);
  /// Keys and values of these tokens. Where they were turned by how long the row was, they are of
  /// no use to a longer one, and are not kept.
  void put(std::vector<int64_t> tokens, std::optional<KvCache> cache, const Spec& spec);

 private:
  std::vector<int64_t> tokens_;
  std::optional<KvCache> cache_;
};

}  // namespace lenswright
