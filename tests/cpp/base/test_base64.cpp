#include "base/base64.h"

#include <random>
#include <stdexcept>

#include "catch.h"

namespace lenswright::test_base64 {
namespace {

std::string coded(std::string_view text) {
  return to_base64(std::as_bytes(std::span(text.data(), text.size())));
}

TEST_CASE("base64: the vectors of RFC 4648") {
  CHECK(coded("").empty());
  CHECK(coded("f") == "Zg==");
  CHECK(coded("fo") == "Zm8=");
  CHECK(coded("foo") == "Zm9v");
  CHECK(coded("foob") == "Zm9vYg==");
  CHECK(coded("fooba") == "Zm9vYmE=");
  CHECK(coded("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64: any bytes come back") {
  std::mt19937 random(1);
  for (size_t size = 0; size < 200; ++size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
}

TEST_CASE("base64: other texts are refused") {
  for (const char* text : {"Zg=", "Zg", "Z===", "Zm=v", "Zm9*", "====", "=m9v"}) {
    CHECK_THROWS_AS(from_base64(text), std::invalid_argument);
  }
}

}  // namespace
}  // namespace lenswright::test_base64
