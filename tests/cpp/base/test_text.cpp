#include "base/text.h"

#include <string>
#include <vector>

#include "catch.h"

using namespace lenswright;

TEST_CASE("utf-8: well-formed text") {
  for (const char* text : {"", "abc", "é", "日本", "\xF0\x9F\x98\x80", "\x7f", "\xEF\xBF\xBF"}) {
    REQUIRE(find_invalid_utf8(text) == std::string_view::npos);
  }
  REQUIRE(find_invalid_utf8(std::string_view("a\0b", 3)) == std::string_view::npos);
}

TEST_CASE("utf-8: what is not") {
  REQUIRE(find_invalid_utf8("ab\xff") == 2);
  REQUIRE(find_invalid_utf8("\x80") == 0);              // a lone continuation
  REQUIRE(find_invalid_utf8("\xC0\xAF") == 0);          // overlong
  REQUIRE(find_invalid_utf8("\xE0\x80\xAF") == 0);      // overlong
  REQUIRE(find_invalid_utf8("\xED\xA0\x80") == 0);      // a surrogate
  REQUIRE(find_invalid_utf8("\xF4\x90\x80\x80") == 0);  // beyond U+10FFFF
  REQUIRE(find_invalid_utf8("a\xE6\x97") == 1);         // cut off
  REQUIRE(find_invalid_utf8("\xF0\x9F\x98") == 0);
}

TEST_CASE("text: names of a message") {
  const std::vector<std::string> names = {"a", "b", "c"};
  REQUIRE(listed(names) == "a, b, c");
  REQUIRE(listed(names, 3) == "a, b, c");
  REQUIRE(listed(names, 2) == "a, b and 1 more");
  REQUIRE(listed({}) == "");
  REQUIRE(listed_in_quotes(names) == "'a', 'b', 'c'");
  REQUIRE(listed_in_quotes(names, 1) == "'a' and 2 more");
}

TEST_CASE("text: a shape") {
  REQUIRE(shape_text(std::vector<int64_t>{4, 8}) == "[4, 8]");
  REQUIRE(shape_text(std::vector<int64_t>{-1}) == "[-1]");
  REQUIRE(shape_text(std::vector<uint64_t>{}) == "[]");
}
