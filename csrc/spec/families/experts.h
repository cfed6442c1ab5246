#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/config_reader.h"
#include "spec/rows.h"
#include "spec/spec.h"

namespace lenswright {

// What families with mixtures of experts have in common.

/// Any whole number, `otherwise` where the key is absent or null.
int64_t read_whole(ConfigReader& config, std::string_view key, int64_t otherwise);

/// Mixtures in the layers of which this is true.
void set_mixtures(Spec& spec, const std::function<bool(int64_t)>& here);

/// first_k_dense_replace: every layer after these is a mixture.
void mixtures_after_dense(Spec& spec, ConfigReader& config, int64_t dense);

/// Qwen's rule: every decoder_sparse_step-th layer is a mixture, but for mlp_only_layers.
void mixtures_by_step(Spec& spec, ConfigReader& config);

/// What the router of DeepSeek-V3 takes where config.json is silent.
struct SigmoidRouting {
  int64_t experts = 0;  // 0: config.json says it
  int64_t chosen = 0;
  int64_t groups = 1, chosen_groups = 1;
  bool renormalise = true;
  double scale = 1.0;
};

/// n_routed_experts, num_experts_per_tok, n_group, topk_group, norm_topk_prob,
/// routed_scaling_factor.
Routing read_sigmoid_routing(ConfigReader& config, const SigmoidRouting& usual);

/// Training's share of such a config: losses, noise, which of their parts to return.
void harmless_in_mixtures(ConfigReader& config);

/// Layers after the last, which predict further tokens: they are no part of the decoder.
void leave_next_token_layers(Spec& spec, ConfigReader& config);

/// How a checkpoint keeps experts: each matrix by itself, as published, or all experts of a layer
/// in one tensor, gates before ups, as transformers 5 keeps them in memory.
enum class Experts : uint8_t { separate, fused };

/// The tensors of one expert, without ".weight".
struct ExpertNames {
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
};

/// mlp.experts.J.*: `from` is "model.layers.3.mlp.experts.".
void expert_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                 Experts experts, const ExpertNames& names = {});

/// The same from two tensors of all experts: gates before ups, and downs.
void fused_expert_rows(Rows& rows, const std::string& to, const std::string& gate_up,
                       const std::string& down, const Spec& spec, Layout layout = Layout::out_in);

/// DeepSeek's mixture at `from` ("model.layers.3.mlp."): gate, with the correction of a sigmoid
/// router, experts, and shared_experts where the spec has them.
void corrected_rows(Rows& rows, const std::string& to, const std::string& from, const Spec& spec,
                    Experts experts);

/// The unembedding's bias, where the spec has it and the checkpoint one, before the unembedding
/// itself.
std::vector<Row> with_head_bias(std::vector<Row> rows, const Spec& spec);

/// An MLP of its own width at `from` ("model.layers.3.mlp.shared_experts.").
void gated_rows(Rows& rows, const std::string& to, const std::string& from, int64_t width,
                const Spec& spec);

}  // namespace lenswright
