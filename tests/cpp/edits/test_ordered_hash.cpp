#include "edits/ordered_hash.h"

#include <thread>
#include <vector>

#include "catch.h"

namespace lenswright::test_ordered_hash {

TEST_CASE("pieces count in their order, whoever brings them when") {
  const std::string text = "abcdefgh";
  const auto bytes = std::as_bytes(std::span(text));
  OrderedHash hash;
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 7; i >= 0; --i) {
      threads.emplace_back([&, i] { hash.add(i, bytes.subspan(static_cast<size_t>(i), 1)); });
    }
  }
  REQUIRE(hash.hex() == Sha256::hex(bytes));
}

TEST_CASE("who waits for a piece that failed hears why") {
  OrderedHash hash;
  std::string heard;
  {
    const std::jthread waiting([&] {
      try {
        hash.add(1, {});
      } catch (const std::runtime_error& error) {
        heard = error.what();
      }
    });
    hash.fail(std::make_exception_ptr(std::runtime_error("the disk is full")));
  }
  REQUIRE(heard == "the disk is full");
}

}  // namespace lenswright::test_ordered_hash
