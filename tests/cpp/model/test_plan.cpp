#include "model/plan.h"

#include "model/tiny.h"

namespace lenswright::test_plan {
namespace {

Spec five_layers() {
  Spec spec;
  spec.n_layers = 5;
  return spec;
}

Plan plan(const std::vector<Point>& read, Wanted wanted) {
  Taps taps;
  for (Point point : read) taps.read(point, [](const at::Tensor&) {});
  return make_plan(five_layers(), taps, wanted);
}

constexpr Wanted kNothing{Logits::none, 0, std::nullopt};

}  // namespace

TEST_CASE("logits need the whole run") {
  for (Logits logits : {Logits::last, Logits::all}) {
    const Plan p = plan({}, {logits, 0, std::nullopt});
    REQUIRE(p.whole == 5);
    REQUIRE_FALSE(p.partial);
    REQUIRE(p.final_norm);
    REQUIRE(p.logits == logits);
  }
}

TEST_CASE("without logits a run goes as deep as its deepest tap") {
  struct Case {
    Point point;
    int whole;
    bool partial;
    Until last;
  };
  const Until any = Until::resid_pre;
  for (const Case& c : std::vector<Case>{
           {{Site::tokens, -1}, 0, false, any},
           {{Site::embed, -1}, 0, false, any},
           {{Site::pos_embed, -1}, 0, false, any},
           {{Site::resid_pre, 0}, 0, true, Until::resid_pre},
           {{Site::resid_pre, 3}, 3, true, Until::resid_pre},
           {{Site::attn_in, 3}, 3, true, Until::attn_out},
           {{Site::q, 3}, 3, true, Until::attn_out},
           {{Site::pattern, 3}, 3, true, Until::attn_out},
           {{Site::result, 3}, 3, true, Until::attn_out},
           {{Site::attn_out, 3}, 3, true, Until::attn_out},
           {{Site::resid_mid, 3}, 4, false, any},
           {{Site::ln2_scale, 3}, 4, false, any},
           {{Site::mlp_post, 3}, 4, false, any},
           {{Site::resid_post, 4}, 5, false, any},
       }) {
    CAPTURE(name_of(c.point));
    const Plan p = plan({c.point}, kNothing);
    REQUIRE(p.whole == c.whole);
    REQUIRE(p.partial == c.partial);
    if (c.partial) REQUIRE(p.last == c.last);
    REQUIRE_FALSE(p.final_norm);
    REQUIRE(p.logits == Logits::none);
  }
  REQUIRE(plan({}, kNothing).whole == 0);
}

TEST_CASE("the deepest of several taps decides, in any order") {
  for (const auto& points : std::vector<std::vector<Point>>{
           {{Site::resid_pre, 2}, {Site::attn_out, 3}, {Site::resid_post, 1}},
           {{Site::attn_out, 3}, {Site::resid_post, 2}, {Site::resid_pre, 3}}}) {
    const Plan p = plan(points, kNothing);
    REQUIRE(p.whole == 3);
    REQUIRE(p.partial);
    REQUIRE(p.last == Until::attn_out);
  }
  REQUIRE_FALSE(
      plan({{Site::resid_pre, 3}, {Site::resid_post, 2}, {Site::resid_post, 3}}, kNothing).partial);
}

TEST_CASE("taps behind the blocks ask for what they need") {
  const Plan norm = plan({{Site::ln_final_scale, -1}}, kNothing);
  REQUIRE(norm.whole == 5);
  REQUIRE(norm.final_norm);
  REQUIRE(norm.logits == Logits::none);
  REQUIRE(plan({{Site::unembed_out, -1}}, kNothing).logits == Logits::all);
  REQUIRE(plan({{Site::unembed_out, -1}}, {Logits::last, 0, std::nullopt}).logits == Logits::last);
}

TEST_CASE("a run starts and stops where it is told to, negative layers counted from the end") {
  const Plan stopped = plan({}, {Logits::all, 0, 3});
  REQUIRE(stopped.whole == 3);
  REQUIRE_FALSE(stopped.final_norm);
  REQUIRE(stopped.logits == Logits::none);
  REQUIRE(plan({}, {Logits::all, 0, -1}).whole == 4);
  REQUIRE(plan({{Site::resid_pre, 1}}, {Logits::all, 0, 3}).whole == 3);
  const Plan started = plan({}, {Logits::all, 2, std::nullopt});
  REQUIRE(started.first == 2);
  REQUIRE(started.whole == 5);
  REQUIRE(plan({}, {Logits::all, 5, std::nullopt}).first == 5);
}

TEST_CASE("layers out of range and hooks outside the run are refused") {
  REQUIRE_THROWS_AS(plan({}, {Logits::all, 6, std::nullopt}), c10::IndexError);
  REQUIRE_THROWS_AS(plan({}, {Logits::all, 0, -6}), c10::IndexError);
  REQUIRE_THROWS_AS(plan({}, {Logits::all, 3, 2}), c10::ValueError);
  const auto refused = [](Point point, Wanted wanted) {
    return test::thrown<c10::ValueError>([&] { plan({point}, wanted); });
  };
  REQUIRE(test::says(refused({Site::resid_post, 1}, {Logits::all, 2, std::nullopt}),
                     "'blocks.1.hook_resid_post' lies before start_at_layer 2"));
  REQUIRE(test::says(refused({Site::embed, -1}, {Logits::all, 1, std::nullopt}), "hook_embed"));
  REQUIRE(test::says(refused({Site::resid_pre, 3}, {Logits::all, 0, 3}),
                     "'blocks.3.hook_resid_pre' lies behind stop_at_layer 3"));
  REQUIRE(
      test::says(refused({Site::ln_final_scale, -1}, {Logits::all, 0, 5}), "ln_final.hook_scale"));
}

}  // namespace lenswright::test_plan
