#include "model/taps.h"

#include "model/tiny.h"

namespace lenswright::test_taps {
namespace {

constexpr Point kHere{Site::resid_pre, 1}, kThere{Site::embed, -1};

}  // namespace

TEST_CASE("taps act in the order in which they were added") {
  Taps taps;
  std::vector<double> seen;
  const auto see = [&](const at::Tensor& x) { seen.push_back(x.item<double>()); };
  taps.read(kHere, see);
  taps.write(kHere, [](at::Tensor x) { return x * 3; });
  taps.read(kHere, see);
  taps.write(kHere, [](at::Tensor x) { return x + 1; });
  taps.read(kHere, see);
  const at::Tensor x = at::scalar_tensor(2.0, at::kDouble);
  REQUIRE(taps.visit(kHere, x).item<double>() == 7);
  REQUIRE(seen == std::vector<double>{2, 6, 7});
  REQUIRE(taps.visit(kThere, x).is_same(x));
}

TEST_CASE("taps know where they are and what they do") {
  Taps taps;
  REQUIRE(taps.empty());
  taps.read(kHere, [](const at::Tensor&) {});
  REQUIRE_FALSE(taps.empty());
  REQUIRE(taps.wants(kHere));
  REQUIRE(taps.reads_only(kHere));
  REQUIRE_FALSE(taps.writes(kHere));
  REQUIRE_FALSE(taps.wants({Site::resid_pre, 2}));
  REQUIRE_FALSE(taps.wants({Site::resid_pre, 1000}));
  taps.write(kHere, [](at::Tensor x) { return x; });
  REQUIRE(taps.writes(kHere));
  REQUIRE_FALSE(taps.reads_only(kHere));
  REQUIRE((taps.points() == std::vector<Point>{kHere, kHere}));
}

TEST_CASE("what is made on demand is made only where someone is there") {
  Taps taps;
  int made = 0;
  const auto make = [&] { return ++made, at::ones({1}); };
  taps.show(kHere, make);
  REQUIRE(made == 0);
  taps.read(kHere, [](const at::Tensor&) {});
  taps.show(kHere, make);
  REQUIRE(made == 1);
}

TEST_CASE("one adapter a writer") {
  Taps taps;
  const WriterKey writer{WriterKind::expert, 0, 3};
  REQUIRE(taps.adapter(writer) == nullptr);
  taps.adapt(writer, {});
  REQUIRE(taps.adapter(writer) != nullptr);
  REQUIRE_FALSE(taps.empty());
  REQUIRE(taps.adapter({WriterKind::expert, 0, 2}) == nullptr);
  REQUIRE_FALSE(taps.wants({Site::expert_out, 0}));
  REQUIRE(test::says(test::thrown<c10::ValueError>([&] { taps.adapt(writer, {}); }),
                     "blocks.0.mlp.experts.3.W_out"));
}

TEST_CASE("a tensor that came back as it went in is told from one that did not") {
  const at::Tensor x = test::waves({3});
  const Unchanged unchanged(x);
  REQUIRE(unchanged(x));
  REQUIRE_FALSE(unchanged(x.clone()));
  x.add_(1);
  REQUIRE_FALSE(unchanged(x));
  const at::Tensor leaf = test::waves({3}).requires_grad_(true);
  REQUIRE_FALSE(Unchanged(leaf)(leaf));  // gradients take the writers' path
}

}  // namespace lenswright::test_taps
