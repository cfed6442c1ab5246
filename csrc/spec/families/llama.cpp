// Llama 1 to 3 without rope scaling, and what is shaped like it (TinyStories, SmolLM ...).
// Names and defaults: transformers, models/llama/configuration_llama.py.
#include <cmath>
#include <stdexcept>

#include "spec/config_reader.h"
#include "spec/families/families.h"

namespace lenswright {
namespace {

// transformers 4 writes rope_theta and rope_scaling, transformers 5 one rope_parameters.
double rope_theta(ConfigReader& config) {
  double theta = config.number("rope_theta", 10000.0);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json rope = config.object(key);
    if (rope.is_null()) continue;
    for (const auto& name : rope.keys()) {
      const Json value = rope.at(name);
      if (name == "rope_theta") {
        theta = value.as_double();
      } else if (name == "rope_type" || name == "type") {
        if (value.as_string() == "default") continue;
        throw std::invalid_argument("config.json: '" + std::string(key) + "." + name + "' is '" +
                                    value.as_string() + "', expected 'default'");
      } else if (name == "partial_rotary_factor" && value.as_double() == 1.0) {
        continue;
      } else {
        throw std::invalid_argument("config.json: '" + std::string(key) + "." + name + "' is " +
                                    value.dump() + ", which asks for a rotation that is not known");
      }
    }
  }
  return theta;
}

Spec read(const Json& json) {
  ConfigReader config(json);
  Spec spec;
  spec.family = "llama";
  spec.n_layers = config.size("num_hidden_layers");
  spec.d_model = config.size("hidden_size");
  spec.n_heads = config.size("num_attention_heads");
  spec.n_kv_heads = config.size("num_key_value_heads", spec.n_heads);
  spec.d_head = config.size("head_dim", spec.d_model / spec.n_heads);
  if (spec.d_head % 2 != 0) {
    throw std::invalid_argument("config.json: head_dim is " + std::to_string(spec.d_head) +
                                ", expected an even number (rotary positions turn pairs)");
  }
  spec.d_mlp = config.size("intermediate_size");
  spec.d_vocab = config.size("vocab_size");
  spec.n_ctx = config.size("max_position_embeddings", 2048);
  spec.norm = NormKind::rms;
  spec.norm_eps = config.number("rms_norm_eps", 1e-6);
  spec.position = PositionKind::rope;
  spec.rope = {rope_theta(config), spec.d_head, RopeLayout::half};
  spec.activation = activation_from_name(config.text("hidden_act", "silu"));
  spec.gated = true;
  spec.score_scale.assign(spec.n_layers, 1.0 / std::sqrt(static_cast<double>(spec.d_head)));
  spec.tied = config.flag("tie_word_embeddings", false);
  if (spec.n_heads % spec.n_kv_heads != 0) {
    throw std::invalid_argument("config.json: num_attention_heads " + std::to_string(spec.n_heads) +
                                " is no multiple of num_key_value_heads " +
                                std::to_string(spec.n_kv_heads));
  }
  // Biases follow from the tensors that are there; dropout acts in training only; pretraining_tp
  // splits products without changing them.
  config.harmless({"attention_bias", "mlp_bias", "attention_dropout", "pretraining_tp"});
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

std::vector<Row> rows(const Spec& s) {
  Rows rows;
  const int64_t q = s.n_heads * s.d_head, kv = s.n_kv_heads * s.d_head;
  rows.matrix("embed.W_E", "model.embed_tokens.weight", s.d_vocab, s.d_model);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = "blocks." + std::to_string(layer) + ".";
    const std::string from = "model.layers." + std::to_string(layer) + ".";
    rows.vector(to + "ln1.w", from + "input_layernorm.weight", s.d_model);
    rows.matrix(to + "attn.W_Q", from + "self_attn.q_proj.weight", q, s.d_model);
    rows.matrix(to + "attn.W_K", from + "self_attn.k_proj.weight", kv, s.d_model);
    rows.matrix(to + "attn.W_V", from + "self_attn.v_proj.weight", kv, s.d_model);
    rows.matrix(to + "attn.W_O", from + "self_attn.o_proj.weight", s.d_model, q);
    rows.vector(to + "attn.b_Q", from + "self_attn.q_proj.bias", q, true);
    rows.vector(to + "attn.b_K", from + "self_attn.k_proj.bias", kv, true);
    rows.vector(to + "attn.b_V", from + "self_attn.v_proj.bias", kv, true);
    rows.vector(to + "attn.b_O", from + "self_attn.o_proj.bias", s.d_model, true);
    rows.vector(to + "ln2.w", from + "post_attention_layernorm.weight", s.d_model);
    rows.matrix(to + "mlp.W_gate", from + "mlp.gate_proj.weight", s.d_mlp, s.d_model);
    rows.matrix(to + "mlp.W_in", from + "mlp.up_proj.weight", s.d_mlp, s.d_model);
    rows.matrix(to + "mlp.W_out", from + "mlp.down_proj.weight", s.d_model, s.d_mlp);
    rows.vector(to + "mlp.b_gate", from + "mlp.gate_proj.bias", s.d_mlp, true);
    rows.vector(to + "mlp.b_in", from + "mlp.up_proj.bias", s.d_mlp, true);
    rows.vector(to + "mlp.b_out", from + "mlp.down_proj.bias", s.d_model, true);
  }
  rows.vector("ln_final.w", "model.norm.weight", s.d_model);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, s.d_model);
  return rows.take();
}

}  // namespace

Family llama_family() {
  return {"LlamaForCausalLM",
          "llama",
          read,
          rows,
          {},
          {"model.layers.*.self_attn.rotary_emb.inv_freq"}};
}

}  // namespace lenswright
