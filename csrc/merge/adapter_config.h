#pragma once

#include <cstdint>
#include <string>

#include "io/json.h"

namespace lenswright {

/// adapter_config.json of a LoRA adapter. Throws std::invalid_argument for adapters of another
/// kind: DoRA, initialisations that change the model itself.
class AdapterConfig {
 public:
  AdapterConfig(const std::string& adapter, const Json& json);

  bool flag(const char* key) const;
  /// What the product of the factors of a module is multiplied by: lora_alpha / r, or / √r
  /// (rslora), alpha as alpha_pattern has it.
  double scale(const std::string& module, int64_t rank) const;

 private:
  double pattern(const char* key, const std::string& module, double otherwise) const;

  Json json_;
};

}  // namespace lenswright
