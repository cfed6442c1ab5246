#include "base/corrections.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/narrow.h"
#include "base/widen.h"

namespace lenswright {
namespace {

struct Form {
  int fraction, least;  // bits of the fraction, exponent of the least normal number
};

Form form_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return {10, -14};
    case Dtype::bf16:
      return {7, -126};
    case Dtype::f32:
      return {23, -126};
    default:
      return {52, -1022};
  }
}

// Only bits and comparisons: both ways must find the same on any machine.
int exponent(double value) {
  const auto field = static_cast<int>(std::bit_cast<uint64_t>(value) >> 52 & 0x7FF);
  return std::max(field - 1023, -1022);
}

double power_of_two(int exponent) {
  if (exponent >= -1022) return std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
  return std::bit_cast<double>(uint64_t{1} << (exponent + 1074));
}

double unit(const Form& form, double value) {
  return power_of_two(std::max(exponent(value), form.least) - form.fraction);
}

// Stored numbers in the order of their values, -0 just below 0, as integers without gaps.
int64_t order(const std::byte* stored, int64_t bytes) {
  uint64_t word = 0;
  std::memcpy(&word, stored, static_cast<size_t>(bytes));
  const uint64_t sign = uint64_t{1} << (8 * bytes - 1);
  return static_cast<int64_t>(word & sign ? ~(word ^ sign) : word);
}

void put_order(int64_t order, int64_t bytes, std::byte* to) {
  const uint64_t sign = uint64_t{1} << (8 * bytes - 1);
  const auto value = static_cast<uint64_t>(order);
  const uint64_t word = order < 0 ? ~value | sign : value & ~sign;
  std::memcpy(to, &word, static_cast<size_t>(bytes));
}

int64_t negated(int64_t x) { return static_cast<int64_t>(0 - static_cast<uint64_t>(x)); }

}  // namespace

// The predictions of a stretch, rounded, and the context of each.
class CorrectionRows {
 public:
  using Context = CorrectionModels::Context;

  CorrectionRows(Dtype dtype, const Predictions& given)
      : bytes_(element_bytes(dtype)),
        form_(form_of(dtype)),
        given_(given),
        rounded_(given.values.size()),
        stored_(given.values.size() * static_cast<size_t>(bytes_)) {
    narrow(dtype, given.values.data(), static_cast<int64_t>(given.values.size()), stored_.data());
    widen(dtype, stored_.data(), static_cast<int64_t>(given.values.size()), rounded_.data());
  }

  int64_t order_of(size_t i) const {
    return order(stored_.data() + i * static_cast<size_t>(bytes_), bytes_);
  }

  Context context(size_t i) const {
    const double one = unit(form_, rounded_[i]), off = (given_.values[i] - rounded_[i]) / one;
    const double side = std::abs(off) * 8;
    return {kind(2 * given_.reaches[i] / one), side < 3 ? static_cast<int>(side) : 3, off < 0};
  }

 private:
  static int kind(double reach) {
    constexpr double kHalfOctave = 1.4142135623730951;
    constexpr int kLast = CorrectionModels::kKinds - 1;
    if (reach <= 1) return 0;
    if (!(reach < 4096)) return kLast;
    const int octave = exponent(reach);
    return 1 + 2 * octave + (reach >= kHalfOctave * power_of_two(octave) ? 1 : 0);
  }

  int64_t bytes_;
  Form form_;
  const Predictions& given_;
  std::vector<double> rounded_;
  std::vector<std::byte> stored_;
};

CorrectionModels::CorrectionModels() { other_[0].fill(BitModel::mostly_zero()); }

template <class Coder>
int64_t CorrectionModels::pass(Coder& coder, Context context, int64_t difference) {
  auto& [kind, side, below] = context;
  if (!coder.bit(other_[kind][side], difference != 0)) return 0;
  const int64_t turned = below ? negated(difference) : difference;
  const bool negative = coder.bit(against_[kind][side], turned < 0);
  const uint64_t over = static_cast<uint64_t>(negative ? negated(turned) : turned) - 1;
  int width = 0;
  const int own = std::min(static_cast<int>(std::bit_width(over)), kWidths);
  while (width < kWidths && coder.bit(wider_[kind][width], width < own)) ++width;
  uint64_t found = 0;
  if (width > 0) {
    const uint64_t top = uint64_t{1} << (width - 1);
    found = top | coder.raw(over & (top - 1), width - 1);
  }
  const auto size = static_cast<int64_t>(found + 1);
  return negative != below ? negated(size) : size;
}

void CorrectionEncoder::add(const Predictions& predictions, const std::byte* truth) {
  const CorrectionRows rows(dtype_, predictions);
  const int64_t bytes = element_bytes(dtype_);
  for (size_t i = 0; i < predictions.values.size(); ++i, truth += bytes) {
    const uint64_t difference =
        static_cast<uint64_t>(order(truth, bytes)) - static_cast<uint64_t>(rows.order_of(i));
    models_.pass(coder_, rows.context(i), static_cast<int64_t>(difference));
  }
}

void CorrectionDecoder::read(const Predictions& predictions, std::byte* to) {
  const CorrectionRows rows(dtype_, predictions);
  const int64_t bytes = element_bytes(dtype_);
  for (size_t i = 0; i < predictions.values.size(); ++i, to += bytes) {
    const auto difference = static_cast<uint64_t>(models_.pass(coder_, rows.context(i), 0));
    put_order(static_cast<int64_t>(static_cast<uint64_t>(rows.order_of(i)) + difference), bytes,
              to);
  }
}

void half_units(Dtype dtype, std::span<const double> values, double* to) {
  const Form form = form_of(dtype);
  for (size_t i = 0; i < values.size(); ++i) to[i] = unit(form, values[i]) / 2;
}

namespace {

// A byte is eight bits, each foretold by those before it.
using ByteModels = std::array<BitModel, 256>;

template <class Coder>
std::byte pass_byte(Coder& coder, ByteModels& models, std::byte value) {
  unsigned node = 1;
  for (int i = 7; i >= 0; --i) {
    const bool bit = coder.bit(models[node], (static_cast<unsigned>(value) >> i & 1) != 0);
    node = node << 1 | (bit ? 1 : 0);
  }
  return static_cast<std::byte>(node);
}

}  // namespace

std::vector<std::byte> encode_bytes(std::span<const std::byte> bytes) {
  ByteModels models;
  RangeEncoder coder;
  for (const std::byte byte : bytes) pass_byte(coder, models, byte);
  return coder.finish();
}

void decode_bytes(std::span<const std::byte> coded, std::span<std::byte> to) {
  ByteModels models;
  RangeDecoder coder(coded);
  for (std::byte& byte : to) byte = pass_byte(coder, models, {});
}

}  // namespace lenswright
