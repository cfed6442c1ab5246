#include "model/tiny.h"

namespace lenswright::test_loading {

using test::llama_config;
using test::Tiny;

TEST_CASE("weights are views of the mapped file, in its own type") {
  const Tiny tiny(llama_config(), at::kBFloat16);
  REQUIRE(tiny->dtype() == at::kFloat);  // the processor lacks fast 16-bit arithmetic
  const auto& stored = tiny->stored("model.layers.1.mlp.down_proj.weight");
  REQUIRE(stored->value.scalar_type() == at::kBFloat16);
  const auto bytes = tiny->checkpoint()->data(tiny->checkpoint()->info(stored->name));
  REQUIRE(static_cast<const void*>(stored->value.const_data_ptr()) == bytes.data());
  REQUIRE(tiny->weight("blocks.1.mlp.W_out").view().is_alias_of(stored->value));
  REQUIRE(tiny->weight("blocks.1.mlp.W_out").view().sizes() == at::IntArrayRef({30, 37}));
  REQUIRE_THROWS_AS(tiny->stored("model.layers.2.mlp.down_proj.weight"), c10::IndexError);
  REQUIRE_THROWS_AS(tiny->weight("blocks.2.mlp.W_out"), c10::IndexError);
}

TEST_CASE("fused projections are three views of one tensor") {
  const Tiny tiny(test::gpt2_config());
  const auto& stored = tiny->stored("transformer.h.0.attn.c_attn.weight");
  const at::Tensor fused = stored->value;  // [30, 90]
  REQUIRE(test::same(tiny->weight("blocks.0.attn.W_K").view(), fused.narrow(1, 30, 30).t()));
  REQUIRE(tiny->weight("blocks.0.attn.W_V").stored() == stored);
}

TEST_CASE("the type of the computation is the stored one, or the one asked for") {
  REQUIRE(Tiny(llama_config(), at::kDouble)->dtype() == at::kDouble);
  REQUIRE(Tiny(llama_config(), at::kFloat, "float64")->dtype() == at::kDouble);
  REQUIRE(Tiny(llama_config(), at::kFloat, "float16")->dtype() == at::kHalf);
  const auto text =
      test::thrown<c10::ValueError>([] { Tiny(llama_config(), at::kFloat, "flaot32"); });
  REQUIRE(test::says(text, "did you mean 'float32'?"));
}

TEST_CASE("tensors that do not fit the config are refused by name") {
  const test::TempFolder folder;
  test::write_checkpoint(folder / "model", llama_config());
  const auto refused = [&](const Json& config) -> std::string {
    folder.write("model/config.json", config.dump());
    try {
      Model::load(Checkpoint::open(folder / "model"), {});
    } catch (const std::exception& error) {
      return error.what();
    }
    FAIL("accepted");
    return "";
  };
  REQUIRE(test::says(refused(test::with(llama_config(), "vocab_size", 98)), "embed_tokens"));
  REQUIRE(test::says(refused(test::with(llama_config(), "num_hidden_layers", 3)), "layers.2."));
  REQUIRE(
      test::says(refused(test::with(llama_config(), "num_hidden_layers", 1)), "model.layers.1."));
}

TEST_CASE("embeddings called tied are not where the checkpoint's head differs") {
  const test::TempFolder folder;
  test::write_checkpoint(folder / "model", llama_config());
  const auto load = [&] { return Model::load(Checkpoint::open(folder / "model"), {}); };
  const Batch batch = test::whole(test::ids(1, 5));
  const at::Tensor own = test::logits(*load(), batch);
  folder.write("model/config.json", test::with(llama_config(), "tie_word_embeddings", true).dump());
  const auto model = load();
  REQUIRE_FALSE(model->spec().tied);
  REQUIRE(test::same(test::logits(*model, batch), own));
  REQUIRE_THROWS_AS(model->untie(true), c10::ValueError);
}

TEST_CASE("unknown config keys are errors under strict") {
  const test::TempFolder folder;
  test::write_checkpoint(folder / "model", test::with(llama_config(), "sauce", 1));
  const auto checkpoint = Checkpoint::open(folder / "model");
  REQUIRE(Model::load(checkpoint, {})->spec().unknown_keys == std::vector<std::string>{"sauce"});
  LoadOptions strict;
  strict.strict = true;
  REQUIRE(test::says(test::thrown<c10::ValueError>([&] { Model::load(checkpoint, strict); }),
                     "'sauce'"));
}

TEST_CASE("untying gives the unembedding a tensor of its own, and back") {
  const Tiny tiny(test::with(llama_config(), "tie_word_embeddings", true));
  const Batch batch = test::whole(test::ids(1, 5));
  const at::Tensor before = test::logits(*tiny, batch);
  const size_t rows = tiny->rows().size();
  tiny->untie(true);
  REQUIRE(tiny->rows().size() == rows + 1);
  tiny->stored("lm_head.weight")->value = tiny->stored("lm_head.weight")->value * 2;
  REQUIRE(test::relative(test::logits(*tiny, batch), before * 2) < 1e-14);
  tiny->untie(false);
  REQUIRE(test::same(test::logits(*tiny, batch), before));
  REQUIRE_THROWS_AS(tiny->stored("lm_head.weight"), c10::IndexError);
  const Tiny own(llama_config());
  REQUIRE_THROWS_AS(own->untie(true), c10::ValueError);
}

}  // namespace lenswright::test_loading
