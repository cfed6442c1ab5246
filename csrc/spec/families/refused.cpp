// Architectures that are refused by name, and what each would need.
#include "spec/families/refused.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace lenswright {
namespace {

struct Beyond {
  std::string_view what;
  std::vector<std::string_view> model_types;
};

const std::vector<Beyond> kTable = {
    {"state-space layers",
     {"bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "jamba", "mamba", "mamba2",
      "nemotron_h", "plamo2", "zamba", "zamba2"}},
    {"layers of linear attention",
     {"bailing_hybrid", "kimi_linear", "minimax", "olmo_hybrid", "qwen3_5", "qwen3_5_moe",
      "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next"}},
    {"layers of short convolutions", {"lfm2", "lfm2_moe", "lfm2_vl"}},
    {"recurrent layers", {"recurrent_gemma", "rwkv", "xlstm"}},
    {"four residual streams (AltUp) and per-layer inputs", {"gemma3n", "gemma3n_text"}},
    {"an encoder",
     {"bart",
      "bigbird_pegasus",
      "blenderbot",
      "blenderbot_small",
      "encoder_decoder",
      "fsmt",
      "led",
      "longt5",
      "m2m_100",
      "marian",
      "mbart",
      "moonshine",
      "mt5",
      "mvp",
      "nllb_moe",
      "pegasus",
      "pegasus_x",
      "plbart",
      "prophetnet",
      "seamless_m4t",
      "speech_to_text",
      "speecht5",
      "switch_transformers",
      "t5",
      "t5gemma",
      "umt5",
      "vision_encoder_decoder",
      "whisper"}},
    {"attention in both directions",
     {"albert",     "bert",     "big_bird",    "camembert",     "deberta",     "deberta_v2",
      "distilbert", "electra",  "ernie",       "funnel",        "longformer",  "mobilebert",
      "modernbert", "mpnet",    "nomic_bert",  "nystromformer", "perceiver",   "rembert",
      "roberta",    "roformer", "squeezebert", "xlm",           "xlm_roberta", "xlnet"}},
};

// "FalconMamba" and "falcon_mamba" alike.
std::string plain(std::string_view name) {
  std::string letters;
  for (const unsigned char c : name) {
    if (std::isalnum(c)) letters += static_cast<char>(std::tolower(c));
  }
  return letters;
}

bool is_of(std::string_view model_type, const std::string& type, const std::string& architecture) {
  const std::string own = plain(model_type);
  if (own == type) return true;
  if (!architecture.starts_with(own)) return false;
  const std::string_view rest = std::string_view(architecture).substr(own.size());
  return rest.starts_with("for") || rest.starts_with("model") || rest.starts_with("lmhead");
}

bool is_true(const Json& config, std::string_view key) {
  return config.contains(key) && config.at(key) == Json(true);
}

}  // namespace

std::string beyond_decoders(const std::string& architecture, const std::string& model_type,
                            const Json& config) {
  const std::string class_name = plain(architecture), type = plain(model_type);
  for (const Beyond& beyond : kTable) {
    const auto& types = beyond.model_types;
    const bool here = std::any_of(types.begin(), types.end(), [&](std::string_view own) {
      return is_of(own, type, class_name);
    });
    if (here) return std::string(beyond.what);
  }
  if (is_true(config, "is_encoder_decoder")) return "an encoder";
  if (config.contains("auto_map") && config.at("auto_map").is_object()) return "its own code";
  return "";
}

}  // namespace lenswright
