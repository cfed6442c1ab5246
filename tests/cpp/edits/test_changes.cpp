#include "edits/changes.h"

#include <ATen/ATen.h>

#include "catch.h"

namespace lenswright::test_changes {
namespace {

// Two of four experts whose matrices and biases lie in one tensor each, and a matrix of its own.
const std::vector<WriterSite> kWriters = {
    {"w.3", WriterKind::expert, {Site::expert_out, 0}, "down", "bias", 1, 3, 3, 3, 5, ""},
    {"w.1", WriterKind::expert, {Site::expert_out, 0}, "down", "bias", 1, 1, 1, 3, 5, ""},
    {"o", WriterKind::attention, {Site::attn_raw_out, 0}, "o", "", 0, -1, -1, 3, 4, ""},
};

Part part(const std::string& writer, int64_t width = 3) {
  Factors factors;
  factors.u = factors.v = at::ones({1, width}, at::kDouble);
  return {writer, {}, factors.checked(writer, width, 1), {"", "sum"}, {"", ""}};
}

}  // namespace

TEST_CASE("parts that change slices of one tensor are told together, by slice") {
  const Edit edit({part("w.3"), part("o"), part("w.1")}, {}, {});
  const auto changes = changes_of(edit, kWriters);
  REQUIRE(changes.size() == 3);
  const auto& pieces = changes.at("down").pieces;
  REQUIRE(pieces.size() == 2);
  REQUIRE((pieces[0].slice == 1 && pieces[1].slice == 3));
  REQUIRE(pieces[0].residual_axis == 1);
  REQUIRE(changes.at("down").expected == "sum");
  REQUIRE(changes.at("bias").pieces[1].slice == 3);
  REQUIRE(changes.at("o").pieces[0].slice == -1);
}

TEST_CASE("a piece knows where its matrix lies") {
  const std::byte* data = nullptr;
  const StoredMatrix slice = Piece{2, {}, 1}.matrix(Dtype::f32, {4, 5, 3}, data);
  REQUIRE(slice.data == data + 2 * 15 * 4);
  REQUIRE((slice.rows == 5 && slice.columns == 3 && slice.residual_axis == 1));
  const StoredMatrix bias = Piece{2, {}, 1}.matrix(Dtype::bf16, {4, 3}, data);
  REQUIRE(bias.data == data + 2 * 3 * 2);
  REQUIRE((bias.rows == 1 && bias.columns == 3));
  const StoredMatrix whole = Piece{-1, {}, 0}.matrix(Dtype::f32, {3, 4}, data);
  REQUIRE((whole.rows == 3 && whole.columns == 4 && whole.data == data));
  const StoredMatrix vector = Piece{-1, {}, 1}.matrix(Dtype::f32, {3}, data);
  REQUIRE((vector.rows == 1 && vector.columns == 3));
}

TEST_CASE("what does not fit the writers is refused") {
  REQUIRE_THROWS_AS(changes_of(Edit({part("w.2")}, {}, {}), kWriters), c10::ValueError);
  REQUIRE_THROWS_AS(changes_of(Edit({part("o", 4)}, {}, {}), kWriters), c10::ValueError);
  // Two writers of one matrix, and a tensor both whole and in slices.
  std::vector<WriterSite> writers = kWriters;
  writers[1].slice = 3;
  REQUIRE_THROWS_AS(changes_of(Edit({part("w.3"), part("w.1")}, {}, {}), writers), c10::ValueError);
  writers[1].slice = -1;
  REQUIRE_THROWS_AS(changes_of(Edit({part("w.3"), part("w.1")}, {}, {}), writers), c10::ValueError);
  Part shifting = part("o");
  shifting.factors.shift = at::ones({3}, at::kDouble);
  REQUIRE_THROWS_AS(changes_of(Edit({shifting}, {}, {}), kWriters), c10::ValueError);
}

}  // namespace lenswright::test_changes
