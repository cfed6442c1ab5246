#include "spec/writers.h"

#include <algorithm>
#include <set>

#include "spec/kinds.h"

namespace lenswright::test_writers {
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

TEST_CASE("positions that are no weight are no writers") {
  Spec spec = read(gpt2_config());
  spec.position = PositionKind::sinusoidal;
  const auto rows = rows_in(family_of(gpt2_config()), read(gpt2_config()),
                            [](const std::string&) { return true; });
  for (const WriterSite& writer : writers(spec, rows)) {
    REQUIRE(writer.kind != WriterKind::positional_embedding);
  }
}

TEST_CASE("writers of every kind of decoder are told apart and write along the residual") {
  for (const Json& config : kinds()) {
    CAPTURE(config.dump());
    const Spec spec = read(config);
    const auto rows = rows_in(family_of(config), spec,
                              [](const std::string& name) { return !name.ends_with("norm.bias"); });
    std::set<WriterKey> keys;
    for (const WriterSite& writer : writers(spec, rows)) {
      CAPTURE(writer.name);
      REQUIRE(keys.insert(writer.key()).second);
      REQUIRE(has_writer(spec, writer.key()));
      REQUIRE(name_of(writer.key()) == writer.name);
      REQUIRE(writer.outputs == spec.d_model);
      const auto row = std::find_if(rows.begin(), rows.end(),
                                    [&](const Row& each) { return each.canonical == writer.name; });
      REQUIRE(row != rows.end());
      std::vector<int64_t> shape = row->stored_shape();
      REQUIRE((writer.slice >= 0) == (row->experts > 0));
      if (row->experts > 0) shape.erase(shape.begin());
      if (shape.size() == 2) REQUIRE(shape[writer.residual_axis] == spec.d_model);
    }
  }
}

TEST_CASE("every expert is a writer, and one that is shared") {
  const auto list = of(kind("DeepseekV3ForCausalLM"), false);
  const auto count = [&](WriterKind writer, int layer) {
    return std::count_if(list.begin(), list.end(), [&](const WriterSite& site) {
      return site.kind == writer && site.output.layer == layer;
    });
  };
  REQUIRE(count(WriterKind::mlp, 0) == 1);
  REQUIRE(count(WriterKind::expert, 0) == 0);
  REQUIRE(count(WriterKind::mlp, 1) == 0);
  REQUIRE(count(WriterKind::expert, 1) == 6);
  REQUIRE(count(WriterKind::shared_expert, 1) == 1);
  REQUIRE(list.back().name == "blocks.1.mlp.shared.W_out");
  REQUIRE(list.back().output == Point{Site::shared_out, 1});
}

TEST_CASE("writers before a norm name it, and narrow embeddings write by their projection") {
  for (const WriterSite& writer : of(kind("Gemma2ForCausalLM"), false)) {
    CAPTURE(writer.name);
    const bool attention = writer.kind == WriterKind::attention;
    const std::string at = "blocks." + std::to_string(writer.output.layer);
    const std::string norm = at + (attention ? ".ln1_post" : ".ln2_post");
    REQUIRE(writer.norm == (writer.output.layer < 0 ? "" : norm));
  }
  const auto opt = of(kind("OPTForCausalLM"), true);
  REQUIRE(opt.front().kind == WriterKind::embedding_projection);
  REQUIRE(opt.front().inputs == 12);
  const auto bloom = of(kind("BloomForCausalLM"), true);
  REQUIRE(bloom.front().norm == "embed.ln");
  REQUIRE(bloom[1].kind == WriterKind::embedding_norm);
  REQUIRE(bloom[1].name == "embed.ln.b");
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

TEST_CASE("writer kinds have names of their own") {
  std::set<std::string> names;
  for (int kind = 0; kind < kWriterKinds; ++kind) {
    REQUIRE(names.insert(std::string(name_of(static_cast<WriterKind>(kind)))).second);
  }
  REQUIRE(names.contains("token_embedding"));
  REQUIRE(names.contains("shared_expert"));
}

}  // namespace lenswright::test_writers
