#include "spec/points.h"

#include <array>
#include <stdexcept>

#include "base/error.h"

namespace lenswright {
namespace {

enum class Where : uint8_t { before, block, after };

using Exists = bool (*)(const Spec& spec, const LayerSpec& layer);

constexpr Exists always = [](const Spec&, const LayerSpec&) { return true; };
constexpr Exists embed_norm = [](const Spec& s, const LayerSpec&) { return s.embed_norm; };
constexpr Exists added_positions = [](const Spec& s, const LayerSpec&) {
  return s.position == PositionKind::learned || s.position == PositionKind::sinusoidal;
};
constexpr Exists rope = [](const Spec& s, const LayerSpec& l) {
  return s.position == PositionKind::rope && l.rope >= 0;
};
constexpr Exists qk_norm = [](const Spec& s, const LayerSpec& l) {
  return s.qk_norm != QkNorm::none && (!s.qk_norm_rotated_only || rope(s, l));
};
constexpr Exists q_latent = [](const Spec& s, const LayerSpec&) { return s.latent.q_rank > 0; };
constexpr Exists kv_latent = [](const Spec& s, const LayerSpec&) { return s.latent.kv_rank > 0; };
constexpr Exists sinks = [](const Spec& s, const LayerSpec&) { return s.sinks; };
constexpr Exists ln1 = [](const Spec& s, const LayerSpec&) {
  return s.norms != NormPlacement::after;
};
constexpr Exists ln2 = [](const Spec& s, const LayerSpec&) {
  return s.norms != NormPlacement::after && !s.shared_norm;
};
constexpr Exists ln_post = [](const Spec& s, const LayerSpec&) { return s.has_norm_after(); };
constexpr Exists serial = [](const Spec& s, const LayerSpec&) { return !s.parallel; };
constexpr Exists dense = [](const Spec&, const LayerSpec& l) { return !l.mixture; };
constexpr Exists gated = [](const Spec& s, const LayerSpec& l) { return s.gated && !l.mixture; };
constexpr Exists mixture = [](const Spec&, const LayerSpec& l) { return l.mixture; };
constexpr Exists shared = [](const Spec& s, const LayerSpec& l) {
  return l.mixture && s.mixture.d_shared > 0;
};
constexpr Exists final_norm = [](const Spec& s, const LayerSpec&) { return s.final_norm; };

// Shapes, one letter a dimension; see size_of.
struct Entry {
  Site site;
  std::string_view name;
  std::string_view shape;
  Where where = Where::block;
  Exists exists = always;
  bool expanded = false;
};

constexpr std::array<Entry, kSites> kTable{{
    {Site::tokens, "hook_tokens", "bp", Where::before, always, true},
    {Site::embed_ln_scale, "embed.ln.hook_scale", "bp1", Where::before, embed_norm},
    {Site::embed_ln_normalized, "embed.ln.hook_normalized", "bpd", Where::before, embed_norm},
    {Site::embed, "hook_embed", "bpd", Where::before},
    {Site::pos_embed, "hook_pos_embed", "bpd", Where::before, added_positions},
    {Site::resid_pre, "hook_resid_pre", "bpd"},
    {Site::attn_in, "hook_attn_in", "bpHd", Where::block, always, true},
    {Site::q_input, "hook_q_input", "bpHd", Where::block, always, true},
    {Site::k_input, "hook_k_input", "bpKd", Where::block, always, true},
    {Site::v_input, "hook_v_input", "bpKd", Where::block, always, true},
    {Site::ln1_scale, "ln1.hook_scale", "bp1", Where::block, ln1},
    {Site::ln1_normalized, "ln1.hook_normalized", "bpd", Where::block, ln1},
    {Site::q_latent, "attn.hook_q_latent", "bpr", Where::block, q_latent},
    {Site::kv_latent, "attn.hook_kv_latent", "bps", Where::block, kv_latent},
    {Site::q, "attn.hook_q", "bpHe"},
    {Site::k, "attn.hook_k", "bpKe"},
    {Site::v, "attn.hook_v", "bpKz"},
    {Site::q_normed, "attn.hook_q_normed", "bpHe", Where::block, qk_norm},
    {Site::k_normed, "attn.hook_k_normed", "bpKe", Where::block, qk_norm},
    {Site::rot_q, "attn.hook_rot_q", "bpHe", Where::block, rope},
    {Site::rot_k, "attn.hook_rot_k", "bpKe", Where::block, rope},
    {Site::attn_scores, "attn.hook_attn_scores", "bHqk"},
    {Site::attn_sink, "attn.hook_sink", "bHq", Where::block, sinks},
    {Site::pattern, "attn.hook_pattern", "bHqk"},
    {Site::z, "attn.hook_z", "bpHz"},
    {Site::result, "attn.hook_result", "bpHd", Where::block, always, true},
    {Site::attn_raw_out, "attn.hook_out", "bpd"},
    {Site::ln1_post_scale, "ln1_post.hook_scale", "bp1", Where::block, ln_post},
    {Site::ln1_post_normalized, "ln1_post.hook_normalized", "bpd", Where::block, ln_post},
    {Site::attn_out, "hook_attn_out", "bpd"},
    {Site::resid_mid, "hook_resid_mid", "bpd", Where::block, serial},
    {Site::mlp_in, "hook_mlp_in", "bpd", Where::block, always, true},
    {Site::ln2_scale, "ln2.hook_scale", "bp1", Where::block, ln2},
    {Site::ln2_normalized, "ln2.hook_normalized", "bpd", Where::block, ln2},
    {Site::mlp_pre, "mlp.hook_pre", "bpm", Where::block, dense},
    {Site::mlp_pre_linear, "mlp.hook_pre_linear", "bpm", Where::block, gated},
    {Site::mlp_post, "mlp.hook_post", "bpm", Where::block, dense},
    {Site::router_logits, "mlp.hook_router_logits", "bpE", Where::block, mixture},
    {Site::expert_indices, "mlp.hook_expert_indices", "bpc", Where::block, mixture},
    {Site::expert_weights, "mlp.hook_expert_weights", "bpc", Where::block, mixture},
    {Site::expert_out, "mlp.hook_expert_out", "bpcd", Where::block, mixture},
    {Site::shared_out, "mlp.hook_shared_out", "bpd", Where::block, shared},
    {Site::mlp_raw_out, "mlp.hook_out", "bpd"},
    {Site::ln2_post_scale, "ln2_post.hook_scale", "bp1", Where::block, ln_post},
    {Site::ln2_post_normalized, "ln2_post.hook_normalized", "bpd", Where::block, ln_post},
    {Site::mlp_out, "hook_mlp_out", "bpd"},
    {Site::resid_post, "hook_resid_post", "bpd"},
    {Site::ln_final_scale, "ln_final.hook_scale", "bp1", Where::after, final_norm},
    {Site::ln_final_normalized, "ln_final.hook_normalized", "bpd", Where::after, final_norm},
    {Site::unembed_in, "unembed.hook_in", "bpu", Where::after},
    {Site::unembed_out, "unembed.hook_out", "bpv", Where::after},
}};

const Entry& entry(Site site) { return kTable[static_cast<size_t>(site)]; }

void append(std::vector<Point>& list, Where where, int layer, const Spec& spec, bool expanded) {
  for (const Entry& e : kTable) {
    const LayerSpec own = layer < 0 ? LayerSpec{} : spec.layers[static_cast<size_t>(layer)];
    if (e.where == where && e.exists(spec, own) && (expanded || !e.expanded)) {
      list.push_back({e.site, layer});
    }
  }
}

std::string size_of(char letter, const Spec& spec, int layer) {
  switch (letter) {
    case 'b':
      return "batch";
    case 'p':
      return "pos";
    case 'q':
      return "query";
    case 'k':
      return "key";
    case '1':
      return "1";
    case 'd':
      return std::to_string(spec.d_model);
    case 'u':
      return std::to_string(spec.embedding_width());
    case 'H':
      return std::to_string(spec.n_heads);
    case 'K':
      return std::to_string(spec.n_kv_heads);
    case 'e':
      return std::to_string(spec.d_head);
    case 'z':
      return std::to_string(spec.d_value);
    case 'm':
      return std::to_string(spec.d_mlp);
    case 'v':
      return std::to_string(spec.d_vocab);
    case 'r':
      return std::to_string(spec.latent.q_rank);
    case 's':
      return std::to_string(spec.latent.kv_rank);
    case 'E':
      return std::to_string(spec.mixture.routing.experts);
    case 'c':
      return std::to_string(spec.routing(layer).chosen);
    default:
      throw std::logic_error("unknown shape letter");
  }
}

}  // namespace

std::string name_of(Point point) {
  const Entry& e = entry(point.site);
  const std::string name(e.name);
  return e.where == Where::block ? "blocks." + std::to_string(point.layer) + "." + name : name;
}

std::vector<Point> points(const Spec& spec, bool expanded) {
  std::vector<Point> list;
  append(list, Where::before, -1, spec, expanded);
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    append(list, Where::block, layer, spec, expanded);
  }
  append(list, Where::after, -1, spec, expanded);
  return list;
}

Point point_of(std::string_view name, const Spec& spec) {
  std::vector<std::string> names;
  for (Point point : points(spec, true)) {
    names.push_back(name_of(point));
    if (names.back() == name) return point;
  }
  throw std::out_of_range("hook name '" + std::string(name) + "' is no point of this model (" +
                          std::to_string(spec.n_layers) + " layers)" + did_you_mean(name, names));
}

std::vector<std::string> shape_of(Point point, const Spec& spec) {
  std::vector<std::string> shape;
  for (char letter : entry(point.site).shape) shape.push_back(size_of(letter, spec, point.layer));
  return shape;
}

}  // namespace lenswright
