#include "model/weight.h"

#include "model/tiny.h"

namespace lenswright::test_weight {
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

// Rows that take turns in one tensor, `turns` times a run of each size: as Falcon's and BLOOM's
// fused projections have them.
std::vector<Row> turning(const std::vector<int64_t>& runs, int64_t turns, int64_t inputs,
                         Layout layout = Layout::out_in) {
  Rows rows;
  const std::vector<std::string> names(runs.size(), "w");
  rows.interleaved(names, "W", runs, turns, inputs, layout);
  return rows.take();
}

// Outputs [turn][run] of part `index`, picked one by one.
at::Tensor picked(const at::Tensor& outputs_first, const std::vector<int64_t>& runs, int64_t turns,
                  size_t index) {
  int64_t before = 0, distance = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (i < index) before += runs[i];
    distance += runs[i];
  }
  std::vector<at::Tensor> outputs;
  for (int64_t turn = 0; turn < turns; ++turn) {
    for (int64_t i = 0; i < runs[index]; ++i) {
      outputs.push_back(outputs_first[turn * distance + before + i]);
    }
  }
  return at::stack(outputs);
}

TEST_CASE("weights in runs are their outputs, run after run, however they lie") {
  const std::vector<int64_t> runs = {4, 2, 3};
  for (Layout layout : {Layout::out_in, Layout::in_out}) {
    const bool out_first = layout == Layout::out_in;
    const auto whole = stored(out_first ? test::waves({27, 5}) : test::waves({5, 27}));
    const at::Tensor outputs = out_first ? whole->value : whole->value.t();
    const auto bias = stored(test::waves({27}, 0.4));
    const std::vector<Row> rows = turning(runs, 3, 5, layout), flat = turning(runs, 3, 0);
    for (size_t i = 0; i < 3; ++i) {
      REQUIRE(test::same(Weight(whole, rows[i]).view(), picked(outputs, runs, 3, i)));
      REQUIRE(test::same(Weight(bias, flat[i]).view(), picked(bias->value, runs, 3, i)));
      REQUIRE(Weight(whole, rows[i]).outputs() == 3 * runs[i]);
    }
  }
}

TEST_CASE("weights in runs are spanned by the whole tensor, or not at all") {
  const auto whole = stored(test::waves({27, 5}));
  const std::vector<Row> rows = turning({4, 2, 3}, 3, 5);
  const Weight q(whole, rows[0]), k(whole, rows[1]), v(whole, rows[2]);
  const Weight all = Weight::spanning({q, k, v});
  REQUIRE(test::same(all.view(), whole->value));
  REQUIRE(all.view().is_alias_of(whole->value));  // where the parts themselves are copies
  REQUIRE_FALSE(Weight::spanning({q, k}).defined());
  REQUIRE_FALSE(Weight::spanning({k, v}).defined());
  const Weight together(whole, row(9, 5, 0, 27, Layout::out_in));
  REQUIRE_FALSE(Weight::spanning({together, k, v}).defined());
  const at::Tensor x = test::waves({2, 27}, 0.6);  // outputs of the whole
  for (const auto& [part, index] : std::vector<std::pair<Weight, size_t>>{{q, 0}, {k, 1}, {v, 2}}) {
    REQUIRE(test::same(part.part_of(x, all), picked(x.t(), {4, 2, 3}, 3, index).t()));
  }
}

TEST_CASE("weights of one of several experts are a slice of the tensor that holds them all") {
  for (Layout layout : {Layout::out_in, Layout::in_out}) {
    const bool out_first = layout == Layout::out_in;
    const auto whole = stored(out_first ? test::waves({3, 8, 5}) : test::waves({3, 5, 8}));
    const auto bias = stored(test::waves({3, 8}, 0.4));
    for (const bool turns : {false, true}) {  // gate and up in halves, or in turn
      const std::vector<int64_t> runs =
          turns ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{4, 4};
      for (int64_t expert = 0; expert < 3; ++expert) {
        Rows rows;
        rows.expert(expert, 3);
        rows.interleaved({"gate", "in"}, "W", runs, 4 / runs[0], 5, layout);
        rows.interleaved({"b", "c"}, "B", runs, 4 / runs[0], 0);
        const std::vector<Row> list = rows.take();
        const at::Tensor own = out_first ? whole->value[expert] : whole->value[expert].t();
        std::vector<Linear> parts;
        for (size_t i = 0; i < 2; ++i) {
          parts.push_back({Weight(whole, list[i]), Weight(bias, list[2 + i])});
          REQUIRE(test::same(parts[i].weight.view(), picked(own, runs, 4 / runs[0], i)));
          REQUIRE(
              test::same(parts[i].bias.view(), picked(bias->value[expert], runs, 4 / runs[0], i)));
        }
        REQUIRE(test::same(Weight::spanning({parts[0].weight, parts[1].weight}).view(), own));
        const at::Tensor x = test::waves({2, 3, 5}, 1.1);
        const auto found = Projections(parts)(x);
        for (size_t i = 0; i < 2; ++i) REQUIRE(test::relative(found[i], parts[i](x)) < 1e-14);
      }
    }
  }
}

TEST_CASE("weights of different experts are not spanned") {
  const auto whole = stored(test::waves({2, 8, 5}));
  const auto half = [&](int64_t expert, int64_t start) {
    Row r = row(4, 5, start, 8, Layout::out_in);
    r.experts = 2;
    r.expert = expert;
    return Weight(whole, r);
  };
  REQUIRE(Weight::spanning({half(1, 0), half(1, 4)}).defined());
  REQUIRE_FALSE(Weight::spanning({half(0, 0), half(1, 4)}).defined());
}

TEST_CASE("projections whose weights have biases in part, or in another order, are as apart") {
  const at::Tensor x = test::waves({2, 3, 5}, 1.1);
  const auto whole = stored(test::waves({27, 5})), bias = stored(test::waves({27}, 0.4));
  for (const bool turns : {false, true}) {
    const std::vector<int64_t> sizes = {12, 6, 9}, runs = {4, 2, 3};
    const std::vector<Row> rows = turns ? turning(runs, 3, 5) : turning(sizes, 1, 5);
    const std::vector<Row> flat = turning(runs, 3, 0), straight = turning(sizes, 1, 0);
    for (int kind = 0; kind <= 8; ++kind) {  // which parts have a bias; 8: all, in another order
      std::vector<Linear> parts;
      for (size_t i = 0; i < 3; ++i) {
        const bool biased = kind == 8 || (kind >> i & 1) != 0;
        const std::vector<Row>& order = (kind == 8) != turns ? flat : straight;
        parts.push_back({Weight(whole, rows[i]), biased ? Weight(bias, order[i]) : Weight()});
      }
      CAPTURE(turns, kind);
      const auto found = Projections(parts)(x);
      for (size_t i = 0; i < 3; ++i) {
        REQUIRE(found[i].size(-1) == sizes[i]);
        const at::Tensor w = parts[i].weight.view();
        at::Tensor expected = at::zeros({2, 3, sizes[i]}, at::kDouble);
        for (int64_t o = 0; o < sizes[i]; ++o) expected.select(-1, o).copy_((x * w[o]).sum(-1));
        if (parts[i].bias.defined()) expected += parts[i].bias.view();
        REQUIRE(test::relative(found[i], expected) < 1e-14);
      }
    }
  }
}

TEST_CASE("a product leaves the bias out") {
  const Linear linear{Weight(stored(test::waves({3, 5})), row(3, 5, 0, 3, Layout::out_in)),
                      Weight(stored(test::waves({3}, 0.4)), row(3, 0, 0, 3, Layout::out_in))};
  const at::Tensor x = test::waves({2, 5}, 1.1);
  REQUIRE(test::relative(linear(x), linear.product(x) + linear.bias.view()) < 1e-14);
}

}  // namespace lenswright::test_weight
