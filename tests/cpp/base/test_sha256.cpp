#include "base/sha256.h"

#include <string>
#include <string_view>

#include "base/sha256_block.h"
#include "catch.h"

using namespace lenswright;

namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

TEST_CASE("sha256: FIPS 180-4 examples") {
  REQUIRE(Sha256::hex({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  REQUIRE(Sha256::hex(bytes("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  REQUIRE(Sha256::hex(bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  REQUIRE(Sha256::hex(bytes(std::string(1'000'000, 'a'))) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256: pieces of any length give the hash of the whole") {
  const std::string text(1000, 'x');
  for (size_t step = 1; step < 200; ++step) {
    Sha256 hash;
    for (size_t at = 0; at < text.size(); at += step) {
      hash.update(bytes(std::string_view(text).substr(at, step)));
    }
    REQUIRE(hash.hex() == Sha256::hex(bytes(text)));
  }
}

TEST_CASE("sha256: the processor's instructions and the portable way agree") {
  std::array<uint8_t, 640> data;
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 7 + i / 64);
  std::array<uint32_t, 8> a{1, 2, 3, 4, 5, 6, 7, 8}, b = a;
  sha256_blocks(a, data.data(), 10);
  sha256_blocks_portable(b, data.data(), 10);
  REQUIRE(a == b);
}
