#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/range_coder.h"

namespace lenswright {

/// Numbers as stored (F64, F32, BF16 or F16), coded as what is wrong with a prediction of them, in
/// units in the last place. Both ways must be told the same predictions, bit for bit.
///
/// A prediction is a double and its reach: how far off it may be. Where that is half a unit or less
/// the rounded prediction is right but for ties, and costs hardly anything. Where it is more, the
/// side of the rounded prediction on which the double lay says on which side the truth lies.
struct Predictions {
  std::span<const double> values, reaches;  // of one length
};

/// The models that coder and decoder learn side by side.
class CorrectionModels {
 public:
  struct Context {
    int kind = 0;  // 0: the reach is within the rounding; above, half octaves beyond it
    int side = 0;  // how far the double lay from what it was rounded to, in eighths of a unit
    bool below = false;
  };

  CorrectionModels();
  template <class Coder>
  int64_t pass(Coder& coder, Context context, int64_t difference);

 private:
  static constexpr int kKinds = 26, kSides = 4, kWidths = 63;
  friend class CorrectionRows;
  std::array<std::array<BitModel, kSides>, kKinds> other_, against_;
  std::array<std::array<BitModel, kWidths>, kKinds> wider_;
};

class CorrectionEncoder {
 public:
  explicit CorrectionEncoder(Dtype dtype) : dtype_(dtype) {}
  /// `truth`: as many numbers, as stored.
  void add(const Predictions& predictions, const std::byte* truth);
  std::vector<std::byte> finish() { return coder_.finish(); }

 private:
  Dtype dtype_;
  CorrectionModels models_;
  RangeEncoder coder_;
};

class CorrectionDecoder {
 public:
  CorrectionDecoder(Dtype dtype, std::span<const std::byte> bytes) : dtype_(dtype), coder_(bytes) {}
  void read(const Predictions& predictions, std::byte* to);

 private:
  Dtype dtype_;
  CorrectionModels models_;
  RangeDecoder coder_;
};

/// Half a unit in the last place of numbers of this type.
void half_units(Dtype dtype, std::span<const double> values, double* to);

/// Bytes of which nothing is predicted, by how often each came before.
std::vector<std::byte> encode_bytes(std::span<const std::byte> bytes);
void decode_bytes(std::span<const std::byte> coded, std::span<std::byte> to);

}  // namespace lenswright
