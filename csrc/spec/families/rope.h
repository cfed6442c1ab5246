#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/config_reader.h"
#include "spec/spec.h"

namespace lenswright {

/// What a family's rotations are where its config.json is silent.
struct RopeDefaults {
  double theta = 10000.0;
  double partial = 1.0;         // of a head rotates
  bool may_be_partial = false;  // whether config.json may say so
  RopeLayout layout = RopeLayout::half;
  std::vector<std::string> more_keys{};  // of the parameters, which the family reads by itself
  std::string parameters{};              // as JSON: the object where config.json has none
};

/// Tables of early checkpoints under Llama's names, which config.json gives as well.
inline const std::vector<std::string> kRotaryTables = {
    "model.layers.*.self_attn.rotary_emb.inv_freq"};

/// A config whose rotations, where they are of type `from`, are of type `to`.
Json with_rope_type(Json config, std::string_view from, std::string_view to);

/// The object of config.json that says how heads rotate; empty where there is none.
Json rope_parameters(ConfigReader& config, const RopeDefaults& defaults);

/// Rotations of heads of `d_head` from rope_parameters (as transformers 5 writes them) or
/// rope_theta and rope_scaling (as 4 did). Throws std::invalid_argument by key.
Rope read_rope(ConfigReader& config, int64_t d_head, int64_t n_ctx, const RopeDefaults& defaults);

/// One object of such parameters; `where` names it in messages.
Rope rope_from(const Json& parameters, const std::string& where, int64_t d_head, int64_t n_ctx,
               const RopeDefaults& defaults);

/// Two rotations, of layers of full attention and of layers that slide: from rope_parameters
/// {"full_attention": {...}, "sliding_attention": {...}}; rope_scaling, in older configs, says
/// something of the first only.
std::vector<Rope> ropes_by_layer_type(ConfigReader& config, int64_t d_head, int64_t n_ctx,
                                      const RopeDefaults& full, const RopeDefaults& sliding);

}  // namespace lenswright
