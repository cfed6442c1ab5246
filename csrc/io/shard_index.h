#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/checkpoint_error.h"

namespace lenswright {

/// The table of a sharded checkpoint: which tensor lies in which file.
struct ShardIndex {
  std::vector<std::pair<std::string, std::string>> places;  // tensor, shard; in file order
  std::vector<std::string> shards() const;                  // distinct, sorted
};

/// Reads an index. Every shard must be a plain file name ending in .safetensors: no folders, no
/// "..", no hidden files, nothing that could lead out of the checkpoint's folder.
ShardIndex parse_index(std::string_view text, std::string_view file);

/// True for a name that is a file of the folder itself.
bool is_plain_name(std::string_view name);

}  // namespace lenswright
