#include "spec/writers.h"

#include "spec/configs.h"

namespace lenswright {
namespace {

using namespace test;  // NOLINT: tests only

std::vector<WriterSite> of(const Json& config, bool biases) {
  const Spec spec = read(config);
  return writers(spec, rows_in(family_of(config), spec, [&](const std::string& name) {
                   return biases || !name.ends_with(".bias");
                 }));
}

}  // namespace

TEST_CASE("llama writes from the embedding, attention and MLP, with a bias where there is one") {
  const auto list = of(llama_config(), false);
  REQUIRE(list.size() == 5);
  REQUIRE(list[0].name == "embed.W_E");
  REQUIRE(list[0].kind == WriterKind::token_embedding);
  REQUIRE(list[0].residual_axis == 1);
  REQUIRE(list[1].name == "blocks.0.attn.W_O");
  REQUIRE(list[1].weight == "model.layers.0.self_attn.o_proj.weight");
  REQUIRE(list[1].bias.empty());
  REQUIRE(list[1].output == Point{Site::attn_raw_out, 0});
  REQUIRE(list[1].residual_axis == 0);
  REQUIRE(list[4].name == "blocks.1.mlp.W_out");
  REQUIRE(list[4].output == Point{Site::mlp_raw_out, 1});
  REQUIRE(of(llama_config(), true)[4].bias == "model.layers.1.mlp.down_proj.bias");
}

TEST_CASE("gpt2 writes from its positions too, and stores its matrices the other way round") {
  const auto list = of(gpt2_config(), true);
  REQUIRE(list.size() == 6);
  REQUIRE(list[1].kind == WriterKind::positional_embedding);
  REQUIRE(list[1].weight == "transformer.wpe.weight");
  REQUIRE(list[1].output == Point{Site::pos_embed, -1});
  REQUIRE(list[2].bias == "transformer.h.0.attn.c_proj.bias");
  REQUIRE(list[2].residual_axis == 1);
}

TEST_CASE("the unembedding is no writer, tied or not") {
  for (const bool tied : {true, false}) {
    for (const Json& config : {llama_config(), gpt2_config()}) {
      for (const WriterSite& writer : of(with(config, "tie_word_embeddings", tied), true)) {
        REQUIRE(writer.name != "unembed.W_U");
        REQUIRE(writer.weight != "lm_head.weight");
      }
    }
  }
}

TEST_CASE("writer kinds have names") {
  REQUIRE(name_of(WriterKind::token_embedding) == "token_embedding");
  REQUIRE(name_of(WriterKind::positional_embedding) == "positional_embedding");
  REQUIRE(name_of(WriterKind::attention) == "attention");
  REQUIRE(name_of(WriterKind::mlp) == "mlp");
}

}  // namespace lenswright
