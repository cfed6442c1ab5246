// Llama 4's text part: chunks of attention in layers that rotate, queries that grow in those that
// do not, experts whose input is weighted.
// Names and defaults: transformers, models/llama4/configuration_llama4.py.
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/experts.h"
#include "spec/families/families.h"
#include "spec/families/llama_like.h"
#include "spec/families/towers.h"

namespace lenswright {
namespace {

// One entry of a list for each layer; nothing where there is no list, or an empty one.
std::vector<Json> by_layer(ConfigReader& config, const char* key, const Spec& spec) {
  const Json list = config.object(key);
  if (list.is_null() || list.size() == 0) return {};
  if (static_cast<int64_t>(list.size()) >= spec.n_layers) return list.elements();
  throw std::invalid_argument("config.json: '" + std::string(key) + "' has " +
                              std::to_string(list.size()) + " entries, expected " +
                              std::to_string(spec.n_layers) + ", one for each layer");
}

// A flag that early configs gave as a number.
bool says(ConfigReader& config, const char* key, bool otherwise) {
  const Json value = config.object(key);
  return value.is_number() ? value.as_double() != 0.0 : config.flag(key, otherwise);
}

void read_layers(Spec& spec, ConfigReader& config) {
  const int64_t chunk =
      config.absent("attention_chunk_size") ? 8192 : read_whole(config, "attention_chunk_size", 0);
  const int64_t interval = config.size("no_rope_layer_interval", 4);
  const std::vector<Json> turning = by_layer(config, "no_rope_layers", spec);
  const std::vector<Json> types = by_layer(config, "layer_types", spec);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const bool turns =
        turning.empty() ? (static_cast<int64_t>(i) + 1) % interval != 0 : turning[i].as_int() != 0;
    if (!turns) spec.layers[i].rope = -1;
    const std::string usual = turns ? "chunked_attention" : "full_attention";
    const std::string type = types.empty() ? usual : types[i].as_string();
    if (type == "full_attention") continue;
    if (type != "chunked_attention" || chunk < 1) {
      throw std::invalid_argument("config.json: layer " + std::to_string(i) + " has " + type +
                                  " and 'attention_chunk_size' is " + std::to_string(chunk) +
                                  ", expected full_attention, or chunked_attention and a size");
    }
    spec.layers[i].chunk = chunk;
  }
}

void read_mixture(Spec& spec, ConfigReader& config) {
  const int64_t step = config.size("interleave_moe_layer_step", 1);
  const Json list = config.object("moe_layers");
  set_mixtures(spec, [&](int64_t layer) { return list.is_null() && (layer + 1) % step == 0; });
  for (size_t i = 0; !list.is_null() && i < list.size(); ++i) {
    const int64_t layer = list.at(i).as_int();
    if (layer < spec.n_layers) spec.layers[static_cast<size_t>(layer)].mixture = true;
  }
  Routing& routing = spec.mixture.routing;
  routing.router = Router::sigmoid_input;
  routing.experts = size_under(config, {"num_local_experts", "num_experts"}, 16);
  routing.chosen = config.size("num_experts_per_tok", 1);
  spec.mixture.d_mlp = spec.mixture.d_shared = spec.d_mlp;
  spec.d_mlp = config.size("intermediate_size_mlp", 16384);  // of layers that are no mixtures
  harmless_in_mixtures(config);
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec = read_llama_like(config, {.family = "llama4",
                                       .kv_heads = 8,
                                       .d_head = 128,
                                       .null_is_shared = true,
                                       .n_ctx = 131072,
                                       .eps = 1e-5,
                                       .rope = {.theta = 5e5, .layout = RopeLayout::adjacent}});
  read_layers(spec, config);
  if (config.flag("use_qk_norm", true)) {
    norm_heads(spec);
    spec.qk_norm_after_rope = spec.qk_norm_rotated_only = true;
  }
  const double growth = config.number("attn_scale", 0.1);
  const int64_t step = config.size("floor_scale", 8192);
  if (says(config, "attn_temperature_tuning", true)) spec.query_growth = {growth, step, 1, true};
  read_mixture(spec, config);
  config.harmless({"for_llm_compressor"});
  spec.biases = attention_biases(config);
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

// Norms of queries and keys have no weights here.
std::vector<Row> rows(const Spec& s) {
  return llama_like_rows(
      s, {.q_norm = "", .k_norm = ""},
      [&](Rows& rows, const std::string& to, const std::string& from, int64_t layer) {
        const std::string mlp = from + "feed_forward.";
        if (!s.layers[static_cast<size_t>(layer)].mixture) {
          return gated_rows(rows, to + "mlp.", mlp, s.d_mlp, s);
        }
        rows.matrix(to + "mlp.W_router", mlp + "router.weight", s.mixture.routing.experts,
                    s.d_model);
        fused_expert_rows(rows, to, mlp + "experts.gate_up_proj", mlp + "experts.down_proj", s,
                          Layout::in_out);
        gated_rows(rows, to + "mlp.shared.", mlp + "shared_expert.", s.mixture.d_shared, s);
      });
}

}  // namespace

std::vector<Family> llama4_families() {
  const Family decoder{"Llama4ForCausalLM", "llama4_text", read, {rows}};
  const Tower tower{.architecture = "Llama4ForConditionalGeneration",
                    .model_type = "llama4",
                    .ignored = {"vision_model.*", "multi_modal_projector.*", "model.vision_model.*",
                                "model.multi_modal_projector.*"},
                    .harmless = {"boi_token_id", "eoi_token_id"},
                    .tied_by_text = true};
  return {decoder, tower_over(tower, decoder)};
}

}  // namespace lenswright
