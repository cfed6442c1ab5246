#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "merge/bracket.h"
#include "merge/buckets.h"

namespace lenswright {

/// The elements of rank below k of a stream of sizes, which is given a few times over in the same
/// tiles: the k largest, and of equal ones those that come first.
///
/// A sample gives a bracket around the k-th largest; one pass counts what lies above it and keeps
/// what lies inside; the answer is exact whatever the sample was. Where the bracket missed, what
/// was counted says where the answer lies among that part of the sample, and another pass takes a
/// bracket there. Where that misses, too, or more lies in a bracket than there is room for, the
/// sample is not like the whole: passes that keep nothing but counts by pieces of the range narrow
/// it down, six at most, to a piece there is room for. Sizes are not negative and not NaN (infinity
/// is allowed).
class Selection {
 public:
  enum class Wanted : uint8_t { one, and_next };

  /// `tiles` of the passes over all elements.
  Selection(int64_t count, int64_t k, int64_t tiles, Wanted wanted = Wanted::one);

  int64_t k() const { return k_; }
  /// Whether k leaves a choice at all: 0 < k < count.
  bool trivial() const { return k_ <= 0 || k_ >= count_; }

  /// The bracket, from a sample, whose order it changes.
  void guess(std::shared_ptr<std::vector<double>> sample);
  /// One more strip of a pass over all elements; the strips of a tile in order.
  void read(int64_t tile, const double* sizes, int64_t n);
  /// Another k, where it was only estimated before the pass; before finish().
  void choose(int64_t k) { k_ = k; }
  /// After the pass; false: read everything again.
  bool finish();

  /// The size of rank k - 1, once finished.
  double threshold() const { return threshold_; }
  /// The size of rank k, where it was wanted and k < count - 1.
  double next() const { return next_; }
  /// Whether some of the sizes in a tile that equal the threshold are chosen and others not; once
  /// finished. Elsewhere all are, or none.
  bool splits(int64_t tile) const;
  bool takes_equals(int64_t tile) const;
  /// Sets values[i] to 0 where sizes[i] is not among the chosen (`inside` false: where it is). For
  /// the strips of a tile in order, `opens` being its first.
  void keep(int64_t tile, bool opens, const double* sizes, int64_t n, double* values, bool inside);

  /// Whether a pass is read with a bracket, which has had room so far, and which one.
  bool sorts() const { return step_ == Step::sorting && !kept_->full; }
  const Bracket& between() const { return bracket_; }

  /// Sizes kept of the present pass.
  uint64_t inside() const;

  /// Bytes taken now: lists as long as they may become before they move, sample included.
  uint64_t bytes() const;
  /// Bytes that one with a sample of so many takes, at most, whatever the sizes.
  static uint64_t held(int64_t count, int64_t sample);

 private:
  /// sampled: no pass yet; sorting: around a bracket; counting: in pieces of a range; below: the
  /// threshold is known, what comes after it is looked for.
  enum class Step : uint8_t { sampled, sorting, counting, below, finished };
  struct Tile {
    Bracket::Counts counts;
    int64_t between = 0;         // strictly between low and high, and not the middle
    std::vector<double> inside;  // those, where there is room
    double below = -1;           // the largest below the threshold
    int64_t before = 0;          // equals to the threshold in the tiles before, once finished
    int64_t equals = 0;          // in this one
    int64_t passed = 0;          // of those: that keep() has seen
  };
  struct Found {
    double size;
    int64_t among_equals;             // its rank among those of its size, from 1
    std::optional<double> next = {};  // the size of the rank below it, where that was seen, too
  };
  struct Kept {
    std::atomic<int64_t> count{0};
    std::atomic<bool> full{false};
  };
  static int64_t room_for(int64_t count, int64_t sample);
  void bracket();
  void learn();
  void narrow();
  void count_between(double low, double high);
  void begin_pass();
  void sort(Tile& tile, const double* sizes, int64_t n);
  std::optional<Found> at(int64_t rank) const;
  Found among(bool upper, int64_t rank) const;
  std::optional<double> after(const Found& found) const;
  bool settle(Found found);
  int64_t equals_in(const Tile& tile) const;

  int64_t count_, k_;
  Wanted wanted_;
  std::vector<Tile> tiles_;
  std::shared_ptr<std::vector<double>> sample_;
  // The answer lies above `least` and below `most`; how many sizes lie above the one, and how many
  // do not lie below the other.
  double least_ = -1, most_;
  int64_t above_least_, from_most_ = 0;
  bool missed_ = false;
  bool bounded_ = false;  // whether `most` is known
  int64_t room_ = 0;      // of sizes that are kept
  std::unique_ptr<Kept> kept_;
  std::unique_ptr<Buckets> buckets_;
  Bracket bracket_;
  Step step_ = Step::sampled;
  double threshold_ = 0, next_ = 0;
  int64_t equals_kept_ = 0;
};

}  // namespace lenswright
