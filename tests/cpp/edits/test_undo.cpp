#include "edits/undo.h"

#include <random>
#include <stdexcept>

#include "base/narrow.h"
#include "base/widen.h"
#include "catch.h"

namespace lenswright::test_undo {
namespace {

struct Scene {
  std::vector<double> s, u, v, c, a, b;
  std::vector<std::byte> before, after;
  StoredMatrix matrix;

  Scene(Dtype dtype, int axis, bool plain, int64_t out = 96, int64_t in = 80) {
    std::mt19937_64 random(17);
    std::normal_distribution<double> normal;
    const auto fill = [&](std::vector<double>& to, int64_t size, double scale, double mean) {
      to.resize(static_cast<size_t>(size));
      for (double& x : to) x = mean + scale * normal(random);
    };
    fill(u, out, 1 / std::sqrt(static_cast<double>(out)), 0);
    v = u;
    if (!plain) {
      fill(s, out, 0.1, 1);
      fill(c, in, 0.1, 1);
      fill(a, 2 * out, 0.1, 0);
      fill(b, 2 * in, 0.1, 0);
      s[3] = 0;  // what is gone must come from the corrections
      c[5] = 0;
    }
    std::vector<double> values;
    fill(values, out * in, 0.02, 0);
    before.resize(values.size() * static_cast<size_t>(element_bytes(dtype)));
    narrow(dtype, values.data(), out * in, before.data());
    matrix = {dtype, before.data(), axis == 0 ? out : in, axis == 0 ? in : out, axis};
    after.resize(before.size());
    edited().write(0, matrix.rows, after.data());
  }
  FactorSpans factors() const { return {s, u, v, c, a, b}; }
  EditedMatrix edited() const { return {matrix, factors(), 1}; }
};

TEST_CASE("Undo: every number comes back") {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16, Dtype::f16}) {
    for (const int axis : {0, 1}) {
      for (const bool plain : {true, false}) {
        const Scene scene(dtype, axis, plain);
        Undo undo(scene.matrix, scene.factors(), "w");
        const auto kept = undo.keep(scene.edited().along());
        CHECK(kept.empty() == (axis == 1));
        Undo again(scene.matrix, scene.factors(), "w");
        again.set(kept);
        std::vector<std::byte> back(scene.before.size());
        size_t size = kept.size();
        constexpr int64_t kRows = 32;
        const int64_t row = scene.matrix.row_bytes();
        for (int64_t first = 0; first < scene.matrix.rows; first += kRows) {
          const int64_t count = std::min(kRows, scene.matrix.rows - first);
          const auto piece = undo.encode(first, count, scene.before.data() + first * row,
                                         scene.after.data() + first * row);
          again.decode(first, count, scene.after.data() + first * row, piece,
                       back.data() + first * row);
          size += piece.size();
        }
        CHECK((back == scene.before));
        // Of a plain edit little is left to say; most of that here is P and the learning.
        if (plain && dtype == Dtype::bf16) CHECK(size < scene.before.size() / 8);
      }
    }
  }
}

TEST_CASE("Undo: what a journal says is checked") {
  const Scene scene(Dtype::bf16, 0, true), across(Dtype::bf16, 1, true);
  Undo undo(scene.matrix, scene.factors(), "w");
  const std::vector<std::byte> few(7), none;
  CHECK_THROWS_AS(undo.set(few), std::invalid_argument);
  CHECK_THROWS_AS(undo.set(none), std::invalid_argument);
  Undo rows(across.matrix, across.factors(), "w");
  std::vector<std::byte> back(across.before.size());
  CHECK_THROWS_AS(rows.decode(0, 2, across.after.data(), few, back.data()), std::invalid_argument);
  StoredMatrix other = scene.matrix;
  other.rows -= 1;
  CHECK_THROWS_AS(Undo(other, scene.factors(), "w"), std::invalid_argument);
}

}  // namespace
}  // namespace lenswright::test_undo
