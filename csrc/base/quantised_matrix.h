#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lenswright {

/// How a checkpoint writes the numbers of a weight: as they are, or in few bits with scales.
enum class Quantisation : uint8_t { none, fp8, mxfp4 };

std::string_view name_of(Quantisation form);

/// Numbers that share a scale in MXFP4 (OCP Microscaling Formats 1.0, section 5.2).
inline constexpr int64_t kMxGroup = 32;

/// Which scale is a number's, where a matrix has one for each block of rows and columns.
struct BlockGrid {
  int64_t block_rows = 0;
  int64_t block_columns = 0;
  int64_t columns = 0;  // of the grid
  int64_t half = 0;     // rows after which blocks begin anew, of two matrices in one; 0: never

  int64_t row_of(int64_t row) const {
    if (half == 0) return row / block_rows;
    return row / half * ((half + block_rows - 1) / block_rows) + row % half / block_rows;
  }
};

/// One matrix [rows, columns] as its codes and scales, which must outlive it.
///
/// fp8: E4M3 codes, and float32 scales on a grid. The weight is the float32 product of the two.
/// mxfp4: E2M1 codes, two a byte with the earlier in the low half, and a byte e for each group of a
/// row, which stands for 2^(e - 127). The weight is the exact product.
struct QuantisedMatrix {
  Quantisation form = Quantisation::none;
  std::string_view name{};  // of the scales, for messages
  int64_t rows = 0;
  int64_t columns = 0;
  const std::byte* codes = nullptr;
  const float* scales = nullptr;         // fp8: [.., grid.columns]
  const std::byte* exponents = nullptr;  // mxfp4: [rows, columns / 32]
  BlockGrid grid{};

  /// Numbers [first, first + count) of a row. Exact, except that float32 lacks the largest numbers
  /// of MXFP4: those are infinite. std::invalid_argument where an exponent is 255, which is none.
  void read(int64_t row, int64_t first, int64_t count, float* to) const;
  void read(int64_t row, int64_t first, int64_t count, double* to) const;
};

}  // namespace lenswright
