#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/spec.h"

namespace lenswright {

/// Every kind of place where a run can be watched or changed. Names and meanings are
/// TransformerLens's; `attn_out` and `mlp_out` are what is added to the residual.
enum class Site : uint8_t {
  tokens,
  embed_ln_scale,
  embed_ln_normalized,
  embed,
  pos_embed,
  resid_pre,
  attn_in,
  q_input,
  k_input,
  v_input,
  ln1_scale,
  ln1_normalized,
  q_latent,
  kv_latent,
  q,
  k,
  v,
  q_normed,
  k_normed,
  rot_q,
  rot_k,
  attn_scores,
  attn_sink,
  pattern,
  z,
  result,
  attn_raw_out,
  ln1_post_scale,
  ln1_post_normalized,
  attn_out,
  resid_mid,
  mlp_in,
  ln2_scale,
  ln2_normalized,
  mlp_pre,
  mlp_pre_linear,
  mlp_post,
  router_logits,
  expert_indices,
  expert_weights,
  expert_out,
  shared_out,
  mlp_raw_out,
  ln2_post_scale,
  ln2_post_normalized,
  mlp_out,
  resid_post,
  ln_final_scale,
  ln_final_normalized,
  unembed_in,
  unembed_out,
};
inline constexpr int kSites = static_cast<int>(Site::unembed_out) + 1;

struct Point {
  Site site{};
  int layer = -1;  // -1: not inside a block
  auto operator<=>(const Point&) const = default;
};

/// `blocks.3.attn.hook_z`.
std::string name_of(Point point);

/// Where this model has points, in the order of a run. Expanded points (one copy of a wide tensor
/// per head) exist only when they are named.
std::vector<Point> points(const Spec& spec, bool expanded);

/// The point a public name means in this model. Throws std::out_of_range naming the nearest.
Point point_of(std::string_view name, const Spec& spec);

/// Symbols or sizes of the dimensions: {"batch", "pos", "128"}; scores have "query", "key".
std::vector<std::string> shape_of(Point point, const Spec& spec);

/// The position of a site in a run, so that the deepest of several can be told.
inline int depth(Site site) { return static_cast<int>(site); }

}  // namespace lenswright
