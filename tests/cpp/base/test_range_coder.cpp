#include "base/range_coder.h"

#include <cmath>
#include <random>

#include "catch.h"

namespace lenswright::test_range_coder {
namespace {

struct Symbol {
  int model;
  bool value;
  uint64_t raw;
  int count;
};

std::vector<Symbol> symbols(uint32_t seed, double ones) {
  std::mt19937_64 random(seed);
  std::bernoulli_distribution one(ones);
  std::vector<Symbol> all;
  for (int i = 0; i < 20000; ++i) {
    const auto count = static_cast<int>(random() % 64);
    all.push_back({static_cast<int>(random() % 3), one(random),
                   random() & ((uint64_t{1} << count) - 1), random() % 50 == 0 ? count : 0});
    if (all.back().count == 0) all.back().raw = 0;
  }
  return all;
}

TEST_CASE("RangeEncoder: whatever goes in comes out") {
  for (const double ones : {0.0, 1e-4, 0.02, 0.5, 0.97, 1.0}) {
    const std::vector<Symbol> all = symbols(static_cast<uint32_t>(ones * 1000), ones);
    RangeEncoder encoder;
    BitModel models[3];
    for (const Symbol& s : all) {
      encoder.bit(models[s.model], s.value);
      encoder.raw(s.raw, s.count);
    }
    const auto bytes = encoder.finish();
    RangeDecoder decoder(bytes);
    BitModel again[3];
    int wrong = 0;
    for (const Symbol& s : all) {
      wrong += decoder.bit(again[s.model]) != s.value;
      wrong += decoder.raw(0, s.count) != s.raw;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("RangeEncoder: a byte of ones waits for a carry") {
  // Improbable ones at the end of a long run of zeros turn over many bytes.
  for (int length = 1; length < 3000; length += 7) {
    RangeEncoder encoder;
    BitModel model, again;
    for (int i = 0; i < length; ++i) encoder.bit(model, i % 97 == 96);
    encoder.raw(0xFFFFFFFF, 40);
    const auto bytes = encoder.finish();
    RangeDecoder decoder(bytes);
    bool same = true;
    for (int i = 0; i < length; ++i) same = same && decoder.bit(again) == (i % 97 == 96);
    CHECK(same);
    CHECK(decoder.raw(0, 40) == 0xFFFFFFFF);
  }
}

TEST_CASE("RangeEncoder: it costs what the bits are worth") {
  for (const double ones : {0.001, 0.02, 0.3}) {
    std::mt19937_64 random(7);
    std::bernoulli_distribution one(ones);
    RangeEncoder encoder;
    BitModel model;
    constexpr int kCount = 400000;
    for (int i = 0; i < kCount; ++i) encoder.bit(model, one(random));
    const double entropy = -ones * std::log2(ones) - (1 - ones) * std::log2(1 - ones);
    const double spent = 8.0 * static_cast<double>(encoder.finish().size()) / kCount;
    CHECK(spent < entropy * 1.05 + 0.002);
  }
}

TEST_CASE("RangeDecoder: stays within any bytes") {
  std::mt19937 random(3);
  for (size_t size = 0; size < 50; ++size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    RangeDecoder decoder(bytes);
    BitModel model;
    for (int i = 0; i < 5000; ++i) {
      decoder.bit(model);
      decoder.raw(0, i % 64);
    }
  }
  SUCCEED();
}

}  // namespace
}  // namespace lenswright::test_range_coder
