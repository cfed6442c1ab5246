#include "model/batch.h"

#include "model/tiny.h"

namespace lenswright::test_batch {
namespace {

std::vector<int64_t> list(const at::Tensor& x) {
  const at::Tensor flat = x.contiguous().flatten();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

using Ids = std::vector<int64_t>;

}  // namespace

TEST_CASE("a full batch counts from 0 and needs no mask") {
  for (Side side : {Side::right, Side::left}) {
    const Batch batch(test::ids(2, 3), {}, side);
    REQUIRE_FALSE(batch.ragged());
    REQUIRE(list(batch.positions()) == Ids{0, 1, 2, 0, 1, 2});
    REQUIRE(list(batch.last()) == Ids{2, 2});
    REQUIRE_FALSE(batch.mask().defined());
    REQUIRE(batch.start(1) == 0);
  }
}

TEST_CASE("padding on the right stands behind every real position") {
  const Batch batch(test::ids(2, 4), {4, 2}, Side::right);
  REQUIRE(batch.ragged());
  REQUIRE(list(batch.positions()) == Ids{0, 1, 2, 3, 0, 1, 2, 3});
  REQUIRE(list(batch.last()) == Ids{3, 1});
  REQUIRE_FALSE(batch.mask().defined());
  REQUIRE(batch.start(1) == 0);
}

TEST_CASE("padding on the left is masked and each row counts from its own first token") {
  const Batch batch(test::ids(2, 4), {4, 2}, Side::left);
  REQUIRE(list(batch.positions()) == Ids{0, 1, 2, 3, 0, 0, 0, 1});
  REQUIRE(list(batch.last()) == Ids{3, 3});
  REQUIRE(batch.start(0) == 0);
  REQUIRE(batch.start(1) == 2);
  const at::Tensor mask = batch.mask();
  REQUIRE(mask.sizes() == at::IntArrayRef({2, 1, 4, 4}));
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t q = 0; q < 4; ++q) {
      for (int64_t k = 0; k < 4; ++k) {
        const bool expected = (k <= q && k >= batch.start(row)) || k == q;
        REQUIRE(mask[row][0][q][k].item<bool>() == expected);
      }
    }
  }
}

TEST_CASE("batches that make no sense are refused") {
  const at::Tensor tokens = test::ids(2, 3);
  REQUIRE_THROWS_AS(Batch(tokens[0], {}, Side::right), c10::ValueError);
  REQUIRE_THROWS_AS(Batch(tokens.to(at::kFloat), {}, Side::right), c10::ValueError);
  REQUIRE_THROWS_AS(Batch(tokens.narrow(1, 0, 0), {}, Side::right), c10::ValueError);
  REQUIRE_THROWS_AS(Batch(tokens, {3}, Side::right), c10::ValueError);
  REQUIRE_THROWS_AS(Batch(tokens, {3, 4}, Side::right), c10::ValueError);
  REQUIRE_THROWS_AS(Batch(tokens, {3, 0}, Side::left), c10::ValueError);
}

}  // namespace lenswright::test_batch
