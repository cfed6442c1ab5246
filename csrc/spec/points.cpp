#include "spec/points.h"

#include <array>
#include <stdexcept>

#include "base/error.h"

namespace lenswright {
namespace {

enum class Where : uint8_t { before, block, after };
enum class When : uint8_t { always, rope, learned, gated };

// Shapes, one letter a dimension: b batch, p position, q query, k key, d d_model, H heads, K
// key-value heads, e d_head, m d_mlp, v d_vocab, 1 one.
struct Entry {
  Site site;
  std::string_view name;
  std::string_view shape;
  Where where = Where::block;
  When when = When::always;
  bool expanded = false;
};

constexpr std::array<Entry, kSites> kTable{{
    {Site::tokens, "hook_tokens", "bp", Where::before, When::always, true},
    {Site::embed, "hook_embed", "bpd", Where::before},
    {Site::pos_embed, "hook_pos_embed", "bpd", Where::before, When::learned},
    {Site::resid_pre, "hook_resid_pre", "bpd"},
    {Site::attn_in, "hook_attn_in", "bpHd", Where::block, When::always, true},
    {Site::q_input, "hook_q_input", "bpHd", Where::block, When::always, true},
    {Site::k_input, "hook_k_input", "bpKd", Where::block, When::always, true},
    {Site::v_input, "hook_v_input", "bpKd", Where::block, When::always, true},
    {Site::ln1_scale, "ln1.hook_scale", "bp1"},
    {Site::ln1_normalized, "ln1.hook_normalized", "bpd"},
    {Site::q, "attn.hook_q", "bpHe"},
    {Site::k, "attn.hook_k", "bpKe"},
    {Site::v, "attn.hook_v", "bpKe"},
    {Site::rot_q, "attn.hook_rot_q", "bpHe", Where::block, When::rope},
    {Site::rot_k, "attn.hook_rot_k", "bpKe", Where::block, When::rope},
    {Site::attn_scores, "attn.hook_attn_scores", "bHqk"},
    {Site::pattern, "attn.hook_pattern", "bHqk"},
    {Site::z, "attn.hook_z", "bpHe"},
    {Site::result, "attn.hook_result", "bpHd", Where::block, When::always, true},
    {Site::attn_raw_out, "attn.hook_out", "bpd"},
    {Site::attn_out, "hook_attn_out", "bpd"},
    {Site::resid_mid, "hook_resid_mid", "bpd"},
    {Site::mlp_in, "hook_mlp_in", "bpd", Where::block, When::always, true},
    {Site::ln2_scale, "ln2.hook_scale", "bp1"},
    {Site::ln2_normalized, "ln2.hook_normalized", "bpd"},
    {Site::mlp_pre, "mlp.hook_pre", "bpm"},
    {Site::mlp_pre_linear, "mlp.hook_pre_linear", "bpm", Where::block, When::gated},
    {Site::mlp_post, "mlp.hook_post", "bpm"},
    {Site::mlp_raw_out, "mlp.hook_out", "bpd"},
    {Site::mlp_out, "hook_mlp_out", "bpd"},
    {Site::resid_post, "hook_resid_post", "bpd"},
    {Site::ln_final_scale, "ln_final.hook_scale", "bp1", Where::after},
    {Site::ln_final_normalized, "ln_final.hook_normalized", "bpd", Where::after},
    {Site::unembed_in, "unembed.hook_in", "bpd", Where::after},
    {Site::unembed_out, "unembed.hook_out", "bpv", Where::after},
}};

const Entry& entry(Site site) { return kTable[static_cast<size_t>(site)]; }

bool exists(const Entry& e, const Spec& spec) {
  switch (e.when) {
    case When::always:
      return true;
    case When::rope:
      return spec.position == PositionKind::rope;
    case When::learned:
      return spec.position == PositionKind::learned;
    case When::gated:
      return spec.gated;
  }
  throw std::logic_error("unknown condition");
}

void append(std::vector<Point>& list, Where where, int layer, const Spec& spec, bool expanded) {
  for (const Entry& e : kTable) {
    if (e.where == where && exists(e, spec) && (expanded || !e.expanded)) {
      list.push_back({e.site, layer});
    }
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
  for (char letter : entry(point.site).shape) {
    switch (letter) {
      case 'b':
        shape.push_back("batch");
        break;
      case 'p':
        shape.push_back("pos");
        break;
      case 'q':
        shape.push_back("query");
        break;
      case 'k':
        shape.push_back("key");
        break;
      case 'd':
        shape.push_back(std::to_string(spec.d_model));
        break;
      case 'H':
        shape.push_back(std::to_string(spec.n_heads));
        break;
      case 'K':
        shape.push_back(std::to_string(spec.n_kv_heads));
        break;
      case 'e':
        shape.push_back(std::to_string(spec.d_head));
        break;
      case 'm':
        shape.push_back(std::to_string(spec.d_mlp));
        break;
      case 'v':
        shape.push_back(std::to_string(spec.d_vocab));
        break;
      case '1':
        shape.push_back("1");
        break;
      default:
        throw std::logic_error("unknown shape letter");
    }
  }
  return shape;
}

}  // namespace lenswright
