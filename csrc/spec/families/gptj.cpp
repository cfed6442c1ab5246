// GPT-J, and CodeGen, which fuses its queries, values and keys in four slices.
// Names and defaults: transformers, models/gptj/configuration_gptj.py and
// models/codegen/configuration_codegen.py.
#include <stdexcept>

#include "spec/families/common.h"
#include "spec/families/families.h"
#include "spec/families/gpt2_like.h"

namespace lenswright {
namespace {

Rope rotation(const Json& json, ConfigReader& config) {
  if (json.contains("rotary_dim") && json.at("rotary_dim").is_null()) {
    throw std::invalid_argument(
        "config.json: 'rotary_dim' is null, expected how many numbers of a head rotate (whole "
        "heads: as many as a head has)");
  }
  Rope rope;
  rope.dim = config.size("rotary_dim", 64);
  rope.layout = RopeLayout::adjacent;
  return rope;
}

Spec read(const Json& json, const std::string& family) {
  ConfigReader config(json);
  Spec spec = read_gpt2_like(config, {.family = family,
                                      .n_layers = 28,
                                      .d_model = 4096,
                                      .n_heads = 16,
                                      .d_vocab = 50400,
                                      .n_ctx = 2048,
                                      .tied = false});
  spec.parallel = spec.shared_norm = true;
  spec.position = PositionKind::rope;
  spec.ropes = {rotation(json, config)};
  spec.same_layers(usual_scale(spec));
  config.harmless({"n_ctx", "rotary", "scale_attn_weights"});  // read by nobody
  spec.unknown_keys = config.unknown_keys();
  return spec;
}

Spec read_gptj(const Json& json) { return read(json, "gptj"); }

constexpr int64_t kSlices = 4;

Spec read_codegen(const Json& json) {
  Spec spec = read(json, "codegen");
  if (spec.n_heads % kSlices != 0) {
    throw std::invalid_argument("config.json: 'n_head' is " + std::to_string(spec.n_heads) +
                                ", expected a multiple of 4 (projections lie in four slices)");
  }
  return spec;
}

void projections(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model;
  rows.matrix(to + "W_Q", from + "q_proj.weight", d, d);
  rows.matrix(to + "W_K", from + "k_proj.weight", d, d);
  rows.matrix(to + "W_V", from + "v_proj.weight", d, d);
}

void fused_projections(Rows& rows, const std::string& to, const std::string& from, const Spec& s) {
  const int64_t d = s.d_model, run = d / kSlices;
  rows.interleaved({to + "W_Q", to + "W_V", to + "W_K"}, from + "qkv_proj.weight", {run, run, run},
                   kSlices, d);
}

std::vector<Row> rows_with(ProjectionRows add_projections, const Spec& s) {
  Rows rows;
  const int64_t d = s.d_model;
  rows.matrix("embed.W_E", "transformer.wte.weight", s.d_vocab, d);
  for (int64_t layer = 0; layer < s.n_layers; ++layer) {
    const std::string to = block_prefix(layer);
    const std::string from = "transformer.h." + std::to_string(layer) + ".";
    biased_norm(rows, to + "ln1", from + "ln_1", d);
    add_projections(rows, to + "attn.", from + "attn.", s);
    rows.matrix(to + "attn.W_O", from + "attn.out_proj.weight", d, d);
    biased_linear(rows, to + "mlp.", "in", from + "mlp.fc_in", s.d_mlp, d);
    biased_linear(rows, to + "mlp.", "out", from + "mlp.fc_out", d, s.d_mlp);
  }
  biased_norm(rows, "ln_final", "transformer.ln_f", d);
  rows.vector("unembed.b_U", "lm_head.bias", s.d_vocab);
  if (!s.tied) rows.matrix("unembed.W_U", "lm_head.weight", s.d_vocab, d);
  return rows.take();
}

std::vector<Row> gptj_rows(const Spec& s) { return rows_with(projections, s); }
std::vector<Row> codegen_rows(const Spec& s) { return rows_with(fused_projections, s); }

}  // namespace

std::vector<Family> gptj_families() {
  // Files of transformers 4 keep masks and rotations as tensors.
  const std::vector<std::string> ignored = {"*h.*.attn.bias", "*h.*.attn.masked_bias",
                                            "*h.*.attn.causal_mask", "*h.*.attn.embed_positions"};
  return {{"GPTJForCausalLM", "gptj", read_gptj, {gptj_rows}, {}, ignored},
          {"CodeGenForCausalLM", "codegen", read_codegen, {codegen_rows}, {}, ignored}};
}

}  // namespace lenswright
