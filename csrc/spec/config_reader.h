#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"

namespace lenswright {

/// Reads config.json and remembers what was read, so that no key is passed over in silence.
class ConfigReader {
 public:
  explicit ConfigReader(const Json& config) : config_(config) {}

  int64_t size(std::string_view key);  // required, 1 to 2^31
  int64_t size(std::string_view key, int64_t otherwise);
  double number(std::string_view key, double otherwise);
  bool flag(std::string_view key, bool otherwise);
  std::string text(std::string_view key, std::string otherwise);
  Json object(std::string_view key);  // null where absent
  bool has(std::string_view key);     // present and not null
  bool absent(std::string_view key);  // not there, not even as null

  /// Keys whose value cannot change what the network computes.
  void harmless(const std::vector<std::string>& keys);
  /// A key that asks for arithmetic we lack: an error unless absent, null, false or 0.
  void refuse(std::string_view key, std::string_view why);
  std::vector<std::string> unknown_keys() const;

 private:
  const Json& config_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace lenswright
