#pragma once

#include <string>
#include <vector>

#include "spec/configs.h"

namespace lenswright::test {

/// Small models that between them compute what a block may compute otherwise than Llama's and
/// GPT-2's: norms on both sides, soft caps and windows; sinks and clamped experts; linear biases
/// from the start and from the end, a normed embedding; parallel branches and one norm; compressed
/// heads and grouped experts; chunks, layers that do not rotate, growing queries and weighted
/// inputs; shared experts behind a gate; embeddings of another width, norms behind the sum; norms
/// of whole projections and of each head's own.
inline const std::vector<Json>& kinds() {
  static const std::vector<Json> list = {
      json(R"({"architectures": ["Gemma2ForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 10, "intermediate_size": 37,
        "vocab_size": 97, "max_position_embeddings": 64, "sliding_window": 3,
        "query_pre_attn_scalar": 7, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 20.0,
        "tie_word_embeddings": true})"),
      json(R"({"architectures": ["GptOssForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 10, "intermediate_size": 11,
        "vocab_size": 97, "max_position_embeddings": 64, "sliding_window": 3,
        "num_local_experts": 5, "num_experts_per_tok": 2, "swiglu_limit": 0.5})"),
      json(R"({"architectures": ["MptForCausalLM"], "d_model": 30, "n_layers": 2, "n_heads": 3,
        "vocab_size": 97, "max_seq_len": 64, "attn_config": {"clip_qkv": 0.6}})"),
      json(R"({"architectures": ["BloomForCausalLM"], "hidden_size": 30, "n_layer": 2, "n_head": 3,
        "vocab_size": 97})"),
      json(R"({"architectures": ["CohereForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 3, "intermediate_size": 37, "vocab_size": 97,
        "max_position_embeddings": 64, "use_qk_norm": true, "logit_scale": 0.3})"),
      json(R"({"architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 30,
        "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 3,
        "intermediate_size": 37, "moe_intermediate_size": 11, "vocab_size": 97,
        "max_position_embeddings": 64, "n_routed_experts": 6, "n_shared_experts": 1,
        "num_experts_per_tok": 3, "n_group": 3, "topk_group": 2, "first_k_dense_replace": 1,
        "q_lora_rank": 11, "kv_lora_rank": 13, "qk_nope_head_dim": 5, "qk_rope_head_dim": 6,
        "v_head_dim": 7})"),
      json(R"({"architectures": ["Llama4ForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 10, "intermediate_size": 11,
        "intermediate_size_mlp": 23, "vocab_size": 97, "max_position_embeddings": 64,
        "num_local_experts": 5, "num_experts_per_tok": 2, "interleave_moe_layer_step": 2,
        "no_rope_layer_interval": 2, "attention_chunk_size": 3, "floor_scale": 2,
        "attn_scale": 0.3})"),
      json(R"({"architectures": ["Qwen2MoeForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 37,
        "vocab_size": 97, "max_position_embeddings": 64, "num_experts": 5, "num_experts_per_tok": 2,
        "moe_intermediate_size": 11, "shared_expert_intermediate_size": 13})"),
      json(R"({"architectures": ["OPTForCausalLM"], "hidden_size": 30, "word_embed_proj_dim": 12,
        "num_hidden_layers": 2, "num_attention_heads": 3, "ffn_dim": 37, "vocab_size": 97,
        "max_position_embeddings": 64, "do_layer_norm_before": false})"),
      json(R"({"architectures": ["Olmo2ForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 3, "intermediate_size": 37, "vocab_size": 97,
        "max_position_embeddings": 64})"),
      json(R"({"architectures": ["StableLmForCausalLM"], "hidden_size": 30, "num_hidden_layers": 2,
        "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 37,
        "vocab_size": 97, "max_position_embeddings": 64, "qk_layernorm": true,
        "use_parallel_residual": true, "partial_rotary_factor": 0.4})")};
  return list;
}

inline const Json& kind(const std::string& architecture) {
  for (const Json& config : kinds()) {
    if (config.at("architectures").at(0).as_string() == architecture) return config;
  }
  FAIL("no such kind: " << architecture);
  return kinds().front();
}

}  // namespace lenswright::test
