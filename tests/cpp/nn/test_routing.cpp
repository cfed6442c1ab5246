#include "nn/routing.h"

#include "nn/deterministic.h"
#include "nn/routing_by_hand.h"
#include "tensors.h"

namespace lenswright::test_routing {
namespace {

using test::Choice;
using test::Numbers;

std::vector<Choice> all_by_hand(const at::Tensor& logits, const Routing& r,
                                const Numbers& correction) {
  std::vector<Choice> choices;
  const at::Tensor rows = logits.reshape({-1, r.experts});
  for (int64_t row = 0; row < rows.size(0); ++row) {
    choices.push_back(test::choice_by_hand(test::numbers(rows[row]), r, correction));
  }
  return choices;
}

std::vector<Choice> choices_of(const Chosen& chosen, const Routing& r) {
  std::vector<Choice> choices;
  const at::Tensor indices = chosen.indices.reshape({-1, r.chosen});
  const at::Tensor weights = chosen.weights.reshape({-1, r.chosen});
  for (int64_t row = 0; row < indices.size(0); ++row) {
    Choice& choice = choices.emplace_back();
    for (int64_t i = 0; i < r.chosen; ++i) {
      choice[indices[row][i].item<int64_t>()] = weights[row][i].item<double>();
    }
  }
  return choices;
}

at::Tensor optional(const Numbers& x, at::ScalarType type = at::kDouble) {
  return x.empty() ? at::Tensor() : at::tensor(x, at::kDouble).to(type);
}

// Returns what was chosen, for comparisons between rules.
std::vector<Choice> check(const at::Tensor& logits, const Routing& r,
                          const Numbers& correction = {}) {
  const std::vector<Choice> expected = all_by_hand(logits, r, correction);
  for (const auto type : {at::kDouble, at::kFloat}) {
    const Chosen chosen = choose_experts(logits.to(type), r, optional(correction, type));
    REQUIRE(chosen.indices.sizes() == at::IntArrayRef({logits.size(0), logits.size(1), r.chosen}));
    REQUIRE(chosen.indices.scalar_type() == at::kLong);
    REQUIRE(chosen.weights.sizes() == chosen.indices.sizes());
    REQUIRE(chosen.weights.scalar_type() == type);
    const std::vector<Choice> found = choices_of(chosen, r);
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      REQUIRE(found[i].size() == expected[i].size());
      for (const auto& [expert, weight] : expected[i]) {
        CAPTURE(i, expert);
        REQUIRE(found[i].contains(expert));
        const double limit = type == at::kDouble ? 1e-13 : 1e-5;
        REQUIRE(found[i].at(expert) == Approx(weight).epsilon(limit));
      }
    }
  }
  return expected;
}

int64_t differing_sets(const std::vector<Choice>& a, const std::vector<Choice>& b) {
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto same = [](const auto& x, const auto& y) { return x.first == y.first; };
    count += !std::equal(a[i].begin(), a[i].end(), b[i].begin(), b[i].end(), same);
  }
  return count;
}

at::Tensor some_logits(int64_t experts = 12) { return 2 * test::waves({3, 7, experts}, 1.3); }

Routing routing(Router router, int64_t chosen = 3) {
  Routing r;
  r.router = router;
  r.experts = 12;
  r.chosen = chosen;
  return r;
}

const Numbers kCorrection = {0.4, -0.3, 0.0, 0.2, -0.5, 0.3, 0.1, -0.1, 0.6, -0.6, 0.25, -0.2};

}  // namespace

TEST_CASE("routers choose by softmax or by sigmoid, and weigh what they chose") {
  for (Router router :
       {Router::softmax_first, Router::softmax_last, Router::sigmoid, Router::sigmoid_input}) {
    for (int64_t chosen : {1, 3, 12}) check(some_logits(), routing(router, chosen));
  }
}

TEST_CASE("routers renormalise with what is added to the sum, its lower bound and a scale") {
  for (Router router : {Router::softmax_first, Router::sigmoid}) {
    Routing r = routing(router);
    r.scale = 2.5;
    check(some_logits(), r);
    r.renormalise = true;
    for (const Choice& choice : check(some_logits(), r)) {
      double sum = 0;
      for (const auto& [expert, weight] : choice) sum += weight;
      REQUIRE(sum == Approx(2.5));
    }
    r.renormalise_eps = 0.37;
    check(some_logits(), r);
    r.renormalise_eps = 1e-20;
    check(some_logits(), r);
    r.renormalise_min = 0.9;  // above some of the sums
    check(some_logits(), r);
    r.renormalise_min = 1e-12;
    check(some_logits(), r);
  }
}

TEST_CASE("the chosen weights are scaled by every router") {
  for (Router router : {Router::softmax_first, Router::softmax_last, Router::sigmoid,
                        Router::sigmoid_input, Router::sparsemixer}) {
    Routing r = routing(router, 2);
    const Chosen plain = choose_experts(some_logits(), r, {});
    r.scale = 2.5;
    check(some_logits(), r);
    REQUIRE(test::same(choose_experts(some_logits(), r, {}).weights, plain.weights * 2.5));
  }
}

TEST_CASE("a router's correction acts on the choice and not on the weights") {
  for (Router router : {Router::softmax_first, Router::sigmoid}) {
    Routing r = routing(router);
    const auto plain = check(some_logits(), r), other = check(some_logits(), r, kCorrection);
    REQUIRE(differing_sets(plain, other) > 0);
    r.renormalise = true;
    check(some_logits(), r, kCorrection);
  }
}

TEST_CASE("routers choose from the best groups, by their best expert or their best two") {
  for (Router router : {Router::softmax_first, Router::sigmoid}) {
    for (const Numbers& correction : {Numbers(), kCorrection}) {
      Routing r = routing(router, 4);
      const auto free = check(some_logits(), r, correction);
      r.groups = 4;
      r.chosen_groups = 2;
      if (!correction.empty()) {  // left out at 0, which a corrected score may fall below
        r.group_by_two = true;
        REQUIRE(differing_sets(check(some_logits(), r, correction), free) > 0);
        continue;
      }
      const auto by_best = check(some_logits(), r);
      r.group_by_two = true;
      const auto by_two = check(some_logits(), r);
      REQUIRE(differing_sets(by_best, free) > 0);
      REQUIRE(differing_sets(by_two, free) > 0);
      REQUIRE(differing_sets(by_two, by_best) > 0);
      r.renormalise = true;
      r.renormalise_eps = 1e-20;
      r.scale = 2.5;
      check(some_logits(), r);
    }
  }
}

TEST_CASE("sparsemixer, as a router at inference, weighs each of two among those near it") {
  Routing r = routing(Router::sparsemixer, 2);
  for (double jitter : {0.01, 0.1, 0.4}) {
    r.jitter = jitter;
    check(some_logits(), r);
    check(some_logits() - 3, r);  // all below zero
  }
  // Zero over zero is no number, and so not far.
  r.experts = 4;
  check(at::tensor({0.0, -1.0, -2.0, -3.0}, at::kDouble).view({1, 1, 4}), r);
}

TEST_CASE("routers compute half types in float32") {
  for (Router router :
       {Router::softmax_first, Router::softmax_last, Router::sigmoid, Router::sigmoid_input}) {
    const at::Tensor logits = some_logits().to(at::kBFloat16);
    const Routing r = routing(router);
    const Chosen half = choose_experts(logits, r, {});
    const Chosen wide = choose_experts(logits.to(at::kFloat), r, {});
    REQUIRE(half.weights.scalar_type() == at::kFloat);
    REQUIRE(test::same(half.weights, wide.weights));
    REQUIRE(test::same(half.indices, wide.indices));
  }
}

TEST_CASE("in deterministic runs a router's choice depends on its own token only") {
  const DeterministicGuard guard(true);
  const at::Tensor logits = 2 * test::waves({5, 31, 12}, 1.3, at::kFloat);
  for (Router router : {Router::softmax_first, Router::softmax_last, Router::sigmoid,
                        Router::sigmoid_input, Router::sparsemixer}) {
    Routing r = routing(router, router == Router::sparsemixer ? 2 : 5);
    r.jitter = 0.1;
    r.renormalise = true;
    r.groups = 4;
    r.chosen_groups = 2;
    r.group_by_two = true;
    const Chosen all = choose_experts(logits, r, {});
    for (int64_t token = 0; token < 31; ++token) {
      const Chosen own = choose_experts(logits.narrow(0, 3, 1).narrow(1, token, 1), r, {});
      REQUIRE(test::same(own.indices[0][0], all.indices[3][token]));
      REQUIRE(test::same(own.weights[0][0], all.weights[3][token]));
    }
  }
}

}  // namespace lenswright::test_routing
