#include "nn/deterministic.h"

#include <atomic>

#include "nn/linear.h"
#include "tensors.h"

namespace lenswright::test_deterministic {

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
    const at::Tensor x = test::waves({2, rows, 5});
    const RowBlocks blocks(x);
    REQUIRE(blocks.count() == (2 * rows + kBlockRows - 1) / kBlockRows);
    std::vector<at::Tensor> results;
    for (int64_t i = 0; i < blocks.count(); ++i) {
      REQUIRE(blocks[i].sizes() == at::IntArrayRef({kBlockRows, 5}));
      results.push_back(at::cat({blocks[i], blocks[i] * 2}, 1));
    }
    REQUIRE(test::same(blocks.joined(at::cat(results)), at::cat({x, x * 2}, 2)));
    const at::Tensor rest =
        blocks[blocks.count() - 1].narrow(0, (2 * rows - 1) % 64 + 1, 63 - (2 * rows - 1) % 64);
    REQUIRE(rest.count_nonzero().item<int64_t>() == 0);  // filled up with zeros
  }
}

TEST_CASE("tasks run once each, whatever their number, and pass errors on") {
  for (int64_t count : {0, 1, 2, 37}) {
    std::vector<std::atomic<int>> runs(count);
    in_parallel(count, [&](int64_t i) { ++runs[i]; });
    for (const auto& times : runs) REQUIRE(times == 1);
  }
  const auto fail = [](int64_t i) { TORCH_CHECK_VALUE(i != 3, "task three"); };
  REQUIRE_THROWS_AS(in_parallel(8, fail), c10::ValueError);
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

TEST_CASE("an elementwise function acts by chunks in deterministic runs only") {
  const at::Tensor x = test::waves({3, 700});
  for (const bool on : {false, true}) {
    const DeterministicGuard guard(on);
    std::atomic<int64_t> seen = 0;
    const at::Tensor y = elementwise(x, [&](const at::Tensor& part) {
      seen = part.numel();
      return part * 3;
    });
    REQUIRE(test::same(y, x * 3));
    REQUIRE(seen == (on ? 16384 : 2100));
  }
}

TEST_CASE("chunks give way where a gradient is wanted") {
  const at::Tensor x = test::waves({40}).requires_grad_(true);
  by_chunks(x, [](const at::Tensor& c) { return c.square(); }).sum().backward();
  REQUIRE(test::same(x.grad(), 2 * x.detach()));
}

TEST_CASE("a row's product has the same bytes in any batch and with any padding") {
  const DeterministicGuard guard(true);
  const at::Tensor weight = test::waves({53, 70}, 0.7, at::kFloat);
  const at::Tensor x = test::waves({200, 70}, 1.9, at::kFloat);
  const at::Tensor all = linear(x, weight, at::Tensor());
  for (int64_t count : {1, 3, 16, 64, 65}) {
    for (int64_t start : {0, 7, 100}) {
      const at::Tensor part = linear(x.narrow(0, start, count), weight, at::Tensor());
      REQUIRE(test::same(part, all.narrow(0, start, count)));
    }
  }
  REQUIRE(test::same(linear(x.view({4, 50, 70}), weight, at::Tensor()).view({200, 53}), all));
}

}  // namespace lenswright::test_deterministic
