#include "spec/misreadings.h"

#include <map>
#include <set>

#include "spec/configs.h"

namespace lenswright::test_misreadings {
namespace {

struct Read {
  Spec spec;
  std::vector<Row> rows;
};

Read reading(const Json& config) {
  const Family& family = family_of(config);
  const Spec spec = spec_of(family, config);
  return {spec, rows_in(family, spec, [](const std::string&) { return true; })};
}

const Row& row(const Read& read, const std::string& canonical) {
  for (const Row& one : read.rows) {
    if (one.canonical == canonical) return one;
  }
  FAIL("no row " << canonical);
  throw std::logic_error("unreachable");
}

Read misread(Read read, const std::string& name) {
  const Misreading misreading = misreading_of(name, read.spec);
  REQUIRE(misreading.applies(read.spec, read.rows));
  misreading.change(read.spec, read.rows);
  return read;
}

}  // namespace

TEST_CASE("misreadings have names of their own, and the nearest is told") {
  std::set<std::string> names;
  for (const Misreading& one : misreadings()) REQUIRE(names.insert(one.name()).second);
  REQUIRE_THROWS_AS(misreading_of("rope layot: half", Spec()), std::invalid_argument);
}

TEST_CASE("numbers of config.json are ways back, each under the knobs its key may mean") {
  Json config = test::llama_config(), text = Json::object(), vision = Json::object();
  text.set("attn_logit_softcapping", 7.0);
  text.set("final_logit_softcapping", 9.0);
  vision.set("window_size", 5);
  config.set("text_config", text);
  config.set("vision_config", vision);
  config.set("sliding_window", 3);
  config.set("logits_scaling", 4.0);
  config.set("residual_multiplier", 0.5);
  config.set("embedding_multiplier", 6.0);
  config.set("attention_multiplier", 0.3);
  const Read read = reading(config);
  for (const Misreading& one : misreadings(read.spec)) {
    INFO(one.name());
    REQUIRE(one.name().find("window_size") == std::string::npos);  // of another tower
  }
  REQUIRE(misread(read, "score softcap: 7 (attn_logit_softcapping)").spec.score_softcap == 7.0);
  REQUIRE(misread(read, "logit softcap: 9 (final_logit_softcapping)").spec.logit_softcap == 9.0);
  REQUIRE(misread(read, "logit scale: 1 / 4 (logits_scaling)").spec.logit_scale == 0.25);
  REQUIRE(misread(read, "residual scale: 0.5 (residual_multiplier)").spec.residual_scale == 0.5);
  REQUIRE(misread(read, "embedding scale: 6 (embedding_multiplier)").spec.embed_scale == 6.0);
  const Read scaled = misread(read, "score scale: 0.3 (attention_multiplier)");
  REQUIRE(scaled.spec.layers[0].score_scale == 0.3);
  const Read sliding = misread(read, "window: 3 (sliding_window) in odd layers");
  REQUIRE(sliding.spec.layers[0].window == 0);
  REQUIRE(sliding.spec.layers[1].window == 3);
  REQUIRE_THROWS_AS(misreading_of("score softcap: 9 (final_logit_softcapping)", read.spec),
                    std::invalid_argument);
}

TEST_CASE("no misreading asks for a tensor of another shape") {
  for (const Json& config : {test::llama_config(), test::gpt2_config()}) {
    const Read read = reading(config);
    std::map<std::string, std::vector<int64_t>> shapes;
    for (const Row& one : read.rows) shapes[one.source] = one.stored_shape();
    for (const Misreading& one : misreadings(read.spec)) {
      Read other = read;
      if (!one.applies(other.spec, other.rows)) continue;
      one.change(other.spec, other.rows);
      for (const Row& own : other.rows) {
        INFO(one.name() << ": " << own.source);
        REQUIRE(own.stored_shape() == shapes.at(own.source));
      }
    }
  }
}

TEST_CASE("fused projections may be packed head by head") {
  const Read read = misread(reading(test::gpt2_config()), "packing of q, k and v: head by head");
  const Row& key = row(read, "blocks.1.attn.W_K");
  REQUIRE(key.start == 10);
  REQUIRE(key.run == 10);
  REQUIRE(key.distance == 30);
  const Read back = misread(read, "packing of q, k and v: one after the other");
  REQUIRE(row(back, "blocks.1.attn.W_K").start == 30);
  REQUIRE_FALSE(row(back, "blocks.1.attn.W_K").in_runs());
}

TEST_CASE("groups of every n-th head repeat keys and values") {
  const Read read = misread(reading(test::llama_config()), "key-value groups: every n-th head");
  REQUIRE(read.spec.n_kv_heads == 4);
  REQUIRE(row(read, "blocks.0.attn.W_K").times == 2);
  REQUIRE(row(read, "blocks.0.attn.W_Q").times == 1);
  REQUIRE(misread(read, "key-value groups: neighbours").spec.n_kv_heads == 2);
}

}  // namespace lenswright::test_misreadings
