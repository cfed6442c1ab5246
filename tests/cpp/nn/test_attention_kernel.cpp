#include "nn/attention_kernel.h"

#include "nn/attention_by_hand.h"

namespace lenswright::test_attention_kernel {
namespace {

using test::ByHand;
using test::Told;

constexpr int64_t kHeads = 3, kQueries = 5, kKeys = 11, kWidth = 6, kValue = 9;

// Every place of a head, d numbers apart from its neighbours by `gap` more.
at::Tensor spread(const at::Tensor& x, int64_t gap) {
  return at::constant_pad_nd(x, {0, gap}, 99.0).narrow(-1, 0, x.size(-1));
}

// One head at a time, as the loops of nn/attention_rows.cpp call it.
template <typename T>
at::Tensor by_kernel(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const Told& told) {
  at::Tensor z = spread(at::full({kHeads, kQueries, kValue}, 77.0, q.options()), 2);
  std::vector<T> room(kKeys), turned(kKeys * kWidth), sinks(told.sinks.begin(), told.sinks.end());
  for (int64_t head = 0; head < kHeads; ++head) {
    turn_keys<T>(k[head].const_data_ptr<T>(), k.stride(1), kKeys, kWidth, turned.data());
    const T slope = told.slopes.empty() ? T{0} : static_cast<T>(told.slopes[head]);
    const T origin = told.from_end ? static_cast<T>(kKeys - 1) : T{0};
    attend_head({q[head].const_data_ptr<T>(), turned.data(), v[head].const_data_ptr<T>(),
                 z[head].mutable_data_ptr<T>(), q.stride(1), v.stride(1), z.stride(1), kQueries,
                 kKeys, kWidth, kValue, told.rule, slope, origin,
                 told.sinks.empty() ? nullptr : sinks.data() + head},
                room.data());
  }
  return z;
}

}  // namespace

TEST_CASE("the attention kernel is the formula under every rule, whatever the strides") {
  const RowSpans spans = test::whole_rows(1, kQueries, kKeys);
  for (int64_t gap : {0, 3}) {
    const at::Tensor q = spread(test::waves({kHeads, kQueries, kWidth}, 1.1), gap);
    const at::Tensor k = spread(test::waves({kHeads, kKeys, kWidth}, 1.3), gap);
    const at::Tensor v = spread(test::waves({kHeads, kKeys, kValue}, 0.7), gap);
    const auto narrow = [&](const at::Tensor& x) { return spread(x.to(at::kFloat), gap); };
    for (const Told& told : test::told_in_turn(kHeads)) {
      const at::Tensor expected =
          ByHand(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), told).of(spans).z[0];
      REQUIRE(test::relative(by_kernel<double>(q, k, v, told), expected) < 1e-13);
      const at::Tensor f32 = by_kernel<float>(narrow(q), narrow(k), narrow(v), told);
      REQUIRE(test::relative(f32, expected) < 1e-5);
    }
  }
}

TEST_CASE("large attention scores do not overflow, and a large sink takes all") {
  const at::Tensor q = 300 * test::waves({kHeads, kQueries, kWidth}, 1.1);
  const at::Tensor k = 300 * test::waves({kHeads, kKeys, kWidth}, 1.3);
  const at::Tensor v = test::waves({kHeads, kKeys, kValue}, 0.7);
  const Told told{{1.0}, {}, {-1e5, 0.0, 1e9}};
  const at::Tensor z = by_kernel<double>(q, k, v, told);
  REQUIRE(z.isfinite().all().item<bool>());
  const at::Tensor expected = ByHand(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), told)
                                  .of(test::whole_rows(1, kQueries, kKeys))
                                  .z[0];
  REQUIRE(test::relative(z.narrow(0, 0, 2), expected.narrow(0, 0, 2)) < 1e-9);
  REQUIRE(z[2].count_nonzero().item<int64_t>() == 0);
}

}  // namespace lenswright::test_attention_kernel
