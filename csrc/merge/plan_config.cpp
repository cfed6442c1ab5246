#include "merge/plan_config.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/error.h"
#include "merge/plan_depths.h"

namespace lenswright {
namespace {

constexpr const char* kInner = "text_config";
constexpr std::array<std::string_view, 4> kLayers = {"num_hidden_layers", "n_layer", "n_layers",
                                                     "num_layers"};
// Lists of numbers of layers.
constexpr std::array<std::string_view, 5> kIndices = {"mlp_only_layers", "attn_layer_indices",
                                                      "full_attn_idxs", "cross_attention_layers",
                                                      "moe_layers"};

bool is_per_layer(const std::string& key, const Json& value, int64_t layers) {
  if (!value.is_array() || static_cast<int64_t>(value.size()) != layers) return false;
  return key != "architectures" && key.find("token_id") == std::string::npos &&
         !key.ends_with("_section");
}

Json per_layer(const std::string& key, const std::vector<LayerOrigin>& origins) {
  Json out = Json::array();
  for (const LayerOrigin& origin : origins) {
    const Json config = decoder_part(origin.input->config());
    const auto layers = layers_of(config);
    if (!layers || !config.contains(key) || !is_per_layer(key, config.at(key), *layers)) {
      throw std::invalid_argument("config.json of " + in_quotes(origin.input->name()) +
                                  " has no list " + in_quotes(key) +
                                  " with one entry for each layer, as that of the first model has");
    }
    out.push_back(config.at(key).at(static_cast<size_t>(origin.layer)));
  }
  return out;
}

// GPT-Neo: [[kinds, times], ...]; of layers in another order, each kind once.
Json attention_types(const std::vector<LayerOrigin>& origins) {
  constexpr const char* kKey = "attention_types";
  Json kinds = Json::array();
  for (const LayerOrigin& origin : origins) {
    const Json config = decoder_part(origin.input->config());
    std::vector<Json> all;
    if (config.contains(kKey)) {
      for (const Json& entry : config.at(kKey).elements()) {
        const int64_t times = entry.at(size_t{1}).as_int();
        // no more than is asked for: the number is anybody's
        for (int64_t i = 0; i < times && static_cast<int64_t>(all.size()) <= origin.layer; ++i) {
          if (entry.at(size_t{0}).size() == 0) break;
          for (const Json& kind : entry.at(size_t{0}).elements()) all.push_back(kind);
        }
      }
    }
    if (origin.layer >= static_cast<int64_t>(all.size())) {
      throw std::invalid_argument("config.json of " + in_quotes(origin.input->name()) + ": " +
                                  kKey + " has no entry for layer " + std::to_string(origin.layer));
    }
    kinds.push_back(all[static_cast<size_t>(origin.layer)]);
  }
  Json entry = Json::array(), out = Json::array();
  entry.push_back(kinds);
  entry.push_back(int64_t{1});
  out.push_back(entry);
  return out;
}

Json indices(const std::string& key, const std::vector<LayerOrigin>& origins) {
  Json out = Json::array();
  for (size_t i = 0; i < origins.size(); ++i) {
    const Json config = decoder_part(origins[i].input->config());
    if (!config.contains(key) || !config.at(key).is_array()) continue;
    for (const Json& one : config.at(key).elements()) {
      if (one.is_integer() && one.as_int() == origins[i].layer) {
        out.push_back(static_cast<int64_t>(i));
      }
    }
  }
  return out;
}

}  // namespace

Json decoder_part(const Json& config) {
  const bool inner = config.contains(kInner) && config.at(kInner).is_object();
  return inner ? config.at(kInner) : config;
}

std::optional<int64_t> layers_of(const Json& config) {
  const Json part = decoder_part(config);
  for (const std::string_view key : kLayers) {
    if (part.contains(key) && part.at(key).is_integer()) return part.at(key).as_int();
  }
  return std::nullopt;
}

bool ties_embeddings(const Json& config) {
  constexpr const char* kTied = "tie_word_embeddings";
  const auto is_true = [&](const Json& part) {
    return part.contains(kTied) && part.at(kTied) == Json(true);
  };
  return is_true(config) || is_true(decoder_part(config));
}

std::string model_type(const Json& config) {
  const bool named = config.contains("model_type") && config.at("model_type").is_string();
  return named ? config.at("model_type").as_string() : "";
}

std::string quantised_by(const Json& config) {
  for (const Json& part : {config, decoder_part(config)}) {
    if (!part.contains("quantization_config")) continue;
    const Json found = part.at("quantization_config");
    if (found.is_null()) continue;
    const bool named = found.contains("quant_method") && found.at("quant_method").is_string();
    return named ? found.at("quant_method").as_string() : "a way it does not name";
  }
  return "";
}

Json without_quantisation(const Json& config) {
  Json out = config;
  for (const char* key : {"quantization_config", "compression_config"}) {
    out.erase(key);
    if (!out.contains(kInner) || !out.at(kInner).is_object()) continue;
    Json part = out.at(kInner);
    part.erase(key);
    out.set(kInner, part);
  }
  return out;
}

Json with_layers(const Json& config, const std::vector<LayerOrigin>& origins) {
  const bool inner = config.contains(kInner) && config.at(kInner).is_object();
  Json part = decoder_part(config);
  const auto layers = layers_of(part);
  if (!layers) throw std::invalid_argument("config.json names no number of layers");
  check_depths(part, origins);
  for (const auto& [key, value] : part.items()) {
    if (std::ranges::find(kLayers, key) != kLayers.end()) {
      part.set(key, static_cast<int64_t>(origins.size()));
    } else if (std::ranges::find(kIndices, key) != kIndices.end() && value.is_array()) {
      part.set(key, indices(key, origins));
    } else if (key == "attention_types" && value.is_array()) {
      part.set(key, attention_types(origins));
    } else if (is_per_layer(key, value, *layers)) {
      part.set(key, per_layer(key, origins));
    }
  }
  if (!inner) return part;
  Json out = config;
  out.set(kInner, part);
  return out;
}

Json with_key(const Json& config, std::string_view key, const Json& value) {
  Json out = config;
  const bool inner =
      config.contains(kInner) && config.at(kInner).is_object() && config.at(kInner).contains(key);
  if (inner) {
    Json part = config.at(kInner);
    part.set(key, value);
    out.set(kInner, part);
  }
  if (!inner || config.contains(key)) out.set(key, value);
  return out;
}

}  // namespace lenswright
