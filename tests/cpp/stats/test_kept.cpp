#include "stats/kept.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_kept {
namespace {

at::Tensor ids(std::vector<int64_t> values) { return at::tensor(values, at::kLong); }

}  // namespace

TEST_CASE("samples are kept in one order, whatever order they came in") {
  const at::Tensor x = at::arange(12, at::kDouble).reshape({4, 3});
  const Samples samples{{}, ids({1, 0, 0, 0}), ids({1, 1, 0, 1}), ids({5, 5, 9, -3})};
  Kept all(2, 3), pieces(2, 3), other(2, 3);
  all.take(x, samples);
  REQUIRE(at::equal(all.cells(), ids({0, 1, 1, 1})));
  REQUIRE(at::equal(all.prompts(), ids({9, -3, 5, 5})));
  REQUIRE(at::equal(all.values(), x.index_select(0, ids({2, 3, 1, 0}))));
  pieces.take(x.narrow(0, 2, 2), {{}, ids({0, 0}), ids({0, 1}), ids({9, -3})});
  other.take(x.narrow(0, 0, 2), {{}, ids({1, 0}), ids({1, 1}), ids({5, 5})});
  pieces.merge(other);
  REQUIRE(at::equal(pieces.values(), all.values()));
  const Kept saved(pieces.state());
  REQUIRE(at::equal(saved.values(), all.values()));
  const Kept part = saved.at(ids({1}));
  REQUIRE(at::equal(part.cells(), ids({0, 0, 0})));
  REQUIRE(at::equal(part.values(), all.values().narrow(0, 1, 3)));
}

TEST_CASE("nothing kept is nothing") {
  Kept none(3, 2);
  REQUIRE(none.values().sizes() == at::IntArrayRef({0, 2}));
  REQUIRE(none.at(ids({2})).values().size(0) == 0);
  REQUIRE_THROWS_AS(none.merge(Kept(3, 4)), c10::ValueError);
}

}  // namespace lenswright::test_kept
