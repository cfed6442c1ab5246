#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "merge/cut.h"

namespace lenswright {

/// strict: the published formula. compat: what mergekit 0.1.5 computes.
enum class Mode : uint8_t { strict, compat };

/// Parameters by name; flags are 0 or 1.
class Values {
 public:
  void set(std::string_view name, double value) {
    values_.insert_or_assign(std::string(name), value);
  }
  bool has(std::string_view name) const { return values_.contains(name); }
  double at(std::string_view name) const;
  bool flag(std::string_view name) const { return at(name) != 0; }
  const std::map<std::string, double, std::less<>>& all() const { return values_; }

 private:
  std::map<std::string, double, std::less<>> values_;
};

struct Task;

/// Computes an output tensor of its inputs, all of them at once: for methods that decompose whole
/// matrices, which is done above this layer. `out` has as many numbers as each input.
using Solver = std::function<void(const Task& task, const std::vector<std::span<const double>>& x,
                                  std::span<double> out)>;

/// One output tensor as a method sees it.
struct Task {
  std::string tensor;
  Shape2 shape;
  bool matrix = true;  // of two dimensions or more, though there may be one row
  size_t inputs = 0;   // the base included
  int base = -1;       // which input it is; -1: there is none
  Mode mode = Mode::strict;
  Values values;            // of the merge
  std::vector<Values> own;  // of each input; the base's may be empty
  uint64_t seed = 0;
  std::vector<uint64_t> streams;   // of random numbers, for each input
  const Solver* solver = nullptr;  // of methods that work on whole tensors

  /// The inputs that are not the base, in their order.
  std::vector<size_t> others() const;
};

/// A few neighbouring elements of every input, widened to float64.
struct Strip {
  int64_t first = 0;  // index of the first element in the tensor
  int64_t count = 0;
  bool opens = false;                // the first strip of its tile
  std::span<const double* const> x;  // one for each input
  std::span<double* const> room;     // inputs + 3 arrays of `count` to work in
};

/// One tensor being merged: some passes that only read, then one that writes. Tiles are read by any
/// thread in any order, the strips of a tile in order by one thread; whatever a pass sums up is
/// kept by tile and added up in order of tiles, so that threads change no bit.
class Work {
 public:
  virtual ~Work();

  /// Passes before the one that writes; may grow while they are done.
  virtual int passes() const { return 0; }
  /// How a pass, or the one that writes (pass == passes()), cuts the tensor.
  virtual Cut cut(int pass) const;
  /// Whether a pass that only reads has any use for a tile.
  virtual bool wants(int pass, int64_t tile) const;
  virtual void read(int pass, int64_t tile, const Strip& strip);
  /// After every tile of a pass, in one thread; true when the pass is needed once more.
  virtual bool finish(int pass);
  virtual void write(int64_t tile, const Strip& strip, double* out) = 0;
  /// Bytes that it keeps of the tensor between passes, at most.
  virtual uint64_t held() const;
  /// A word for the report on what was found ("" for nothing), once written.
  virtual std::string remark() const;
};

}  // namespace lenswright
