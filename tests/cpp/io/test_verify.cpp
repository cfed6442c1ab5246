#include "io/verify.h"

#include <limits>

#include "base/sha256.h"
#include "io/file_writer.h"
#include "io/files.h"

using namespace lenswright;
using namespace lenswright::test;

TEST_CASE("verify: hashes, and numbers that are none") {
  const TempFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float values[] = {1, nan, -std::numeric_limits<float>::infinity(), 0, nan};
  const std::string big(3'000'000, 'x');
  const std::vector<TensorSpec> specs = {
      {"f", Dtype::f32, {5}}, {"e", Dtype::f32, {0}}, {"u", Dtype::u8, {3'000'000}}};
  FileWriter writer(folder / "model.safetensors", specs, {});
  writer.pwrite("f", 0, std::as_bytes(std::span(values)));
  writer.pwrite("u", 0, bytes(big));
  writer.finish();
  const auto checkpoint = Checkpoint::open(folder.path());
  Progress progress;
  const auto checks = verify(*checkpoint, &progress, 2);
  REQUIRE(progress.done() == 3'000'020);
  REQUIRE(checks.size() == 3);
  REQUIRE(checks[0].not_a_number == 2);
  REQUIRE(checks[0].infinite == 1);
  REQUIRE(checks[0].sha256 == Sha256::hex(std::as_bytes(std::span(values))));
  REQUIRE(checks[1].sha256 == Sha256::hex({}));
  REQUIRE(checks[2].sha256 == Sha256::hex(bytes(big)));
}
