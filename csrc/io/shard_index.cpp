#include "io/shard_index.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace lenswright {

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name.front() == '.') return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
}

std::vector<std::string> ShardIndex::shards() const {
  std::set<std::string> names;
  for (const auto& [tensor, shard] : places) names.insert(shard);
  return {names.begin(), names.end()};
}

ShardIndex parse_index(std::string_view text, std::string_view file) {
  const std::string name(file);
  const auto fail = [&](Flaw flaw, const std::string& message, const std::string& tensor = "") {
    throw CheckpointError(flaw, name, message, tensor);
  };
  ShardIndex index;
  try {
    const Json table = Json::parse(text, file).at("weight_map");
    for (const auto& [tensor, shard] : table.items()) {
      index.places.emplace_back(tensor, shard.as_string());
    }
  } catch (const std::invalid_argument& error) {
    std::string_view why = error.what();
    if (why.starts_with(name + ": ")) why.remove_prefix(name.size() + 2);
    fail(Flaw::index, std::string(why));
  }
  if (index.places.empty()) fail(Flaw::index, "weight_map is empty");
  if (index.places.size() > kMaxTensors) {
    fail(Flaw::limit, "more than " + std::to_string(kMaxTensors) + " tensors");
  }
  for (const auto& [tensor, shard] : index.places) {
    if (tensor.size() > kMaxNameBytes) {
      fail(Flaw::limit, "a tensor name of more than " + std::to_string(kMaxNameBytes) + " bytes");
    }
    if (!is_plain_name(shard)) {
      fail(Flaw::path,
           "is mapped to " + in_quotes(shard) + ", expected the name of a file in the same folder",
           tensor);
    }
    if (!shard.ends_with(".safetensors")) {
      fail(Flaw::path, "is mapped to " + in_quotes(shard) + ", expected a .safetensors file",
           tensor);
    }
  }
  return index;
}

}  // namespace lenswright
