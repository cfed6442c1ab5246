#include "spec/spec.h"

#include "catch.h"

namespace lenswright {

TEST_CASE("every activation has a name that means it") {
  for (Activation a :
       {Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
    REQUIRE(activation_from_name(std::string(name_of(a))) == a);
  }
  REQUIRE(activation_from_name("swish") == Activation::silu);
  REQUIRE(activation_from_name("gelu_pytorch_tanh") == Activation::gelu_tanh);
  REQUIRE(activation_from_name("gelu_fast") == Activation::gelu_tanh);
}

TEST_CASE("an unknown activation is refused with the known ones and the nearest") {
  try {
    activation_from_name("gelu_newer");
    FAIL("accepted");
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    REQUIRE(text.find("did you mean 'gelu_new'?") != std::string::npos);
    REQUIRE(text.find("relu, gelu, ") != std::string::npos);
  }
}

TEST_CASE("enums have names") {
  REQUIRE(name_of(NormKind::layer) == "layer");
  REQUIRE(name_of(NormKind::rms) == "rms");
  REQUIRE(name_of(PositionKind::learned) == "learned");
  REQUIRE(name_of(PositionKind::rope) == "rope");
  REQUIRE(name_of(RopeLayout::half) == "half");
  REQUIRE(name_of(RopeLayout::adjacent) == "adjacent");
}

}  // namespace lenswright
