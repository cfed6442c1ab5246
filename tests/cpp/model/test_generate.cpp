#include "model/generate.h"

#include "model/tiny.h"
#include "spec/kinds.h"

namespace lenswright::test_generate {
namespace {

using test::ids;
using test::Tiny;
using Said = std::vector<std::vector<int64_t>>;

Said say(const Model& model, const Batch& prompts, GenerateOptions options) {
  Generation generation(model, prompts, {}, {}, std::move(options));
  while (!generation.done()) generation.step();
  return generation.said();
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
        REQUIRE(say(*tiny, Batch(padded, {6, 4}, side),
                    {.max_new_tokens = 7, .use_cache = cached}) == expected);
      }
    }
  }
}

TEST_CASE("a row ends with its stop id") {
  const Tiny tiny(test::llama_config());
  const Batch prompts = test::whole(ids(2, 6));
  const Said all = say(*tiny, prompts, {.max_new_tokens = 7});
  const int64_t stop = all[0][2];
  const Said stopped = say(*tiny, prompts, {.max_new_tokens = 7, .stop_ids = {stop}});
  REQUIRE(stopped[0].back() == stop);
  REQUIRE(stopped[0].size() <= 3);
  REQUIRE(std::equal(stopped[1].begin(), stopped[1].end(), all[1].begin()));
  REQUIRE_THROWS_AS(say(*tiny, prompts, {.max_new_tokens = 0}), c10::ValueError);
}

TEST_CASE("a row told to end does, and the others do not notice") {
  const Tiny tiny(test::llama_config());
  const Batch prompts = test::whole(ids(3, 6));
  const Said all = say(*tiny, prompts, {.max_new_tokens = 6});
  Generation generation(*tiny, prompts, {}, {}, {.max_new_tokens = 6});
  for (int64_t step = 1; !generation.done(); ++step) {
    const std::vector<int64_t> now = generation.step();
    REQUIRE(generation.logits().sizes() == at::IntArrayRef({3, 97}));
    REQUIRE((now[1] == -1) == (step > 2));
    if (step == 2) generation.end(1);
  }
  REQUIRE(generation.said() == Said{all[0], {all[1][0], all[1][1]}, all[2]});
}

TEST_CASE("a prefix that all rows share is read once and changes nothing") {
  for (const Json& config : {test::llama_config(), test::gpt2_config()}) {
    const Tiny tiny(config);
    at::Tensor tokens = ids(3, 24);
    tokens.narrow(1, 0, 19).copy_(tokens[0].narrow(0, 0, 19).clone());
    const Batch prompts(tokens, {24, 20, 22}, Side::right);
    std::vector<at::Tensor> logits;
    std::vector<std::vector<int64_t>> passes;
    for (const bool share : {false, true}) {
      Generation generation(*tiny, prompts, {}, {}, {.max_new_tokens = 5, .share_prefix = share});
      while (!generation.done()) {
        const bool said = !generation.step().empty();
        if (share) passes.push_back(generation.positions().sizes().vec());
        if (said) logits.push_back(generation.logits());
      }
    }
    using Shape = std::vector<int64_t>;
    REQUIRE(passes.size() == 6);
    REQUIRE(passes[0] == Shape{1, 19});
    REQUIRE(passes[1] == Shape{3, 5});
    REQUIRE(passes[2] == Shape{3, 1});
    for (size_t i = 0; i < 5; ++i) REQUIRE(test::relative(logits[5 + i], logits[i]) < 1e-12);
  }
}

TEST_CASE("taps of the two phases act in their own") {
  const Tiny tiny(test::llama_config());
  std::vector<int64_t> read, said;
  Taps prefill, decode;
  prefill.read({Site::resid_pre, 1}, [&](const at::Tensor& x) { read.push_back(x.size(1)); });
  decode.read({Site::resid_pre, 1}, [&](const at::Tensor& x) { said.push_back(x.size(1)); });
  Generation generation(*tiny, test::whole(ids(2, 6)), prefill, decode, {.max_new_tokens = 4});
  while (!generation.done()) generation.step();
  REQUIRE(read == std::vector<int64_t>{6});
  REQUIRE(said == std::vector<int64_t>{1, 1, 1});
}

TEST_CASE("what is drawn depends on seed and position, not on the batch") {
  const Tiny tiny(test::gpt2_config());
  const at::Tensor tokens = ids(3, 6);
  GenerateOptions options{.max_new_tokens = 8, .sampling = {.temperature = 1.5}};
  options.seeds = {3, 4, 5};
  const Said all = say(*tiny, test::whole(tokens), options);
  for (int64_t row = 0; row < 3; ++row) {
    options.seeds = {static_cast<uint64_t>(3 + row)};
    REQUIRE(say(*tiny, test::whole(tokens.narrow(0, row, 1)), options)[0] == all[row]);
  }
  REQUIRE_THROWS_AS(say(*tiny, test::whole(tokens), options), c10::ValueError);
}

TEST_CASE("learned positions end generation before it begins") {
  const Tiny tiny(test::gpt2_config());
  const int64_t n_ctx = tiny->spec().n_ctx;
  const Batch prompts = test::whole(ids(1, n_ctx - 2));
  REQUIRE(say(*tiny, prompts, {.max_new_tokens = 3})[0].size() == 3);
  const std::string line =
      test::thrown<c10::ValueError>([&] { say(*tiny, prompts, {.max_new_tokens = 4}); });
  REQUIRE(line.find("max_new_tokens is 4, expected at most 3") != std::string::npos);
}

}  // namespace lenswright::test_generate
