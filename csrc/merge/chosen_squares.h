#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "merge/selection.h"

namespace lenswright {

/// Sums of squares of some vectors over the elements that a Selection chooses, from the pass in
/// which it chooses them: what lies beyond its bracket or at one of its ends is summed up at once,
/// what lies inside is kept until the threshold is known. Tiles in which equal sizes are parted
/// (Selection::splits) are left to a pass of their own.
class ChosenSquares {
 public:
  ChosenSquares(size_t tiles, size_t vectors);

  void clear();
  /// A strip of the pass that the selection reads.
  void read(int64_t tile, const Bracket& bracket, const double* sizes,
            std::span<double* const> vectors, int64_t n);
  /// Once the selection is finished.
  void decide(const Selection& selection);
  /// A strip all of whose elements count.
  void add(int64_t tile, std::span<double* const> vectors, int64_t n);
  /// By vector, added up in order of tiles.
  std::vector<double> totals() const;

  /// Bytes for so many tiles, and for one element inside the bracket.
  static uint64_t held(size_t tiles, size_t vectors);
  static uint64_t held_inside(size_t vectors) { return (vectors + 1) * sizeof(double); }

 private:
  struct Tile {
    std::vector<double> squares;  // of what is chosen, by vector
    std::vector<double> classes;  // by vector and class
    std::vector<double> inside;   // of one element after the other: its size, squares by vector
  };
  void decide(const Selection& selection, int64_t index, Tile& tile) const;

  size_t vectors_;
  std::vector<Tile> tiles_;
};

}  // namespace lenswright
