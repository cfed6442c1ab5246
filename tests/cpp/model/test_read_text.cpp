#include "model/read_text.h"

#include "model/generate.h"
#include "model/tiny.h"
#include "spec/kinds.h"

namespace lenswright::test_read_text {
namespace {

using test::ids;
using test::Tiny;

std::vector<int64_t> list(const at::Tensor& row) {
  const at::Tensor one = row.contiguous();
  return {one.const_data_ptr<int64_t>(), one.const_data_ptr<int64_t>() + one.numel()};
}

at::Tensor row_of(const std::vector<int64_t>& tokens) {
  return at::tensor(tokens, at::kLong).unsqueeze(0);
}

}  // namespace

TEST_CASE("turns that go on from what was read say what they say afresh") {
  std::vector<Json> configs = {test::llama_config(), test::gpt2_config()};
  configs.insert(configs.end(), test::kinds().begin(), test::kinds().end());
  for (const Json& config : configs) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const auto read = std::make_shared<ReadText>();
    std::vector<int64_t> text = list(ids(1, 7)[0]);
    for (int turn = 0; turn < 4; ++turn) {
      const Batch prompt = test::whole(row_of(text));
      Generation fresh(*tiny, prompt, {}, {}, {.max_new_tokens = 5});
      Generation next(*tiny, prompt, {}, {}, {.max_new_tokens = 5}, read);
      while (!fresh.done()) {
        fresh.step();
        next.step();
        REQUIRE(test::relative(next.logits(), fresh.logits()) < 1e-12);
      }
      REQUIRE(next.said() == fresh.said());
      REQUIRE((next.reused() > 0) == (turn > 0));
      text.insert(text.end(), next.said()[0].begin(), next.said()[0].end());
      if (turn == 2) text.resize(text.size() - 4);  // the answer is another, as templates make it
      for (int64_t more : {5, 3 + turn}) text.push_back(more);
    }
  }
}

TEST_CASE("a text under way is nobody else's, and is put back when it ends or is left") {
  const Tiny tiny(test::llama_config());
  const auto read = std::make_shared<ReadText>();
  const Batch prompt = test::whole(ids(1, 9));
  const GenerateOptions options{.max_new_tokens = 4};
  {
    Generation first(*tiny, prompt, {}, {}, options, read);
    first.step();
    first.step();
    REQUIRE(read->tokens().empty());
    Generation second(*tiny, prompt, {}, {}, options, read);
    REQUIRE(second.reused() == 0);
  }
  REQUIRE(read->tokens().size() == 10);  // the prompt and the first word, as the second was not run
  Generation third(*tiny, prompt, {}, {}, options, read);
  REQUIRE(third.reused() == 8);  // the last token's logits are wanted
  Generation batch(*tiny, test::whole(ids(2, 9)), {}, {}, options, read);
  REQUIRE(batch.reused() == 0);
}

TEST_CASE("rows turned by their length are read again beyond the original one") {
  Json config = test::llama_config(), scaling = Json::object();
  scaling.set("rope_type", "dynamic");
  scaling.set("factor", 4.0);
  config.set("rope_scaling", scaling);
  config.set("max_position_embeddings", 16);
  const Tiny tiny(config);
  const auto read = std::make_shared<ReadText>();
  const auto reused = [&](int64_t length) {
    Generation one(*tiny, test::whole(ids(1, length)), {}, {}, {.max_new_tokens = 2}, read);
    while (!one.done()) one.step();
    return one.reused();
  };
  REQUIRE(reused(8) == 0);
  REQUIRE(reused(10) == 8);
  REQUIRE(reused(20) == 0);
  REQUIRE(reused(22) == 0);
}

}  // namespace lenswright::test_read_text
