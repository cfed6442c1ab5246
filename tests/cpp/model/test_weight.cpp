#include "model/weight.h"

#include "model/tiny.h"

namespace lenswright {
namespace {

std::shared_ptr<Stored> stored(at::Tensor value) {
  return std::make_shared<Stored>(Stored{"W", value, value});
}

Row row(int64_t outputs, int64_t inputs, int64_t start, int64_t whole, Layout layout) {
  return {"w", "W", layout, outputs, inputs, start, whole};
}

}  // namespace

TEST_CASE("a weight is a view of what is stored, [out, in] however it lies") {
  const auto rows = stored(test::waves({6, 5}));
  const Weight part(rows, row(2, 5, 3, 6, Layout::out_in));
  REQUIRE(test::same(part.view(), rows->value.narrow(0, 3, 2)));
  REQUIRE(part.view().is_alias_of(rows->value));
  const auto columns = stored(test::waves({5, 6}));
  const Weight conv(columns, row(2, 5, 3, 6, Layout::in_out));
  REQUIRE(test::same(conv.view(), columns->value.narrow(1, 3, 2).t()));
  REQUIRE(conv.view().is_alias_of(columns->value));
  const auto vector = stored(test::waves({6}));
  REQUIRE(test::same(Weight(vector, row(2, 0, 4, 6, Layout::out_in)).view(),
                     vector->value.narrow(0, 4, 2)));
  REQUIRE_FALSE(Weight().defined());
}

TEST_CASE("a view is taken anew, so that edits reach it") {
  const auto rows = stored(test::waves({6, 5}));
  const Weight weight(rows, row(6, 5, 0, 6, Layout::out_in));
  rows->value = rows->value * 2;
  REQUIRE(test::same(weight.view(), rows->original * 2));
}

TEST_CASE("weights that follow one another in one tensor are spanned, others are not") {
  for (Layout layout : {Layout::out_in, Layout::in_out}) {
    const bool rows = layout == Layout::out_in;
    const auto whole = stored(rows ? test::waves({9, 5}) : test::waves({5, 9}));
    const Weight q(whole, row(4, 5, 0, 9, layout)), k(whole, row(2, 5, 4, 9, layout)),
        v(whole, row(3, 5, 6, 9, layout));
    const at::Tensor all = rows ? whole->value : whole->value.t();
    const Weight three = Weight::spanning({q, k, v});
    REQUIRE(three.outputs() == 9);
    REQUIRE(test::same(three.view(), all));
    REQUIRE(test::same(Weight::spanning({k, v}).view(), all.narrow(0, 4, 5)));
    REQUIRE(test::same(Weight::spanning({q, k}).view(), all.narrow(0, 0, 6)));
    REQUIRE_FALSE(Weight::spanning({k, q}).defined());
    REQUIRE_FALSE(Weight::spanning({q, v}).defined());
    const Weight elsewhere(stored(whole->value), row(2, 5, 4, 9, layout));
    REQUIRE_FALSE(Weight::spanning({q, elsewhere}).defined());
  }
  REQUIRE_FALSE(Weight::spanning({}).defined());
  REQUIRE_FALSE(Weight::spanning({Weight()}).defined());
}

TEST_CASE("projections give the same numbers side by side and apart") {
  const auto whole = stored(test::waves({9, 5}));
  const auto bias = stored(test::waves({9}, 0.4));
  const at::Tensor x = test::waves({2, 3, 5}, 1.1);
  const std::vector<int64_t> sizes = {4, 2, 3};
  for (const bool biased : {true, false}) {
    std::vector<Linear> parts, apart;
    int64_t start = 0;
    for (int64_t size : sizes) {
      const Weight weight(whole, row(size, 5, start, 9, Layout::out_in));
      const Weight own(stored(weight.view().clone()), row(size, 5, 0, size, Layout::out_in));
      const Weight b = biased ? Weight(bias, row(size, 0, start, 9, Layout::out_in)) : Weight();
      parts.push_back({weight, b});
      apart.push_back({own, b});
      start += size;
    }
    const auto one = Projections(parts)(x), several = Projections(apart)(x);
    for (size_t i = 0; i < sizes.size(); ++i) {
      REQUIRE(test::relative(one[i], several[i]) < 1e-14);
      REQUIRE(test::relative(one[i], parts[i](x)) < 1e-14);
      REQUIRE(one[i].size(-1) == sizes[i]);
    }
  }
}

TEST_CASE("a product leaves the bias out") {
  const Linear linear{Weight(stored(test::waves({3, 5})), row(3, 5, 0, 3, Layout::out_in)),
                      Weight(stored(test::waves({3}, 0.4)), row(3, 0, 0, 3, Layout::out_in))};
  const at::Tensor x = test::waves({2, 5}, 1.1);
  REQUIRE(test::relative(linear(x), linear.product(x) + linear.bias.view()) < 1e-14);
}

}  // namespace lenswright
