#include "edits/stack.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_stack {
namespace {

std::shared_ptr<Edit> edit(std::vector<Part> parts) {
  return std::make_shared<Edit>(std::move(parts), std::vector<Untouched>{}, Json::object());
}

Part part(const std::string& writer, int layer, Factors factors, const std::string& hash = "x") {
  return {writer, {WriterKind::mlp, layer}, factors.checked(writer, 3, 5), {"t", hash}, {}};
}

Factors directions(int64_t k, double value) {
  Factors factors;
  factors.u = factors.v = at::full({k, 3}, value, at::kDouble);
  return factors;
}

Factors scales() {
  Factors factors;
  factors.s = at::full({3}, 2.0, at::kDouble);
  factors.shift = at::ones({3}, at::kDouble);
  return factors;
}

}  // namespace

TEST_CASE("stacked: what an edit lacks changes nothing") {
  const auto all = stacked({edit({part("b", 1, directions(2, 0.5))}), edit({}),
                            edit({part("a", 0, scales()), part("b", 1, directions(1, 3.0))})});
  REQUIRE(all->rows() == 3);
  REQUIRE(all->parts().size() == 2);
  CHECK(all->parts()[0].writer == "a");  // in the order of a run
  const Factors &a = all->parts()[0].factors, &b = all->parts()[1].factors;
  CHECK(at::equal(a.s, at::tensor({1., 1., 1., 1., 1., 1., 2., 2., 2.}, at::kDouble).view({3, 3})));
  CHECK(a.shift.sum().item<double>() == 3);
  CHECK(b.u.sizes() == at::IntArrayRef({3, 2, 3}));
  CHECK(at::equal(b.u[0], at::full({2, 3}, 0.5, at::kDouble)));
  CHECK(b.u[1].abs().sum().item<double>() == 0);
  CHECK(at::equal(b.v[2][0], at::full({3}, 3.0, at::kDouble)));
  CHECK(b.v[2][1].abs().sum().item<double>() == 0);
  CHECK_FALSE(b.s.defined());
}

TEST_CASE("stacked: parts that share tensors share what is made of them") {
  OnceEach once;
  const Factors shared = directions(1, 1.0);
  const auto of = [&](const std::string& name, int layer) {
    return Part{name, {WriterKind::mlp, layer}, shared.checked(name, 3, 5, once), {}, {}};
  };
  const auto one = edit({of("a", 0), of("b", 1)});
  const auto all = stacked({one, one});
  CHECK(all->parts()[0].factors.identity() == all->parts()[1].factors.identity());
}

TEST_CASE("stacked: what cannot be a row is refused") {
  const auto good = edit({part("a", 0, directions(1, 1.0))});
  Factors rows;
  rows.u = rows.v = at::ones({2, 1, 3}, at::kDouble);
  Part named = part("a", 0, directions(1, 1.0));
  named.place = {0, -1, 3, 5};
  CHECK_THROWS_AS(stacked({}), c10::ValueError);
  CHECK_THROWS_AS(stacked({good, edit({part("a", 0, rows)})}), c10::ValueError);
  CHECK_THROWS_AS(stacked({good, edit({named})}), c10::ValueError);
  CHECK_THROWS_AS(stacked({good, edit({part("a", 0, directions(1, 1.0), "y")})}), c10::ValueError);
  CHECK(stacked({good, edit({part("a", 0, directions(1, 1.0), "")})})->rows() == 2);
}

}  // namespace lenswright::test_stack
