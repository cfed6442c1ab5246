#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"

namespace lenswright {

/// An entry of a header as it is spelt, before sizes and offsets are checked.
struct HeaderEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<uint64_t> shape;
  std::array<uint64_t, 2> offsets{};
};

struct RawHeader {
  std::vector<HeaderEntry> entries;  // in file order, names may still occur twice
  Metadata metadata;                 // likewise
};

/// Reads the JSON of a header. Throws CheckpointError.
RawHeader read_header_text(std::string_view text, std::string_view file);

/// Position in the file of an entry's key, for messages; 8 when it is spelt with escapes of its
/// own.
uint64_t key_position(std::string_view header, std::string_view name);

}  // namespace lenswright
