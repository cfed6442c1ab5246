#include "edits/edit.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_edit {
namespace {

Part part(const std::string& writer, int64_t rows = 0) {
  Factors factors;
  factors.u =
      at::ones(rows > 0 ? at::IntArrayRef({rows, 1, 3}) : at::IntArrayRef({1, 3}), at::kDouble);
  factors.v = at::ones({1, 3}, at::kDouble) / 3;
  return {writer, {WriterKind::mlp, 0}, factors.checked(writer, 3, 5), {}, {}};
}

}  // namespace

TEST_CASE("factors take any real type and keep rows apart") {
  Factors factors;
  factors.s = at::ones({4, 3}, at::kFloat);
  factors.c = at::ones({5}, at::kHalf);
  const Factors checked = factors.checked("w", 3, 5);
  REQUIRE(checked.rows() == 4);
  REQUIRE(checked.s.scalar_type() == at::kDouble);
  REQUIRE(checked.row(2).s.sizes() == at::IntArrayRef({3}));
  REQUIRE(checked.row(2).rows() == 0);
  REQUIRE(checked.take(at::tensor({3, 3, 0})).s.size(0) == 3);
  REQUIRE_THROWS_AS(factors.checked("w", 4, 5), c10::ValueError);
  factors.u = at::ones({1, 3});
  REQUIRE_THROWS_AS(factors.checked("w", 3, 5), c10::ValueError);  // no V
}

TEST_CASE("an edit has one part for each writer and one number of rows") {
  REQUIRE(Edit({part("a"), part("b")}, {}, {}).rows() == 0);
  REQUIRE(Edit({part("a", 2), part("b")}, {}, {}).rows() == 2);
  REQUIRE_THROWS_AS(Edit({part("a"), part("a")}, {}, {}), c10::ValueError);
  REQUIRE_THROWS_AS(Edit({part("a", 2), part("b", 3)}, {}, {}), c10::ValueError);
}

TEST_CASE("the id tells what an edit does") {
  const Edit edit({part("a"), part("b")}, {}, {});
  REQUIRE(edit.id() == Edit({part("a"), part("b")}, {{"c", WriterKind::mlp, "why"}}, {}).id());
  REQUIRE(edit.id() != Edit({part("a"), part("c")}, {}, {}).id());
  REQUIRE(edit.id() == Edit({part("a", 2), part("b", 2)}, {}, {}).row(1).id());
}

TEST_CASE("parts that share tensors share what is made of them") {
  Factors shared;
  shared.u = shared.v = at::ones({2, 1, 3}, at::kFloat);
  OnceEach once;
  const auto sharing = [&](const std::string& name) {
    return Part{name, {WriterKind::mlp, 0}, shared.checked(name, 3, 5, once), {}, {}};
  };
  const Edit edit({sharing("a"), sharing("b"), part("c", 2)}, {}, {});
  const auto of = [](const Edit& any, size_t i) { return any.parts()[i].factors.identity(); };
  REQUIRE(of(edit, 0) == of(edit, 1));
  REQUIRE(of(edit, 0) != of(edit, 2));
  REQUIRE(edit.cast(0) == edit.cast(1));
  REQUIRE(edit.cast(0) != edit.cast(2));
  for (const Edit& other : {edit.row(1), edit.take({1, 1, 0})}) {
    REQUIRE(of(other, 0) == of(other, 1));
    REQUIRE(other.cast(0) == other.cast(1));
  }
}

TEST_CASE("factors are cast once for each type") {
  CastFactors cast(part("a").factors);
  const Factors& once = cast.as(at::kFloat, at::kCPU);
  REQUIRE(once.u.scalar_type() == at::kFloat);
  cast.as(at::kDouble, at::kCPU);
  REQUIRE(&cast.as(at::kFloat, at::kCPU) == &once);
}

}  // namespace lenswright::test_edit
