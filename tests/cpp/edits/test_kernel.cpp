#include "edits/kernel.h"

#include <cmath>
#include <random>

#include "base/narrow.h"
#include "base/widen.h"
#include "catch.h"

namespace lenswright::test_kernel {
namespace {

struct Case {
  int64_t out, in;
  int64_t rank, added;
  bool diagonals;
};

class Numbers {
 public:
  explicit Numbers(const Case& c)
      : s(draw(c.diagonals ? c.out : 0)),
        u(draw(c.rank * c.out)),
        v(draw(c.rank * c.out)),
        c(draw(c.diagonals ? c.in : 0)),
        a(draw(c.added * c.out)),
        b(draw(c.added * c.in)),
        w(draw(c.out * c.in)),
        shape_(c) {}

  FactorSpans spans() const { return {s, u, v, c, a, b}; }

  // W' by the formula, in long double; entries of W as they are stored.
  long double expected(int64_t o, int64_t i) const {
    const auto& [out, in, rank, added, diagonals] = shape_;
    long double value = w[o * in + i];
    for (int64_t k = 0; k < rank; ++k) {
      long double along = 0;
      for (int64_t j = 0; j < out; ++j)
        along += static_cast<long double>(v[k * out + j]) * w[j * in + i];
      value -= u[k * out + o] * along;
    }
    if (diagonals) value *= static_cast<long double>(s[o]) * c[i];
    for (int64_t r = 0; r < added; ++r) {
      value += static_cast<long double>(a[r * out + o]) * b[r * in + i];
    }
    return value;
  }

  std::vector<double> draw(int64_t count) {
    std::vector<double> values(static_cast<size_t>(count));
    for (double& value : values) value = std::uniform_real_distribution(-1.0, 1.0)(random_);
    return values;
  }

 private:
  std::mt19937_64 random_{7};

 public:
  std::vector<double> s, u, v, c, a, b, w;  // w: [out, in]

 private:
  Case shape_;
};

// The matrix as its file has it, at an odd address, and the numbers it then holds.
std::vector<std::byte> stored(Numbers& numbers, const Case& c, Dtype dtype, int residual_axis) {
  std::vector<double> lying(numbers.w.size());
  const auto place = [&](int64_t o, int64_t i) {
    return residual_axis == 0 ? o * c.in + i : i * c.out + o;
  };
  for (int64_t o = 0; o < c.out; ++o) {
    for (int64_t i = 0; i < c.in; ++i) lying[place(o, i)] = numbers.w[o * c.in + i];
  }
  const auto count = static_cast<int64_t>(lying.size());
  std::vector<std::byte> bytes(static_cast<size_t>(count * element_bytes(dtype) + 1));
  narrow(dtype, lying.data(), count, bytes.data() + 1);
  widen(dtype, bytes.data() + 1, count, lying.data());
  for (int64_t o = 0; o < c.out; ++o) {
    for (int64_t i = 0; i < c.in; ++i) numbers.w[o * c.in + i] = lying[place(o, i)];
  }
  return bytes;
}

double half_unit(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
      return 0x1p-53;
    case Dtype::f32:
      return 0x1p-24;
    case Dtype::f16:
      return 0x1p-11;
    default:
      return 0x1p-8;
  }
}

void check(const Case& c, Dtype dtype, int residual_axis) {
  Numbers numbers(c);
  const std::vector<std::byte> bytes = stored(numbers, c, dtype, residual_axis);
  const int64_t rows = residual_axis == 0 ? c.out : c.in,
                columns = residual_axis == 0 ? c.in : c.out;
  const StoredMatrix source{dtype, bytes.data() + 1, rows, columns, residual_axis};
  const FactorSpans factors = numbers.spans();
  std::vector<std::byte> result(bytes.size());
  EditedMatrix(source, factors, 1).write(0, rows, result.data() + 1);

  std::vector<double> values(static_cast<size_t>(rows * columns));
  widen(dtype, result.data() + 1, rows * columns, values.data());
  int wrong = 0;
  for (int64_t o = 0; o < c.out; ++o) {
    for (int64_t i = 0; i < c.in; ++i) {
      const long double exact = numbers.expected(o, i);
      const double value = values[residual_axis == 0 ? o * c.in + i : i * c.out + o];
      const double tiny = dtype == Dtype::f16 ? 0x1p-25 : 0.0;
      wrong += std::fabs(value - exact) >
               1.000001L * half_unit(dtype) * std::fabs(exact) + tiny + 1e-13L;
    }
  }
  REQUIRE(wrong == 0);

  // Neither threads nor the way rows are shared out change a byte.
  for (const int threads : {2, 5}) {
    const EditedMatrix edited(source, factors, threads);
    std::vector<std::byte> pieces(bytes.size());
    for (int64_t row = 0; row < rows; row += threads) {
      edited.write(row, std::min<int64_t>(threads, rows - row),
                   pieces.data() + 1 + row * source.row_bytes());
    }
    REQUIRE((pieces == result));  // bytes cannot be printed
  }
}

}  // namespace

TEST_CASE("an edited matrix is the formula, rounded once, however the matrix lies") {
  const std::vector<Case> cases = {{7, 5, 1, 0, false},  {33, 2050, 1, 0, false},
                                   {40, 37, 3, 2, true}, {1, 9, 0, 1, false},
                                   {19, 1, 2, 0, true},  {17, 16, 0, 0, false}};
  for (const Case& c : cases) {
    for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16}) {
      for (const int residual_axis : {0, 1}) {
        CAPTURE(c.out, c.in, c.rank, wire_name(dtype), residual_axis);
        check(c, dtype, residual_axis);
      }
    }
  }
}

// Codes that look random, with scales for blocks that divide neither side.
struct Codes {
  explicit Codes(int64_t rows, int64_t columns) {
    std::mt19937_64 random{11};
    codes.resize(static_cast<size_t>(rows * columns));
    for (std::byte& code : codes)
      code = static_cast<std::byte>(random() % 0x7F | random() % 2 << 7);
    matrix = {Quantisation::fp8, "scales", rows, columns, codes.data()};
    matrix.grid = {16, 24, (columns + 23) / 24};
    scales.resize(static_cast<size_t>((rows + 15) / 16 * matrix.grid.columns));
    for (float& scale : scales) scale = std::uniform_real_distribution(0.001f, 0.01f)(random);
    matrix.scales = scales.data();
  }
  std::vector<std::byte> codes;
  std::vector<float> scales;
  QuantisedMatrix matrix;
};

TEST_CASE("a quantised matrix is edited as the numbers it stands for, whichever way it lies") {
  const Case c{70, 53, 2, 1, true};
  Numbers numbers(c);
  const FactorSpans factors = numbers.spans();
  for (const int residual_axis : {0, 1}) {
    const int64_t rows = residual_axis == 0 ? c.out : c.in;
    const int64_t columns = residual_axis == 0 ? c.in : c.out;
    for (const bool turned : {false, true}) {
      const Codes codes(turned ? columns : rows, turned ? rows : columns);
      StoredMatrix source{Dtype::bf16, nullptr, rows, columns, residual_axis, codes.matrix, turned};
      std::vector<double> plain(static_cast<size_t>(rows * columns));
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
          codes.matrix.read(turned ? column : row, turned ? row : column, 1,
                            &plain[static_cast<size_t>(row * columns + column)]);
        }
      }
      const auto* data = reinterpret_cast<const std::byte*>(plain.data());
      const StoredMatrix wide{Dtype::f64, data, rows, columns, residual_axis};
      for (const FactorSpans& own : {factors, FactorSpans{}}) {
        std::vector<double> exact(plain.size());
        EditedMatrix(wide, own, 1).write(0, rows, reinterpret_cast<std::byte*>(exact.data()));
        std::vector<std::byte> expected(2 * plain.size()), result(2 * plain.size());
        narrow(Dtype::bf16, exact.data(), rows * columns, expected.data());
        const EditedMatrix edited(source, own, 1);
        for (int64_t row = 0; row < rows; row += 37) {
          edited.write(row, std::min<int64_t>(37, rows - row),
                       result.data() + row * source.row_bytes());
        }
        REQUIRE((result == expected));
      }
    }
  }
}

TEST_CASE("a number that BF16 lacks is refused, not written as infinity") {
  const std::vector<std::byte> codes(16, std::byte{0x77});  // 6, 6, ...
  const std::byte exponent{254};
  QuantisedMatrix matrix{Quantisation::mxfp4, "down_scales", 1, 32, codes.data()};
  matrix.exponents = &exponent;
  const StoredMatrix source{Dtype::bf16, nullptr, 1, 32, 1, matrix, false};
  std::vector<std::byte> result(64);
  REQUIRE_THROWS_AS(EditedMatrix(source, {}, 1).write(0, 1, result.data()), std::invalid_argument);
}

TEST_CASE("types that cannot be rounded to are refused") {
  const std::byte byte{};
  REQUIRE_THROWS_AS(EditedMatrix({Dtype::i8, &byte, 1, 1, 0}, {}, 1), std::invalid_argument);
}

}  // namespace lenswright::test_kernel
