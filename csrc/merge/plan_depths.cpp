#include "merge/plan_depths.h"

#include <array>
#include <stdexcept>
#include <string_view>

namespace lenswright {
namespace {

// How a number k says what layer i of n is.
enum class Rule {
  first,   // those before k
  until,   // those up to k; -1: all
  last,    // the last k
  every,   // every k-th
  number,  // each its own: i itself is in the arithmetic
  behind,  // k more behind the last: they have no place in slices
};

struct Depth {
  std::string_view key;
  Rule rule;
  std::string_view instead = "";  // where config.json has this list, the key has no effect
};

constexpr std::array<Depth, 21> kDepths = {{
    {"first_k_dense_replace", Rule::first},
    {"num_dense_layers", Rule::first},
    {"moe_layer_num_skipped", Rule::first},
    {"moe_layer_start_index", Rule::first},
    {"moe_layer_end_index", Rule::until},
    {"max_window_layers", Rule::first, "layer_types"},
    {"num_kv_shared_layers", Rule::last},
    {"num_nextn_predict_layers", Rule::behind},
    {"sliding_window_pattern", Rule::every, "layer_types"},
    {"_sliding_window_pattern", Rule::every, "layer_types"},
    {"full_attention_interval", Rule::every, "layer_types"},
    {"global_attn_every_n_layers", Rule::every, "layer_types"},
    {"layer_switch", Rule::every, "layer_types"},
    {"no_rope_layer_interval", Rule::every, "no_rope_layers"},
    {"interleave_moe_layer_step", Rule::every, "moe_layers"},
    {"decoder_sparse_step", Rule::every},
    {"moe_layer_interval", Rule::every},
    {"moe_layer_freq", Rule::every},
    {"attn_layer_period", Rule::every},
    {"expert_layer_period", Rule::every},
    {"scale_attn_by_inverse_layer_idx", Rule::number},
}};

constexpr std::string_view kWindows = "use_sliding_window";  // false: no window begins anywhere

// The number that a value stands for; a pattern written out ("LLLG") repeats after its length.
int64_t number(const Json& value) {
  if (value.is_bool()) return value.as_bool() ? 1 : 0;
  if (value.is_integer()) return value.as_int();
  return value.is_string() ? static_cast<int64_t>(value.as_string().size()) : 0;
}

int64_t kind(Rule rule, int64_t k, int64_t layer, int64_t layers) {
  switch (rule) {
    case Rule::first:
      return layer < k ? 1 : 0;
    case Rule::until:
      return k < 0 || layer <= k ? 1 : 0;
    case Rule::last:
      return layers - layer <= k ? 1 : 0;
    case Rule::every:
      return k > 1 ? layer % k : 0;
    case Rule::number:
    case Rule::behind:
      return k == 0 ? 0 : layer;
  }
  return 0;
}

bool has_effect(const Json& config, const Depth& depth) {
  if (!config.contains(depth.key) || config.at(depth.key).is_null()) return false;
  const bool instead = !depth.instead.empty() && config.contains(depth.instead) &&
                       config.at(depth.instead).is_array();
  if (instead || depth.key != "max_window_layers") return !instead;
  return !config.contains(kWindows) || number(config.at(kWindows)) != 0;
}

}  // namespace

void check_depths(const Json& config, const std::vector<LayerOrigin>& origins) {
  const auto layers = static_cast<int64_t>(origins.size());
  for (const Depth& depth : kDepths) {
    if (!has_effect(config, depth)) continue;
    const int64_t k = number(config.at(depth.key));
    for (int64_t i = 0; i < layers; ++i) {
      const LayerOrigin& origin = origins[static_cast<size_t>(i)];
      const Json from = decoder_part(origin.input->config());
      const int64_t own = has_effect(from, depth) ? number(from.at(depth.key)) : k;
      const int64_t before = kind(depth.rule, own, origin.layer, layers_of(from).value_or(layers));
      if (before == kind(depth.rule, k, i, layers)) continue;
      throw std::invalid_argument(
          "config.json: " + std::string(depth.key) + " is " + config.at(depth.key).dump() +
          ", which says what layers are by their depth; layer " + std::to_string(origin.layer) +
          " of \"" + origin.input->name() + "\" would be another as layer " + std::to_string(i));
    }
  }
}

}  // namespace lenswright
