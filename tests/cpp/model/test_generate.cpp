#include "model/generate.h"

#include "model/tiny.h"
#include "spec/kinds.h"

namespace lenswright {
namespace {

using test::ids;
using test::Tiny;
using Said = std::vector<std::vector<int64_t>>;

const auto kGoOn = [](int64_t) { return true; };

Said say(const Model& model, const Batch& prompts, GenerateOptions options) {
  return generate(model, prompts, {}, options, kGoOn);
}

// One token at a time, from the logits of the whole text so far.
std::vector<int64_t> by_hand(const Model& model, at::Tensor text, int64_t count) {
  std::vector<int64_t> said;
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor last = test::logits(model, test::whole(text))[0][text.size(1) - 1];
    said.push_back(last.argmax().item<int64_t>());
    text = at::cat({text, at::full({1, 1}, said.back(), at::kLong)}, 1);
  }
  return said;
}

std::vector<Json> all_configs() {
  std::vector<Json> list = {test::llama_config(), test::gpt2_config()};
  list.insert(list.end(), test::kinds().begin(), test::kinds().end());
  return list;
}

}  // namespace

TEST_CASE("a step with the cache gives the logits of the whole text") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const at::Tensor tokens = ids(2, 9);
    const at::Tensor all = test::logits(*tiny, test::whole(tokens));
    KvCache cache = tiny->make_cache(2, 12);
    int64_t done = 0;
    for (int64_t count : {4, 1, 3, 1}) {
      const Batch part = test::whole(tokens.narrow(1, done, count).contiguous());
      const at::Tensor positions = at::arange(done, done + count, at::kLong).expand({2, count});
      const at::Tensor step =
          tiny->run({part, {}, &cache, positions}, {}, {Logits::all, 0, std::nullopt}).logits;
      REQUIRE(test::relative(step, all.narrow(1, done, count)) < 1e-12);
      done += count;
      REQUIRE(cache.used() == done);
    }
  }
}

TEST_CASE("greedy words are those of one token at a time, cached or not, on either side") {
  for (const Json& config : all_configs()) {
    CAPTURE(config.dump());
    const Tiny tiny(config);
    const at::Tensor tokens = ids(2, 6);
    const at::Tensor shorter = tokens.narrow(0, 1, 1).narrow(1, 0, 4);
    const Said expected = {by_hand(*tiny, tokens.narrow(0, 0, 1), 7), by_hand(*tiny, shorter, 7)};
    for (Side side : {Side::right, Side::left}) {
      at::Tensor padded = tokens.clone();
      padded[1].zero_();
      padded[1].narrow(0, side == Side::left ? 2 : 0, 4).copy_(shorter[0]);
      for (const bool cached : {true, false}) {
        REQUIRE(say(*tiny, Batch(padded, {6, 4}, side), {7, {}, cached}) == expected);
      }
    }
  }
}

TEST_CASE("a row ends with its stop id, and generation when it is told to") {
  const Tiny tiny(test::llama_config());
  const Batch prompts = test::whole(ids(2, 6));
  const Said all = say(*tiny, prompts, {7, {}, true});
  const int64_t stop = all[0][2];
  const Said stopped = say(*tiny, prompts, {7, {stop}, true});
  REQUIRE(stopped[0].back() == stop);
  REQUIRE(stopped[0].size() <= 3);
  REQUIRE(std::equal(stopped[1].begin(), stopped[1].end(), all[1].begin()));
  const Said ended =
      generate(*tiny, prompts, {}, {7, {}, true}, [](int64_t done) { return done < 2; });
  REQUIRE(ended[0].size() == 2);
  REQUIRE_THROWS_AS(say(*tiny, prompts, {0, {}, true}), c10::ValueError);
}

}  // namespace lenswright
