#include "spec/spec.h"

#include <set>

#include "catch.h"

namespace lenswright::test_spec {
namespace {

// The names of an enum's values, which differ.
template <typename Enum>
std::set<std::string> names(Enum last) {
  std::set<std::string> all;
  for (int value = 0; value <= static_cast<int>(last); ++value) {
    REQUIRE(all.insert(std::string(name_of(static_cast<Enum>(value)))).second);
  }
  return all;
}

}  // namespace

TEST_CASE("every activation of config files has a name that means it") {
  for (int value = 0; value <= static_cast<int>(Activation::xielu); ++value) {
    const auto a = static_cast<Activation>(value);
    if (a == Activation::gelu_rounded) continue;  // BLOOM's files do not say which gelu they mean
    REQUIRE(activation_from_name(std::string(name_of(a))) == a);
  }
  REQUIRE(activation_from_name("swish") == Activation::silu);
  REQUIRE(activation_from_name("gelu_pytorch_tanh") == Activation::gelu_tanh);
  REQUIRE(activation_from_name("gelu_fast") == Activation::gelu_tanh);
  REQUIRE(activation_from_name("quick_gelu") == Activation::gelu_quick);
}

TEST_CASE("an unknown activation is refused with the known ones and the nearest") {
  try {
    activation_from_name("gelu_newer");
    FAIL("accepted");
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    REQUIRE(text.find("did you mean 'gelu_new'?") != std::string::npos);
    REQUIRE(text.find("relu, relu2, gelu, ") != std::string::npos);
  }
}

TEST_CASE("the values of a spec's enums have names") {
  REQUIRE(names(NormKind::rms).size() == 2);
  REQUIRE(names(NormPlacement::behind).contains("around"));
  REQUIRE(names(PositionKind::rope).contains("alibi"));
  REQUIRE(names(QkNorm::flat).contains("head"));
  REQUIRE(names(RopeLayout::adjacent_apart).size() == 3);
  REQUIRE(names(RopeScaling::longrope).contains("default"));  // as config files call it
  REQUIRE(names(Activation::xielu).size() == 8);
  REQUIRE(names(Router::sparsemixer).size() == 5);
}

TEST_CASE("a spec's layers are alike until they are told apart") {
  Spec spec;
  spec.n_layers = 3;
  spec.score_softcap = 50.0;
  spec.same_layers(0.25);
  spec.layers[1].window = 4;
  spec.layers[2].chunk = 8;
  spec.layers[2].rope = -1;
  REQUIRE(spec.layers.size() == 3);
  for (int layer = 0; layer < 3; ++layer) {
    const AttentionRule rule = spec.attention_rule(layer);
    REQUIRE(rule.scale == 0.25);
    REQUIRE(rule.softcap == 50.0);
    REQUIRE(rule.window == (layer == 1 ? 4 : 0));
    REQUIRE(rule.chunk == (layer == 2 ? 8 : 0));
    REQUIRE(spec.rotates(layer) == (layer < 2));
    REQUIRE_FALSE(spec.norms_heads(layer));
  }
  spec.qk_norm = QkNorm::head;
  REQUIRE(spec.norms_heads(2));
  spec.qk_norm_rotated_only = true;
  REQUIRE(spec.norms_heads(1));
  REQUIRE_FALSE(spec.norms_heads(2));
  spec.position = PositionKind::learned;
  REQUIRE_FALSE(spec.rotates(0));
}

TEST_CASE("a spec says where a branch's norms stand, and how wide an embedding is") {
  Spec spec;
  for (const auto& [placement, before, after] :
       std::vector<std::tuple<NormPlacement, bool, bool>>{{NormPlacement::before, true, false},
                                                          {NormPlacement::after, false, true},
                                                          {NormPlacement::around, true, true},
                                                          {NormPlacement::behind, false, false}}) {
    spec.norms = placement;
    REQUIRE(spec.has_norm_before() == before);
    REQUIRE(spec.has_norm_after() == after);
  }
  spec.d_model = 30;
  REQUIRE(spec.embedding_width() == 30);
  spec.d_embed = 12;
  REQUIRE(spec.embedding_width() == 12);
}

}  // namespace lenswright::test_spec
