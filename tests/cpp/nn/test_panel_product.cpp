#include "nn/panel_product.h"

#include <ATen/Parallel.h>

#include "nn/thin_product.h"
#include "products.h"
#include "tensors.h"

namespace lenswright::test_panel_product {
namespace {

constexpr at::ScalarType kTypes[] = {at::kFloat, at::kBFloat16, at::kHalf};
constexpr int64_t kSizes[] = {1, 2, 7, 8, 16, 31, 33, 97, 256, 257, 600};

std::vector<const PanelKernel*> kernels() {
  return test::runnable(panel_kernel_plain(), panel_kernel_avx2(), panel_kernel_avx512());
}

// A copy that begins `shift` numbers behind a place that suits vectors.
at::Tensor shifted(const at::Tensor& x, int64_t shift) {
  at::Tensor room = at::empty({x.numel() + 64}, x.options());
  return room.narrow(0, shift, x.numel()).view(x.sizes()).copy_(x);
}

}  // namespace

TEST_CASE("panel products are the sums, in every kernel, type, layout and size") {
  for (const PanelKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      for (const int64_t outputs : kSizes) {
        for (const int64_t inputs : kSizes) {
          if (outputs * inputs > 97 * 600) continue;
          CAPTURE(kernel->outputs, type, outputs, inputs);
          const at::Tensor weight = test::waves({outputs, inputs}, 0.7, type);
          const at::Tensor bias = test::waves({outputs}, 0.2, at::kFloat);
          const at::Tensor x = test::waves({kernel->rows + 3, inputs}, 1.3, at::kFloat);
          for (const at::Tensor& w : {weight, test::transposed(weight)}) {
            REQUIRE(test::product_error(panel_product(x, w, bias, *kernel), x, w, bias) < 1e-6);
            REQUIRE(test::product_error(panel_product(x, w, {}, *kernel), x, w, {}) < 1e-6);
          }
        }
      }
    }
  }
}

TEST_CASE("a row's bytes in a panel product depend on that row only") {
  constexpr int64_t kMany = 1030, kInputs = 523, kOutputs = 203;
  const int before = at::get_num_threads();
  const at::Tensor x = test::waves({kMany, kInputs}, 1.3, at::kFloat);
  const at::Tensor bias = test::waves({kOutputs}, 0.2, at::kFloat);
  for (const PanelKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      const at::Tensor weight = test::waves({kOutputs, kInputs}, 0.7, type);
      for (const at::Tensor& w : {weight, test::transposed(weight)}) {
        at::set_num_threads(1);
        const at::Tensor all = panel_product(x, w, bias, *kernel);
        for (const int threads : {1, 2, 3}) {
          at::set_num_threads(threads);
          for (const int64_t rows : {1, 2, 3, 5, 13, 14, 15, 64, 97, 336, 337, 700, 1030}) {
            const int64_t start = (kMany - rows) * (rows % 3) / 2;
            CAPTURE(kernel->outputs, type, threads, rows, w.stride(0));
            const at::Tensor part = shifted(x.narrow(0, start, rows), rows % 16);
            const at::Tensor y =
                panel_product(part, shifted(w.contiguous(), rows % 7), bias, *kernel);
            REQUIRE(test::same(y, all.narrow(0, start, rows)));
          }
        }
      }
    }
  }
  at::set_num_threads(before);
}

TEST_CASE("an output's bytes in a panel product depend on its own weights only") {
  const at::Tensor x = test::waves({40, 300}, 1.3, at::kFloat);
  for (const PanelKernel* kernel : kernels()) {
    const at::Tensor weight = test::waves({150, 300}, 0.7, at::kFloat);
    const at::Tensor all = panel_product(x, weight, {}, *kernel);
    for (const int64_t start : {0, 1, 17, 64, 149}) {
      const at::Tensor y = panel_product(x, weight.narrow(0, start, 150 - start), {}, *kernel);
      REQUIRE(test::same(y, all.narrow(1, start, 150 - start)));
    }
  }
}

TEST_CASE("kernels with fused multiply-add give the same bytes") {
  const auto all = kernels();
  if (all.size() < 3) return;
  const at::Tensor x = test::waves({70, 700}, 1.3, at::kFloat);
  const at::Tensor weight = test::waves({111, 700}, 0.7, at::kBFloat16);
  REQUIRE(test::same(panel_product(x, weight, {}, *all[1]), panel_product(x, weight, {}, *all[2])));
}

TEST_CASE("panel products read narrowed, unaligned and strided weights and inputs as they lie") {
  for (const PanelKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      CAPTURE(kernel->outputs, type);
      test::for_views(type, [&](const at::Tensor& x, const at::Tensor& weight) {
        REQUIRE(thin_serves(x, weight));
        const at::Tensor y = panel_product(x, weight, {}, *kernel);
        REQUIRE(test::product_error(y, x, weight, {}) < 1e-6);
      });
    }
  }
  const at::Tensor none = panel_product(at::empty({2, 0, 8}), at::ones({5, 8}), {});
  REQUIRE(none.sizes() == at::IntArrayRef({2, 0, 5}));
}

TEST_CASE("what is not finite in a panel reaches the outputs it belongs to, and no other") {
  for (const PanelKernel* kernel : kernels()) {
    for (const auto type : kTypes) {
      CAPTURE(kernel->outputs);
      test::require_what_is_not_finite_stays(type, 19,
                                             [&](const at::Tensor& x, const at::Tensor& weight) {
                                               return panel_product(x, weight, {}, *kernel);
                                             });
    }
  }
}

}  // namespace lenswright::test_panel_product
