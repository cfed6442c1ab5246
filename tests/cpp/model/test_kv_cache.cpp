#include "model/kv_cache.h"

#include "model/tiny.h"

namespace lenswright::test_kv_cache {

TEST_CASE("keys and values stand in the slot of their position, row by row") {
  KvCache cache(2, 2, 3, 4, 5, 6, at::kDouble);  // values wider than keys
  cache.extend_to(3);
  const at::Tensor k = test::waves({2, 3, 3, 4}, 1.1), v = test::waves({2, 3, 3, 5}, 1.7);
  const at::Tensor positions = at::arange(3, at::kLong).expand({2, 3});
  const auto [k1, v1] = cache.store(1, k, v, positions);
  REQUIRE(test::same(k1, k));
  REQUIRE(test::same(v1, v));

  // Row 0 goes on at position 2 (it was shorter), row 1 at position 3.
  cache.extend_to(4);
  const at::Tensor next = at::full({2, 1}, 2, at::kLong) + at::arange(2, at::kLong).unsqueeze(1);
  const at::Tensor k2 = test::waves({2, 3, 1, 4}, 0.3), v2 = test::waves({2, 3, 1, 5}, 0.9);
  const auto [all, values] = cache.store(1, k2, v2, next);
  REQUIRE(all.size(2) == 4);
  REQUIRE(test::same(all[0].select(1, 2), k2[0].select(1, 0)));
  REQUIRE(test::same(all[1].select(1, 3), k2[1].select(1, 0)));
  REQUIRE(test::same(all[1].narrow(1, 0, 3), k[1]));
  REQUIRE(test::same(all[0].narrow(1, 0, 2), k[0].narrow(1, 0, 2)));
  REQUIRE(values.sizes() == at::IntArrayRef({2, 3, 4, 5}));
  REQUIRE(test::same(values[0].select(1, 2), v2[0].select(1, 0)));
  REQUIRE(test::same(values[1].narrow(1, 0, 3), v[1]));
  const at::Tensor other = cache.store(0, k2, v2, next).first;
  REQUIRE(other[1].narrow(1, 0, 3).abs().max().item<double>() == 0);  // layers do not mix
}

TEST_CASE("a cache knows what is in use and refuses more than it holds") {
  KvCache cache(1, 1, 1, 2, 3, 4, at::kFloat);
  REQUIRE(cache.used() == 0);
  REQUIRE(cache.slots() == 4);
  cache.extend_to(4);
  cache.extend_to(2);
  REQUIRE(cache.used() == 4);
  REQUIRE(
      test::says(test::thrown<c10::ValueError>([&] { cache.extend_to(5); }), "holds 4 positions"));
}

}  // namespace lenswright::test_kv_cache
