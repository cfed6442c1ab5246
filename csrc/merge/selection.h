#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "merge/bracket.h"

namespace lenswright {

/// The elements of rank below k of a stream of sizes, which is given a few times over in the same
/// tiles: the k largest, and of equal ones those that come first.
///
/// A sample gives a bracket around the k-th largest; one pass counts what lies above it and keeps
/// what lies inside; the answer is exact whatever the sample was. Where the bracket missed, what
/// was counted says where the answer lies among that part of the sample, and another pass takes a
/// bracket there, which holds no more. Sizes are not negative and not NaN (infinity is allowed).
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
  /// After the pass; false: the bracket missed and was moved, read everything again.
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

  /// Whether a pass is read with a bracket, and which one.
  bool sorts() const { return bracketed_ && !finished_; }
  const Bracket& between() const { return bracket_; }

  /// Sizes kept of the present pass.
  uint64_t inside() const;

  /// Bytes that one with a sample of so many takes, at most, where the sample is like the whole.
  static uint64_t held(int64_t count, int64_t sample);

 private:
  struct Tile {
    Bracket::Counts counts;
    std::vector<double> inside;  // strictly between low and high, and not the middle
    int64_t before = 0;          // equals to the threshold in the tiles before, once finished
    int64_t equals = 0;          // in this one
    int64_t passed = 0;          // of those: that keep() has seen
  };
  struct Found {
    double size;
    int64_t among_equals;             // its rank among those of its size, from 1
    std::optional<double> next = {};  // the size of the rank below it, where that was seen, too
  };
  void bracket();
  void learn();
  std::optional<Found> at(int64_t rank) const;
  Found among(bool upper, int64_t rank) const;
  std::optional<double> after(const Found& found) const;
  void settle(Found found);
  int64_t equals_in(const Tile& tile) const;

  int64_t count_, k_;
  Wanted wanted_;
  std::vector<Tile> tiles_;
  std::shared_ptr<std::vector<double>> sample_;
  // The answer lies above `least` and below `most`; how many sizes lie above the one, and how many
  // do not lie below the other.
  double least_ = -1, most_;
  int64_t above_least_, from_most_ = 0;
  double width_;  // of the bracket, in standard deviations of the sample's rank
  int misses_ = 0;
  bool bounded_ = false;          // whether `most` is known
  std::optional<double> around_;  // what lies on either side of it is wanted
  Bracket bracket_;
  bool bracketed_ = false, finished_ = false;
  double threshold_ = 0, next_ = 0;
  int64_t equals_kept_ = 0;
};

}  // namespace lenswright
