#include "nn/thin_product.h"

#include <ATen/Parallel.h>

#include "products.h"
#include "tensors.h"

namespace lenswright::test_thin_product {
namespace {

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16, at::kHalf};
constexpr int64_t kSizes[] = {1, 2, 7, 8, 16, 31, 33, 97, 200, 896};
constexpr int64_t kRows[] = {1, 2, 3, 4, 5, 8, 16, 31, 32, 33};

std::vector<const ThinKernel*> kernels() {
  return test::runnable(thin_kernel_plain(), thin_kernel_avx2(), thin_kernel_avx512());
}

}  // namespace

TEST_CASE("thin products are the sums, in every kernel, type, layout and size") {
  for (const ThinKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      for (const int64_t outputs : kSizes) {
        for (const int64_t inputs : kSizes) {
          if (outputs * inputs > 97 * 896) continue;
          CAPTURE(kernel->outputs, type, outputs, inputs);
          const at::Tensor weight = test::waves({outputs, inputs}, 0.7, type);
          const at::Tensor bias = test::waves({outputs}, 0.2, at::kFloat);
          const at::Tensor x = test::waves({5, inputs}, 1.3, at::kFloat);
          for (const at::Tensor& w : {weight, test::transposed(weight)}) {
            REQUIRE(test::product_error(thin_product(x, w, bias, *kernel), x, w, bias) < 1e-6);
            REQUIRE(test::product_error(thin_product(x, w, {}, *kernel), x, w, {}) < 1e-6);
          }
        }
      }
    }
  }
}

TEST_CASE("a row's bytes depend on that row only") {
  const int before = at::get_num_threads();
  for (const ThinKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      const at::Tensor weight = test::waves({203, 897}, 0.7, type);
      const at::Tensor bias = test::waves({203}, 0.2, at::kFloat);
      const at::Tensor x = test::waves({33, 897}, 1.3, at::kFloat);
      for (const at::Tensor& w : {weight, test::transposed(weight)}) {
        at::set_num_threads(1);
        const at::Tensor all = thin_product(x, w, bias, *kernel);
        at::set_num_threads(2);
        for (const int64_t rows : kRows) {
          CAPTURE(kernel->outputs, type, rows, w.stride(0));
          const at::Tensor y = thin_product(x.narrow(0, 33 - rows, rows), w, bias, *kernel);
          REQUIRE(test::same(y, all.narrow(0, 33 - rows, rows)));
        }
      }
    }
  }
  at::set_num_threads(before);
}

TEST_CASE("narrowed, unaligned and strided weights and inputs are read as they lie") {
  for (const ThinKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      CAPTURE(kernel->outputs, type);
      test::for_views(type, [&](const at::Tensor& x, const at::Tensor& weight) {
        REQUIRE(thin_serves(x, weight));
        const at::Tensor y = thin_product(x, weight, {}, *kernel);
        REQUIRE(test::product_error(y, x, weight, {}) < 1e-6);
      });
    }
  }
}

TEST_CASE("what is not finite reaches the outputs it belongs to, and no other") {
  for (const ThinKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      CAPTURE(kernel->outputs);
      test::require_what_is_not_finite_stays(type, 5,
                                             [&](const at::Tensor& x, const at::Tensor& weight) {
                                               return thin_product(x, weight, {}, *kernel);
                                             });
    }
  }
}

TEST_CASE("float16 weights are widened exactly: subnormal and extreme ones too") {
  const at::Tensor weight =
      at::tensor({6e-8, 1e-7, -6.1e-5, 6.2e-5, 65504.0, -65504.0, 0.0, -0.0}, at::kDouble)
          .to(at::kHalf)
          .repeat({1, 5});
  for (const ThinKernel* kernel : kernels()) {
    const at::Tensor x = at::eye(40, at::kFloat);
    for (const at::Tensor& w : {weight, test::transposed(weight)}) {
      const at::Tensor y = thin_product(x, w, {}, *kernel);
      REQUIRE(test::same(y.flatten(), weight.to(at::kFloat).flatten()));
    }
  }
}

TEST_CASE("thin products say what they serve") {
  const at::Tensor weight = test::waves({8, 6}, 0.7, at::kBFloat16);
  const at::Tensor x = test::waves({2, 6}, 1.3, at::kFloat);
  REQUIRE(thin_serves(x, weight));
  REQUIRE_FALSE(thin_serves(x.to(at::kDouble), weight));
  REQUIRE_FALSE(thin_serves(x, weight.to(at::kDouble)));
  REQUIRE_FALSE(thin_serves(x.narrow(1, 0, 5), weight));
  const at::Tensor sparse_rows = test::waves({16, 12}, 0.7, at::kFloat).slice(0, 0, 16, 2);
  REQUIRE_FALSE(thin_serves(x, sparse_rows.slice(1, 0, 12, 2)));
  REQUIRE(thin_serves(x, sparse_rows.narrow(1, 2, 6)));
}

}  // namespace lenswright::test_thin_product
