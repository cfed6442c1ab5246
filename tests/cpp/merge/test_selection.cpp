#include "merge/selection.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/philox.h"
#include "catch.h"
#include "merge/kernel.h"

using namespace lenswright;

namespace {

constexpr int64_t kTile = 5000, kStripHere = 1000;

// Ranks 0, 1, …: the largest first, of equal ones the first.
std::vector<int64_t> ranks(const std::vector<double>& sizes) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<int64_t> out(sizes.size());
  for (size_t i = 0; i < order.size(); ++i) out[order[i]] = static_cast<int64_t>(i);
  return out;
}

template <typename Visit>
void tiles(const std::vector<double>& sizes, Visit visit) {
  const auto count = static_cast<int64_t>(sizes.size());
  for (int64_t tile = 0; tile * kTile < count; ++tile) {
    for (int64_t at = tile * kTile; at < std::min(count, (tile + 1) * kTile); at += kStripHere) {
      visit(tile, at, std::min({kStripHere, count - at, (tile + 1) * kTile - at}));
    }
  }
}

// What is kept, and how many passes it took.
std::vector<bool> kept(const std::vector<double>& sizes, int64_t k, std::vector<double> sample,
                       int& passes) {
  const auto count = static_cast<int64_t>(sizes.size());
  Selection selection(count, k, (count + kTile - 1) / kTile);
  selection.guess(std::make_shared<std::vector<double>>(std::move(sample)));
  passes = 0;
  do {
    tiles(sizes,
          [&](int64_t tile, int64_t at, int64_t n) { selection.read(tile, sizes.data() + at, n); });
    ++passes;
  } while (!selection.finish());
  std::vector<double> ones(sizes.size(), 1.0), zeros(sizes.size(), 1.0);
  for (const bool inside : {true, false, true}) {  // each sweep begins anew
    std::vector<double>& values = inside ? ones : zeros;
    tiles(sizes, [&](int64_t tile, int64_t at, int64_t n) {
      selection.keep(tile, at % kTile == 0, sizes.data() + at, n, values.data() + at, inside);
    });
  }
  std::vector<bool> out;
  for (size_t i = 0; i < sizes.size(); ++i) {
    REQUIRE(ones[i] + zeros[i] == 1.0);
    out.push_back(ones[i] == 1.0);
  }
  return out;
}

void check(const std::vector<double>& sizes, const std::vector<double>& sample, int most_passes) {
  const auto count = static_cast<int64_t>(sizes.size());
  const std::vector<int64_t> rank = ranks(sizes);
  for (const int64_t k : {int64_t{0}, int64_t{1}, count / 10, count / 2, count - 1, count}) {
    CAPTURE(k, count);
    int passes = 0;
    const std::vector<bool> out = kept(sizes, k, sample, passes);
    REQUIRE(passes <= most_passes);
    bool right = true;
    for (size_t i = 0; i < out.size(); ++i) right = right && out[i] == (rank[i] < k);
    REQUIRE(right);
  }
}

std::vector<double> draws(int64_t count, bool coarse) {
  const Philox random(1, "selection");
  std::vector<double> out;
  for (int64_t i = 0; i < count; ++i) {
    const double x = std::abs(random.normal(static_cast<uint64_t>(i)));
    out.push_back(coarse ? std::round(3 * x) : x);
  }
  return out;
}

}  // namespace

TEST_CASE("selection: the largest, exactly, in one pass") {
  const bool coarse = GENERATE(false, true);  // coarse: a fifth is equal to the threshold
  const std::vector<double> sizes = draws(30'011, coarse);
  std::vector<double> sample;
  for (size_t i = 0; i < sizes.size(); i += 3) sample.push_back(sizes[i]);
  check(sizes, sample, 1);
}

TEST_CASE("selection: whatever the sample, the answer is right") {
  const std::vector<double> sizes = draws(9'001, GENERATE(false, true));
  check(sizes, std::vector<double>(1000, 1e9), 8);
  check(sizes, std::vector<double>(1000, 0.0), 8);
  check(sizes, {}, 8);
  std::vector<double> wrong(2000);
  std::iota(wrong.begin(), wrong.end(), 1e3);
  check(sizes, wrong, 8);
}

TEST_CASE("selection: a bracket that missed is moved, not widened") {
  // The sample has seen too few of the large ones: the answer lies some ranks above its bracket.
  const std::vector<double> sizes = draws(400'000, false);
  std::vector<double> sample;
  for (size_t i = 0; i < sizes.size(); i += 10) {
    if (sizes[i] < 0.674 || i / 10 % 10 != 0) sample.push_back(sizes[i]);
  }
  const int64_t count = 400'000, k = count / 2;
  int passes = 0;
  const std::vector<bool> out = kept(sizes, k, sample, passes);
  REQUIRE(passes == 2);
  const std::vector<int64_t> rank = ranks(sizes);
  bool right = true;
  for (size_t i = 0; i < out.size(); ++i) right = right && out[i] == (rank[i] < k);
  REQUIRE(right);
  // What was held: the lists of both passes are as long as was said.
  Selection selection(count, k, (count + kTile - 1) / kTile);
  selection.guess(std::make_shared<std::vector<double>>(sample));
  const uint64_t said = Selection::held(count, static_cast<int64_t>(sample.size()));
  do {
    tiles(sizes,
          [&](int64_t tile, int64_t at, int64_t n) { selection.read(tile, sizes.data() + at, n); });
    REQUIRE(selection.inside() * 8 <= said);
  } while (!selection.finish());
}

TEST_CASE("selection: one element, equal elements, infinities") {
  check({5.0}, {5.0}, 1);
  check(std::vector<double>(12'345, 2.0), {2.0, 2.0}, 1);
  std::vector<double> sizes = draws(6'000, false);
  for (size_t i = 0; i < sizes.size(); i += 7) sizes[i] = std::numeric_limits<double>::infinity();
  check(sizes, sizes, 1);
}
