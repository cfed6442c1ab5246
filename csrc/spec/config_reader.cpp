#include "spec/config_reader.h"

#include <algorithm>
#include <stdexcept>

namespace lenswright {
namespace {

int64_t checked_size(std::string_view key, int64_t value) {
  if (value < 1 || value > (int64_t{1} << 31)) {
    throw std::invalid_argument("config.json: '" + std::string(key) + "' is " +
                                std::to_string(value) + ", expected a size from 1 to 2^31");
  }
  return value;
}

// Written by every family's configuration class, about files, training or generation.
const std::vector<std::string> kHarmless = {"_name_or_path",
                                            "architectures",
                                            "attribute_map",
                                            "auto_map",
                                            "bos_token_id",
                                            "chunk_size_feed_forward",
                                            "decoder_start_token_id",
                                            "dtype",
                                            "eos_token_id",
                                            "finetuning_task",
                                            "id2label",
                                            "initializer_range",
                                            "is_decoder",
                                            "is_encoder_decoder",
                                            "label2id",
                                            "model_type",
                                            "num_labels",
                                            "output_attentions",
                                            "output_hidden_states",
                                            "pad_token_id",
                                            "prefix",
                                            "problem_type",
                                            "quantization_config",
                                            "return_dict",
                                            "sep_token_id",
                                            "task_specific_params",
                                            "tokenizer_class",
                                            "torch_dtype",
                                            "transformers_version",
                                            "unsloth_version",
                                            "use_cache",
                                            "_attn_implementation_autoset"};

}  // namespace

bool ConfigReader::has(std::string_view key) {
  known_.emplace(key);
  return config_.contains(key) && !config_.at(key).is_null();
}

bool ConfigReader::absent(std::string_view key) {
  known_.emplace(key);
  return !config_.contains(key);
}

int64_t ConfigReader::size(std::string_view key) {
  if (!has(key)) {
    throw std::invalid_argument("config.json: '" + std::string(key) + "' is missing");
  }
  return checked_size(key, config_.at(key).as_int());
}

int64_t ConfigReader::size(std::string_view key, int64_t otherwise) {
  return checked_size(key, has(key) ? config_.at(key).as_int() : otherwise);
}

double ConfigReader::number(std::string_view key, double otherwise) {
  return has(key) ? config_.at(key).as_double() : otherwise;
}

bool ConfigReader::flag(std::string_view key, bool otherwise) {
  return has(key) ? config_.at(key).as_bool() : otherwise;
}

std::string ConfigReader::text(std::string_view key, std::string otherwise) {
  return has(key) ? config_.at(key).as_string() : otherwise;
}

Json ConfigReader::object(std::string_view key) {
  return has(key) ? config_.at(key) : Json(nullptr);
}

void ConfigReader::harmless(const std::vector<std::string>& keys) {
  known_.insert(keys.begin(), keys.end());
}

void ConfigReader::refuse(std::string_view key, std::string_view why) {
  if (!has(key)) return;
  const Json value = config_.at(key);
  if (value.is_bool() && !value.as_bool()) return;
  if (value.is_number() && value.as_double() == 0.0) return;
  throw std::invalid_argument("config.json: '" + std::string(key) + "' is " + value.dump() + "; " +
                              std::string(why));
}

std::vector<std::string> ConfigReader::unknown_keys() const {
  std::vector<std::string> unknown;
  for (const auto& key : config_.keys()) {
    const bool harmless = std::find(kHarmless.begin(), kHarmless.end(), key) != kHarmless.end();
    if (!harmless && !known_.contains(key)) unknown.push_back(key);
  }
  return unknown;
}

}  // namespace lenswright
