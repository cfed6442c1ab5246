// Models that also see: which decoder stands in them, and what their config.json says beside it.
// Names and defaults: transformers, models/gemma3/configuration_gemma3.py,
// models/llava/configuration_llava.py, models/mistral3/configuration_mistral3.py,
// models/qwen2_vl/configuration_qwen2_vl.py, models/qwen3_vl/configuration_qwen3_vl.py.
#include "spec/families/towers.h"

#include <stdexcept>

#include "spec/config_reader.h"
#include "spec/families/families.h"
#include "spec/families/qwen.h"

namespace lenswright {
namespace {

// Where decoders lie in such checkpoints: as transformers 4 and 5 wrote them.
const std::vector<Renaming> kPlaces = {
    {{"model.", "language_model.model."}, {"lm_head.", "language_model.lm_head."}},
    {{"model.", "model.language_model."}}};

const std::vector<std::string> kProjected = {"vision_tower.*", "multi_modal_projector.*",
                                             "model.vision_tower.*",
                                             "model.multi_modal_projector.*"};
const std::vector<std::string> kVisual = {"visual.*", "model.visual.*"};

const std::vector<std::string> kImageKeys = {"boi_token_index",
                                             "eoi_token_index",
                                             "ignore_index",
                                             "image_grid_pinpoints",
                                             "image_seq_length",
                                             "image_token_id",
                                             "image_token_index",
                                             "mm_tokens_per_image",
                                             "multimodal_projector_bias",
                                             "projector_hidden_act",
                                             "spatial_merge_size",
                                             "video_token_id",
                                             "video_token_index",
                                             "vision_config",
                                             "vision_end_token_id",
                                             "vision_feature_layer",
                                             "vision_feature_select_strategy",
                                             "vision_start_token_id",
                                             "vision_token_id"};

// Sizes that published text_configs leave out, by its model_type.
Json with_usual_sizes(Json text, const std::string& model_type) {
  struct Sizes {
    const char* model_type;
    int64_t vocab, d_model, d_mlp, layers, heads;
  };
  static const std::vector<Sizes> known = {{"gemma3_text", 262208, 2304, 9216, 26, 8},
                                           {"llama", 32000, 4096, 11008, 32, 32},
                                           {"mistral", 32000, 4096, 14336, 32, 32},
                                           {"qwen2", 151936, 4096, 22016, 32, 32}};
  for (const Sizes& own : known) {
    if (own.model_type != model_type) continue;
    const std::pair<const char*, int64_t> sizes[] = {{"vocab_size", own.vocab},
                                                     {"hidden_size", own.d_model},
                                                     {"intermediate_size", own.d_mlp},
                                                     {"num_hidden_layers", own.layers},
                                                     {"num_attention_heads", own.heads}};
    for (const auto& [key, size] : sizes) {
      if (!text.contains(key)) text.set(key, size);
    }
  }
  return text;
}

// The decoder's config: text_config, or in a flat one everything but the keys that are not its.
Json text_of(const Tower& tower, const Json& config, const std::string& model_type) {
  const bool there = config.contains("text_config") && config.at("text_config").is_object();
  if (there) return with_usual_sizes(config.at("text_config"), model_type);
  if (!tower.may_be_flat) {
    throw std::invalid_argument(
        "config.json: 'text_config' is missing, which holds the decoder's "
        "part in " +
        tower.architecture);
  }
  Json text = config;
  for (const std::string& key : tower.harmless) {
    if (text.contains(key)) text.erase(key);
  }
  return text;
}

bool says_tied(const Json& config) {
  const char* key = "tie_word_embeddings";
  return config.contains(key) && !config.at(key).is_null() && config.at(key).as_bool();
}

Spec read(const Tower& tower, const Family& decoder, const Json& config) {
  ConfigReader top(config);
  const bool flat = !top.has("text_config");
  Json text = text_of(tower, config, decoder.model_type);
  const bool tied = top.flag("tie_word_embeddings", tower.tied) ||
                    (tower.tied_by_text && !flat && says_tied(text));
  text.set("tie_word_embeddings", tied);
  Spec spec = decoder.read(text);
  if (flat) return spec;
  top.harmless(tower.harmless);
  for (const std::string& key : top.unknown_keys()) spec.unknown_keys.push_back(key);
  return spec;
}

Family without_logit_cap(Family decoder) {
  decoder.read = [read = decoder.read](const Json& text) {
    ConfigReader(text).refuse("final_logit_softcapping",
                              "transformers does not cap this model's logits");
    return read(text);
  };
  return decoder;
}

// Transformers reads layer_types of a Mistral only where it stands alone.
Family without_layer_types(Family decoder) {
  decoder.read = [read = decoder.read](const Json& text) {
    ConfigReader(text).refuse("layer_types", "transformers passes it over in this model");
    return read(text);
  };
  return decoder;
}

Family named(const std::vector<Family>& families, const std::string& model_type) {
  for (const Family& family : families) {
    if (family.model_type == model_type) return family;
  }
  throw std::logic_error("no family has model_type " + model_type);
}

}  // namespace

Family tower_over(const Tower& tower, const Family& decoder) {
  Tower all = tower;
  all.harmless.insert(all.harmless.end(), kImageKeys.begin(), kImageKeys.end());
  Family family{tower.architecture, tower.model_type,
                [all, decoder](const Json& config) { return read(all, decoder, config); },
                decoder.layouts, kPlaces};
  family.ignored = tower.ignored;
  family.ignored.push_back("*.rotary_emb.inv_freq");
  family.text_type = decoder.model_type;
  return family;
}

std::vector<Family> tower_families() {
  const Tower gemma3{.architecture = "Gemma3ForConditionalGeneration",
                     .model_type = "gemma3",
                     .ignored = kProjected,
                     .tied = true};
  const Tower llava{.architecture = "LlavaForConditionalGeneration",
                    .model_type = "llava",
                    .ignored = kProjected,
                    .tied_by_text = true};
  const Tower mistral3{.architecture = "Mistral3ForConditionalGeneration",
                       .model_type = "mistral3",
                       .ignored = kProjected,
                       .tied = true};
  Tower qwen2{.architecture = "Qwen2VLForConditionalGeneration",
              .model_type = "qwen2_vl",
              .ignored = kVisual,
              .tied_by_text = true,
              .may_be_flat = true};
  const Tower qwen3{.architecture = "Qwen3VLForConditionalGeneration",
                    .model_type = "qwen3_vl",
                    .ignored = kVisual};
  const std::vector<Family> mistral = mistral_families(), qwen = qwen_families();
  const Family plain_mistral = without_layer_types(named(mistral, "mistral"));
  std::vector<Family> list = {
      tower_over(gemma3, without_logit_cap(named(gemma_families(), "gemma3_text"))),
      tower_over(llava, named(llama_families(), "llama")),
      tower_over(llava, plain_mistral),
      tower_over(llava, named(qwen, "qwen2")),
      tower_over(llava, named(qwen, "qwen3")),
      tower_over(mistral3, plain_mistral),
      tower_over(mistral3, named(mistral, "ministral3")),
      tower_over(qwen2, qwen2_vl_text("qwen2_vl_text")),
      tower_over(qwen3, qwen3_vl_text())};
  qwen2.architecture = "Qwen2_5_VLForConditionalGeneration";
  qwen2.model_type = "qwen2_5_vl";
  list.push_back(tower_over(qwen2, qwen2_vl_text("qwen2_5_vl_text")));
  return list;
}

}  // namespace lenswright
