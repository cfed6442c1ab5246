#include "spec/families/experts.h"

#include <set>

#include "spec/families/common.h"

namespace lenswright {

int64_t read_whole(ConfigReader& config, std::string_view key, int64_t otherwise) {
  return config.has(key) ? config.object(key).as_int() : otherwise;
}

void set_mixtures(Spec& spec, const std::function<bool(int64_t)>& here) {
  for (int64_t layer = 0; layer < spec.n_layers; ++layer) {
    spec.layers[static_cast<size_t>(layer)].mixture = here(layer);
  }
}

void mixtures_after_dense(Spec& spec, ConfigReader& config, int64_t dense) {
  const int64_t first = read_whole(config, "first_k_dense_replace", dense);
  set_mixtures(spec, [&](int64_t layer) { return layer >= first; });
}

void mixtures_by_step(Spec& spec, ConfigReader& config) {
  std::set<int64_t> dense;
  const Json list = config.object("mlp_only_layers");
  if (!list.is_null()) {
    for (const Json& layer : list.elements()) dense.insert(layer.as_int());
  }
  const int64_t step = config.size("decoder_sparse_step", 1);
  set_mixtures(spec,
               [&](int64_t layer) { return (layer + 1) % step == 0 && !dense.contains(layer); });
}

Routing read_sigmoid_routing(ConfigReader& config, const SigmoidRouting& usual) {
  const auto size = [&](std::string_view key, int64_t otherwise) {
    return otherwise > 0 ? config.size(key, otherwise) : config.size(key);
  };
  Routing routing;
  routing.router = Router::sigmoid;
  routing.experts = size("n_routed_experts", usual.experts);
  routing.chosen = size("num_experts_per_tok", usual.chosen);
  routing.groups = config.size("n_group", usual.groups);
  routing.chosen_groups = config.size("topk_group", usual.chosen_groups);
  routing.group_by_two = true;
  routing.renormalise = config.flag("norm_topk_prob", usual.renormalise);
  routing.renormalise_eps = 1e-20;
  routing.scale = config.number("routed_scaling_factor", usual.scale);
  routing.wide = true;
  return routing;
}

void harmless_in_mixtures(ConfigReader& config) {
  config.harmless({"output_router_logits", "router_aux_loss_coef", "aux_loss_alpha", "seq_aux",
                   "router_jitter_noise", "input_jitter_noise", "ep_size", "moe_group"});
}

void leave_next_token_layers(Spec& spec, ConfigReader& config) {
  int64_t more = 1;
  for (const char* key : {"num_nextn_predict_layers", "num_mtp_layers"}) {
    more = read_whole(config, key, more);
  }
  for (int64_t layer = spec.n_layers; layer < spec.n_layers + more; ++layer) {
    spec.unread.push_back("model.layers." + std::to_string(layer) + ".*");
  }
}

void expert_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                 Experts experts, const ExpertNames& names) {
  if (experts == Experts::fused) {
    fused_expert_rows(rows, to, from + "gate_up_proj", from + "down_proj", spec);
    return;
  }
  const int64_t d = spec.d_model, width = spec.mixture.d_mlp;
  for (int64_t i = 0; i < spec.mixture.routing.experts; ++i) {
    const std::string number = std::to_string(i) + ".";
    const std::string expert = to + "mlp.experts." + number, source = from + number;
    rows.matrix(expert + "W_gate", source + names.gate + ".weight", width, d);
    rows.matrix(expert + "W_in", source + names.up + ".weight", width, d);
    rows.matrix(expert + "W_out", source + names.down + ".weight", d, width);
  }
}

void fused_expert_rows(Rows& rows, const std::string& to, const std::string& gate_up,
                       const std::string& down, const Spec& spec, Layout layout) {
  const int64_t d = spec.d_model, width = spec.mixture.d_mlp, count = spec.mixture.routing.experts;
  for (int64_t i = 0; i < count; ++i) {
    const std::string expert = to + "mlp.experts." + std::to_string(i) + ".";
    rows.expert(i, count);
    rows.parts({expert + "W_gate", expert + "W_in"}, gate_up, {width, width}, d, layout);
    rows.matrix(expert + "W_out", down, d, width, layout);
  }
  rows.no_expert();
}

void corrected_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                    Experts experts) {
  const Routing& routing = spec.mixture.routing;
  rows.matrix(to + "mlp.W_router", from + "gate.weight", routing.experts, spec.d_model);
  if (routing.router == Router::sigmoid) {
    rows.vector(to + "mlp.router_correction", from + "gate.e_score_correction_bias",
                routing.experts);
  }
  expert_rows(rows, to, from + "experts.", spec, experts);
  if (spec.mixture.d_shared == 0) return;
  gated_rows(rows, to + "mlp.shared.", from + "shared_experts.", spec.mixture.d_shared, spec);
}

void gated_rows(Rows& rows, const std::string& to, const std::string& from, int64_t width,
                const Spec& spec) {
  const bool biased = spec.biases.mlp;
  linear(rows, to, "gate", from + "gate_proj", width, spec.d_model, biased);
  linear(rows, to, "in", from + "up_proj", width, spec.d_model, biased);
  linear(rows, to, "out", from + "down_proj", spec.d_model, width, biased);
}

std::vector<Row> with_head_bias(std::vector<Row> rows, const Spec& spec) {
  if (!spec.biases.head) return rows;
  Rows bias;
  bias.vector("unembed.b_U", "lm_head.bias", spec.d_vocab, true);
  rows.insert(spec.tied ? rows.end() : rows.end() - 1, bias.take().front());
  return rows;
}

}  // namespace lenswright
