#pragma once

#include <algorithm>
#include <string>

#include "catch.h"
#include "spec/family.h"

namespace lenswright::test {

inline Json json(std::string_view text) { return Json::parse(text, "config.json"); }

/// A small Llama with odd sizes: 4 heads of 10 over 2 keys and values; biases where the checkpoint
/// has them.
inline Json llama_config() {
  return json(R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "hidden_size": 30, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 10, "intermediate_size": 37, "vocab_size": 97, "max_position_embeddings": 64,
    "attention_bias": true, "mlp_bias": true})");
}

inline Json gpt2_config() {
  return json(R"({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 30,
    "n_layer": 2, "n_head": 3, "n_inner": 47, "vocab_size": 97, "n_positions": 64})");
}

inline Json with(Json config, std::string_view key, Json value) {
  config.set(key, std::move(value));
  return config;
}

inline Json without(Json config, std::string_view key) {
  config.erase(key);
  return config;
}

inline Spec read(const Json& config) { return spec_of(family_of(config), config); }

/// What is said when a config is refused; a failure of the test where it is taken.
inline std::string refusal(const Json& config) {
  try {
    read(config);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  FAIL("accepted: " << config.dump());
  return "";
}

inline bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lenswright::test
