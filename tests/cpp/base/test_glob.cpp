#include "base/glob.h"

#include <stdexcept>
#include <string>

#include "catch.h"

using namespace lenswright;

namespace {

bool matches(const char* pattern, const char* name) { return Glob(pattern).matches(name); }

}  // namespace

TEST_CASE("glob: plain text, stars and question marks") {
  REQUIRE(matches("a.b", "a.b"));
  REQUIRE_FALSE(matches("a.b", "axb"));
  REQUIRE(matches("blocks.*.hook_z", "blocks.3.attn.hook_z"));
  REQUIRE_FALSE(matches("blocks.*.hook_z", "blocks.3.attn.hook_zz"));
  REQUIRE(matches("*", ""));
  REQUIRE(matches("", ""));
  REQUIRE_FALSE(matches("", "a"));
  REQUIRE(matches("a*", "a"));
  REQUIRE(matches("h?", "h1"));
  REQUIRE_FALSE(matches("h?", "h"));
  REQUIRE(matches("*a*b*", "xxaxxbxx"));
}

TEST_CASE("glob: sets") {
  REQUIRE(matches("[a-c]x", "bx"));
  REQUIRE_FALSE(matches("[a-c]x", "dx"));
  REQUIRE(matches("[!a-c]x", "dx"));
  REQUIRE_FALSE(matches("[!a-c]x", "ax"));
  REQUIRE(matches("[]]", "]"));
  REQUIRE(matches("[a-]", "-"));
  REQUIRE(matches("[kqv]_proj", "q_proj"));
}

TEST_CASE("glob: braces") {
  REQUIRE(matches("{attn,mlp}.out", "mlp.out"));
  REQUIRE_FALSE(matches("{attn,mlp}.out", "norm.out"));
  REQUIRE(matches("a{,b}c", "ac"));
  REQUIRE(matches("a{,b}c", "abc"));
  REQUIRE(matches("{a*,{b,c}?}", "cx"));
  REQUIRE(matches("a,b", "a,b"));
  for (int i = 0; i <= 12; ++i) {
    const std::string name = "blocks." + std::to_string(i) + ".x";
    REQUIRE(Glob("blocks.{3..11}.x").matches(name) == (i >= 3 && i <= 11));
  }
  REQUIRE_FALSE(matches("{3..11}", "03"));
  REQUIRE(matches("{1..1}", "1"));
  REQUIRE(matches("{a..b}", "a..b"));  // no numbers: two dots are two dots
}

TEST_CASE("glob: escapes") {
  REQUIRE(matches("a\\*b", "a*b"));
  REQUIRE_FALSE(matches("a\\*b", "axb"));
  REQUIRE(matches("\\{a\\}", "{a}"));
  REQUIRE(Glob::is_pattern("a*"));
  REQUIRE_FALSE(Glob::is_pattern("blocks.3.hook_z"));
}

TEST_CASE("glob: malformed patterns are refused") {
  for (const char* wrong : {"[a", "{a", "a}", "a\\", "[z-a]", "{5..2}", "{0..99999}", "{a,{b}"}) {
    CAPTURE(wrong);
    REQUIRE_THROWS_AS(Glob(wrong), std::invalid_argument);
  }
  REQUIRE_THROWS_AS(Glob(std::string(100, '{')), std::invalid_argument);
  std::string huge;
  for (int i = 0; i < 40; ++i) huge += "{0..9999}";
  REQUIRE_THROWS_AS(Glob(huge), std::invalid_argument);
}

TEST_CASE("glob: no pattern is slow") {
  std::string pattern, name(2000, 'a');
  for (int i = 0; i < 200; ++i) pattern += "*a";
  REQUIRE(Glob(pattern).matches(name));
  REQUIRE_FALSE(Glob(pattern + "b").matches(name));
}
