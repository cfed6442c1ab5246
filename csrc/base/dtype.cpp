#include "base/dtype.h"

#include <array>

namespace lenswright {
namespace {

struct Row {
  Dtype dtype;
  std::string_view name;
  int bits;
  bool is_float;
};

constexpr std::array kRows = {
    Row{Dtype::boolean, "BOOL", 8, false},
    Row{Dtype::f4, "F4", 4, true},
    Row{Dtype::f6_e2m3, "F6_E2M3", 6, true},
    Row{Dtype::f6_e3m2, "F6_E3M2", 6, true},
    Row{Dtype::u8, "U8", 8, false},
    Row{Dtype::i8, "I8", 8, false},
    Row{Dtype::f8_e5m2, "F8_E5M2", 8, true},
    Row{Dtype::f8_e4m3, "F8_E4M3", 8, true},
    Row{Dtype::f8_e8m0, "F8_E8M0", 8, true},
    Row{Dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8, true},
    Row{Dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8, true},
    Row{Dtype::i16, "I16", 16, false},
    Row{Dtype::u16, "U16", 16, false},
    Row{Dtype::f16, "F16", 16, true},
    Row{Dtype::bf16, "BF16", 16, true},
    Row{Dtype::i32, "I32", 32, false},
    Row{Dtype::u32, "U32", 32, false},
    Row{Dtype::f32, "F32", 32, true},
    Row{Dtype::c64, "C64", 64, false},
    Row{Dtype::f64, "F64", 64, true},
    Row{Dtype::i64, "I64", 64, false},
    Row{Dtype::u64, "U64", 64, false},
};

constexpr bool in_order() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(in_order());

const Row& row(Dtype dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

int bits(Dtype dtype) { return row(dtype).bits; }

int64_t element_bytes(Dtype dtype) { return row(dtype).bits / 8; }

bool is_float(Dtype dtype) { return row(dtype).is_float; }

std::string_view wire_name(Dtype dtype) { return row(dtype).name; }

std::optional<Dtype> dtype_from_wire(std::string_view name) {
  for (const Row& r : kRows) {
    if (r.name == name) return r.dtype;
  }
  return std::nullopt;
}

std::span<const Dtype> all_dtypes() {
  static constexpr auto kAll = [] {
    std::array<Dtype, kRows.size()> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = kRows[i].dtype;
    return all;
  }();
  return kAll;
}

}  // namespace lenswright
