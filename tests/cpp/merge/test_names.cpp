#include "merge/names.h"

#include "catch.h"

using namespace lenswright;

TEST_CASE("names: layers") {
  const auto place = layer_of("model.layers.31.mlp.experts.5.w1.weight");
  REQUIRE(place.has_value());
  REQUIRE(place->stack == "model.layers.");
  REQUIRE(place->layer == 31);
  REQUIRE(place->rest == ".mlp.experts.5.w1.weight");
  REQUIRE(place->at(4) == "model.layers.4.mlp.experts.5.w1.weight");
  REQUIRE(layer_of("h.0.attn.c_attn.bias")->stack == "h.");
  REQUIRE(layer_of("encoder.block.2.layer.0.wi.weight")->layer == 2);
  for (const char* name : {"lm_head.weight", "model.norm.weight", "mm_projector.0.weight",
                           "model.layers.x.weight", "layers", "layers.3", "model.layers.-1.w"}) {
    CAPTURE(name);
    REQUIRE_FALSE(layer_of(name).has_value());
  }
}

TEST_CASE("names: what comes before and after the layers") {
  for (const char* name :
       {"model.norm.weight", "lm_head.weight", "transformer.ln_f.bias", "embed_out.weight",
        "gpt_neox.final_layer_norm.weight", "lm_head.bias"}) {
    CAPTURE(name);
    REQUIRE(comes_last(name));
  }
  for (const char* name : {"model.embed_tokens.weight", "transformer.wpe.weight",
                           "transformer.word_embeddings_layernorm.weight", "wte.weight"}) {
    CAPTURE(name);
    REQUIRE_FALSE(comes_last(name));
  }
  REQUIRE(is_head("lm_head.weight"));
  REQUIRE(is_token_embedding("transformer.wte.weight"));
  REQUIRE_FALSE(is_token_embedding("transformer.wpe.weight"));
  REQUIRE(is_computed("model.layers.0.self_attn.rotary_emb.inv_freq"));
}
