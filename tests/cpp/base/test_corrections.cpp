#include "base/corrections.h"

#include <cstring>
#include <limits>
#include <random>

#include "base/narrow.h"
#include "base/widen.h"
#include "catch.h"

namespace lenswright::test_corrections {
namespace {

constexpr Dtype kTypes[] = {Dtype::f64, Dtype::f32, Dtype::bf16, Dtype::f16};

std::vector<std::byte> stored(Dtype dtype, const std::vector<double>& values) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(element_bytes(dtype)));
  narrow(dtype, values.data(), static_cast<int64_t>(values.size()), bytes.data());
  return bytes;
}

std::vector<std::byte> round_trip(Dtype dtype, const std::vector<double>& predicted,
                                  const std::vector<double>& reaches,
                                  const std::vector<std::byte>& truth, size_t* size = nullptr) {
  CorrectionEncoder encoder(dtype);
  encoder.add({predicted, reaches}, truth.data());
  const auto coded = encoder.finish();
  if (size) *size = coded.size();
  CorrectionDecoder decoder(dtype, coded);
  std::vector<std::byte> back(truth.size());
  decoder.read({predicted, reaches}, back.data());
  return back;
}

TEST_CASE("Corrections: any number comes back, however wrong the prediction") {
  std::mt19937_64 random(11);
  const double odd[] = {0.0,
                        -0.0,
                        std::numeric_limits<double>::infinity(),
                        -std::numeric_limits<double>::infinity(),
                        std::numeric_limits<double>::quiet_NaN(),
                        1e-310,
                        -6e-8,
                        1e308};
  for (const Dtype dtype : kTypes) {
    const auto bytes = static_cast<size_t>(element_bytes(dtype));
    std::vector<double> predicted, reaches;
    std::vector<std::byte> truth;
    for (int i = 0; i < 4000; ++i) {
      const uint64_t bits = random();  // NaNs of every kind among them
      const auto* const raw = reinterpret_cast<const std::byte*>(&bits);
      truth.insert(truth.end(), raw, raw + bytes);
      double value = 0;
      if (i % 3 == 0) widen(dtype, raw, 1, &value);
      predicted.push_back(i % 3 == 1 ? odd[random() % 8] : value);
      reaches.push_back(i % 5 == 0 ? odd[random() % 8] : 1e-3);
    }
    CHECK(round_trip(dtype, predicted, reaches, truth) == truth);
  }
}

TEST_CASE("Corrections: what the rounding foretells costs nothing") {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> within(-0.499, 0.499);
  for (const Dtype dtype : kTypes) {
    std::vector<double> truth(100000), predicted(truth.size()), reaches(truth.size());
    for (double& x : truth) x = normal(random);
    const auto bytes = stored(dtype, truth);
    widen(dtype, bytes.data(), static_cast<int64_t>(truth.size()), truth.data());
    half_units(dtype, truth, reaches.data());
    for (size_t i = 0; i < truth.size(); ++i) {
      predicted[i] = truth[i] + 2 * reaches[i] * within(random) * (dtype == Dtype::f64 ? 0 : 1);
    }
    size_t size = 0;
    CHECK(round_trip(dtype, predicted, reaches, bytes, &size) == bytes);
    CHECK(8.0 * static_cast<double>(size) / static_cast<double>(truth.size()) < 0.01);
    // Twice as wide a reach: one of two neighbours, and the side says which two. One bit.
    for (size_t i = 0; i < truth.size(); ++i) {
      predicted[i] += 2 * reaches[i] * (within(random) > 0 ? 0.5 : -0.5);
      reaches[i] *= 2;
    }
    if (dtype == Dtype::f64) continue;  // no double lies between two
    CHECK(round_trip(dtype, predicted, reaches, bytes, &size) == bytes);
    CHECK(8.0 * static_cast<double>(size) / static_cast<double>(truth.size()) < 1.05);
  }
}

TEST_CASE("Corrections: units in the last place of every type") {
  const std::vector<double> values = {1.0, 1.5, -2.0, 0.0};
  std::vector<double> halves(4);
  half_units(Dtype::bf16, values, halves.data());
  CHECK(halves[0] == 0x1p-8);
  CHECK(halves[2] == 0x1p-7);
  CHECK(halves[3] == 0x1p-134);
  half_units(Dtype::f16, values, halves.data());
  CHECK(halves[1] == 0x1p-11);
  CHECK(halves[3] == 0x1p-25);
}

TEST_CASE("Corrections: bytes by how often they come") {
  std::mt19937 random(9);
  std::vector<std::byte> bytes(50000);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() % 4 * 17);
  const auto coded = encode_bytes(bytes);
  CHECK(coded.size() < bytes.size() * 27 / 100);  // two bits each are a quarter
  std::vector<std::byte> back(bytes.size());
  decode_bytes(coded, back);
  CHECK(back == bytes);
  decode_bytes({}, back);  // too few are zeros, whatever that means
}

}  // namespace
}  // namespace lenswright::test_corrections
