#include "spec/rows.h"

#include "catch.h"

namespace lenswright::test_rows {
namespace {

using Shape = std::vector<int64_t>;

// The outputs of the stored tensor that a row takes, one by one.
Shape outputs_of(const Row& row) {
  Shape outputs;
  const int64_t run = row.in_runs() ? row.run : row.outputs;
  for (int64_t i = 0; i < row.outputs; ++i) {
    outputs.push_back(row.start + i / run * row.distance + i % run);
  }
  return outputs;
}

}  // namespace

TEST_CASE("rows say how their tensor is stored") {
  Rows rows;
  rows.matrix("a", "A", 3, 5);
  rows.matrix("b", "B", 3, 5, Layout::in_out);
  rows.vector("c", "C", 7, true);
  rows.parts({"q", "k"}, "QK", {4, 2}, 5, Layout::in_out);
  rows.parts({"bq", "bk"}, "BQK", {4, 2}, 0);
  const std::vector<Row> list = rows.take();
  REQUIRE(list.size() == 7);
  REQUIRE(list[0].stored_shape() == Shape{3, 5});
  REQUIRE(list[1].stored_shape() == Shape{5, 3});
  REQUIRE(list[2].stored_shape() == Shape{7});
  REQUIRE(list[2].optional);
  REQUIRE_FALSE(list[0].optional);
  REQUIRE(list[4].stored_shape() == Shape{5, 6});
  REQUIRE(list[4].start == 4);
  REQUIRE(list[4].outputs == 2);
  REQUIRE_FALSE(list[4].in_runs());
  REQUIRE(outputs_of(list[4]) == Shape{4, 5});
  REQUIRE(list[6].stored_shape() == Shape{6});
}

TEST_CASE("rows of products have biases where the checkpoint has them") {
  Rows rows;
  rows.linear("attn.", "Q", "q_proj", 4, 5);
  rows.linear("attn.", "O", "o_proj", 5, 4, Layout::in_out);
  const std::vector<Row> list = rows.take();
  std::vector<std::string> names, sources;
  for (const Row& row : list) {
    names.push_back(row.canonical);
    sources.push_back(row.source);
    REQUIRE(row.optional == row.source.ends_with(".bias"));
  }
  REQUIRE(names == std::vector<std::string>{"attn.W_Q", "attn.b_Q", "attn.W_O", "attn.b_O"});
  REQUIRE(sources ==
          std::vector<std::string>{"q_proj.weight", "q_proj.bias", "o_proj.weight", "o_proj.bias"});
  REQUIRE(list[0].stored_shape() == Shape{4, 5});
  REQUIRE(list[2].stored_shape() == Shape{4, 5});  // 5 outputs of 4 inputs, the other way round
  REQUIRE(list[3].stored_shape() == Shape{5});
}

TEST_CASE("interleaved rows take turns, run after run") {
  Rows rows;
  rows.interleaved({"q", "k", "v"}, "QKV", {3, 1, 2}, 2, 5);
  rows.interleaved({"bq", "bk", "bv"}, "B", {3, 1, 2}, 2, 0, Layout::out_in, true);
  rows.interleaved({"a", "b"}, "AB", {2, 4}, 1, 5);
  const std::vector<Row> list = rows.take();
  const std::vector<Shape> expected = {{0, 1, 2, 6, 7, 8}, {3, 9}, {4, 5, 10, 11}};
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(list[i].stored_shape() == Shape{12, 5});
    REQUIRE(list[3 + i].stored_shape() == Shape{12});
    REQUIRE(list[3 + i].optional);
    for (size_t at : {i, 3 + i}) {
      REQUIRE(list[at].in_runs());
      REQUIRE(outputs_of(list[at]) == expected[i]);
    }
  }
  REQUIRE_FALSE(list[6].in_runs());  // one turn: they follow one another
  REQUIRE(outputs_of(list[7]) == Shape{2, 3, 4, 5});
}

TEST_CASE("rows of experts share tensors that hold them all, until they do no more") {
  Rows rows;
  for (int64_t expert = 0; expert < 3; ++expert) {
    rows.expert(expert, 3);
    rows.parts({"gate", "in"}, "gate_up", {4, 4}, 5);
    rows.matrix("out", "down", 5, 4, Layout::in_out);
    rows.vector("b", "down_bias", 5);
  }
  rows.no_expert();
  rows.matrix("router", "gate", 3, 5);
  const std::vector<Row> list = rows.take();
  REQUIRE(list.size() == 13);
  for (int64_t i = 0; i < 12; ++i) {
    REQUIRE(list[i].expert == i / 4);
    REQUIRE(list[i].experts == 3);
  }
  REQUIRE(list[5].stored_shape() == Shape{3, 8, 5});
  REQUIRE(list[6].stored_shape() == Shape{3, 4, 5});
  REQUIRE(list[7].stored_shape() == Shape{3, 5});
  REQUIRE(list[12].stored_shape() == Shape{3, 5});
  REQUIRE(list[12].experts == 0);
}

}  // namespace lenswright::test_rows
