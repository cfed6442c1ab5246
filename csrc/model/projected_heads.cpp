#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <optional>

#include "model/layer.h"
#include "nn/norm.h"

namespace lenswright {
namespace {

constexpr std::array kInputs{Site::attn_in, Site::q_input, Site::k_input, Site::v_input};

at::Tensor by_head(const at::Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads});
}

// x copied to every head, without a copy: [batch, pos, heads, d_model].
at::Tensor per_head(const at::Tensor& x, int64_t heads) {
  return x.unsqueeze(2).expand({-1, -1, heads, -1});
}

// Queries and keys whose limit acts after their norms are left as they are.
Heads clamped(Heads heads, const Spec& spec) {
  const double limit = spec.qkv_limit;
  if (limit <= 0.0) return heads;
  if (!spec.qkv_limit_after_norm) {
    for (at::Tensor* x : {&heads.q, &heads.k}) *x = x->clamp(-limit, limit);
  }
  heads.v = heads.v.clamp(-limit, limit);
  return heads;
}

// Each head projects an input of its own: input [batch, pos, heads, d_model].
at::Tensor project_per_head(const at::Tensor& input, const Linear& linear, int64_t heads,
                            const LayerWeights& weights, const Spec& spec) {
  at::Tensor y = input;
  if (spec.has_norm_before()) {
    y = norm(input, spec.norm, weights.ln1.gain_view(), weights.ln1.bias_view());
  }
  const int64_t size = linear.weight.outputs() / heads;
  const at::Tensor w = linear.weight.view().to(y.scalar_type()).unflatten(0, {heads, size});
  const at::Tensor out = at::einsum("bphd,hed->bphe", {y, w});
  if (!linear.bias.defined()) return out;
  return out + linear.bias.view().to(out.scalar_type()).view({heads, size});
}

bool splits_inputs(int layer, const Taps& taps) {
  return std::any_of(kInputs.begin(), kInputs.end(), [&](Site site) {
    return taps.writes({site, layer});
  });
}

void check_split(int layer, const Pass& pass) {
  const Spec& spec = pass.spec;
  const bool grouped = spec.n_heads != spec.n_kv_heads;
  TORCH_CHECK_VALUE(!pass.taps.writes({Site::attn_in, layer}) || !grouped, "hook 'blocks.", layer,
                    ".hook_attn_in' cannot be written with grouped keys and values (", spec.n_heads,
                    " heads over ", spec.n_kv_heads,
                    "); expected hook_q_input, hook_k_input or hook_v_input");
  TORCH_CHECK_VALUE(spec.latent.kv_rank == 0, "hook 'blocks.", layer,
                    ".hook_q_input' and its like cannot be written in a model with latent "
                    "attention, whose heads share what is compressed; expected hook_resid_pre");
}

// The inputs of q, k and v as TransformerLens splits them; nothing where no writer changed one.
std::optional<Heads> split_projections(const at::Tensor& x, const LayerWeights& weights, int layer,
                                       const Pass& pass) {
  const Spec& spec = pass.spec;
  check_split(layer, pass);
  bool changed = false;
  const auto visit = [&](Site site, const at::Tensor& given) {
    const Unchanged unchanged(given);
    const at::Tensor input = pass.taps.visit({site, layer}, given);
    changed = changed || !unchanged(input);
    return input;
  };
  const at::Tensor in = visit(Site::attn_in, per_head(x, spec.n_heads));
  const at::Tensor kv = spec.n_heads == spec.n_kv_heads ? in : per_head(x, spec.n_kv_heads);
  const at::Tensor q = visit(Site::q_input, in);
  const at::Tensor k = visit(Site::k_input, kv);
  const at::Tensor v = visit(Site::v_input, kv);
  if (!changed) return std::nullopt;
  const Projections& qkv = weights.attention.qkv;
  return clamped({project_per_head(q, qkv[0], spec.n_heads, weights, spec),
                  project_per_head(k, qkv[1], spec.n_kv_heads, weights, spec),
                  project_per_head(v, qkv[2], spec.n_kv_heads, weights, spec)},
                 spec);
}

// Queries, keys and values from compressed states; the keys' rotated part is one for all heads.
Heads latent_heads(const at::Tensor& y, const AttentionWeights& weights, int layer,
                   const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  const LatentWeights& w = weights.latent;
  const Norm& rule = spec.latent.norm;
  at::Tensor q_input = y;
  if (spec.latent.q_rank > 0) {
    q_input = taps.visit({Site::q_latent, layer},
                         norm(w.q_down(y), rule, w.q_norm.gain_view(), w.q_norm.bias_view()));
  }
  const at::Tensor q = by_head(weights.qkv(q_input)[0], spec.n_heads);
  const at::Tensor down = w.kv_down(y);
  const int64_t rank = spec.latent.kv_rank, turning = down.size(-1) - rank;
  const at::Tensor latent = taps.visit(
      {Site::kv_latent, layer},
      norm(down.narrow(-1, 0, rank), rule, w.kv_norm.gain_view(), w.kv_norm.bias_view()));
  const std::vector<at::Tensor> kv = w.kv(latent);
  const at::Tensor shared = per_head(down.narrow(-1, rank, turning), spec.n_heads);
  return {q, at::cat({by_head(kv[0], spec.n_heads), shared}, -1), by_head(kv[1], spec.n_heads)};
}

}  // namespace

Heads projected_heads(const at::Tensor& x, const at::Tensor& y, const LayerWeights& weights,
                      int layer, const Pass& pass) {
  const Spec& spec = pass.spec;
  const Taps& taps = pass.taps;
  if (splits_inputs(layer, taps)) {
    if (auto heads = split_projections(x, weights, layer, pass)) return *heads;
  } else {
    taps.show({Site::attn_in, layer}, [&] { return per_head(x, spec.n_heads); });
    taps.show({Site::q_input, layer}, [&] { return per_head(x, spec.n_heads); });
    taps.show({Site::k_input, layer}, [&] { return per_head(x, spec.n_kv_heads); });
    taps.show({Site::v_input, layer}, [&] { return per_head(x, spec.n_kv_heads); });
  }
  if (spec.latent.kv_rank > 0) return latent_heads(y, weights.attention, layer, pass);
  const std::vector<at::Tensor> qkv = weights.attention.qkv(y);
  return clamped({by_head(qkv[0], spec.n_heads), by_head(qkv[1], spec.n_kv_heads),
                  by_head(qkv[2], spec.n_kv_heads)},
                 spec);
}

}  // namespace lenswright
