#include "merge/adapter_config.h"

#include <cmath>
#include <regex>
#include <stdexcept>

#include "base/error.h"
#include "merge/refuse.h"

namespace lenswright {
AdapterConfig::AdapterConfig(const std::string& adapter, const Json& json) : json_(json) {
  const auto text = [&](const char* key) {
    return json.contains(key) && json.at(key).is_string() ? json.at(key).as_string() : "";
  };
  if (text("peft_type") != "LORA") {
    refuse_adapter(adapter, "peft_type is " + in_quotes(text("peft_type")) + ", expected 'LORA'");
  }
  if (flag("use_dora")) refuse_adapter(adapter, "use_dora is true; DoRA is not supported");
  const std::string start = text("init_lora_weights");
  for (const char* kind : {"pissa", "olora", "corda", "loftq"}) {
    if (start.starts_with(kind)) {
      refuse_adapter(
          adapter, "init_lora_weights is " + in_quotes(start) + ", which changes the model itself");
    }
  }
}

bool AdapterConfig::flag(const char* key) const {
  return json_.contains(key) && json_.at(key) == Json(true);
}

double AdapterConfig::scale(const std::string& module, int64_t rank) const {
  const double alpha = pattern("alpha_pattern", module, json_.at("lora_alpha").as_double());
  const auto r = static_cast<double>(rank);
  return alpha / (flag("use_rslora") ? std::sqrt(r) : r);
}

// A key of a pattern is a module's name, its end, or an expression for one of both.
double AdapterConfig::pattern(const char* key, const std::string& module, double otherwise) const {
  if (!json_.contains(key) || !json_.at(key).is_object()) return otherwise;
  for (const auto& [name, value] : json_.at(key).items()) {
    if (std::regex_match(module, std::regex("(.*\\.)?(" + name + ")"))) return value.as_double();
  }
  return otherwise;
}

}  // namespace lenswright
