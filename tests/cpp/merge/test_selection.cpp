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

namespace {

constexpr int64_t kMany = 60'000, kSampled = 2'000;

// Consecutive numbers: whatever range of them is cut in pieces, all lie in one until the last pass.
std::vector<double> neighbours(int64_t count, double first) {
  std::vector<double> out;
  const Philox random(2, "neighbours");
  for (int64_t i = 0; i < count; ++i) out.push_back(first = std::nextafter(first, 1e300));
  for (size_t i = out.size() - 1; i > 0; --i) {
    std::swap(out[i], out[static_cast<size_t>(random.uniform(i) * static_cast<double>(i))]);
  }
  return out;
}

// The rank and the one below it, as much as is held at most, and the passes.
void check_held(const std::vector<double>& sizes, const std::vector<double>& sample, int64_t k) {
  const auto count = static_cast<int64_t>(sizes.size());
  std::vector<double> sorted = sizes;
  std::ranges::sort(sorted, std::greater());
  Selection selection(count, k, (count + kTile - 1) / kTile, Selection::Wanted::and_next);
  selection.guess(std::make_shared<std::vector<double>>(sample));
  const uint64_t said = Selection::held(count, static_cast<int64_t>(sample.size()));
  REQUIRE(said < static_cast<uint64_t>(count) * sizeof(double));  // less than keeping them all
  uint64_t most = 0;
  int passes = 0;
  do {
    tiles(sizes, [&](int64_t tile, int64_t at, int64_t n) {
      selection.read(tile, sizes.data() + at, n);
      most = std::max(most, selection.bytes());
    });
    ++passes;
  } while (!selection.finish());
  CAPTURE(k, most, said, passes);
  REQUIRE(selection.threshold() == sorted[static_cast<size_t>(k - 1)]);
  if (k < count - 1) REQUIRE(selection.next() == sorted[static_cast<size_t>(k)]);
  REQUIRE(most <= said);
  REQUIRE(passes <= 10);
}

}  // namespace

TEST_CASE("selection: what is held is bounded whatever the sample and the sizes") {
  std::vector<double> halves(kSampled, 0.0);  // a bracket around everything
  std::fill(halves.begin() + kSampled / 2, halves.end(), 1e300);
  std::vector<double> rising(kSampled);  // one miss after the other: all of it is below
  for (size_t i = 0; i < rising.size(); ++i) rising[i] = 1e-9 * static_cast<double>(i + 1);
  std::vector<double> mixed = neighbours(kMany / 2, 1.0), far = neighbours(kMany / 2, 1e-300);
  mixed.insert(mixed.end(), far.begin(), far.end());  // two heaps, ranks k and k + 1 in each
  std::vector<double> few = neighbours(kMany, 1.0);   // most are equal, of others few
  for (size_t i = 0; i < few.size(); ++i) few[i] = i % 10 == 0 ? few[i] : 3.0;
  for (const auto& sizes : {neighbours(kMany, 1.0), draws(kMany, false), draws(kMany, true), mixed,
                            few, std::vector<double>(kMany, 2.5)}) {
    for (const auto& sample : {halves, rising, std::vector<double>(kSampled, 1.25),
                               std::vector<double>(kSampled, 1e200)}) {
      for (const int64_t k : {int64_t{1}, kMany / 10, kMany / 2, kMany - 1}) {
        check_held(sizes, sample, k);
      }
    }
  }
}

TEST_CASE("selection: one element, equal elements, infinities") {
  check({5.0}, {5.0}, 1);
  check(std::vector<double>(12'345, 2.0), {2.0, 2.0}, 1);
  std::vector<double> sizes = draws(6'000, false);
  for (size_t i = 0; i < sizes.size(); i += 7) sizes[i] = std::numeric_limits<double>::infinity();
  check(sizes, sizes, 1);
}
