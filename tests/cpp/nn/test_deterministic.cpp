#include "nn/deterministic.h"

#include "nn/linear.h"
#include "tensors.h"

namespace lenswright {

TEST_CASE("the guard nests and ends with its scope") {
  REQUIRE_FALSE(deterministic());
  {
    const DeterministicGuard on(true);
    REQUIRE(deterministic());
    {
      const DeterministicGuard off(false);
      REQUIRE_FALSE(deterministic());
    }
    REQUIRE(deterministic());
  }
  REQUIRE_FALSE(deterministic());
}

TEST_CASE("blocks of rows cover every row once, whatever their number") {
  for (int64_t rows : {1, 63, 64, 65, 130}) {
    const at::Tensor x = test::waves({rows, 5});
    int64_t calls = 0;
    const at::Tensor y = by_row_blocks(x, [&](const at::Tensor& block) {
      ++calls;
      REQUIRE(block.sizes() == at::IntArrayRef({64, 5}));
      return at::cat({block, block * 2}, 1);
    });
    REQUIRE(calls == (rows + 63) / 64);
    REQUIRE(test::same(y, at::cat({x, x * 2}, 1)));
  }
  const at::Tensor x = test::waves({2, 3, 70, 4});
  const at::Tensor y = by_row_blocks(x, [](const at::Tensor& block) { return block + 1; });
  REQUIRE(test::same(y, x + 1));
}

TEST_CASE("chunks cover every number once, whatever their number") {
  for (int64_t count : {1, 16383, 16384, 16385, 40000}) {
    const at::Tensor x = test::waves({count});
    const at::Tensor y = by_chunks(x, [](const at::Tensor& chunk) {
      REQUIRE(chunk.numel() == 16384);
      return chunk * 3;
    });
    REQUIRE(test::same(y, x * 3));
  }
  const at::Tensor strided = test::waves({30, 20}).t();
  REQUIRE(test::same(by_chunks(strided, [](const at::Tensor& c) { return -c; }), -strided));
}

TEST_CASE("a row's product has the same bytes in any batch and with any padding") {
  const DeterministicGuard guard(true);
  const at::Tensor weight = test::waves({53, 70}, 0.7, at::kFloat);
  const at::Tensor x = test::waves({200, 70}, 1.9, at::kFloat);
  const at::Tensor all = linear(x, weight, {});
  for (int64_t count : {1, 3, 16, 64, 65}) {
    for (int64_t start : {0, 7, 100}) {
      const at::Tensor part = linear(x.narrow(0, start, count), weight, {});
      REQUIRE(test::same(part, all.narrow(0, start, count)));
    }
  }
  REQUIRE(test::same(linear(x.view({4, 50, 70}), weight, {}).view({200, 53}), all));
}

}  // namespace lenswright
