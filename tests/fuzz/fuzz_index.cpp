// The index of a sharded checkpoint: whatever it says, a shard is a plain file name.
#include <cstdlib>

#include "io/shard_index.h"

using namespace lenswright;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    for (const std::string& shard : parse_index(text, "fuzz").shards()) {
      if (!is_plain_name(shard) || shard.find('/') != std::string::npos) std::abort();
    }
  } catch (const CheckpointError&) {
  }
  return 0;
}
