#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace lenswright {

/// Every element type of the safetensors format, in the order its writers sort by (ascending).
enum class Dtype : uint8_t {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64,
};

/// Bits of one element: 4, 6, 8, 16, 32 or 64.
int bits(Dtype dtype);

/// Bytes of one element; 0 for the 4- and 6-bit types, whose elements share bytes.
int64_t element_bytes(Dtype dtype);

/// True for the real floating-point types (complex excluded).
bool is_float(Dtype dtype);

/// The name in a file's header: "BOOL", "BF16", "F8_E4M3", …
std::string_view wire_name(Dtype dtype);

std::optional<Dtype> dtype_from_wire(std::string_view name);

/// All types, in enum order.
std::span<const Dtype> all_dtypes();

}  // namespace lenswright
